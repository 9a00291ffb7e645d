/** Overview, axis, waterfall and panel together. */

import { effect } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'
import { duration } from '../../language/format.ts'
import { lazy } from '../../parts/lazy.tsx'
import { remember, rememberedText } from '../../settings/remembered.ts'
import { colours } from '../../theme/tokens.ts'
import type { Trace } from '../protocol.ts'
import { Chips } from './header.tsx'
import { say } from './messages.ts'
import { Minimap } from './minimap.ts'
import { ticks } from './scale.ts'
import type { TraceStore } from './store.ts'
import { placeOf } from './visible.ts'
import { Waterfall } from './waterfall.ts'

const Panel = lazy(async () => (await import('./panel.tsx')).Panel)

export function Timeline({ store, trace }: { store: TraceStore; trace: Trace }) {
  const row = store.selected.value
  const names = useWidth('names', 380, 160, 900)
  const panel = useWidth('panel', 420, 280, 900)
  const showsPanel = store.showsPanel.value && row >= 0
  return (
    <div class="timeline" style={{ '--names': `${names.width}px`, '--panel': `${panel.width}px` }}>
      <div class="timeline-main">
        <Overview store={store} />
        <Chips store={store} trace={trace} />
        <div class="axis">
          <div class="axis-names">{say().service}</div>
          <Divider label={say().resize} width={names} sign={1} />
          <Axis store={store} />
        </div>
        <Spans store={store} />
      </div>
      {showsPanel && <Divider label={say().resizePanel} width={panel} sign={-1} />}
      {showsPanel && <Panel store={store} trace={trace} row={row} />}
    </div>
  )
}

interface Width {
  width: number
  set: (width: number) => void
}

function useWidth(name: string, initial: number, low: number, high: number): Width {
  const [width, setWidth] = useState(() => Number(rememberedText(`width.${name}`)) || initial)
  return {
    width,
    set: (wanted) => {
      const next = Math.max(low, Math.min(high, Math.round(wanted), innerWidth * 0.7))
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
      aria-valuenow={width.width}
      aria-valuemin={160}
      aria-valuemax={900}
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
        event.stopPropagation()
        width.set(width.width + sign * by)
      }}
    />
  )
}

function Overview({ store }: { store: TraceStore }) {
  const place = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (!place.current) return
    const map = new Minimap(
      place.current,
      (from, to) => store.setZoom(from, to),
      () => {
        store.zoom.value = undefined
      },
    )
    const stop = effect(() => {
      const trace = store.trace.value
      if (!trace) return
      map.show({
        trace,
        range: store.range.value,
        hits: store.hits.value,
        adjustsClocks: store.adjustsClocks.value,
        colours: colours.value,
        sight: store.sight.value,
      })
    })
    return () => {
      stop()
      map.close()
    }
  }, [store])
  return (
    <details
      class="overview"
      open={rememberedText('overview') !== 'closed'}
      onToggle={(event) => remember('overview', event.currentTarget.open ? 'open' : 'closed')}
    >
      <summary>{say().map}</summary>
      <div ref={place} class="minimap" />
    </details>
  )
}

/** The times above the bars; dragging across them zooms. */
function Axis({ store }: { store: TraceStore }) {
  const place = useRef<HTMLDivElement>(null)
  const [wide, setWide] = useState(600)
  const [drag, setDrag] = useState<[number, number]>()
  useEffect(() => {
    if (!place.current) return
    const observer = new ResizeObserver(([entry]) => setWide(entry?.contentRect.width ?? 600))
    observer.observe(place.current)
    return () => observer.disconnect()
  }, [])
  const [from, to] = store.range.value
  const share = (nano: number) => ((nano - from) / (to - from)) * 100
  const nano = (x: number) => from + (x / wide) * (to - from)
  return (
    <div
      ref={place}
      class="axis-times"
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId)
        setDrag([event.offsetX, event.offsetX])
      }}
      onPointerMove={(event) => {
        const box = event.currentTarget.getBoundingClientRect()
        setDrag((before) => before && [before[0], event.clientX - box.left])
      }}
      onPointerUp={() => {
        const [one, other] = drag ?? [0, 0]
        setDrag(undefined)
        if (Math.abs(other - one) >= 3)
          store.setZoom(nano(Math.min(one, other)), nano(Math.max(one, other)))
      }}
      onDblClick={() => {
        store.zoom.value = undefined
      }}
    >
      {ticks(from, to, wide / 110).map((tick) => (
        <span key={tick} class="number" style={{ left: `${share(tick)}%` }}>
          {duration(tick)}
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
  useEffect(() => {
    if (!place.current) return
    const waterfall = new Waterfall(place.current, {
      select: (row) => store.select(row),
      toggle: (row) => store.toggle(row),
      toggleGroup: (group) => store.toggleGroup(group),
      zoomTo: (row) => store.zoomToRow(row),
      zoomBy: (factor, about) => store.zoomBy(factor, about),
      pan: (share) => store.pan(share),
      scrolled: () => {
        store.sight.value = waterfall.sight()
      },
    })
    let isFirst = true
    const stop = effect(() => {
      const trace = store.trace.value
      if (!trace) return
      waterfall.show({
        trace,
        entries: store.entries.value,
        collapsed: store.collapsed,
        range: store.range.value,
        selected: store.selected.value,
        hits: store.hits.value,
        marks: store.marks.value,
        showsCritical: store.showsCritical.value,
        adjustsClocks: store.adjustsClocks.value,
        colours: colours.value,
        texts: say(),
      })
      if (isFirst) performance.mark('clew:first-rows')
      isFirst = false
      if (trace.head.isComplete) performance.mark('clew:complete')
    })
    const stopScrolling = effect(() => {
      const wanted = store.wanted.value
      const trace = store.trace.peek()
      if (!wanted || !trace) return
      waterfall.scrollTo(placeOf(store.entries.peek(), trace, wanted.row), wanted.centres)
      store.sight.value = waterfall.sight()
    })
    store.pageSize = () => waterfall.pageSize()
    return () => {
      stop()
      stopScrolling()
      waterfall.close()
    }
  }, [store])
  return <div ref={place} class="spans" role="treegrid" tabIndex={0} aria-label={say().timeline} />
}
