/** Overview, axis, waterfall and panel together. */

import { effect } from '@preact/signals'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { Icon } from '../../parts/icon.tsx'
import { later } from '../../parts/later.tsx'
import { remember, rememberedText } from '../../settings/remembered.ts'
import { colours } from '../../theme/tokens.ts'
import type { Trace } from '../protocol.ts'
import { afterRows } from './after-rows.ts'
import { TICK_APART_PIXELS } from './bars.ts'
import { derivedFrom } from './derived.ts'
import { say } from './messages.ts'
import { clockText, Scale, tickText } from './scale.ts'
import type { TraceStore } from './store.ts'
import { NO_FILTERS } from './visible.ts'
import { Waterfall } from './waterfall.ts'

const Overview = later(
  async () => (await afterRows()).Overview,
  () => <div class="minimap" />,
)
const Chips = later(
  async () => (await afterRows()).Chips,
  () => <div class="chips" />,
)
const Panel = later(async () => (await import('./panel.tsx')).Panel)

const DRAG_PIXELS_MIN = 3

export function Timeline({ store, trace }: { store: TraceStore; trace: Trace }) {
  const row = store.selection.row.value
  const names = useWidth('names', 360, 160, 900)
  const panel = useWidth('panel', 400, 280, 900)
  const showsPanel = store.showsPanel.value && row >= 0
  return (
    <div class="timeline" style={{ '--names': `${names.width}px`, '--panel': `${panel.width}px` }}>
      <div class="timeline-main">
        {store.showsOverview.value && <Overview store={store} />}
        <Chips store={store} trace={trace} />
        <div class="axis">
          <div class="axis-names">
            <span>{say().service}</span>
            <button
              type="button"
              class="plain icon"
              aria-pressed={store.showsClock.value}
              aria-label={say().showsClock}
              title={say().showsClock}
              onClick={() => {
                store.showsClock.value = !store.showsClock.value
              }}
            >
              <Icon name="clock" size={14} />
            </button>
          </div>
          <Divider label={say().resize} width={names} sign={1} />
          <Axis store={store} trace={trace} />
        </div>
        <Spans store={store} />
        <NothingLeft store={store} />
      </div>
      {showsPanel && <Divider label={say().resizePanel} width={panel} sign={-1} />}
      {showsPanel && <Panel store={store} trace={trace} row={row} />}
    </div>
  )
}

function NothingLeft({ store }: { store: TraceStore }) {
  if (store.list.value.entries.length > 0) return null
  return (
    <div class="nothing-left" role="status">
      <p>{say().nothingLeft}</p>
      <button
        type="button"
        onClick={() => {
          store.filters.value = NO_FILTERS
        }}
      >
        {say().clearFilters}
      </button>
    </div>
  )
}

interface Width {
  width: number
  low: number
  high: number
  set: (width: number) => void
}

function useWidth(name: string, initial: number, low: number, high: number): Width {
  const [width, setWidth] = useState(() => {
    const before = Number(rememberedText(`width.${name}`)) || initial
    return Math.max(low, Math.min(before, innerWidth * 0.45))
  })
  return {
    width,
    low,
    high,
    set: (wanted) => {
      const next = Math.round(Math.max(low, Math.min(high, wanted, innerWidth * 0.7)))
      setWidth(next)
      remember(`width.${name}`, String(next))
    },
  }
}

/** A line that one drags, or moves by the arrow keys. `sign`: whether right makes it wider. */
function Divider({ label, width, sign }: { label: string; width: Width; sign: 1 | -1 }) {
  const drag = useRef<{ x: number; width: number } | undefined>(undefined)
  return (
    <div
      class="divider"
      role="separator"
      tabIndex={0}
      aria-orientation="vertical"
      aria-label={label}
      aria-valuenow={Math.round(width.width)}
      aria-valuemin={width.low}
      aria-valuemax={width.high}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId)
        drag.current = { x: event.clientX, width: width.width }
      }}
      onPointerMove={(event) => {
        if (drag.current) width.set(drag.current.width + sign * (event.clientX - drag.current.x))
      }}
      onPointerUp={() => {
        drag.current = undefined
      }}
      onKeyDown={(event) => {
        const by = event.key === 'ArrowRight' ? 24 : event.key === 'ArrowLeft' ? -24 : 0
        if (!by) return
        event.preventDefault()
        width.set(width.width + sign * by)
      }}
    />
  )
}

/** The times above the bars; dragging across them zooms. */
function Axis({ store, trace }: { store: TraceStore; trace: Trace }) {
  const [drag, setDrag] = useState<readonly [number, number]>()
  const [from, to] = store.zoom.range.value
  const scale = new Scale(from, to, store.barsWidth.value)
  const isClock = store.showsClock.value
  const step = scale.step(isClock ? 1.4 * TICK_APART_PIXELS : TICK_APART_PIXELS)
  const start = BigInt(trace.head.startUnixNano)
  const ticks = scale.ticks(isClock ? 1.4 * TICK_APART_PIXELS : TICK_APART_PIXELS)
  return (
    <div
      class="axis-times"
      title={say().axisHint}
      onPointerDown={(event) => {
        const x = event.clientX - event.currentTarget.getBoundingClientRect().left
        event.currentTarget.setPointerCapture(event.pointerId)
        setDrag([x, x])
      }}
      onPointerMove={(event) => {
        const x = event.clientX - event.currentTarget.getBoundingClientRect().left
        setDrag((before) => before && [before[0], x])
      }}
      onPointerUp={() => {
        const [one, other] = drag ?? [0, 0]
        setDrag(undefined)
        if (Math.abs(other - one) >= DRAG_PIXELS_MIN)
          store.zoom.set(scale.nano(Math.min(one, other)), scale.nano(Math.max(one, other)))
      }}
      onPointerCancel={() => setDrag(undefined)}
      onDblClick={() => {
        store.zoom.reset()
      }}
    >
      {ticks.map((tick) => (
        <span key={tick} class="number" style={{ left: `${Math.round(scale.x(tick))}px` }}>
          {isClock ? clockText(start + BigInt(Math.round(tick)), step) : tickText(tick, step, to)}
        </span>
      ))}
      {drag && (
        <i style={{ left: `${Math.min(...drag)}px`, width: `${Math.abs(drag[1] - drag[0])}px` }} />
      )}
    </div>
  )
}

function Spans({ store }: { store: TraceStore }) {
  const place = useRef<HTMLDivElement>(null)
  // Before the frame is painted: there is none without rows.
  useLayoutEffect(() => {
    if (!place.current) return
    const waterfall = new Waterfall(place.current, {
      select: (row) => store.selection.select(row),
      selectGroup: (group) => store.selection.selectEntry(~group),
      toggle: (row) => store.folding.toggle(row),
      toggleGroup: (group) => store.folding.toggleGroup(group),
      zoomTo: (row) => store.zoom.toRow(row),
      zoomBy: (factor, about) => store.zoom.by(factor, about),
      pan: (share) => store.zoom.pan(share),
      seen: (first, last) => {
        const [before, beforeLast] = store.sight.peek()
        if (first !== before || last !== beforeLast) store.sight.value = [first, last]
      },
      resized: (barsWidth) => {
        store.barsWidth.value = barsWidth
      },
    })
    const stop = followStore(store, waterfall)
    store.pageSize = () => waterfall.pageSize()
    return () => {
      stop()
      waterfall.close()
    }
  }, [store])
  return <div ref={place} class="spans" role="treegrid" tabIndex={0} aria-label={say().timeline} />
}

function followStore(store: TraceStore, waterfall: Waterfall): () => void {
  let derivedOf: Trace | undefined
  let derived: ReturnType<typeof derivedFrom> | undefined
  let isFirst = true
  let isWhole = false
  const stops = [
    effect(() => {
      const trace = store.trace.value
      if (!trace) return
      if (trace !== derivedOf || !derived) derived = derivedFrom(trace)
      derivedOf = trace
      const group = store.selection.group.value
      const row = store.selection.row.value
      waterfall.show({
        trace,
        derived,
        entries: store.list.value.entries,
        collapsed: store.folding.collapsed,
        openGroups: store.folding.openGroups,
        range: store.zoom.range.value,
        selected: group >= 0 ? ~group : row >= 0 ? row : undefined,
        hits: store.find.hits.value,
        marks: store.marks.value,
        showsCritical: store.showsCritical.value,
        adjustsClocks: store.adjustsClocks.value,
        colours: colours.value,
        texts: say(),
      })
      // For `make bench-ui`.
      if (isFirst) performance.mark('clew:first-rows')
      if (trace.head.isComplete && !isWhole) performance.mark('clew:complete')
      isFirst = false
      isWhole = trace.head.isComplete
    }),
    effect(() => {
      const wanted = store.selection.wanted.value
      if (wanted) waterfall.scrollTo(wanted.place, wanted.centres)
    }),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}
