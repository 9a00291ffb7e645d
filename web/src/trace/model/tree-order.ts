/** The order of a trace's rows: each parent before its children, siblings by start. */

import { orderOf } from './order.ts'
import type { Rows } from './rows.ts'

/** Places in `kept`, each parent before its children, siblings by start. */
export function treeOrder(rows: Rows, kept: Uint32Array, parents: Int32Array): Uint32Array {
  const count = kept.length
  const byStart = orderOf(Float64Array.from(kept, (row) => rows.start[row] ?? 0))
  // Children of p are `children[from[p + 1]] …`, of which the roots are those of -1.
  const from = new Uint32Array(count + 2)
  for (const parent of parents) from[parent + 2] = (from[parent + 2] ?? 0) + 1
  for (let at = 1; at < from.length; at++) from[at] = (from[at] ?? 0) + (from[at - 1] ?? 0)
  const next = from.slice()
  const children = new Uint32Array(count)
  for (const place of byStart) {
    const slot = (parents[place] ?? -1) + 1
    const at = next[slot] ?? 0
    children[at] = place
    next[slot] = at + 1
  }
  const order = new Uint32Array(count)
  const stack = new Uint32Array(count)
  let height = 0
  const push = (slot: number) => {
    for (let at = (from[slot + 1] ?? 0) - 1; at >= (from[slot] ?? 0); at--)
      stack[height++] = children[at] ?? 0
  }
  push(0)
  for (let row = 0; height > 0; row++) {
    const place = stack[--height] ?? 0
    order[row] = place
    push(place + 1)
  }
  return order
}
