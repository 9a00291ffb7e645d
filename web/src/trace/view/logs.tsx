/** All events of the trace in time order; of thousands only those in sight are in the page. */

import { useEffect, useRef, useState } from 'preact/hooks'
import { duration } from '../../language/format.ts'
import { useAnswer } from '../../parts/answer.ts'
import { Failed } from '../../parts/failed.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Service } from '../../parts/service.tsx'
import { Empty, Loading } from '../../parts/states.tsx'
import type { LogEntry, Trace } from '../protocol.ts'
import { say } from './panel-messages.ts'
import { clipped } from './shown.ts'
import type { TraceStore } from './store.ts'
import './panel.css'

/** The worker's limit, which it keeps without a word. */
const LOGS_MAX = 20_000
const LOG_PIXELS = 28
/** Above and below what is in sight, so that scrolling shows no gap. */
const SPARE_ROWS = 20

export function Logs({ store, trace }: { store: TraceStore; trace: Trace }) {
  const { head } = trace
  const asked = useAnswer(`${head.traceId} ${trace.columns.count} ${head.isComplete}`, async () => {
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
  return <LogList store={store} trace={trace} entries={asked.answer} />
}

function LogList({
  store,
  trace,
  entries,
}: {
  store: TraceStore
  trace: Trace
  entries: readonly LogEntry[]
}) {
  const place = useRef<HTMLDivElement>(null)
  const [[top, height], setSight] = useState<readonly [number, number]>([0, 1_000])
  const look = () => {
    if (place.current) setSight([place.current.scrollTop, place.current.clientHeight])
  }
  useEffect(() => {
    if (!place.current) return
    const observer = new ResizeObserver(look)
    observer.observe(place.current)
    return () => observer.disconnect()
  }, [])
  const first = Math.max(0, Math.floor(top / LOG_PIXELS) - SPARE_ROWS)
  const last = Math.min(entries.length, Math.ceil((top + height) / LOG_PIXELS) + SPARE_ROWS)
  return (
    <section class="logs" aria-label={say().logs}>
      {entries.length >= LOGS_MAX && <p class="notice-line">{say().logsMax(LOGS_MAX)}</p>}
      <div
        ref={place}
        class="log-rows"
        role="table"
        aria-label={say().logs}
        aria-rowcount={entries.length}
        tabIndex={0}
        onScroll={look}
      >
        <div class="log-spacer" style={{ height: `${entries.length * LOG_PIXELS}px` }}>
          {entries.slice(first, last).map((entry, at) => (
            <LogRow key={first + at} store={store} trace={trace} entry={entry} place={first + at} />
          ))}
        </div>
      </div>
    </section>
  )
}

function LogRow({
  store,
  trace: { head, columns },
  entry,
  place,
}: {
  store: TraceStore
  trace: Trace
  entry: LogEntry
  place: number
}) {
  const after = Number(BigInt(entry.timeUnixNano) - BigInt(head.startUnixNano))
  return (
    <div
      class="log-row"
      role="row"
      aria-rowindex={place + 1}
      style={{ top: `${place * LOG_PIXELS}px` }}
    >
      <span role="cell" class="number">
        <button
          type="button"
          class="plain link"
          title={say().showSpan}
          onClick={() => {
            store.tab.value = 'timeline'
            store.selection.select(entry.row, { brings: true })
          }}
        >
          {duration(after)}
        </button>
      </span>
      <span role="cell">
        <Service name={clipped(head.services[columns.service[entry.row] ?? 0]?.name ?? '')} />
      </span>
      <span role="cell" class="quiet">
        <bdi>{clipped(head.names[columns.name[entry.row] ?? 0] ?? '')}</bdi>
      </span>
      <span role="cell" class="log-text" title={entry.text.slice(0, 2_000)}>
        {entry.isException && (
          <span class="error-text">
            <Icon name="error" size={13} />{' '}
          </span>
        )}
        <strong>
          <bdi>{clipped(entry.name)}</bdi>
        </strong>{' '}
        <bdi>{entry.text.slice(0, 1_000)}</bdi>
      </span>
    </div>
  )
}
