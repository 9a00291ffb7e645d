/** What of the trace is shown: errors, the critical path, what takes long, services. */

import { useState } from 'preact/hooks'
import { durationParameter, parseDuration } from '../../language/format.ts'
import { number, percent } from '../../language/numbers.ts'
import { Icon } from '../../parts/icon.tsx'
import { Service } from '../../parts/service.tsx'
import type { ServiceShare, Trace } from '../protocol.ts'
import { say } from './messages.ts'
import type { TraceStore } from './store.ts'
import { say as sayTool } from './tools-messages.ts'
import { isFiltering, NO_FILTERS } from './visible.ts'

/** So few fit into a line. */
const SERVICES_ALWAYS = 3
const SERVICES_SHOWN = 12
const SERVICES_SHOWN_MAX = 200

export function Chips({ store, trace }: { store: TraceStore; trace: Trace }) {
  const [showsAll, setShowsAll] = useState(false)
  const filters = store.filters.value
  const { services, errorCount, criticalPathMissing } = trace.head
  const sorted = [...services].sort((a, b) => b.selfNano - a.selfNano)
  const shown = sorted.slice(0, showsAll ? SERVICES_SHOWN_MAX : SERVICES_SHOWN)
  const set = (changes: Partial<typeof filters>) => {
    store.filters.value = { ...filters, ...changes }
  }
  return (
    <div class="chips">
      <fieldset
        class={showsAll ? 'chips-list is-open' : 'chips-list'}
        aria-label={sayTool().filters}
      >
        <button
          type="button"
          class="chip"
          aria-pressed={filters.onlyErrors}
          disabled={errorCount === 0 && !filters.onlyErrors}
          onClick={() => set({ onlyErrors: !filters.onlyErrors })}
        >
          <Icon name="error" size={13} /> {sayTool().onlyErrors}
        </button>
        <button
          type="button"
          class="chip"
          aria-pressed={filters.onlyCritical}
          disabled={criticalPathMissing !== undefined && !filters.onlyCritical}
          onClick={() => set({ onlyCritical: !filters.onlyCritical })}
        >
          {sayTool().onlyCritical}
        </button>
        <MinDuration
          nano={filters.minNano}
          set={(minNano) => {
            set({ minNano })
          }}
        />
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
        <span class="chips-divider" />
        {shown.map((service) => (
          <ServiceChip key={service.name} store={store} trace={trace} service={service} />
        ))}
      </fieldset>
      {sorted.length > SERVICES_ALWAYS && (
        <button
          type="button"
          class="plain icon chips-more"
          aria-expanded={showsAll}
          aria-label={showsAll ? sayTool().fewer : sayTool().allServices(sorted.length)}
          title={showsAll ? sayTool().fewer : sayTool().allServices(sorted.length)}
          onClick={() => setShowsAll(!showsAll)}
        >
          <Icon name={showsAll ? 'up' : 'down'} size={14} />
        </button>
      )}
    </div>
  )
}

/** A click shows it alone, or with others so chosen; with Alt it is hidden. */
function ServiceChip({
  store,
  trace: { head },
  service: { name, spanCount, errorCount, selfNano, criticalNano },
}: {
  store: TraceStore
  trace: Trace
  service: ServiceShare
}) {
  const filters = store.filters.value
  const self = head.services.reduce((sum, each) => sum + each.selfNano, 0) || 1
  const isHidden = filters.hidden.includes(name)
  const turn = (event: MouseEvent) => {
    const [kind, other] =
      event.altKey || isHidden
        ? (['hidden', 'services'] as const)
        : (['services', 'hidden'] as const)
    const list = filters[kind]
    store.filters.value = {
      ...filters,
      [kind]: list.includes(name) ? list.filter((each) => each !== name) : [...list, name],
      [other]: filters[other].filter((each) => each !== name),
    }
  }
  const shares = [
    sayTool().shareOfSelfTime(percent(selfNano / self)),
    ...(head.criticalPathMissing
      ? []
      : [sayTool().shareOfCritical(percent(criticalNano / Math.max(1, head.durationNano)))]),
  ]
  return (
    <button
      type="button"
      class={isHidden ? 'chip is-hidden' : 'chip'}
      aria-pressed={filters.services.includes(name)}
      title={[sayTool().solo(name), say().spans(spanCount), ...shares].join('\n')}
      onClick={turn}
    >
      <Service name={name}>
        <span class="quiet number">
          {number(spanCount)} · {percent(selfNano / self)}
        </span>
        {errorCount > 0 && (
          <span class="error-text">
            <Icon name="error" size={12} />
            <span class="visually-hidden">{say().errors(errorCount)}</span>
          </span>
        )}
      </Service>
    </button>
  )
}

function MinDuration({ nano, set }: { nano: number; set: (nano: number) => void }) {
  const [isWrong, setIsWrong] = useState(false)
  return (
    <label class="chip-field row">
      <span>{sayTool().minDuration}</span>
      <input
        type="text"
        placeholder="10ms"
        size={6}
        aria-invalid={isWrong}
        title={isWrong ? sayTool().noDuration : undefined}
        value={nano ? durationParameter(nano) : ''}
        onChange={(event) => {
          const text = event.currentTarget.value.trim()
          const wanted = text ? parseDuration(text) : 0
          setIsWrong(wanted === undefined)
          if (wanted !== undefined) set(wanted)
        }}
      />
    </label>
  )
}
