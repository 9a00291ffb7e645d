/** A trace: by its id from the server, or from a file that was dropped. */

import { computed } from '@preact/signals'
import { useEffect, useMemo, useRef } from 'preact/hooks'
import type { Failure } from '../api/failure.ts'
import { server } from '../api/server.ts'
import { Icon } from '../parts/icon.tsx'
import { Empty, Failed, Loading } from '../parts/states.tsx'
import { navigate, route } from '../route.ts'
import { droppedFile } from './dropped.ts'
import { Header } from './view/header.tsx'
import { useTraceKeys } from './view/keys.ts'
import { Logs } from './view/logs.tsx'
import { say } from './view/messages.ts'
import { TraceStatistics } from './view/statistics.tsx'
import { TraceStore } from './view/store.ts'
import { Timeline } from './view/timeline.tsx'
import './view/trace.css'

const FILE = 'file'
const RETRY_MILLISECONDS = 3_000
const RETRIES_MAX = 10
const RETENTION_DAYS = 14

/** What of the route decides which trace it is: the rest changes with every step of the zoom. */
const subject = computed(() => route.value.subject)

export default function TraceView() {
  const traceId = subject.value
  const file = traceId === FILE ? droppedFile.value : undefined
  if (!traceId || (traceId === FILE && !file)) return <DropZone />
  return (
    <Opened
      key={file ? `${file.name} ${file.lastModified} ${file.size}` : traceId}
      traceId={traceId}
      file={file}
    />
  )
}

function DropZone() {
  const field = useRef<HTMLInputElement>(null)
  return (
    <div class="drop-zone">
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
    </div>
  )
}

function Opened({ traceId, file }: { traceId: string; file: File | undefined }) {
  const store = useMemo(() => new TraceStore(traceId), [])
  const open = () => {
    if (file) store.session.open({ kind: 'openFile', file })
    else store.session.open({ kind: 'open', server: server(), traceId })
  }
  const again = () => {
    store.failure.value = undefined
    open()
  }
  useEffect(() => {
    open()
    return () => store.close()
  }, [])
  useTraceKeys(store)
  const trace = store.trace.value
  const failure = store.failure.value
  if (failure && !trace) return <NotOpened failure={failure} open={open} again={again} />
  if (!trace) return <Loading rows={14} />
  const tab = store.tab.value
  return (
    <div class="trace">
      <Header store={store} trace={trace} again={again} />
      {failure && <Failed failure={failure} again={again} />}
      {tab === 'timeline' && <Timeline store={store} trace={trace} />}
      {tab === 'logs' && <Logs store={store} trace={trace} />}
      {tab === 'statistics' && <TraceStatistics store={store} trace={trace} />}
    </div>
  )
}

/** What is not stored may be on its way: it is looked for again, for half a minute. */
function NotOpened({
  failure,
  open,
  again,
}: {
  failure: Failure
  open: () => void
  again: () => void
}) {
  const isMissing = failure.kind === 'not_found'
  const count = useRef(0)
  useEffect(() => {
    if (!isMissing || count.current >= RETRIES_MAX) return
    const timer = setTimeout(() => {
      count.current++
      open()
    }, RETRY_MILLISECONDS)
    return () => clearTimeout(timer)
  }, [failure])
  if (!isMissing) return <Failed failure={failure} again={again} />
  const isOver = count.current >= RETRIES_MAX
  return (
    <Failed failure={failure} again={again} title={say().notStored}>
      <p class="quiet">{say().notStoredHint(RETENTION_DAYS)}</p>
      <p class="quiet" role="status">
        {isOver ? say().notLookedFor : say().lookedFor}
      </p>
    </Failed>
  )
}
