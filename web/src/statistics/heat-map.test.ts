import { expect, test } from 'vitest'
import type { Point } from '../api/answers.ts'
import { coarse, heatMapOf, shade } from './heat-map.ts'
import { sum } from './histogram.ts'

const point = (offset: number, bucketCounts: number[]) =>
  ({
    calls: sum(bucketCounts),
    histogram: {
      scale: 5,
      zeroCount: '0',
      positive: { offset, bucketCounts: bucketCounts.map(String) },
    },
  }) as Point
const points = [undefined, point(320, [4, 2]), undefined, point(330, [2]), point(300, [1])]
const steps = { start: 0, end: 300, width: 60, seconds: [0, 60, 120, 180, 240] }

test('the map has a column for each step, and each call in it', () => {
  const map = heatMapOf(points, 20)
  expect(map.columns.map(sum)).toEqual([0, 6, 0, 2, 1])
  expect(map.rows.counts.length).toBeLessThanOrEqual(20)
  expect(sum(map.rows.counts)).toBe(9)
  expect(heatMapOf([undefined], 20)).toMatchObject({ columns: [[]], most: 0 })
})

test('the table has the same calls, in few cells that leave nothing between them', () => {
  const map = heatMapOf(points, 20)
  const rows = coarse(map, steps, 2, 4)
  expect(rows.length).toBeLessThanOrEqual(4)
  expect(sum(rows.flat().map(({ count }) => count))).toBe(9)
  expect(rows[0]?.map(({ from, to }) => [from, to])).toEqual([
    [0, 180],
    [180, 300],
  ])
  const [upper, lower] = [rows[0]?.[0], rows[1]?.[0]]
  expect(upper?.low).toBe(lower?.high)
})

test('one call is seen, and the most calls are darkest', () => {
  expect(shade(0, 1_000)).toBe(0)
  expect(shade(1, 1_000)).toBeGreaterThan(0.2)
  expect(shade(1_000, 1_000)).toBeCloseTo(1)
})

test('a day of minutes with wide distributions is not too much', () => {
  const many = Array.from({ length: 1_440 }, (_, at) =>
    point(
      300 + (at % 50),
      Array.from({ length: 150 }, (_, bucket) => bucket % 7),
    ),
  )
  const { rows, columns } = heatMapOf(many, 28)
  expect(sum(columns.map(sum))).toBe(sum(rows.counts))
})
