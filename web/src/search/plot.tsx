/** The scatter plot above the list. */

import { useEffect, useRef, useState } from 'preact/hooks'
import type { TraceSummary } from '../api/answers.ts'
import { clockTime, duration, durationParameter, shortMoment } from '../language/format.ts'
import { navigate } from '../route.ts'
import { colourOf, colours } from '../theme/tokens.ts'
import { ticks } from '../trace/view/scale.ts'
import { say } from './messages.ts'
import type { Search } from './query.ts'
import { area, type Box, hit, type Plot, type Point, plotOf } from './scatter.ts'

const HEIGHT = 150
const DRAG_PIXELS_MIN = 6

export function ScatterPlot({
  traces,
  start,
  end,
  onNarrow,
}: {
  traces: readonly TraceSummary[]
  /** Unix seconds. */
  start: number
  end: number
  onNarrow: (changes: Partial<Search>) => void
}) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const [width, setWidth] = useState(0)
  const [over, setOver] = useState<Point>()
  const [drag, setDrag] = useState<[readonly [number, number], readonly [number, number]]>()
  const box: Box = { left: 58, top: 8, width: Math.max(1, width - 70), height: HEIGHT - 30 }
  const plot = plotOf(traces, start, end, box)
  const palette = colours.value
  useEffect(() => {
    const element = canvas.current
    if (!element) return
    const observer = new ResizeObserver(([entry]) => setWidth(entry?.contentRect.width ?? 0))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  useEffect(() => {
    if (canvas.current && width) draw(canvas.current, width, plot, box, palette, over, drag)
  })
  const low = Math.min(...traces.map((trace) => Number(trace.duration_nano)))
  const high = Math.max(...traces.map((trace) => Number(trace.duration_nano)))
  return (
    <div class="plot">
      <canvas
        ref={canvas}
        role="img"
        aria-label={say().plot(traces.length, duration(low), duration(high))}
        title={over ? '' : say().plotHint}
        style={{ height: `${HEIGHT}px`, cursor: over ? 'pointer' : 'crosshair' }}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId)
          const place = [event.offsetX, event.offsetY] as const
          setDrag([place, place])
        }}
        onPointerMove={(event) => {
          setOver(hit(plot, event.offsetX, event.offsetY))
          const place = [event.offsetX, event.offsetY] as const
          setDrag((before) => before && [before[0], place])
        }}
        onPointerLeave={() => setOver(undefined)}
        onPointerUp={(event) => {
          const from = drag?.[0]
          setDrag(undefined)
          if (!from) return
          const isDrag =
            Math.abs(event.offsetX - from[0]) > DRAG_PIXELS_MIN &&
            Math.abs(event.offsetY - from[1]) > DRAG_PIXELS_MIN
          if (isDrag) {
            const found = area(plot, box, from, [event.offsetX, event.offsetY])
            onNarrow({
              min: durationParameter(Math.round(found.min)),
              max: durationParameter(Math.round(found.max)),
              range: {
                kind: 'between',
                startSeconds: Math.floor(found.start),
                endSeconds: Math.ceil(found.end),
              },
            })
          } else {
            const point = hit(plot, event.offsetX, event.offsetY)
            if (point) navigate('trace', point.trace.trace_id)
          }
        }}
      />
      {over && (
        <div
          class="tooltip"
          style={{ left: `${Math.min(over.x + 12, width - 260)}px`, top: `${over.y}px` }}
        >
          <strong>
            <bdi>{over.trace.root_service}</bdi>
          </strong>{' '}
          <bdi>{over.trace.root_span_name.slice(0, 80)}</bdi>
          <br />
          {duration(Number(over.trace.duration_nano))} · {say().spanCount(over.trace.span_count)}
        </div>
      )}
    </div>
  )
}

function draw(
  canvas: HTMLCanvasElement,
  width: number,
  plot: Plot,
  box: Box,
  palette: typeof colours.value,
  over: Point | undefined,
  drag: [readonly [number, number], readonly [number, number]] | undefined,
): void {
  const ratio = devicePixelRatio || 1
  canvas.width = Math.round(width * ratio)
  canvas.height = Math.round(HEIGHT * ratio)
  const context = canvas.getContext('2d')
  if (!context) return
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  context.font = `11px ${palette.font}`
  const y = (nano: number) =>
    box.top + box.height * (1 - Math.log10(nano / plot.low) / Math.log10(plot.high / plot.low))
  context.textBaseline = 'middle'
  context.textAlign = 'right'
  for (const mark of plot.marks) {
    context.fillStyle = palette.line
    context.fillRect(box.left, y(mark), box.width, 1)
    context.fillStyle = palette['text-quiet']
    context.fillText(duration(mark), box.left - 6, y(mark))
  }
  context.textAlign = 'center'
  const isLong = plot.to - plot.from > 20 * 3_600
  for (const tick of ticks(plot.from, plot.to, box.width / 110)) {
    const x = box.left + (box.width * (tick - plot.from)) / (plot.to - plot.from)
    context.fillText(isLong ? shortMoment(tick) : clockTime(tick), x, HEIGHT - 9)
  }
  for (const point of plot.points) {
    const isError = point.trace.error_count > 0
    context.fillStyle = isError
      ? palette.error
      : (palette.services[colourOf(point.trace.root_service)] ?? palette.accent)
    context.beginPath()
    const size = point === over || point.trace.trace_id === over?.trace.trace_id ? 6 : 4
    if (isError) {
      // Another shape, for those who see no red.
      context.moveTo(point.x, point.y - size - 1)
      context.lineTo(point.x + size + 1, point.y + size)
      context.lineTo(point.x - size - 1, point.y + size)
      context.closePath()
    } else context.arc(point.x, point.y, size, 0, 2 * Math.PI)
    context.globalAlpha = 0.85
    context.fill()
    context.globalAlpha = 1
  }
  if (drag) {
    context.strokeStyle = palette.accent
    const [[x1, y1], [x2, y2]] = drag
    context.strokeRect(Math.min(x1, x2), Math.min(y1, y2), Math.abs(x2 - x1), Math.abs(y2 - y1))
  }
}
