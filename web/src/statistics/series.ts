/** The answer of `v1/services/…/statistics` as what charts, tiles and tables take. */

import type { Figures, Point, Series, StatisticsAnswer } from '../api/answers.ts'
import { joined, quantile, sum, total } from './histogram.ts'

/** The points of a chart on the axis of time. */
export interface Steps {
  /** Unix seconds; the end is not in the range. */
  start: number
  end: number
  width: number
  /** When each step begins. */
  seconds: number[]
}

const NANO = 1e9

export function stepsOf(answer: StatisticsAnswer): Steps {
  const start = Math.round(Number(answer.start_time_unix_nano) / NANO)
  const end = Math.round(Number(answer.end_time_unix_nano) / NANO)
  const width = Math.max(1, Math.round(Number(answer.step_nano) / NANO))
  const count = Math.max(0, Math.round((end - start) / width))
  return {
    start,
    end,
    width,
    seconds: Array.from({ length: count }, (_, at) => start + at * width),
  }
}

/** Each step's point; undefined where nothing was called. */
export function pointsOf(steps: Steps, points: readonly Point[]): (Point | undefined)[] {
  const found = new Array<Point | undefined>(steps.seconds.length).fill(undefined)
  for (const point of points) {
    const at = Math.round((Number(point.start_time_unix_nano) / NANO - steps.start) / steps.width)
    if (point.calls && at >= 0 && at < found.length) found[at] = point
  }
  return found
}

type Values = (number | null)[]

export interface Columns {
  /** Calls a second; 0 without calls, and null of a step that is not over. */
  rate: Values
  /** Errors by calls; null without calls. */
  errorShare: Values
  /** Nanoseconds; null without calls. */
  p50: Values
  p95: Values
  p99: Values
}

export function columnsOf(
  steps: Steps,
  points: readonly (Point | undefined)[],
  nowSeconds: number,
): Columns {
  const of = (value: (point: Point) => number) =>
    points.map((point) => (point ? value(point) : null))
  return {
    rate: points.map((point, at) =>
      (steps.seconds[at] ?? 0) + steps.width > nowSeconds ? null : (point?.rate ?? 0),
    ),
    errorShare: of(shareOfErrors),
    p50: of((point) => Number(point.p50_nano)),
    p95: of((point) => Number(point.p95_nano)),
    p99: of((point) => Number(point.p99_nano)),
  }
}

/** Places of values with none right before and none right after. */
export function aloneIn(values: ArrayLike<number | null | undefined>): number[] {
  const isThere = (at: number) => typeof values[at] === 'number'
  return Array.from({ length: values.length }, (_, at) => at).filter(
    (at) => isThere(at) && !isThere(at - 1) && !isThere(at + 1),
  )
}

export function shareOfErrors({ calls, errors }: Pick<Figures, 'calls' | 'errors'>): number {
  return calls ? errors / calls : 0
}

/** What a tile tells of a part of the range; undefined where nothing was called. */
export interface Part {
  rate: number
  errorShare: number
  p50: number
  p95: number
  p99: number
}

/** The range's two halves, of the steps that are over. */
export function halvesOf(
  steps: Steps,
  points: readonly (Point | undefined)[],
  nowSeconds: number,
): [Part | undefined, Part | undefined] {
  const over = points.filter((_, at) => (steps.seconds[at] ?? 0) + steps.width <= nowSeconds)
  const half = Math.floor(over.length / 2)
  return [
    partOf(over.slice(0, half), steps.width),
    partOf(over.slice(-half || over.length), steps.width),
  ]
}

function partOf(points: readonly (Point | undefined)[], width: number): Part | undefined {
  const there = points.filter((point) => point !== undefined)
  const calls = sum(there.map((point) => point.calls))
  if (!calls) return undefined
  const buckets = joined(
    there.map((point) => point.histogram),
    Number.POSITIVE_INFINITY,
  )
  const at = (share: number) => quantile(buckets, share) ?? 0
  return {
    rate: calls / (points.length * width),
    errorShare: sum(there.map((point) => point.errors)) / calls,
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
  }
}

/** What each series has of the time that all of them took. */
export function sharesOfTime(series: readonly Series[]): Map<Series, number> {
  const times = series.map((each) =>
    total(joined([each.total.histogram], Number.POSITIVE_INFINITY)),
  )
  const all = sum(times) || 1
  return new Map(series.map((each, at) => [each, (times[at] ?? 0) / all]))
}

/** Lowest, highest and last of the values there are. */
export function summaryOf(
  values: readonly (number | null)[],
): { low: number; high: number; last: number } | undefined {
  const there = values.filter((value) => value !== null)
  if (there.length === 0) return undefined
  const low = there.reduce((least, each) => Math.min(least, each))
  const high = there.reduce((most, each) => Math.max(most, each))
  return { low, high, last: there[there.length - 1] ?? high }
}

/** A copy in the order of a column: `calls` falls, `calls.asc` rises; names rise first. */
export function sorted<T>(
  list: readonly T[],
  order: Order,
  value: (each: T) => number | string,
): T[] {
  const sign = order.isAscending ? 1 : -1
  return [...list].sort((one, other) => {
    const [a, b] = [value(one), value(other)]
    if (typeof a === 'number' && typeof b === 'number') return sign * (a - b)
    return sign * String(a).localeCompare(String(b))
  })
}

export interface Order {
  column: string
  isAscending: boolean
}

export function orderIn(text: string | undefined, fallback: string): Order {
  const [column, direction] = (text || fallback).split('.')
  return { column: column ?? '', isAscending: direction === 'asc' }
}

export function orderText({ column, isAscending }: Order): string {
  return isAscending ? `${column}.asc` : column
}
