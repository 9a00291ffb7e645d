/** What the drawing needs of each row beyond the columns: computed once for a trace. */

import type { Trace } from '../protocol.ts'

export interface Derived {
  /** As deep as it shows: below a group, its spans are one level deeper than their depth. */
  levels: Uint32Array
  /** How many children a row has. */
  children: Uint32Array
  /** When the last of the subtree ends. */
  subtreeEnd: Float64Array
  /** The first section of the critical path of a row, and which section of it follows a section; -1: none. */
  criticalFirst: Int32Array
  criticalNext: Int32Array
}

export function derivedFrom({ columns }: Trace): Derived {
  const { count, parent, depth, group, start, duration, criticalRow } = columns
  const levels = new Uint32Array(count)
  for (let row = 0; row < count; row++) {
    const above = parent[row] ?? -1
    const groups = above < 0 ? 0 : (levels[above] ?? 0) - (depth[above] ?? 0)
    levels[row] = (depth[row] ?? 0) + groups + ((group[row] ?? -1) >= 0 ? 1 : 0)
  }
  const children = new Uint32Array(count)
  const subtreeEnd = new Float64Array(count)
  for (let row = count - 1; row >= 0; row--) {
    const end = Math.max(subtreeEnd[row] ?? 0, (start[row] ?? 0) + (duration[row] ?? 0))
    subtreeEnd[row] = end
    const above = parent[row] ?? -1
    if (above < 0) continue
    children[above] = (children[above] ?? 0) + 1
    subtreeEnd[above] = Math.max(subtreeEnd[above] ?? 0, end)
  }
  const criticalFirst = new Int32Array(count).fill(-1)
  const criticalNext = new Int32Array(criticalRow.length).fill(-1)
  for (let at = criticalRow.length - 1; at >= 0; at--) {
    const row = criticalRow[at] ?? 0
    criticalNext[at] = criticalFirst[row] ?? -1
    criticalFirst[row] = at
  }
  return { levels, children, subtreeEnd, criticalFirst, criticalNext }
}

/** How many of ascending values are below a value. */
export function lowerBound(values: ArrayLike<number>, wanted: number): number {
  let [low, high] = [0, values.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((values[middle] ?? 0) < wanted) low = middle + 1
    else high = middle
  }
  return low
}

export function includes(values: ArrayLike<number>, wanted: number): boolean {
  return values[lowerBound(values, wanted)] === wanted
}
