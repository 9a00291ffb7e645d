import { expect, test } from 'vitest'
import { bound, countsIn, joined, quantile, sum, total } from './histogram.ts'

const histogram = (offset: number, counts: number[], scale = 5, zero = 0) => ({
  scale,
  zeroCount: String(zero),
  positive: { offset, bucketCounts: counts.map(String) },
})

test('a bucket’s bounds are powers of 2^(1/32)', () => {
  const buckets = joined([histogram(320, [7])], 40)
  expect(bound(buckets, 0)).toBeCloseTo(1024)
  expect(bound(buckets, 1)).toBeCloseTo(1024 * 2 ** (1 / 32))
  expect(buckets.counts).toEqual([7])
})

test('joining loses no call, and never makes more buckets than asked for', () => {
  for (let turn = 0; turn < 200; turn++) {
    const many = Array.from({ length: 1 + (turn % 3) }, (_, at) =>
      histogram(
        turn * 7 - 300 - at * 20,
        Array.from({ length: 1 + ((turn * 13) % 200) }, (_, bucket) => (bucket * turn) % 5),
        3 + ((turn + at) % 3),
        turn % 2,
      ),
    )
    const calls = sum(
      many.flatMap((each) => [...each.positive.bucketCounts, each.zeroCount].map(Number)),
    )
    const buckets = joined(many, 40)
    expect(buckets.counts.length).toBeLessThanOrEqual(40)
    expect(sum(buckets.counts)).toBe(calls)
    expect(sum(many.flatMap((each) => countsIn(buckets, [each])))).toBe(calls)
  }
})

test('a coarser bucket is exactly two finer ones, below 1 ns too', () => {
  const buckets = joined([histogram(-3, [1, 2, 3, 4, 5])], 3)
  expect(buckets).toEqual({ scale: 4, first: -2, counts: [1, 5, 9] })
  expect(bound(buckets, 0)).toBeCloseTo(2 ** (-4 / 32))
})

test('histograms of different scales meet at the coarser', () => {
  expect(joined([histogram(64, [1], 5), histogram(2, [1], 0)], 40)).toEqual({
    scale: 0,
    first: 2,
    counts: [2],
  })
})

test('without calls there are no buckets', () => {
  expect(joined([], 40).counts).toEqual([])
  expect(joined([histogram(5, [0, 0])], 40).counts).toEqual([])
  expect(quantile(joined([], 40), 0.5)).toBeUndefined()
})

test('a quantile lies in the bucket of its call', () => {
  const buckets = joined([histogram(320, [50, 0, 49, 1])], 40)
  expect(quantile(buckets, 0.5)).toBeLessThan(bound(buckets, 1))
  expect(quantile(buckets, 0.95)).toBeGreaterThan(bound(buckets, 2))
  expect(quantile(buckets, 1)).toBeGreaterThan(bound(buckets, 3))
})

test('the time of all calls is known to within half a bucket', () => {
  expect(total(joined([histogram(320, [10])], 40)) / 10_240).toBeCloseTo(1.011, 2)
})
