/** Spans by their 64-bit ids. */

import type { TraceColumns } from '../protocol.ts'
import { hexOf } from './rows.ts'

/** Of the spans under one id, as many are compared: bounds what a hostile trace can cost. */
export const SAME_IDS_MAX = 64

/** Rows by their 64-bit ids: open addressing over two 32-bit halves, no string and no object for a span. */
export class IdTable {
  private readonly slots: Int32Array
  private readonly nextSame: Int32Array
  private readonly mask: number

  constructor(
    private readonly ids: Uint32Array,
    count: number,
  ) {
    this.mask = 2 ** Math.ceil(Math.log2(Math.max(8, 2 * count))) - 1
    this.slots = new Int32Array(this.mask + 1).fill(-1)
    this.nextSame = new Int32Array(count).fill(-1)
  }

  /** Add a row; the first row with its id, or -1 if it is that itself. */
  add(row: number): number {
    const slot = this.slot(this.ids[2 * row] ?? 0, this.ids[2 * row + 1] ?? 0)
    const first = this.slots[slot] ?? -1
    if (first < 0) {
      this.slots[slot] = row
      return -1
    }
    // Behind the first, so that adding costs the same however many there are.
    this.nextSame[row] = this.next(first)
    this.nextSame[first] = row
    return first
  }

  find(high: number, low: number): number {
    return this.slots[this.slot(high, low)] ?? -1
  }

  /** The next row with the same id. */
  next(row: number): number {
    return this.nextSame[row] ?? -1
  }

  private slot(high: number, low: number): number {
    let mixed = Math.imul(high, 0x9e3779b1) ^ low
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
    let slot = (mixed ^ (mixed >>> 13)) & this.mask
    for (;;) {
      const row = this.slots[slot] ?? -1
      if (row < 0 || (this.ids[2 * row] === high && this.ids[2 * row + 1] === low)) return slot
      slot = (slot + 1) & this.mask
    }
  }
}

export function spanIdOf(columns: TraceColumns, row: number): string {
  return hexOf(columns.spanId, row, 8)
}
