/** Rows by span id, and span ids by row: rows have other numbers once more of the trace has arrived. */

import { spanIdOf } from '../model/ids.ts'
import type { Trace } from '../protocol.ts'

/** The id of a row's span as 16 digits; empty for a row that there is not. */
export function idOf({ columns }: Trace, row: number): string {
  return row >= 0 && row < columns.count ? spanIdOf(columns, row) : ''
}

/** The first row with a span id; -1 if there is none. */
export function rowOf({ columns }: Trace, spanId: string): number {
  const digits = spanId.padStart(16, '0')
  const wanted = Array.from({ length: 8 }, (_, at) =>
    Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16),
  )
  const { spanId: bytes, count } = columns
  for (let row = 0; row < count; row++) {
    let at = 0
    while (at < 8 && bytes[8 * row + at] === wanted[at]) at++
    if (at === 8) return row
  }
  return -1
}
