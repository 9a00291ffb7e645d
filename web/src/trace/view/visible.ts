/** Which rows show: what is collapsed, grouped or filtered away does not. */

import { Flag, type Trace, type TraceColumns } from '../protocol.ts'

/** A row of the list: a row of the trace, or `~g` for the closed group g of siblings. */
export type Entry = number

export interface Filters {
  /** Names; all are shown where there are none. */
  services: readonly string[]
  hidden: readonly string[]
  onlyErrors: boolean
  onlyCritical: boolean
  /** 0: any. */
  minNano: number
}

export const NO_FILTERS: Filters = {
  services: [],
  hidden: [],
  onlyErrors: false,
  onlyCritical: false,
  minNano: 0,
}

export function isFiltering(filters: Filters): boolean {
  return (
    filters.services.length > 0 ||
    filters.hidden.length > 0 ||
    filters.onlyErrors ||
    filters.onlyCritical ||
    filters.minNano > 0
  )
}

export const MATCH = 1
export const ANCESTOR = 2

/** Row → MATCH, ANCESTOR of one (shown dimly, so that one sees where it hangs), or 0. */
export function matching({ head, columns }: Trace, filters: Filters): Uint8Array {
  const wanted = Uint8Array.from(head.services, ({ name }) =>
    (filters.services.length === 0 || filters.services.includes(name)) &&
    !filters.hidden.includes(name)
      ? 1
      : 0,
  )
  const marks = new Uint8Array(columns.count)
  for (let row = columns.count - 1; row >= 0; row--) {
    const flags = columns.flags[row] ?? 0
    const matches =
      wanted[columns.service[row] ?? 0] === 1 &&
      (!filters.onlyErrors || (flags & Flag.ERROR) !== 0) &&
      (!filters.onlyCritical || (flags & Flag.CRITICAL) !== 0) &&
      (columns.duration[row] ?? 0) >= filters.minNano
    if (matches) marks[row] = MATCH
    // Children come after their parent: what hangs below is already marked.
    const parent = columns.parent[row] ?? -1
    if (marks[row] && parent >= 0 && !marks[parent]) marks[parent] = ANCESTOR
  }
  return marks
}

export function entriesOf(
  { head, columns }: Trace,
  collapsed: Uint8Array,
  openGroups: ReadonlySet<number>,
  marks: Uint8Array | undefined,
): Int32Array {
  const entries = new Int32Array(columns.count)
  let count = 0
  let row = 0
  while (row < columns.count) {
    const size = columns.subtree[row] ?? 1
    const group = columns.group[row] ?? -1
    if (marks && !marks[row]) {
      // Nothing below it matches either.
      row += size
    } else if (!marks && group >= 0 && !openGroups.has(group)) {
      if (head.groups[group]?.rows[0] === row) entries[count++] = ~group
      row += size
    } else {
      entries[count++] = row
      row += collapsed[row] ? size : 1
    }
  }
  return entries.slice(0, count)
}

/** Where a row, or the closed thing that holds it, is in the list; -1 if a filter hides it. */
export function placeOf(entries: Int32Array, { head, columns }: Trace, row: number): number {
  let [low, high] = [0, entries.length - 1]
  const rowAt = (place: number) => firstRow(head, entries[place] ?? 0)
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (rowAt(middle) <= row) low = middle
    else high = middle - 1
  }
  if (entries.length === 0) return -1
  const entry = entries[low] ?? 0
  if (entry === row) return low
  const group = columns.group[row] ?? -1
  if (group >= 0) {
    const at = entries.indexOf(~group)
    if (at >= 0) return at
  }
  const found = firstRow(head, entry)
  return row >= found && row < found + (columns.subtree[found] ?? 1) ? low : -1
}

export function firstRow(head: Trace['head'], entry: Entry): number {
  return entry >= 0 ? entry : (head.groups[~entry]?.rows[0] ?? 0)
}

/** Open everything above a row, and its group: then it shows. */
export function reveal(
  { columns }: Trace,
  row: number,
  collapsed: Uint8Array,
  openGroups: Set<number>,
): void {
  for (let at = row; at >= 0; at = columns.parent[at] ?? -1) {
    if (at !== row) collapsed[at] = 0
    const group = columns.group[at] ?? -1
    if (group >= 0) openGroups.add(group)
  }
}

/** The deepest level that now shows, one less or one more: collapse `by` -1, expand by 1. */
export function changeLevel({ columns }: Trace, collapsed: Uint8Array, by: 1 | -1): void {
  let level = 0
  if (by < 0) {
    for (let row = 0; row < columns.count; row++) {
      if (
        (columns.subtree[row] ?? 1) > 1 &&
        !isHidden(columns, collapsed, row) &&
        !collapsed[row]
      ) {
        level = Math.max(level, columns.depth[row] ?? 0)
      }
    }
    for (let row = 0; row < columns.count; row++)
      if (columns.depth[row] === level) collapsed[row] = 1
    return
  }
  level = Number.POSITIVE_INFINITY
  for (let row = 0; row < columns.count; row++) {
    if (collapsed[row] && (columns.subtree[row] ?? 1) > 1)
      level = Math.min(level, columns.depth[row] ?? 0)
  }
  for (let row = 0; row < columns.count; row++) if (columns.depth[row] === level) collapsed[row] = 0
}

function isHidden(columns: TraceColumns, collapsed: Uint8Array, row: number): boolean {
  const parent = columns.parent[row] ?? -1
  return parent >= 0 && collapsed[parent] === 1
}

/** Rows with children: all of them collapsed. */
export function collapseAll({ columns }: Trace): Uint8Array {
  return Uint8Array.from(columns.subtree, (size) => (size > 1 ? 1 : 0))
}
