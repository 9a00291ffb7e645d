/** Above the timeline: what the trace is, what is odd about it, and what one can do with it. */

import { useState } from 'preact/hooks'
import { type Failure, failureOf } from '../../api/failure.ts'
import { duration, moment, zone } from '../../language/format.ts'
import { copy } from '../../parts/copy.ts'
import { Icon, type IconName } from '../../parts/icon.tsx'
import { later } from '../../parts/later.tsx'
import { Service } from '../../parts/service.tsx'
import { writeAddress } from '../../route.ts'
import type { Trace, TraceHead } from '../protocol.ts'
import { isFresh } from './fresh.ts'
import { say } from './messages.ts'
import type { Tab, TraceStore } from './store.ts'

/** Most traces have nothing odd about them. */
const Notices = later(
  async () => (await import('./notices.tsx')).Notices,
  () => <div class="notices" />,
)

const TABS: readonly Tab[] = ['timeline', 'logs', 'statistics']
const COPIED_MILLISECONDS = 1_500
const URL_KEPT_MILLISECONDS = 10_000

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
  const isTimeline = store.tab.value === 'timeline'
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

function Find({ store }: { store: TraceStore }) {
  const hits = store.hits.value
  const at = hits.indexOf(store.selected.value) + 1
  const isAsked = store.findText.value.trim() !== ''
  return (
    <search class="find">
      <input
        id="find"
        type="search"
        placeholder={say().find}
        aria-label={say().find}
        title={say().findHint}
        spellcheck={false}
        value={store.findText.value}
        onInput={(event) => store.find(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter') store.step(hits, event.shiftKey ? -1 : 1)
          if (event.key === 'Escape') {
            // The browser would empty the field: what was found stays, for `n` and `N`.
            event.preventDefault()
            event.currentTarget.blur()
          }
        }}
      />
      <span class="number quiet find-count" role="status">
        {isAsked && (hits.length > 0 || !store.isFinding.value) && say().findCount(at, hits.length)}
        {store.isFinding.value && '…'}
      </span>
      <Tool
        icon="up"
        label={say().findPrevious}
        isDisabled={!hits.length}
        act={() => store.step(hits, -1)}
      />
      <Tool
        icon="down"
        label={say().findNext}
        isDisabled={!hits.length}
        act={() => store.step(hits, 1)}
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
      <Tool icon="fold" label={say().collapseAll} act={() => store.collapseAll()} />
      <Tool icon="unfold" label={say().expandAll} act={() => store.expandAll()} />
      <Tool
        icon="reset"
        label={say().resetZoom}
        isDisabled={!store.zoom.value}
        act={() => {
          store.zoom.value = undefined
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
