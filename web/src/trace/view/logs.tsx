/** All events of the trace in time order. */

import { duration } from '../../language/format.ts'
import { useAnswer } from '../../parts/answer.ts'
import { Icon } from '../../parts/icon.tsx'
import { Service } from '../../parts/service.tsx'
import { Empty, Failed, Loading } from '../../parts/states.tsx'
import type { Trace } from '../protocol.ts'
import { say } from './messages.ts'
import type { TraceStore } from './store.ts'

const SHOWN_MAX = 2_000

export function Logs({ store, trace }: { store: TraceStore; trace: Trace }) {
  const { head, columns } = trace
  const asked = useAnswer(`${head.traceId} ${head.isComplete}`, async () => {
    const { entries } = await store.session.ask<'logs'>({ kind: 'logs' })
    return entries
  })
  if (asked.failure) return <Failed failure={asked.failure} again={asked.again} />
  if (!asked.answer) return <Loading />
  if (asked.answer.length === 0) {
    return (
      <Empty title={say().noLogs}>
        <p class="quiet">{say().noLogsHint}</p>
      </Empty>
    )
  }
  return (
    <div class="table-view" tabIndex={0} role="region" aria-label={say().logs}>
      <table>
        <thead>
          <tr>
            <th class="number">{say().time}</th>
            <th>{say().serviceWord}</th>
            <th>{say().events}</th>
          </tr>
        </thead>
        <tbody>
          {asked.answer.slice(0, SHOWN_MAX).map((entry, at) => (
            <tr key={at}>
              <td class="number">
                <button
                  type="button"
                  class="plain link"
                  onClick={() => {
                    store.tab.value = 'timeline'
                    store.select(entry.row, { brings: true })
                  }}
                >
                  {duration(Number(BigInt(entry.timeUnixNano) - BigInt(head.startUnixNano)))}
                </button>
              </td>
              <td>
                <Service name={head.services[columns.service[entry.row] ?? 0]?.name ?? ''} />
              </td>
              <td class="wrap">
                {entry.isException && (
                  <span class="error-text">
                    <Icon name="error" size={13} />{' '}
                  </span>
                )}
                <strong>
                  <bdi>{entry.name}</bdi>
                </strong>{' '}
                <bdi>{entry.text.slice(0, 1_000)}</bdi>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {asked.answer.length > SHOWN_MAX && <p class="quiet">… {asked.answer.length - SHOWN_MAX}</p>}
    </div>
  )
}
