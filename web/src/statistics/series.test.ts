import { expect, test } from 'vitest'
import type { Point, Series, StatisticsAnswer } from '../api/answers.ts'
import {
  aloneIn,
  columnsOf,
  halvesOf,
  orderIn,
  orderText,
  pointsOf,
  sharesOfTime,
  sorted,
  stepsOf,
  summaryOf,
} from './series.ts'

const point = (second: number, calls: number, errors: number, offset = 640): Point => ({
  start_time_unix_nano: String(BigInt(second) * 1_000_000_000n),
  calls,
  errors,
  rate: calls / 60,
  p50_nano: '1000',
  p75_nano: '1000',
  p90_nano: '1000',
  p95_nano: '2000',
  p99_nano: '3000',
  histogram: { scale: 5, zeroCount: '0', positive: { offset, bucketCounts: [String(calls)] } },
})
const steps = stepsOf({
  start_time_unix_nano: '60000000000',
  end_time_unix_nano: '300000000000',
  step_nano: '60000000000',
} as StatisticsAnswer)

test('a step without a point has no calls, and no latency', () => {
  const columns = columnsOf(steps, pointsOf(steps, [point(120, 6, 3)]), 1_000)
  expect(steps.seconds).toEqual([60, 120, 180, 240])
  expect(columns.rate).toEqual([0, 0.1, 0, 0])
  expect(columns.errorShare).toEqual([null, 0.5, null, null])
  expect(columns.p99).toEqual([null, 3000, null, null])
})

test('a step that is not over has no rate yet, but latency', () => {
  const columns = columnsOf(steps, pointsOf(steps, [point(240, 6, 0)]), 280)
  expect(columns.rate).toEqual([0, 0, 0, null])
  expect(columns.p95).toEqual([null, null, null, 2000])
})

test('a point outside the range is left out', () => {
  expect(pointsOf(steps, [point(0, 1, 0), point(300, 1, 0)])).toEqual(Array(4).fill(undefined))
})

test('halves are of the steps that are over', () => {
  const points = pointsOf(steps, [point(60, 6, 0, 320), point(180, 12, 6), point(240, 99, 99)])
  const [first, second] = halvesOf(steps, points, 299)
  expect(first?.rate).toBe(0.1)
  expect(first?.p50).toBeCloseTo(1024 * 2 ** (1 / 64))
  expect(second).toMatchObject({ rate: 0.2, errorShare: 0.5 })
  expect(halvesOf(steps, pointsOf(steps, []), 299)).toEqual([undefined, undefined])
})

test('shares of time count calls by how long they take, and make up the whole', () => {
  const series = (calls: number, offset: number) =>
    ({ total: point(0, calls, 0, offset) }) as unknown as Series
  const [few, many] = [series(1, 352), series(6, 320)]
  const shares = sharesOfTime([few, many])
  // One call of twice the duration against six.
  expect(shares.get(few)).toBeCloseTo(0.25)
  expect(shares.get(many)).toBeCloseTo(0.75)
})

test('the summary has no value that is not there', () => {
  expect(summaryOf([null, 3, 1, 2, null])).toEqual({ low: 1, high: 3, last: 2 })
  expect(summaryOf([null])).toBeUndefined()
})

test('an order goes through the address, and sorts numbers as numbers', () => {
  for (const text of ['calls', 'name.asc']) expect(orderText(orderIn(text, 'p99'))).toBe(text)
  expect(orderIn(undefined, 'p99')).toEqual({ column: 'p99', isAscending: false })
  expect(sorted([9, 10, 1], orderIn('x', ''), (each) => each)).toEqual([10, 9, 1])
  expect(sorted(['b', 'a'], orderIn('x.asc', ''), (each) => each)).toEqual(['a', 'b'])
})

test('values without neighbours are those that no line joins', () => {
  expect(aloneIn([1, null, 2, 3, null, null, 0, undefined, 4])).toEqual([0, 6, 8])
  expect(aloneIn([])).toEqual([])
})
