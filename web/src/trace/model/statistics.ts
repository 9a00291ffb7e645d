/** The spans of a trace in groups: how many, how long, how much of it their own. */

import { Flag, type SpanGroup, type TraceColumns } from '../protocol.ts'

/** More than anybody reads, and few enough to hand over in a moment. */
export const GROUPS_MAX = 5_000

type Columns = Pick<TraceColumns, 'count' | 'duration' | 'self' | 'flags'>

/**
 * The groups of most total duration, by it.
 *
 * `placeOf` says which of `keys` each row has; -1 for none, which is the key ''.
 */
export function statistics(
  { count, duration, self, flags }: Columns,
  placeOf: (row: number) => number,
  keys: readonly string[],
): SpanGroup[] {
  // Rows without a key share the group of those whose key is ''.
  const none = keys.indexOf('') < 0 ? keys.length : keys.indexOf('')
  const group = new Uint32Array(count)
  const ends = new Uint32Array(keys.length + 2)
  for (let row = 0; row < count; row++) {
    const place = placeOf(row)
    const at = place < 0 ? none : place
    group[row] = at
    ends[at + 1] = (ends[at + 1] ?? 0) + 1
  }
  for (let at = 1; at < ends.length; at++) ends[at] = (ends[at] ?? 0) + (ends[at - 1] ?? 0)
  // Rows of group g are `rows[ends[g]] … rows[ends[g + 1] - 1]`.
  const rows = new Uint32Array(count)
  const next = ends.slice()
  for (let row = 0; row < count; row++) {
    const at = next[group[row] ?? 0] ?? 0
    rows[at] = row
    next[group[row] ?? 0] = at + 1
  }
  const totals = new Float64Array(keys.length + 1)
  for (let row = 0; row < count; row++) {
    const at = group[row] ?? 0
    totals[at] = (totals[at] ?? 0) + (duration[row] ?? 0)
  }
  const filled: number[] = []
  totals.forEach((_, at) => {
    if ((ends[at + 1] ?? 0) > (ends[at] ?? 0)) filled.push(at)
  })
  return filled
    .sort((a, b) => (totals[b] ?? 0) - (totals[a] ?? 0))
    .slice(0, GROUPS_MAX)
    .map((at) => ({
      key: keys[at] ?? '',
      totalNano: totals[at] ?? 0,
      ...figures({ duration, self, flags }, rows.subarray(ends[at], ends[at + 1])),
    }))
}

function figures(
  { duration, self, flags }: Pick<Columns, 'duration' | 'self' | 'flags'>,
  rows: Uint32Array,
): Omit<SpanGroup, 'key' | 'totalNano'> {
  let [errorCount, selfNano, longestRow] = [0, 0, rows[0] ?? 0]
  for (const row of rows) {
    if ((flags[row] ?? 0) & Flag.ERROR) errorCount++
    selfNano += self[row] ?? 0
    if ((duration[row] ?? 0) > (duration[longestRow] ?? 0)) longestRow = row
  }
  const sorted = Float64Array.from(rows, (row) => duration[row] ?? 0).sort()
  return {
    count: rows.length,
    errorCount,
    selfNano,
    p95Nano: sorted[Math.ceil(0.95 * sorted.length) - 1] ?? 0,
    maxNano: sorted[sorted.length - 1] ?? 0,
    longestRow,
  }
}
