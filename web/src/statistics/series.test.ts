import { expect, test } from 'vitest'
import type { Point, StatisticsAnswer } from '../api/answers.ts'
import { boundsOf, bucketsOf, columnsOf, heatMapOf, merged } from './series.ts'

const histogram = (offset: number, ...bucketCounts: number[]) => ({
  scale: 5,
  zeroCount: '0',
  positive: { offset, bucketCounts: bucketCounts.map(String) },
})
const point = (second: number, calls: number, errors: number): Point => ({
  start_time_unix_nano: String(BigInt(second) * 1_000_000_000n),
  calls,
  errors,
  rate: calls / 60,
  p50_nano: '1000',
  p75_nano: '1000',
  p90_nano: '1000',
  p95_nano: '2000',
  p99_nano: '3000',
  histogram: histogram(640, calls),
})
const answer = {
  start_time_unix_nano: '60000000000',
  end_time_unix_nano: '300000000000',
  step_nano: '60000000000',
} as StatisticsAnswer

test('a step without a point has no calls, and no latency', () => {
  const columns = columnsOf(answer, [point(120, 6, 3)])
  expect(columns.seconds).toEqual([60, 120, 180, 240])
  expect(columns.rate).toEqual([0, 0.1, 0, 0])
  expect(columns.errorShare).toEqual([null, 0.5, null, null])
  expect(columns.p99).toEqual([null, 3000, null, null])
})

test('a bucket’s bounds are powers of 2^(1/32)', () => {
  const [bucket] = bucketsOf(histogram(320, 7))
  expect(bucket?.low).toBeCloseTo(1024)
  expect(bucket?.high).toBeCloseTo(1024 * 2 ** (1 / 32))
  expect(bucketsOf({ ...histogram(0), zeroCount: '4' })).toEqual([{ low: 0, high: 1, count: 4 }])
})

test('merging loses no call', () => {
  const buckets = bucketsOf(histogram(300, ...Array.from({ length: 400 }, (_, at) => at % 5)))
  const bounds = boundsOf(buckets, 40)
  expect(bounds.length).toBeLessThanOrEqual(41)
  const sum = (counts: number[]) => counts.reduce((total, each) => total + each, 0)
  expect(sum(merged(buckets, bounds))).toBe(sum(buckets.map(({ count }) => count)))
  expect(boundsOf([], 40)).toEqual([])
})

test('the heat map has a column for each step', () => {
  const map = heatMapOf(answer, [point(120, 6, 3), point(240, 2, 0)], 20)
  expect(map.counts.map((column) => column.reduce((total, each) => total + each, 0))).toEqual([
    0, 6, 0, 2,
  ])
  expect(map.most).toBe(6)
})
