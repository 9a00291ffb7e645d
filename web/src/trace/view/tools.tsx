/** What one can do with the trace: choose a view of it, find, the critical path, folds, a copy. */

import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { type Failure, failureOf } from '../../api/failure.ts'
import { copy } from '../../parts/copy.ts'
import { Icon, type IconName } from '../../parts/icon.tsx'
import { writeAddress } from '../../route.ts'
import type { Trace } from '../protocol.ts'
import type { Tab } from './address.ts'
import type { TraceStore } from './store.ts'
import { say } from './tools-messages.ts'

const TABS: readonly Tab[] = ['timeline', 'logs', 'statistics']
const COPIED_MILLISECONDS = 1_500
const URL_KEPT_MILLISECONDS = 10_000

export function Tools({ store, trace }: { store: TraceStore; trace: Trace }) {
  const isTimeline = store.tab.value === 'timeline'
  return (
    <div class="trace-tools">
      <div class="tabs" role="tablist" aria-label={say().tabs}>
        {TABS.map((tab) => (
          <button
            key={tab}
            type="button"
            role="tab"
            aria-selected={store.tab.value === tab}
            onClick={() => {
              store.tab.value = tab
            }}
          >
            {say()[tab]}
          </button>
        ))}
      </div>
      {isTimeline && <Find store={store} />}
      {isTimeline && <Buttons store={store} trace={trace} />}
      <Share store={store} />
    </div>
  )
}

function Find({ store }: { store: TraceStore }) {
  const hits = store.find.hits.value
  const at = hits.indexOf(store.selection.row.value) + 1
  const isAsked = store.find.text.value.trim() !== ''
  const field = useRef<HTMLInputElement>(null)
  useLayoutEffect(() => {
    if (!store.find.typed) return
    store.find.typed()
    field.current?.focus()
  }, [])
  return (
    <search class="find">
      <input
        ref={field}
        id="find"
        type="search"
        placeholder={say().find}
        aria-label={say().find}
        title={say().findHint}
        spellcheck={false}
        value={store.find.text.value}
        onInput={(event) => store.find.find(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter') store.selection.step(hits, event.shiftKey ? -1 : 1)
          if (event.key === 'Escape') {
            // The browser would empty the field: what was found stays, for `n` and `N`.
            event.preventDefault()
            event.currentTarget.blur()
          }
        }}
      />
      <span class="number quiet find-count" role="status">
        {isAsked &&
          (hits.length > 0 || !store.find.isFinding.value) &&
          say().findCount(at, hits.length)}
        {store.find.isFinding.value && '…'}
      </span>
      <Tool
        icon="up"
        label={say().findPrevious}
        isDisabled={!hits.length}
        act={() => store.selection.step(hits, -1)}
      />
      <Tool
        icon="down"
        label={say().findNext}
        isDisabled={!hits.length}
        act={() => store.selection.step(hits, 1)}
      />
    </search>
  )
}

function Buttons({ store, trace }: { store: TraceStore; trace: Trace }) {
  const { criticalPathMissing } = trace.head
  const isMissing = criticalPathMissing !== undefined
  const missing =
    criticalPathMissing === 'no_duration' ? say().criticalEmpty : say().criticalMissing
  return (
    <div class="buttons">
      <button
        type="button"
        aria-pressed={store.showsCritical.value && !isMissing}
        disabled={isMissing}
        title={isMissing ? missing : say().criticalHint}
        onClick={() => {
          store.showsCritical.value = !store.showsCritical.value
        }}
      >
        {say().critical}
      </button>
      <Tool
        icon="overview"
        label={say().overview}
        isPressed={store.showsOverview.value}
        act={() => store.toggleOverview()}
      />
      <Tool icon="fold" label={say().collapseAll} act={() => store.folding.collapseAll()} />
      <Tool icon="unfold" label={say().expandAll} act={() => store.folding.expandAll()} />
      <Tool
        icon="reset"
        label={say().resetZoom}
        isDisabled={!store.zoom.value.value}
        act={() => {
          store.zoom.reset()
        }}
      />
    </div>
  )
}

function Share({ store }: { store: TraceStore }) {
  const [isCopied, setIsCopied] = useState(false)
  const [isLoading, setIsLoading] = useState(false)
  const [failure, setFailure] = useState<Failure>()
  return (
    <div class="buttons">
      <Tool
        icon={isCopied ? 'check' : 'link'}
        label={isCopied ? say().copied : say().copyLink}
        act={async () => {
          writeAddress()
          setIsCopied(await copy(location.href))
          setTimeout(() => setIsCopied(false), COPIED_MILLISECONDS)
        }}
      />
      <Tool
        icon={failure ? 'warning' : 'download'}
        label={
          failure
            ? say().downloadFailed(failure.message)
            : isLoading
              ? say().loading
              : say().download
        }
        isDisabled={isLoading}
        act={async () => {
          setIsLoading(true)
          setFailure(undefined)
          await download(store).catch((error: unknown) => setFailure(failureOf(error)))
          setIsLoading(false)
        }}
      />
    </div>
  )
}

async function download(store: TraceStore): Promise<void> {
  const { blob, fileName } = await store.session.ask<'download'>({ kind: 'download' })
  const anchor = document.createElement('a')
  anchor.href = URL.createObjectURL(blob)
  anchor.download = fileName
  anchor.click()
  setTimeout(() => URL.revokeObjectURL(anchor.href), URL_KEPT_MILLISECONDS)
}

function Tool({
  icon,
  label,
  act,
  isDisabled = false,
  isPressed,
}: {
  icon: IconName
  label: string
  act: () => void
  isDisabled?: boolean
  isPressed?: boolean
}) {
  return (
    <button
      type="button"
      class="icon"
      aria-label={label}
      title={label}
      aria-pressed={isPressed}
      disabled={isDisabled}
      onClick={act}
    >
      <Icon name={icon} />
    </button>
  )
}
