/** Latency over time: how many calls, by step and duration. */

import { useEffect, useRef, useState } from 'preact/hooks'
import { clockTime, duration, number, shortMoment } from '../language/format.ts'
import { colours } from '../theme/tokens.ts'
import { ticks } from '../trace/view/scale.ts'
import { say } from './messages.ts'
import type { HeatMap } from './series.ts'

const HEIGHT = 190
const LEFT = 66
const BOTTOM = 22

export interface Chosen {
  from: number
  to: number
  low: number
  high: number
}

export function Heat({
  map,
  seconds,
  stepSeconds,
  onChoose,
}: {
  map: HeatMap
  seconds: number[]
  stepSeconds: number
  onChoose: (chosen: Chosen) => void
}) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const [width, setWidth] = useState(0)
  const [drag, setDrag] = useState<[[number, number], [number, number]]>()
  const [over, setOver] = useState<[number, number]>()
  const palette = colours.value
  useEffect(() => {
    if (!canvas.current) return
    const observer = new ResizeObserver(([entry]) => setWidth(entry?.contentRect.width ?? 0))
    observer.observe(canvas.current)
    return () => observer.disconnect()
  }, [])
  const [columns, rows] = [seconds.length, Math.max(1, map.bounds.length - 1)]
  const cell = { width: (width - LEFT) / Math.max(1, columns), height: (HEIGHT - BOTTOM) / rows }
  const at = (x: number, y: number): [number, number] => [
    Math.max(0, Math.min(columns - 1, Math.floor((x - LEFT) / cell.width))),
    Math.max(0, Math.min(rows - 1, rows - 1 - Math.floor(y / cell.height))),
  ]
  useEffect(() => {
    const context = canvas.current?.getContext('2d')
    if (!canvas.current || !context || !width) return
    const ratio = devicePixelRatio || 1
    canvas.current.width = Math.round(width * ratio)
    canvas.current.height = Math.round(HEIGHT * ratio)
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    map.counts.forEach((column, x) => {
      column.forEach((count, y) => {
        if (!count) return
        context.globalAlpha = 0.15 + 0.85 * (Math.log1p(count) / Math.log1p(map.most))
        context.fillStyle = palette.accent
        context.fillRect(
          LEFT + x * cell.width,
          (rows - 1 - y) * cell.height,
          Math.max(1, cell.width - 0.5),
          Math.max(1, cell.height - 0.5),
        )
      })
    })
    context.globalAlpha = 1
    context.font = `11px ${palette.font}`
    context.fillStyle = palette['text-quiet']
    context.textAlign = 'right'
    for (let y = 0; y <= rows; y += Math.ceil(rows / 5)) {
      context.fillText(
        duration(map.bounds[y] ?? 0),
        LEFT - 6,
        Math.max(9, (rows - y) * cell.height),
      )
    }
    context.textAlign = 'center'
    const [first = 0, last = 0] = [seconds[0], (seconds[columns - 1] ?? 0) + stepSeconds]
    for (const tick of ticks(first, last, width / 110)) {
      const x = LEFT + ((tick - first) / (last - first)) * (width - LEFT)
      context.fillText(
        last - first > 20 * 3_600 ? shortMoment(tick) : clockTime(tick),
        x,
        HEIGHT - 6,
      )
    }
    if (drag) {
      const [[x1, y1], [x2, y2]] = drag
      context.strokeStyle = palette.text
      context.strokeRect(Math.min(x1, x2), Math.min(y1, y2), Math.abs(x2 - x1), Math.abs(y2 - y1))
    }
  })
  const count = over ? (map.counts[over[0]]?.[over[1]] ?? 0) : 0
  return (
    <section class="chart">
      <h2>{say().heat}</h2>
      <div class="legend quiet">
        {over
          ? `${shortMoment(seconds[over[0]] ?? 0)} · ${say().ofDurations(duration(map.bounds[over[1]] ?? 0), duration(map.bounds[over[1] + 1] ?? 0))}: ${number(count)}`
          : say().heatHint}
      </div>
      <canvas
        ref={canvas}
        role="img"
        aria-label={say().heatHint}
        style={{ height: `${HEIGHT}px` }}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId)
          setDrag([
            [event.offsetX, event.offsetY],
            [event.offsetX, event.offsetY],
          ])
        }}
        onPointerMove={(event) => {
          const place: [number, number] = [event.offsetX, event.offsetY]
          setOver(at(...place))
          setDrag((before) => before && [before[0], place])
        }}
        onPointerLeave={() => setOver(undefined)}
        onPointerUp={(event) => {
          const start = drag?.[0]
          setDrag(undefined)
          if (!start) return
          const [one, other] = [at(...start), at(event.offsetX, event.offsetY)]
          const [left, right] = [Math.min(one[0], other[0]), Math.max(one[0], other[0])]
          const [low, high] = [Math.min(one[1], other[1]), Math.max(one[1], other[1])]
          onChoose({
            from: seconds[left] ?? 0,
            to: (seconds[right] ?? 0) + stepSeconds,
            low: map.bounds[low] ?? 0,
            high: map.bounds[high + 1] ?? 0,
          })
        }}
      />
    </section>
  )
}
