/** Above the timeline: what the trace is, what is odd about it, and what one can do with it. */

import { duration, moment, zone } from '../../language/format.ts'
import { Icon } from '../../parts/icon.tsx'
import { later } from '../../parts/later.tsx'
import { Service } from '../../parts/service.tsx'
import type { Trace, TraceHead } from '../protocol.ts'
import { afterRows } from './after-rows.ts'
import { isFresh } from './fresh.ts'
import { say } from './messages.ts'
import type { TraceStore } from './store.ts'

const Tools = later(
  async () => (await afterRows()).Tools,
  () => <div class="trace-tools" />,
)
/** Most traces have nothing odd about them. */
const Notices = later(
  async () => (await import('./notices.tsx')).Notices,
  () => <div class="notices" />,
)

export function Header({
  store,
  trace,
  again,
}: {
  store: TraceStore
  trace: Trace
  again: () => void
}) {
  const { head, columns } = trace
  const name = head.names[columns.name[0] ?? 0] ?? ''
  const service = head.services[columns.service[0] ?? 0]?.name ?? ''
  return (
    <header class="trace-header">
      <div class="trace-title">
        <h1 title={`${service}: ${name.slice(0, 1_000)}`}>
          <Service name={service} /> <bdi>{name.slice(0, 1_000)}</bdi>
        </h1>
        <p class="facts-line number">
          <strong>{duration(head.durationNano)}</strong>
          <span>
            {moment(head.startUnixNano)} <span class="quiet">{zone()}</span>
          </span>
          <span>{say().spans(columns.count)}</span>
          <span>{say().services(head.services.length)}</span>
          {head.errorCount > 0 ? (
            <strong class="error-text">
              <Icon name="error" size={14} /> {say().errors(head.errorCount)}
            </strong>
          ) : (
            <span class="quiet">{say().noErrors}</span>
          )}
          <span class="quiet">{say().depth(head.depthMax + 1)}</span>
        </p>
        {!head.isComplete && (
          <span class="arriving" role="status">
            {say().arriving}
          </span>
        )}
        {hasNotices(head) && <Notices store={store} trace={trace} again={again} />}
      </div>
      <Tools store={store} trace={trace} />
    </header>
  )
}

function hasNotices(head: TraceHead): boolean {
  return (
    head.missingParentCount > 0 ||
    head.skewedCount > 0 ||
    head.cycleCount > 0 ||
    head.duplicateIdCount > 0 ||
    head.rootCount > 1 ||
    (head.otherTraceCount ?? 0) > 0 ||
    isFresh(head)
  )
}
