/** A trace: by its id from the server, or from a file that was dropped. */

import { computed } from '@preact/signals'
import { useEffect, useMemo } from 'preact/hooks'
import { server } from '../api/server.ts'
import { FailedLater, later } from '../parts/later.tsx'
import { Loading } from '../parts/states.tsx'
import { route } from '../route.ts'
import { droppedFile, FILE } from './dropped.ts'
import { Header } from './view/header.tsx'
import { useTraceKeys } from './view/keys.ts'
import { TraceStore } from './view/store.ts'
import { Timeline } from './view/timeline.tsx'
import './view/trace.css'

const DropZone = later(async () => (await import('./view/opening.tsx')).DropZone)
const NotOpened = later(async () => (await import('./view/opening.tsx')).NotOpened)
const Logs = later(async () => (await import('./view/logs.tsx')).Logs)
const TraceStatistics = later(async () => (await import('./view/statistics.tsx')).TraceStatistics)

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
      {failure && <FailedLater failure={failure} again={again} />}
      {tab === 'timeline' && <Timeline store={store} trace={trace} />}
      {tab === 'logs' && <Logs store={store} trace={trace} />}
      {tab === 'statistics' && <TraceStatistics store={store} trace={trace} />}
    </div>
  )
}
