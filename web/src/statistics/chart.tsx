/** A chart of lines over time (uPlot), with its table beside it. */

import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { shortMoment, zone } from '../language/format.ts'
import { language } from '../language/language.ts'
import { hrefTo, navigate } from '../route.ts'
import { colours } from '../theme/tokens.ts'
import { type Axis, bare, timeText, timeTicks } from './axis.ts'
import type { Brush } from './brush.ts'
import { BOTTOM, HEIGHT, LEFT, RIGHT, TOP } from './canvas.tsx'
import type { Exemplar } from './exemplars.ts'
import { say } from './messages.ts'
import { aloneIn, type Steps, summaryOf } from './series.ts'
import { Twin } from './twin.tsx'

export interface Line {
  name: string
  values: (number | null)[]
  colour: 'accent' | 'error' | 'warning' | 'ok'
  dash?: 'dashed' | 'dotted'
  isFilled?: boolean
}

interface Props {
  title: string
  steps: Steps
  lines: readonly Line[]
  axis: Axis
  format: (value: number) => string
  exemplars?: readonly Exemplar[]
  brush: Brush | undefined
  onBrush: (brush: Brush) => void
  /** The search for the traces of a step. */
  searchOfStep: (step: number) => Record<string, string | undefined>
}

const SYNC = 'statistics'
const REACH_PIXELS = 9
const TICK_PIXELS = 80
const DASHES = { dashed: [7, 4], dotted: [2, 3] }

export function Chart(props: Props) {
  const { title, steps, lines, axis, format, exemplars, brush } = props
  const place = useRef<HTMLDivElement>(null)
  const legend = useRef<HTMLDivElement>(null)
  const moment = useRef<HTMLSpanElement>(null)
  const chart = useRef<uPlot | undefined>(undefined)
  const latest = useRef(props)
  latest.current = props
  const palette = colours.value
  const shape = [palette, language.value, zone(), axis.isLogarithmic, title]
  const data = [steps.seconds, ...lines.map((line) => line.values)] as uPlot.AlignedData
  useEffect(() => {
    const element = place.current
    if (!element) return
    const read = (step: number | undefined) => readOut(step, legend.current, moment.current, latest)
    const made = new uPlot(optionsOf(element, read, palette, latest), data, element)
    chart.current = made
    const observer = new ResizeObserver(() => {
      if (element.clientWidth !== made.width) {
        made.setSize({ width: element.clientWidth, height: HEIGHT })
      }
    })
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
      chart.current = undefined
    }
  }, shape)
  useEffect(() => {
    if (chart.current && chart.current.data !== data) chart.current.setData(data)
  }, [steps, ...lines.map((line) => line.values)])
  useEffect(() => chart.current?.redraw(false), [exemplars, brush?.from, brush?.to])
  return (
    <section class="chart">
      <div class="chart-head">
        <h2>{title}</h2>
        <span ref={moment} class="quiet number" aria-hidden="true" />
      </div>
      <div ref={legend} class="legend" aria-hidden="true">
        {lines.map((line) => (
          <span key={line.name}>
            <i class="line" data-colour={line.colour} data-dash={line.dash} /> {line.name}{' '}
            <b class="number" />
          </span>
        ))}
      </div>
      <div ref={place} class="lines" role="img" aria-label={labelOf(title, lines, format)} />
      <Twin title={title} table={() => <Table {...props} />} />
    </section>
  )
}

function labelOf(title: string, lines: readonly Line[], format: (value: number) => string): string {
  const parts = lines.map(({ name, values }) => {
    const found = summaryOf(values)
    return found
      ? say().chart(name, format(found.low), format(found.high), format(found.last))
      : say().chartEmpty(name)
  })
  return `${title}. ${parts.join(' ')}`
}

const ROWS_MAX = 300

function Table({ steps, lines, format, exemplars = [], searchOfStep }: Props) {
  const first = Math.max(0, steps.seconds.length - ROWS_MAX)
  return (
    <>
      <table>
        <thead>
          <tr>
            <th>{say().time(zone())}</th>
            {lines.map((line) => (
              <th key={line.name} class="number">
                {line.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {steps.seconds.slice(first).map((second, at) => (
            <tr key={second}>
              <td class="number">
                <a href={hrefTo('search', '', searchOfStep(first + at))}>{shortMoment(second)}</a>
              </td>
              {lines.map((line) => (
                <td key={line.name} class="number">
                  {textOf(line.values[first + at], format)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {exemplars.length > 0 && (
        <ul class="exemplars">
          {exemplars.map((each) => (
            <li key={each.traceId}>
              <a href={hrefTo('trace', each.traceId)}>{each.title()}</a>
            </li>
          ))}
        </ul>
      )}
    </>
  )
}

function textOf(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? '–' : format(value)
}

type Latest = { current: Props }
type Palette = typeof colours.value

function optionsOf(
  element: HTMLElement,
  read: (step: number | undefined) => void,
  palette: Palette,
  latest: Latest,
): uPlot.Options {
  const common = {
    stroke: palette['text-quiet'],
    font: `11px ${palette.font}`,
    grid: { stroke: palette.line, width: 1 },
    ticks: { show: false },
    gap: 6,
  }
  const { lines, axis } = latest.current
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [TOP, RIGHT, 0, 0],
    legend: { show: false },
    cursor: {
      // The pointer is shared; what is dragged is the one chart's.
      sync: {
        key: SYNC,
        setSeries: false,
        filters: { pub: (type) => type === 'mousemove' || type === 'mouseleave' },
      },
      drag: { x: true, y: false, setScale: false },
      y: false,
      points: { size: 7 },
    },
    scales: {
      x: { time: true, range: () => [latest.current.steps.start, latest.current.steps.end] },
      y: {
        distr: axis.isLogarithmic ? 3 : 1,
        range: () => [latest.current.axis.low, latest.current.axis.high],
      },
    },
    axes: [
      {
        ...common,
        size: BOTTOM,
        splits: (plot, _, from, to) => timeTicks(from, to, plot.width / TICK_PIXELS, zone()),
        values: (_, ticks) => ticks.map(timeText),
      },
      {
        ...common,
        size: LEFT,
        splits: () => latest.current.axis.ticks,
        filter: (_, ticks) => ticks,
        values: (_, ticks) => ticks.map((tick) => (tick ? bare(latest.current.format(tick)) : '0')),
      },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.name,
        stroke: palette[line.colour],
        width: 1.6,
        spanGaps: false,
        points: { size: 5, fill: palette[line.colour], filter: alone },
        ...(line.dash ? { dash: DASHES[line.dash] } : {}),
        ...(line.isFilled
          ? { fill: `color-mix(in srgb, ${palette[line.colour]} 16%, transparent)` }
          : {}),
      })),
    ],
    hooks: {
      drawClear: [(plot) => drawBrush(plot, latest.current.brush, palette)],
      draw: [(plot) => drawExemplars(plot, latest.current.exemplars ?? [], palette)],
      setSelect: [(plot) => choose(plot, latest)],
      setCursor: [(plot) => read(stepAt(plot))],
      ready: [(plot) => listen(plot, latest)],
    },
    plugins: [tooltip(latest)],
  }
}

/** Of values without neighbours there is no line: they are drawn as points, where not all are. */
function alone(plot: uPlot, series: number, showsAll: boolean): number[] | null {
  return showsAll ? null : aloneIn(plot.data[series] ?? [])
}

function choose(plot: uPlot, latest: Latest): void {
  const { left, width } = plot.select
  if (width > 4) {
    latest.current.onBrush({
      from: plot.posToVal(left, 'x'),
      to: plot.posToVal(left + width, 'x'),
    })
  }
  if (width > 0) plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
}

function drawBrush(plot: uPlot, brush: Brush | undefined, palette: Palette): void {
  if (!brush) return
  const { ctx, bbox } = plot
  const left = Math.max(bbox.left, plot.valToPos(brush.from, 'x', true))
  const right = Math.min(bbox.left + bbox.width, plot.valToPos(brush.to, 'x', true))
  if (right <= left) return
  ctx.save()
  ctx.fillStyle = palette['paper-selected']
  ctx.fillRect(left, bbox.top, right - left, bbox.height)
  ctx.restore()
}

const EXEMPLAR_PIXELS = 4

/** A trace that failed is a triangle, one that was slow a diamond. */
function drawExemplars(plot: uPlot, exemplars: readonly Exemplar[], palette: Palette): void {
  const { ctx } = plot
  const size = EXEMPLAR_PIXELS * devicePixelRatio
  ctx.save()
  ctx.lineWidth = devicePixelRatio
  for (const each of exemplars) {
    const [x, y] = positionOf(plot, each, true)
    ctx.beginPath()
    ctx.moveTo(x, y - size - 1)
    if (each.isError) {
      ctx.lineTo(x + size + 1, y + size)
      ctx.lineTo(x - size - 1, y + size)
    } else {
      ctx.lineTo(x + size, y)
      ctx.lineTo(x, y + size + 1)
      ctx.lineTo(x - size, y)
    }
    ctx.closePath()
    ctx.fillStyle = each.isError ? palette.error : palette.text
    ctx.strokeStyle = palette.paper
    ctx.fill()
    ctx.stroke()
  }
  ctx.restore()
}

/** What has no duration of its own lies on the floor. */
function positionOf(plot: uPlot, each: Exemplar, isCanvas: boolean): [number, number] {
  const floor = plot.valToPos(plot.scales['y']?.min ?? 0, 'y', isCanvas)
  const lift = (EXEMPLAR_PIXELS + 1) * (isCanvas ? devicePixelRatio : 1)
  const y = each.nano ? plot.valToPos(each.nano, 'y', isCanvas) : floor
  return [plot.valToPos(each.seconds, 'x', isCanvas), Math.min(y, floor - lift)]
}

function exemplarAt(plot: uPlot, { exemplars = [] }: Props): Exemplar | undefined {
  const { left = -1, top = -1 } = plot.cursor
  let best: Exemplar | undefined
  let least = REACH_PIXELS
  for (const each of exemplars) {
    const [x, y] = positionOf(plot, each, false)
    const distance = Math.hypot(x - left, y - top)
    if (distance < least) {
      least = distance
      best = each
    }
  }
  return best
}

/** The step at whose point the pointer is. */
function pointAt(plot: uPlot): number | undefined {
  const { idx, left = -1, top = -1 } = plot.cursor
  if (idx === null || idx === undefined) return undefined
  const x = plot.valToPos(plot.data[0][idx] ?? 0, 'x')
  const isNear = plot.data.slice(1).some((values) => {
    const value = values[idx]
    return (
      typeof value === 'number' &&
      Math.hypot(x - left, plot.valToPos(value, 'y') - top) < REACH_PIXELS
    )
  })
  return isNear ? idx : undefined
}

function listen(plot: uPlot, latest: Latest): void {
  plot.over.addEventListener('click', () => {
    const exemplar = exemplarAt(plot, latest.current)
    if (exemplar) {
      navigate('trace', exemplar.traceId)
      return
    }
    const step = pointAt(plot)
    if (step !== undefined) navigate('search', '', latest.current.searchOfStep(step))
  })
}

/** The step under the pointer, wherever among the charts it is. */
function stepAt(plot: uPlot): number | undefined {
  const { idx, left = -1 } = plot.cursor
  return left >= 0 ? (idx ?? undefined) : undefined
}

function readOut(
  step: number | undefined,
  legend: HTMLElement | null,
  moment: HTMLElement | null,
  latest: Latest,
): void {
  const { lines, steps, format } = latest.current
  const places = legend?.querySelectorAll('b') ?? []
  lines.forEach((line, at) => {
    const place = places[at]
    if (place) place.textContent = step === undefined ? '' : textOf(line.values[step], format)
  })
  if (moment) moment.textContent = step === undefined ? '' : shortMoment(steps.seconds[step] ?? 0)
}

/** Names the trace under the pointer, or what a click finds. */
function tooltip(latest: Latest): uPlot.Plugin {
  const box = document.createElement('div')
  box.className = 'tooltip'
  box.hidden = true
  return {
    hooks: {
      init: (plot) => {
        plot.over.append(box)
        plot.over.addEventListener('mouseleave', () => {
          box.hidden = true
        })
      },
      setCursor: (plot) => {
        // Of a shared pointer the event is another chart's.
        const isOwn = plot.over.matches(':hover')
        const exemplar = isOwn ? exemplarAt(plot, latest.current) : undefined
        const step = isOwn && !exemplar ? pointAt(plot) : undefined
        box.hidden = exemplar === undefined && step === undefined
        plot.over.style.cursor = box.hidden ? 'crosshair' : 'pointer'
        if (box.hidden) return
        box.textContent = exemplar ? exemplar.title() : pointText(step ?? 0, latest.current)
        const { left = 0, top = 0 } = plot.cursor
        const isRight = left > plot.over.clientWidth / 2
        box.style.left = isRight ? '' : `${left + 14}px`
        box.style.right = isRight ? `${plot.over.clientWidth - left + 14}px` : ''
        box.style.top = `${Math.max(0, top - 20)}px`
      },
    },
  }
}

function pointText(step: number, { steps, lines, format }: Props): string {
  const values = lines.map((line) => `${line.name}: ${textOf(line.values[step], format)}`)
  return [shortMoment(steps.seconds[step] ?? 0), ...values, say().clickForTraces].join('\n')
}
