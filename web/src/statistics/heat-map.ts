/** Latency over time: how many calls, by step and by duration. */

import type { Point } from '../api/answers.ts'
import { type Buckets, bound, countsIn, joined } from './histogram.ts'
import type { Steps } from './series.ts'

export interface HeatMap {
  /** The rows, shortest first, with the calls of the whole range. */
  rows: Buckets
  /** Step → counts by row; empty without calls. */
  columns: number[][]
  most: number
}

export function heatMapOf(points: readonly (Point | undefined)[], rowsMax: number): HeatMap {
  const rows = joined(
    points.flatMap((point) => (point ? [point.histogram] : [])),
    rowsMax,
  )
  const columns = points.map((point) => (point ? countsIn(rows, [point.histogram]) : []))
  const most = columns.reduce((high, column) => Math.max(high, ...column), 0)
  return { rows, columns, most }
}

/** How dark a cell is, from 0 to 1: by the logarithm, or one busy cell would pale all others. */
export function shade(count: number, most: number): number {
  return count > 0 ? 0.18 + 0.82 * (Math.log1p(count) / Math.log1p(most)) : 0
}

export interface CoarseCell {
  from: number
  to: number
  low: number
  high: number
  count: number
}

/** The map as a table that one can read: longest durations first, neighbours put together. */
export function coarse(
  map: HeatMap,
  steps: Steps,
  columnsMax: number,
  rowsMax: number,
): CoarseCell[][] {
  const wide = Math.max(1, Math.ceil(steps.seconds.length / columnsMax))
  const high = Math.max(1, Math.ceil(map.rows.counts.length / rowsMax))
  const rows: CoarseCell[][] = []
  for (let row = 0; row < map.rows.counts.length; row += high) {
    const cells: CoarseCell[] = []
    for (let column = 0; column < steps.seconds.length; column += wide) {
      let count = 0
      for (const each of map.columns.slice(column, column + wide)) {
        for (const value of each.slice(row, row + high)) count += value
      }
      cells.push({
        from: steps.start + column * steps.width,
        to: Math.min(steps.end, steps.start + (column + wide) * steps.width),
        low: bound(map.rows, row),
        high: bound(map.rows, Math.min(map.rows.counts.length, row + high)),
        count,
      })
    }
    rows.unshift(cells)
  }
  return rows
}
