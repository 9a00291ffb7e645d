/** Latency over time: how many calls, by step and duration. */

import { useMemo, useState } from 'preact/hooks'
import { clockTime, duration, shortMoment, zone } from '../language/format.ts'
import { language } from '../language/language.ts'
import { number } from '../language/numbers.ts'
import { hrefTo } from '../route.ts'
import { colours } from '../theme/tokens.ts'
import { bare, logTicks, timeText, timeTicks } from './axis.ts'
import { type Brush, searchOf, spanText } from './brush.ts'
import { type Box, Canvas, type Rectangle } from './canvas.tsx'
import { coarse, type HeatMap, shade } from './heat-map.ts'
import { bound } from './histogram.ts'
import { say } from './messages.ts'
import type { Steps } from './series.ts'
import { Twin } from './twin.tsx'

const TICK_PIXELS = 80
const TICKS_MAX = 6
const TABLE_COLUMNS_MAX = 8
const TABLE_ROWS_MAX = 12

interface Props {
  map: HeatMap
  steps: Steps
  service: string
  spanName: string
  brush: Brush | undefined
  onBrush: (brush: Brush) => void
}

type Cell = { column: number; row: number }

export function Heat(props: Props) {
  const { map, steps, brush, onBrush } = props
  const [over, setOver] = useState<Cell>()
  const palette = colours.value
  const count = over ? (map.columns[over.column]?.[over.row] ?? 0) : 0
  return (
    <section class="chart">
      <h2>{say().heat}</h2>
      <div class="legend">
        {over ? (
          <span class="number" aria-hidden="true">
            {shortMoment(steps.seconds[over.column] ?? 0)} ·{' '}
            {say().ofDurations(
              duration(bound(map.rows, over.row)),
              duration(bound(map.rows, over.row + 1)),
            )}
            : <b>{say().calls(count)}</b>
          </span>
        ) : (
          <span>
            1 <i class="shades" /> {say().calls(map.most)}
          </span>
        )}
      </div>
      <Canvas
        label={`${say().heat}. ${say().heatHint}`}
        drawKey={[map, steps, palette, language.value, zone()]}
        draw={(context, box) => draw(context, box, map, steps, palette)}
        rectangles={(box) => [
          ...(brush ? [{ kind: 'chosen' as const, at: chosenOf(brush, map, steps, box) }] : []),
          ...(over
            ? [{ kind: 'over' as const, at: cellRectangle(over, over, map, steps, box) }]
            : []),
        ]}
        onMove={(place, box) => setOver(place && cellAt(place, map, steps, box))}
        onDrag={(from, to, box) => {
          const [one, other] = [cellAt(from, map, steps, box), cellAt(to, map, steps, box)]
          const low = Math.min(one.row, other.row)
          const high = Math.max(one.row, other.row)
          onBrush({
            from: steps.start + Math.min(one.column, other.column) * steps.width,
            to: steps.start + (Math.max(one.column, other.column) + 1) * steps.width,
            low: bound(map.rows, low),
            high: bound(map.rows, high + 1),
          })
        }}
      />
      <Twin title={say().heat} table={() => <Table {...props} />} />
    </section>
  )
}

function cellAt([x, y]: [number, number], map: HeatMap, steps: Steps, box: Box): Cell {
  const [columns, rows] = [steps.seconds.length, map.rows.counts.length]
  const within = (value: number, count: number) => Math.max(0, Math.min(count - 1, value))
  return {
    column: within(Math.floor(((x - box.left) / box.width) * columns), columns),
    row: within(rows - 1 - Math.floor(((y - box.top) / box.height) * rows), rows),
  }
}

/** From one cell to another that is not before it, nor below. */
function cellRectangle(one: Cell, other: Cell, map: HeatMap, steps: Steps, box: Box): Rectangle {
  const width = box.width / steps.seconds.length
  const height = box.height / Math.max(1, map.rows.counts.length)
  return {
    left: box.left + one.column * width,
    top: box.top + box.height - (other.row + 1) * height,
    width: (other.column - one.column + 1) * width,
    height: (other.row - one.row + 1) * height,
  }
}

function chosenOf(brush: Brush, map: HeatMap, steps: Steps, box: Box): Rectangle {
  const rows = map.rows.counts.length
  const rowOf = (nano: number) => Math.log2(nano) * 2 ** map.rows.scale - map.rows.first
  const within = (value: number, count: number) => Math.max(0, Math.min(count - 1, value))
  const column = (seconds: number) =>
    within(Math.round((seconds - steps.start) / steps.width), steps.seconds.length + 1)
  return cellRectangle(
    { column: column(brush.from), row: brush.low ? within(Math.round(rowOf(brush.low)), rows) : 0 },
    {
      column: column(brush.to) - 1,
      row: brush.high ? within(Math.round(rowOf(brush.high)) - 1, rows) : rows - 1,
    },
    map,
    steps,
    box,
  )
}

function draw(
  context: CanvasRenderingContext2D,
  box: Box,
  map: HeatMap,
  steps: Steps,
  palette: typeof colours.value,
): void {
  const rows = map.rows.counts.length
  const [width, height] = [box.width / steps.seconds.length, box.height / Math.max(1, rows)]
  context.clearRect(0, 0, box.left + box.width + 100, box.top + box.height + 100)
  context.fillStyle = palette['paper-raised']
  context.fillRect(box.left, box.top, box.width, box.height)
  context.fillStyle = palette.accent
  map.columns.forEach((counts, column) => {
    counts.forEach((count, row) => {
      if (!count) return
      context.globalAlpha = shade(count, map.most)
      context.fillRect(
        box.left + column * width,
        box.top + (rows - 1 - row) * height,
        Math.max(1, width - 0.5),
        Math.max(1, height - 0.5),
      )
    })
  })
  context.globalAlpha = 1
  context.font = `11px ${palette.font}`
  context.fillStyle = palette['text-quiet']
  context.textBaseline = 'middle'
  context.textAlign = 'right'
  const [low, high] = [bound(map.rows, 0), bound(map.rows, rows)]
  for (const tick of logTicks(low, high, TICKS_MAX)) {
    const share = Math.log(tick / low) / Math.log(high / low)
    context.fillText(bare(duration(tick)), box.left - 6, box.top + box.height * (1 - share))
  }
  context.textAlign = 'center'
  const most = (box.left + box.width) / TICK_PIXELS
  for (const tick of timeTicks(steps.start, steps.end, most, zone())) {
    const x = box.left + ((tick - steps.start) / (steps.end - steps.start)) * box.width
    context.fillText(timeText(tick), x, box.top + box.height + 13)
  }
}

/** Longest durations first, as in the picture; each count leads to its traces. */
function Table({ map, steps, service, spanName }: Props) {
  const rows = useMemo(() => coarse(map, steps, TABLE_COLUMNS_MAX, TABLE_ROWS_MAX), [map, steps])
  return (
    <table>
      <thead>
        <tr>
          <th>{say().time(zone())}</th>
          {rows[0]?.map(({ from }) => (
            <th key={from} class="number" title={shortMoment(from)}>
              {clockTime(from)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((cells) => (
          <tr key={cells[0]?.low}>
            <th class="number">
              {say().ofDurations(duration(cells[0]?.low ?? 0), duration(cells[0]?.high ?? 0))}
            </th>
            {cells.map((cell) => (
              <td key={cell.from} class="number">
                {cell.count ? (
                  <a
                    href={hrefTo('search', '', searchOf(cell, service, spanName))}
                    title={spanText(cell.from, cell.to)}
                  >
                    {number(cell.count)}
                  </a>
                ) : (
                  '–'
                )}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}
