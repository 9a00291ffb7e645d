/** Where there is no trace to show: none was chosen, or it was not found. */

import { useEffect, useRef } from 'preact/hooks'
import type { Failure } from '../../api/failure.ts'
import { Failed } from '../../parts/failed.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Empty } from '../../parts/states.tsx'
import { navigate } from '../../route.ts'
import { droppedFile, FILE } from '../dropped.ts'
import { say } from './opening-messages.ts'

const RETRY_MILLISECONDS = 3_000
const RETRIES_MAX = 10
const RETENTION_DAYS = 14

export function DropZone() {
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

/** What is not stored may be on its way: it is looked for again, for half a minute. */
export function NotOpened({
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
