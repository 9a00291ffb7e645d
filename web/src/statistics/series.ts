/** The answer of `v1/services/…/statistics` as what charts take. */

import type { Figures, Histogram, Point, Series, StatisticsAnswer } from '../api/answers.ts'

export interface Columns {
  /** Unix seconds, a step apart, whether anything happened or not. */
  seconds: number[]
  rate: number[]
  /** Errors by calls; null without calls. */
  errorShare: (number | null)[]
  /** Nanoseconds; null without calls. */
  p50: (number | null)[]
  p95: (number | null)[]
  p99: (number | null)[]
}

const NANO = 1e9

/** Steps without a point had no calls: a rate of 0, and no latency at all. */
export function columnsOf(answer: StatisticsAnswer, points: readonly Point[]): Columns {
  const start = Number(answer.start_time_unix_nano) / NANO
  const end = Number(answer.end_time_unix_nano) / NANO
  const step = Number(answer.step_nano) / NANO
  const count = Math.max(0, Math.round((end - start) / step))
  const found = new Map(
    points.map((point) => [Math.round(Number(point.start_time_unix_nano) / NANO), point]),
  )
  const seconds = Array.from({ length: count }, (_, at) => start + at * step)
  const of = <T>(value: (point: Point) => T, without: T) =>
    seconds.map((second) => {
      const point = found.get(Math.round(second))
      return point?.calls ? value(point) : without
    })
  return {
    seconds,
    rate: of((point) => point.rate, 0),
    errorShare: of<number | null>((point) => point.errors / point.calls, null),
    p50: of<number | null>((point) => Number(point.p50_nano), null),
    p95: of<number | null>((point) => Number(point.p95_nano), null),
    p99: of<number | null>((point) => Number(point.p99_nano), null),
  }
}

export interface Bucket {
  /** Durations in (low, high] nanoseconds. */
  low: number
  high: number
  count: number
}

/** The bounds of OTLP's exponential histogram, each bucket with its count; empty ones left out. */
export function bucketsOf({ scale, zeroCount, positive }: Histogram): Bucket[] {
  const bound = (index: number) => 2 ** (index / 2 ** scale)
  const buckets = positive.bucketCounts.map((count, at) => ({
    low: bound(positive.offset + at),
    high: bound(positive.offset + at + 1),
    count: Number(count),
  }))
  const zero = Number(zeroCount)
  return [
    ...(zero ? [{ low: 0, high: 1, count: zero }] : []),
    ...buckets.filter(({ count }) => count > 0),
  ]
}

/** Buckets between fixed bounds: each count goes where its middle (geometric) lies. */
export function merged(buckets: readonly Bucket[], bounds: readonly number[]): number[] {
  const counts = new Array<number>(Math.max(0, bounds.length - 1)).fill(0)
  for (const { low, high, count } of buckets) {
    const middle = Math.sqrt(Math.max(1, low) * high)
    let at = bounds.findIndex((bound) => bound > middle) - 1
    if (at < 0) at = middle < (bounds[0] ?? 0) ? 0 : counts.length - 1
    counts[at] = (counts[at] ?? 0) + count
  }
  return counts
}

/** At most `most` bounds with the same ratio, over all durations there are. */
export function boundsOf(buckets: readonly Bucket[], most: number): number[] {
  if (buckets.length === 0) return []
  const low = Math.max(1, Math.min(...buckets.map((each) => each.low)))
  const high = Math.max(low * 2, ...buckets.map((each) => each.high))
  const ratio = Math.max(2 ** (1 / 4), (high / low) ** (1 / most))
  const count = Math.max(1, Math.ceil(Math.log(high / low) / Math.log(ratio) - 1e-9))
  return Array.from({ length: count + 1 }, (_, at) => low * ratio ** at)
}

export interface HeatMap {
  bounds: number[]
  /** Step → count by bucket. */
  counts: number[][]
  most: number
}

export function heatMapOf(
  answer: StatisticsAnswer,
  points: readonly Point[],
  rows: number,
): HeatMap {
  const bounds = boundsOf(
    points.flatMap((point) => bucketsOf(point.histogram)),
    rows,
  )
  const { seconds } = columnsOf(answer, [])
  const found = new Map(
    points.map((point) => [Math.round(Number(point.start_time_unix_nano) / NANO), point]),
  )
  const counts = seconds.map((second) => {
    const point = found.get(Math.round(second))
    return point ? merged(bucketsOf(point.histogram), bounds) : []
  })
  return { bounds, counts, most: counts.flat().reduce((high, each) => Math.max(high, each), 0) }
}

export function shareOfErrors({ calls, errors }: Pick<Figures, 'calls' | 'errors'>): number {
  return calls ? errors / calls : 0
}

/** Calls times their median: what a series takes of the service's time, about. */
export function weight({ total }: Series): number {
  return total.calls * Number(total.p50_nano)
}
