/** A trace: by its id from the server, or from a file that was dropped. */

import { useEffect, useMemo, useRef } from 'preact/hooks'
import { server } from '../api/server.ts'
import { Icon } from '../parts/icon.tsx'
import { type Key, useKeys } from '../parts/keys.ts'
import { lazy } from '../parts/lazy.tsx'
import { Empty, Failed, Loading } from '../parts/states.tsx'
import { navigate, route } from '../route.ts'
import { droppedFile } from './dropped.ts'
import { errorRows, Header } from './view/header.tsx'
import { say } from './view/messages.ts'
import { TraceStore } from './view/store.ts'
import { Timeline } from './view/timeline.tsx'
import { firstRow, placeOf } from './view/visible.ts'
import './view/trace.css'

const Logs = lazy(async () => (await import('./view/logs.tsx')).Logs)
const TraceStatistics = lazy(async () => (await import('./view/statistics.tsx')).TraceStatistics)

const FILE = 'file'
const RETRY_MILLISECONDS = 3_000
const RETRIES_MAX = 10
const RETENTION_DAYS = 14

export default function TraceView() {
  const { subject } = route.value
  const file = subject === FILE ? droppedFile.value : undefined
  if (!subject || (subject === FILE && !file)) return <DropZone />
  return (
    <Opened
      key={file ? `${file.name} ${file.lastModified} ${file.size}` : subject}
      traceId={subject}
      file={file}
    />
  )
}

function DropZone() {
  const field = useRef<HTMLInputElement>(null)
  return (
    <Empty title={say().noTrace}>
      <p>{say().noTraceHint}</p>
      <input
        ref={field}
        type="file"
        class="visually-hidden"
        tabIndex={-1}
        aria-label={say().chooseFile}
        accept=".json,.gz,.jsonl,application/json"
        onChange={(event) => {
          const [file] = event.currentTarget.files ?? []
          if (!file) return
          droppedFile.value = file
          navigate('trace', FILE)
        }}
      />
      <button type="button" class="primary" onClick={() => field.current?.click()}>
        <Icon name="upload" /> {say().chooseFile}
      </button>
    </Empty>
  )
}

function Opened({ traceId, file }: { traceId: string; file: File | undefined }) {
  const store = useMemo(() => new TraceStore(), [])
  const open = () => {
    store.failure.value = undefined
    store.isWaiting.value = true
    if (file) store.session.open({ kind: 'openFile', file })
    else store.session.open({ kind: 'open', server: server(), traceId })
  }
  useEffect(() => {
    open()
    return () => store.close()
  }, [])
  const trace = store.trace.value
  const failure = store.failure.value
  useRetries(failure?.kind === 'not_found' && !trace, open)
  useTraceKeys(store)
  if (failure && !trace) {
    const isMissing = failure.kind === 'not_found'
    return (
      <Failed failure={failure} again={open} {...(isMissing ? { title: say().notStored } : {})}>
        {isMissing && <p class="quiet">{say().notStoredHint(RETENTION_DAYS)}</p>}
      </Failed>
    )
  }
  if (!trace) return <Loading rows={14} />
  const tab = store.tab.value
  return (
    <div class="trace">
      <Header store={store} trace={trace} />
      {failure && <Failed failure={failure} again={open} />}
      {tab === 'timeline' && <Timeline store={store} trace={trace} />}
      {tab === 'logs' && <Logs store={store} trace={trace} />}
      {tab === 'statistics' && <TraceStatistics store={store} trace={trace} />}
    </div>
  )
}

/** What is not stored may be on its way. */
function useRetries(isMissing: boolean, open: () => void): void {
  const count = useRef(0)
  useEffect(() => {
    if (!isMissing || count.current >= RETRIES_MAX) return
    const timer = setTimeout(() => {
      count.current++
      open()
    }, RETRY_MILLISECONDS)
    return () => clearTimeout(timer)
  }, [isMissing])
}

function useTraceKeys(store: TraceStore): void {
  const key = (keys: string[], label: () => string, act: () => void): Key => ({ keys, label, act })
  const move = (by: number) => {
    const trace = store.trace.peek()
    const entries = store.entries.peek()
    if (!trace || entries.length === 0) return
    const place = store.selected.peek() < 0 ? -1 : placeOf(entries, trace, store.selected.peek())
    let next = Math.max(0, Math.min(entries.length - 1, place + by))
    // A closed group is passed over to its first span.
    while (
      (entries[next] ?? 0) < 0 &&
      next + Math.sign(by) >= 0 &&
      next + Math.sign(by) < entries.length
    )
      next += Math.sign(by)
    const row = firstRow(trace.head, entries[next] ?? 0)
    store.selected.value = row
    store.wanted.value = { row, centres: false }
  }
  const left = () => {
    const trace = store.trace.peek()
    const row = store.selected.peek()
    if (!trace || row < 0) return
    if ((trace.columns.subtree[row] ?? 1) > 1 && !store.collapsed[row]) store.toggle(row)
    else if ((trace.columns.parent[row] ?? -1) >= 0)
      store.select(trace.columns.parent[row] ?? 0, { brings: true, opens: false })
  }
  const right = () => {
    const row = store.selected.peek()
    if (row >= 0 && store.collapsed[row]) store.toggle(row)
    else move(1)
  }
  const errors = (by: 1 | -1) => {
    const trace = store.trace.peek()
    if (trace) store.step(errorRows(trace), by)
  }
  const nextCritical = () => {
    const columns = store.trace.peek()?.columns
    if (!columns || columns.criticalRow.length === 0) return
    const at = columns.criticalRow.indexOf(store.selected.peek())
    const row = columns.criticalRow[(at + 1) % columns.criticalRow.length] ?? 0
    store.select(row, { brings: true, opens: false })
  }
  const close = () => {
    if (store.showsPanel.peek()) store.showsPanel.value = false
    else if (store.findText.peek()) store.find('')
    else store.selected.value = -1
  }
  const m = say
  useKeys({
    title: () => m().keysTitle,
    keys: [
      key(
        ['ArrowDown', 'j'],
        () => m().keyDown,
        () => move(1),
      ),
      key(
        ['ArrowUp', 'k'],
        () => m().keyUp,
        () => move(-1),
      ),
      key(
        ['PageDown'],
        () => m().keyDown,
        () => move(store.pageSize()),
      ),
      key(
        ['PageUp'],
        () => m().keyUp,
        () => move(-store.pageSize()),
      ),
      key(['ArrowLeft'], () => m().keyLeft, left),
      key(['ArrowRight'], () => m().keyRight, right),
      key(
        ['Enter'],
        () => m().keyEnter,
        () => {
          store.showsPanel.value = store.selected.peek() >= 0
        },
      ),
      key(
        ['w'],
        () => m().keyZoomIn,
        () => store.zoomBy(1 / 1.5),
      ),
      key(
        ['s'],
        () => m().keyZoomOut,
        () => store.zoomBy(1.5),
      ),
      key(
        ['a'],
        () => m().keyPanLeft,
        () => store.pan(-0.2),
      ),
      key(
        ['d'],
        () => m().keyPanRight,
        () => store.pan(0.2),
      ),
      key(
        ['f'],
        () => m().keyFit,
        () => store.zoomToRow(store.selected.peek()),
      ),
      key(
        ['0'],
        () => m().keyReset,
        () => {
          store.zoom.value = undefined
        },
      ),
      key(
        ['['],
        () => m().keyCollapseAll,
        () => store.collapseAll(),
      ),
      key(
        [']'],
        () => m().keyExpandAll,
        () => store.expandAll(),
      ),
      key(
        ['o'],
        () => m().keyCollapseLevel,
        () => store.level(-1),
      ),
      key(
        ['p'],
        () => m().keyExpandLevel,
        () => store.level(1),
      ),
      key(
        ['/'],
        () => m().keyFind,
        () => document.getElementById('find')?.focus(),
      ),
      key(
        ['n'],
        () => m().keyNextHit,
        () => store.step(store.hits.peek(), 1),
      ),
      key(
        ['N'],
        () => m().keyPreviousHit,
        () => store.step(store.hits.peek(), -1),
      ),
      key(
        ['e'],
        () => m().keyNextError,
        () => errors(1),
      ),
      key(
        ['E'],
        () => m().keyPreviousError,
        () => errors(-1),
      ),
      key(
        ['c'],
        () => m().keyCritical,
        () => {
          store.showsCritical.value = !store.showsCritical.peek()
        },
      ),
      key(['x'], () => m().keyNextCritical, nextCritical),
      key(['Escape'], () => m().keyEscape, close),
    ],
  })
}
