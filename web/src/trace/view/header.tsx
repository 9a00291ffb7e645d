/** Above the timeline: what the trace is, what is odd about it, and what of it is shown. */

import { useState } from 'preact/hooks'
import {
  duration,
  durationParameter,
  moment,
  parseDuration,
  percent,
  zone,
} from '../../language/format.ts'
import { copy } from '../../parts/copy.ts'
import { Icon } from '../../parts/icon.tsx'
import { Service } from '../../parts/service.tsx'
import { writeAddress } from '../../route.ts'
import { Flag, type Trace } from '../protocol.ts'
import { say } from './messages.ts'
import type { Tab, TraceStore } from './store.ts'
import { isFiltering, NO_FILTERS } from './visible.ts'

const TABS: readonly Tab[] = ['timeline', 'logs', 'statistics']

export function Header({ store, trace }: { store: TraceStore; trace: Trace }) {
  const { head, columns } = trace
  const name = head.names[columns.name[0] ?? 0] ?? ''
  const service = head.services[columns.service[0] ?? 0]?.name ?? ''
  return (
    <header class="trace-header">
      <div class="trace-title">
        <h1>
          <Service name={service} /> <bdi>{name}</bdi>
        </h1>
        <p class="facts-line number">
          <strong>{duration(head.durationNano)}</strong>
          <span title={`${moment(head.startUnixNano)} ${zone()}`}>
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
          <Notices store={store} trace={trace} />
        </p>
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
        {store.tab.value === 'timeline' && <Find store={store} />}
        {store.tab.value === 'timeline' && <Buttons store={store} />}
        <Share store={store} />
      </div>
    </header>
  )
}

function Notices({ store, trace: { head } }: { store: TraceStore; trace: Trace }) {
  const notices = [
    head.missingParentCount > 0 && say().missingParents(head.missingParentCount),
    head.skewedCount > 0 && say().skewed(head.skewedCount),
    head.cycleCount > 0 && say().cycles(head.cycleCount),
    head.duplicateIdCount > 0 && say().duplicates(head.duplicateIdCount),
    head.rootCount > 1 && say().roots(head.rootCount),
    head.criticalPathMissing === 'several_roots' && say().criticalMissing,
    head.criticalPathMissing === 'no_duration' && say().criticalEmpty,
  ].filter((each) => each !== false)
  return (
    <>
      {!head.isComplete && <span role="status">{say().arriving}</span>}
      {notices.length > 0 && (
        <details class="notices">
          <summary>
            <Icon name="warning" size={14} /> {say().notices}
          </summary>
          <ul>
            {notices.map((each) => (
              <li key={each}>{each}</li>
            ))}
            {head.skewedCount > 0 && (
              <li>
                <label class="row">
                  <input
                    type="checkbox"
                    checked={store.adjustsClocks.value}
                    onChange={(event) => {
                      store.adjustsClocks.value = event.currentTarget.checked
                    }}
                  />
                  {say().adjust}
                </label>
              </li>
            )}
          </ul>
        </details>
      )}
    </>
  )
}

function Find({ store }: { store: TraceStore }) {
  const hits = store.hits.value
  const at = hits.indexOf(store.selected.value) + 1
  return (
    <search class="find">
      <input
        id="find"
        type="search"
        placeholder={say().find}
        aria-label={say().find}
        spellcheck={false}
        value={store.findText.value}
        onInput={(event) => store.find(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter') store.step(hits, event.shiftKey ? -1 : 1)
          if (event.key === 'Escape') event.currentTarget.blur()
        }}
      />
      <span class="number quiet" role="status">
        {store.findText.value.trim() && say().findCount(at, hits.length)}
        {store.isFinding.value && '…'}
      </span>
      <button
        type="button"
        class="plain icon"
        disabled={!hits.length}
        aria-label={say().findPrevious}
        title={say().findPrevious}
        onClick={() => store.step(hits, -1)}
      >
        <Icon name="up" />
      </button>
      <button
        type="button"
        class="plain icon"
        disabled={!hits.length}
        aria-label={say().findNext}
        title={say().findNext}
        onClick={() => store.step(hits, 1)}
      >
        <Icon name="down" />
      </button>
    </search>
  )
}

function Buttons({ store }: { store: TraceStore }) {
  const isMissing = store.trace.value?.head.criticalPathMissing !== undefined
  return (
    <div class="buttons">
      <button
        type="button"
        aria-pressed={store.showsCritical.value && !isMissing}
        disabled={isMissing}
        title="c"
        onClick={() => {
          store.showsCritical.value = !store.showsCritical.value
        }}
      >
        {say().critical}
      </button>
      <button
        type="button"
        class="icon"
        aria-label={say().collapseAll}
        title={say().collapseAll}
        onClick={() => store.collapseAll()}
      >
        <Icon name="minus" />
      </button>
      <button
        type="button"
        class="icon"
        aria-label={say().expandAll}
        title={say().expandAll}
        onClick={() => store.expandAll()}
      >
        <Icon name="plus" />
      </button>
      <button
        type="button"
        class="icon"
        aria-label={say().resetZoom}
        title={say().resetZoom}
        disabled={!store.zoom.value}
        onClick={() => {
          store.zoom.value = undefined
        }}
      >
        <Icon name="reset" />
      </button>
    </div>
  )
}

function Share({ store }: { store: TraceStore }) {
  const [isCopied, setIsCopied] = useState(false)
  return (
    <div class="buttons">
      <button
        type="button"
        class="icon"
        aria-label={isCopied ? say().copied : say().copyLink}
        title={say().copyLink}
        onClick={async () => {
          writeAddress()
          setIsCopied(await copy(location.href))
          setTimeout(() => setIsCopied(false), 1_500)
        }}
      >
        <Icon name={isCopied ? 'check' : 'link'} />
      </button>
      <button
        type="button"
        class="icon"
        aria-label={say().download}
        title={say().download}
        onClick={async () => {
          const { blob, fileName } = await store.session.ask<'download'>({ kind: 'download' })
          const anchor = document.createElement('a')
          anchor.href = URL.createObjectURL(blob)
          anchor.download = fileName
          anchor.click()
          setTimeout(() => URL.revokeObjectURL(anchor.href), 10_000)
        }}
      >
        <Icon name="download" />
      </button>
    </div>
  )
}

/** What of the trace is shown: services, errors, the critical path, what takes long. */
export function Chips({ store, trace }: { store: TraceStore; trace: Trace }) {
  const filters = store.filters.value
  const { services, errorCount } = trace.head
  const self = services.reduce((sum, each) => sum + each.selfNano, 0) || 1
  const critical = services.reduce((sum, each) => sum + each.criticalNano, 0)
  const shown = [...services].sort((a, b) => b.selfNano - a.selfNano).slice(0, 24)
  const set = (changes: Partial<typeof filters>) => {
    store.filters.value = { ...filters, ...changes }
  }
  const solo = (name: string, isAlt: boolean) => {
    const [kind, other] = isAlt
      ? (['hidden', 'services'] as const)
      : (['services', 'hidden'] as const)
    const list = filters[kind]
    set({
      [kind]: list.includes(name) ? list.filter((each) => each !== name) : [...list, name],
      [other]: filters[other].filter((each) => each !== name),
    })
  }
  return (
    <div class="chips">
      {shown.map(({ name, spanCount, errorCount: errors, selfNano, criticalNano }) => (
        <button
          key={name}
          type="button"
          class={filters.hidden.includes(name) ? 'chip is-hidden' : 'chip'}
          aria-pressed={filters.services.includes(name)}
          title={[
            say().solo(name),
            say().share(percent(selfNano / self)),
            critical > 0 ? say().shareOfCritical(percent(criticalNano / critical)) : '',
          ].join('\n')}
          onClick={(event) => solo(name, event.altKey)}
        >
          <Service name={name}>
            <span class="quiet number">
              {spanCount} · {percent(selfNano / self)}
            </span>
            {errors > 0 && <Icon name="error" size={12} />}
          </Service>
        </button>
      ))}
      <button
        type="button"
        class="chip"
        aria-pressed={filters.onlyErrors}
        disabled={errorCount === 0 && !filters.onlyErrors}
        onClick={() => set({ onlyErrors: !filters.onlyErrors })}
      >
        <Icon name="error" size={13} /> {say().onlyErrors}
      </button>
      <button
        type="button"
        class="chip"
        aria-pressed={filters.onlyCritical}
        disabled={trace.head.criticalPathMissing !== undefined}
        onClick={() => set({ onlyCritical: !filters.onlyCritical })}
      >
        {say().onlyCritical}
      </button>
      <label class="chip-field row">
        <span>{say().minDuration}</span>
        <input
          type="text"
          placeholder="10ms"
          size={6}
          value={filters.minNano ? durationParameter(filters.minNano) : ''}
          onChange={(event) => set({ minNano: parseDuration(event.currentTarget.value) ?? 0 })}
        />
      </label>
      {isFiltering(filters) && (
        <button
          type="button"
          class="chip"
          onClick={() => {
            store.filters.value = NO_FILTERS
          }}
        >
          <Icon name="close" size={12} /> {say().clearFilters}
        </button>
      )}
    </div>
  )
}

export function errorRows({ columns }: Trace): number[] {
  const rows: number[] = []
  for (let row = 0; row < columns.count; row++) {
    if ((columns.flags[row] ?? 0) & Flag.ERROR) rows.push(row)
  }
  return rows
}
