/** A chart of lines over time (uPlot), with its table beside it. */

import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { clockTime, shortMoment, zone } from '../language/format.ts'
import { language } from '../language/language.ts'
import { colours } from '../theme/tokens.ts'
import { say } from './messages.ts'

export interface Line {
  name: string
  values: (number | null)[]
  colour: 'accent' | 'error' | 'warning' | 'ok' | 'text-quiet'
  dash?: number[]
  fill?: boolean
}

export interface Exemplar {
  seconds: number
  value: number
  isError: boolean
  title: string
  open: () => void
}

const HEIGHT = 190
const SYNC = 'statistics'
const REACH_PIXELS = 9

export function Chart({
  title,
  seconds,
  lines,
  format,
  isLogarithmic = false,
  exemplars = [],
  onBrush,
}: {
  title: string
  seconds: number[]
  lines: Line[]
  format: (value: number) => string
  isLogarithmic?: boolean
  exemplars?: Exemplar[]
  /** Unix seconds. */
  onBrush: (from: number, to: number) => void
}) {
  const place = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | undefined>(undefined)
  const latest = useRef({ exemplars, onBrush, format })
  latest.current = { exemplars, onBrush, format }
  const palette = colours.value
  const shape = `${lines.map((line) => line.name).join()} ${palette.paper} ${language.value} ${zone()} ${isLogarithmic}`
  const data = [seconds, ...lines.map((line) => line.values)] as uPlot.AlignedData
  useEffect(() => {
    const element = place.current
    if (!element) return
    const made = new uPlot(optionsOf(element, lines, palette, isLogarithmic, latest), data, element)
    chart.current = made
    const observer = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: HEIGHT }),
    )
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
      chart.current = undefined
    }
  }, [shape])
  useEffect(() => {
    chart.current?.setData(data)
  })
  const [first] = lines
  const values = (first?.values ?? []).filter((value) => value !== null)
  const label = say().chart(
    title,
    format(Math.min(...values, 0)),
    format(Math.max(...values, 0)),
    format(values[values.length - 1] ?? 0),
  )
  return (
    <section class="chart">
      <h2>{title}</h2>
      <div class="legend">
        {lines.map((line) => (
          <span key={line.name}>
            <i data-line={line.colour} data-dash={line.dash !== undefined} /> {line.name}
          </span>
        ))}
      </div>
      <div ref={place} role="img" aria-label={label} />
      <Table seconds={seconds} lines={lines} format={format} />
    </section>
  )
}

const ROWS_MAX = 200

function Table({
  seconds,
  lines,
  format,
}: {
  seconds: number[]
  lines: Line[]
  format: (value: number) => string
}) {
  return (
    <details class="twin">
      <summary>{say().asTable}</summary>
      <div class="twin-table">
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
            {seconds.slice(-ROWS_MAX).map((second, at) => {
              const row = at + Math.max(0, seconds.length - ROWS_MAX)
              return (
                <tr key={second}>
                  <td class="number">{shortMoment(second)}</td>
                  {lines.map((line) => (
                    <td key={line.name} class="number">
                      {line.values[row] === null || line.values[row] === undefined
                        ? '–'
                        : format(line.values[row])}
                    </td>
                  ))}
                </tr>
              )
            })}
          </tbody>
        </table>
      </div>
    </details>
  )
}

type Latest = {
  current: {
    exemplars: Exemplar[]
    onBrush: (from: number, to: number) => void
    format: (value: number) => string
  }
}

function optionsOf(
  element: HTMLElement,
  lines: readonly Line[],
  palette: typeof colours.value,
  isLogarithmic: boolean,
  latest: Latest,
): uPlot.Options {
  const axis = {
    stroke: palette['text-quiet'],
    font: `11px ${palette.font}`,
    grid: { stroke: palette.line, width: 1 },
    ticks: { stroke: palette.line, width: 1 },
  }
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { sync: { key: SYNC }, drag: { x: true, y: false, setScale: false } },
    scales: {
      x: { time: true },
      y: isLogarithmic ? { distr: 3 } : { range: (_, __, high) => [0, Math.max(high * 1.1, 1e-9)] },
    },
    axes: [
      {
        ...axis,
        values: (_, ticks) => {
          const isLong = (ticks[ticks.length - 1] ?? 0) - (ticks[0] ?? 0) > 20 * 3_600
          return ticks.map((tick) => (isLong ? shortMoment(tick) : clockTime(tick)))
        },
        space: 90,
      },
      {
        ...axis,
        size: 66,
        values: (_, ticks) =>
          ticks.map((tick) => (tick === null ? '' : latest.current.format(tick))),
      },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.name,
        stroke: palette[line.colour],
        width: 1.6,
        spanGaps: false,
        points: { size: 4 },
        ...(line.dash ? { dash: line.dash } : {}),
        ...(line.fill
          ? { fill: `color-mix(in srgb, ${palette[line.colour]} 18%, transparent)` }
          : {}),
      })),
    ],
    hooks: {
      draw: [(plot) => drawExemplars(plot, latest.current.exemplars, palette)],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select
          if (width > 4)
            latest.current.onBrush(plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x'))
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
        },
      ],
      ready: [(plot) => listen(plot, latest)],
    },
    plugins: [tooltip(lines, latest)],
  }
}

function drawExemplars(
  plot: uPlot,
  exemplars: readonly Exemplar[],
  palette: typeof colours.value,
): void {
  const { ctx } = plot
  ctx.save()
  for (const each of exemplars) {
    const [x, y] = [plot.valToPos(each.seconds, 'x', true), plot.valToPos(each.value, 'y', true)]
    const size = 4 * devicePixelRatio
    ctx.beginPath()
    ctx.fillStyle = each.isError ? palette.error : palette.text
    if (each.isError) {
      ctx.moveTo(x, y - size)
      ctx.lineTo(x + size, y + size)
      ctx.lineTo(x - size, y + size)
      ctx.closePath()
    } else ctx.rect(x - size / 1.5, y - size / 1.5, size * 1.33, size * 1.33)
    ctx.fill()
  }
  ctx.restore()
}

function near(
  plot: uPlot,
  exemplars: readonly Exemplar[],
  left: number,
  top: number,
): Exemplar | undefined {
  return exemplars.find(
    (each) =>
      Math.abs(plot.valToPos(each.seconds, 'x') - left) < REACH_PIXELS &&
      Math.abs(plot.valToPos(each.value, 'y') - top) < REACH_PIXELS,
  )
}

function listen(plot: uPlot, latest: Latest): void {
  plot.over.addEventListener('click', (event) => {
    near(plot, latest.current.exemplars, event.offsetX, event.offsetY)?.open()
  })
}

function tooltip(lines: readonly Line[], latest: Latest): uPlot.Plugin {
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
        const { idx, left = -1, top = -1 } = plot.cursor
        if (idx === null || idx === undefined || left < 0) {
          box.hidden = true
          return
        }
        const exemplar = near(plot, latest.current.exemplars, left, top)
        const rows = lines.map((line, at) => {
          const value = plot.data[at + 1]?.[idx]
          return `${line.name}: ${value === null || value === undefined ? '–' : latest.current.format(value)}`
        })
        box.textContent = [
          shortMoment(plot.data[0][idx] ?? 0),
          ...rows,
          ...(exemplar ? [exemplar.title] : []),
        ].join('\n')
        box.hidden = false
        const isRight = left > plot.over.clientWidth / 2
        box.style.left = isRight ? '' : `${left + 14}px`
        box.style.right = isRight ? `${plot.over.clientWidth - left + 14}px` : ''
        box.style.top = '4px'
        plot.over.style.cursor = exemplar ? 'pointer' : 'crosshair'
      },
    },
  }
}
