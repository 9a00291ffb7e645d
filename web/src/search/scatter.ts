/** Traces as points: when they began, and how long they took (logarithmic). */

import type { TraceSummary } from '../api/answers.ts'

export interface Point {
  x: number
  y: number
  trace: TraceSummary
}

export interface Plot {
  points: Point[]
  /** Unix seconds at the left and right edge. */
  from: number
  to: number
  /** Nanoseconds at the bottom and at the top. */
  low: number
  high: number
  /** Durations to mark, within them: powers of ten. */
  marks: number[]
}

export interface Box {
  left: number
  top: number
  width: number
  height: number
}

const RADIUS = 8

export function plotOf(traces: readonly TraceSummary[], from: number, to: number, box: Box): Plot {
  const durations = traces.map((trace) => Math.max(1, Number(trace.duration_nano)))
  const low = 10 ** Math.floor(Math.log10(Math.min(...durations, 1e12)))
  const high = Math.max(low * 10, 10 ** Math.ceil(Math.log10(Math.max(...durations, 1))))
  const place = (nano: number) =>
    box.top +
    box.height * (1 - (Math.log10(nano) - Math.log10(low)) / (Math.log10(high) - Math.log10(low)))
  const points = traces.map((trace, at) => ({
    trace,
    x:
      box.left +
      (box.width * (Number(BigInt(trace.start_time_unix_nano) / 1_000_000n) / 1e3 - from)) /
        (to - from),
    y: place(durations[at] ?? 1),
  }))
  const marks: number[] = []
  for (let mark = low; mark <= high; mark *= 10) marks.push(mark)
  return { points, from, to, low, high, marks }
}

/** The nearest point in reach of the pointer. */
export function hit({ points }: Plot, x: number, y: number): Point | undefined {
  let best: Point | undefined
  let least = RADIUS ** 2
  for (const point of points) {
    const distance = (point.x - x) ** 2 + (point.y - y) ** 2
    if (distance <= least) {
      least = distance
      best = point
    }
  }
  return best
}

/** Times and durations of a rectangle. */
export function area(
  { from, to, low, high }: Plot,
  box: Box,
  [x1, y1]: readonly [number, number],
  [x2, y2]: readonly [number, number],
): { start: number; end: number; min: number; max: number } {
  const time = (x: number) => from + ((x - box.left) / box.width) * (to - from)
  const nano = (y: number) =>
    10 **
    (Math.log10(low) + (1 - (y - box.top) / box.height) * (Math.log10(high) - Math.log10(low)))
  return {
    start: time(Math.min(x1, x2)),
    end: time(Math.max(x1, x2)),
    min: nano(Math.max(y1, y2)),
    max: nano(Math.min(y1, y2)),
  }
}
