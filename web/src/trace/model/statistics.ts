/** The spans of a trace in groups: how many, how long, how much of it their own. */

import { Flag, type SpanGroup, type Trace } from '../protocol.ts'

/** Groups by falling total duration; `keyOf` says which group a row is in. */
export function statistics(trace: Trace, keyOf: (row: number) => string): SpanGroup[] {
  const { columns } = trace
  const rows = new Map<string, number[]>()
  for (let row = 0; row < columns.count; row++) {
    const key = keyOf(row)
    const found = rows.get(key)
    if (found) found.push(row)
    else rows.set(key, [row])
  }
  return [...rows]
    .map(([key, of]) => group(trace, key, of))
    .sort((a, b) => b.totalNano - a.totalNano)
}

function group({ columns }: Trace, key: string, rows: readonly number[]): SpanGroup {
  const durations = Float64Array.from(rows, (row) => columns.duration[row] ?? 0)
  const longest = durations.reduce(
    (best, each, at) => (each > (durations[best] ?? 0) ? at : best),
    0,
  )
  const sorted = durations.slice().sort()
  const sum = (values: Iterable<number>) => {
    let total = 0
    for (const value of values) total += value
    return total
  }
  return {
    key,
    count: rows.length,
    errorCount: rows.filter((row) => (columns.flags[row] ?? 0) & Flag.ERROR).length,
    totalNano: sum(durations),
    selfNano: sum(rows.map((row) => columns.self[row] ?? 0)),
    p95Nano: sorted[Math.max(0, Math.ceil(0.95 * sorted.length) - 1)] ?? 0,
    maxNano: sorted[sorted.length - 1] ?? 0,
    longestRow: rows[longest] ?? 0,
  }
}
