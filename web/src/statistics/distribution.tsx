/** How many calls took how long, over the whole range. */

import { useState } from 'preact/hooks'
import { duration, zone } from '../language/format.ts'
import { language } from '../language/language.ts'
import { number, percent } from '../language/numbers.ts'
import { hrefTo } from '../route.ts'
import { colours } from '../theme/tokens.ts'
import { bare, linearAxis, logTicks, placeOf } from './axis.ts'
import { type Brush, searchOf } from './brush.ts'
import { type Box, Canvas, type Rectangle } from './canvas.tsx'
import { type Buckets, bound, sum } from './histogram.ts'
import { say } from './messages.ts'
import type { Steps } from './series.ts'
import { Twin } from './twin.tsx'

const TICK_PIXELS = 62

interface Props {
  buckets: Buckets
  steps: Steps
  service: string
  spanName: string
  brush: Brush | undefined
  onBrush: (brush: Brush) => void
}

export function Distribution(props: Props) {
  const { buckets, steps, brush, onBrush } = props
  const [over, setOver] = useState<number>()
  const palette = colours.value
  const calls = sum(buckets.counts)
  const rangeOf = (from: number, to = from) =>
    say().ofDurations(duration(bound(buckets, from)), duration(bound(buckets, to + 1)))
  const most = buckets.counts.reduce(
    (best, count, at) => (count > (buckets.counts[best] ?? 0) ? at : best),
    0,
  )
  return (
    <section class="chart">
      <h2>{say().distribution}</h2>
      <div class="legend">
        <span class="number" aria-hidden="true">
          {over === undefined ? (
            say().calls(calls)
          ) : (
            <>
              {rangeOf(over)}: <b>{say().calls(buckets.counts[over] ?? 0)}</b>
            </>
          )}
        </span>
      </div>
      <Canvas
        label={`${say().distribution}. ${say().mostBetween(rangeOf(most))}`}
        drawKey={[buckets, palette, language.value, zone()]}
        draw={(context, box) => draw(context, box, buckets, palette)}
        rectangles={(box) => [
          ...(brush?.low || brush?.high
            ? [{ kind: 'chosen' as const, at: chosenOf(brush, buckets, box) }]
            : []),
          ...(over === undefined
            ? []
            : [{ kind: 'over' as const, at: barRectangle(over, over, buckets, box) }]),
        ]}
        onMove={(place, box) => setOver(place && barAt(place[0], buckets, box))}
        onDrag={(from, to, box) => {
          const [one, other] = [barAt(from[0], buckets, box), barAt(to[0], buckets, box)]
          onBrush({
            from: brush?.from ?? steps.start,
            to: brush?.to ?? steps.end,
            low: bound(buckets, Math.min(one, other)),
            high: bound(buckets, Math.max(one, other) + 1),
          })
        }}
      />
      <Twin title={say().distribution} table={() => <Table {...props} />} />
    </section>
  )
}

function barAt(x: number, { counts }: Buckets, box: Box): number {
  const at = Math.floor(((x - box.left) / box.width) * counts.length)
  return Math.max(0, Math.min(counts.length - 1, at))
}

function barRectangle(first: number, last: number, { counts }: Buckets, box: Box): Rectangle {
  const width = box.width / Math.max(1, counts.length)
  return {
    left: box.left + first * width,
    top: box.top,
    width: (last - first + 1) * width,
    height: box.height,
  }
}

function chosenOf(brush: Brush, buckets: Buckets, box: Box): Rectangle {
  const at = (nano: number) =>
    Math.max(
      0,
      Math.min(
        buckets.counts.length,
        Math.round(Math.log2(nano) * 2 ** buckets.scale - buckets.first),
      ),
    )
  const first = brush.low ? at(brush.low) : 0
  const end = brush.high ? at(brush.high) : buckets.counts.length
  return barRectangle(first, Math.max(first, end - 1), buckets, box)
}

function draw(
  context: CanvasRenderingContext2D,
  box: Box,
  buckets: Buckets,
  palette: typeof colours.value,
): void {
  const { counts } = buckets
  const axis = linearAxis(counts.reduce((high, each) => Math.max(high, each), 1))
  context.clearRect(0, 0, box.left + box.width + 100, box.top + box.height + 100)
  context.font = `11px ${palette.font}`
  context.textBaseline = 'middle'
  context.textAlign = 'right'
  for (const tick of axis.ticks.filter(Number.isInteger)) {
    const y = Math.round(box.top + box.height * (1 - placeOf(axis, tick)))
    context.fillStyle = palette.line
    context.fillRect(box.left, y, box.width, 1)
    context.fillStyle = palette['text-quiet']
    context.fillText(number(tick), box.left - 6, y)
  }
  context.fillStyle = palette.accent
  const width = box.width / Math.max(1, counts.length)
  counts.forEach((count, at) => {
    if (!count) return
    const height = Math.max(1.5, box.height * placeOf(axis, count))
    context.fillRect(
      box.left + at * width,
      box.top + box.height - height,
      Math.max(1, width - 1),
      height,
    )
  })
  context.fillStyle = palette['text-quiet']
  context.textAlign = 'center'
  const [low, high] = [bound(buckets, 0), bound(buckets, counts.length)]
  for (const tick of logTicks(low, high, box.width / TICK_PIXELS)) {
    const x = box.left + (Math.log(tick / low) / Math.log(high / low)) * box.width
    context.fillText(bare(duration(tick)), x, box.top + box.height + 13)
  }
}

function Table({ buckets, steps, service, spanName }: Props) {
  const calls = sum(buckets.counts) || 1
  return (
    <table>
      <thead>
        <tr>
          <th>{say().duration}</th>
          <th class="number">{say().callCount}</th>
          <th class="number">{say().share}</th>
        </tr>
      </thead>
      <tbody>
        {buckets.counts.map((count, at) => {
          const [low, high] = [bound(buckets, at), bound(buckets, at + 1)]
          const chosen = { from: steps.start, to: steps.end, low, high }
          return (
            <tr key={low}>
              <td class="number">
                <a href={hrefTo('search', '', searchOf(chosen, service, spanName))}>
                  {say().ofDurations(duration(low), duration(high))}
                </a>
              </td>
              <td class="number">{number(count)}</td>
              <td class="number">{percent(count / calls)}</td>
            </tr>
          )
        })}
      </tbody>
    </table>
  )
}
