/** Which rows show: what is collapsed, grouped or filtered away does not. */

import { Flag, type Trace, type TraceColumns } from '../protocol.ts'

/** A row of the list: a row of the trace, or `~g` for the group g of siblings, above its spans where it is open. */
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

export interface List {
  entries: Int32Array
  /** Row of the trace → its place in the list, or its closed group's; -1 if something above hides it. */
  places: Int32Array
}

/** What is open, in the order in which it shows: a group's spans stand together, below the group. */
export function listOf(
  { head, columns }: Trace,
  collapsed: Uint8Array,
  openGroups: ReadonlySet<number>,
  marks: Uint8Array | undefined,
): List {
  const entries = new Int32Array(columns.count + head.groups.length)
  const places = new Int32Array(columns.count).fill(-1)
  let count = 0
  // What is still to be walked: ranges of rows, the next one last; `isMember`: its first row stands in its open group.
  const ranges: { row: number; end: number; isMember: boolean }[] = [
    { row: 0, end: columns.count, isMember: false },
  ]
  for (let range = ranges.pop(); range; range = ranges.pop()) {
    let { row, isMember } = range
    while (row < range.end) {
      const size = columns.subtree[row] ?? 1
      const group = marks || isMember ? -1 : (columns.group[row] ?? -1)
      isMember = false
      const rows = head.groups[group]?.rows
      if (marks && !marks[row]) {
        // Nothing below it matches either.
        row += size
      } else if (!rows) {
        places[row] = count
        entries[count++] = row
        row += collapsed[row] ? size : 1
      } else if (rows[0] !== row) {
        // It stands where its group does.
        row += size
      } else if (!openGroups.has(group)) {
        for (const member of rows) places[member] = count
        entries[count++] = ~group
        row += size
      } else {
        entries[count++] = ~group
        ranges.push({ row: row + size, end: range.end, isMember: false })
        for (let at = rows.length - 1; at >= 0; at--) {
          const member = rows[at] ?? 0
          const end = member + (columns.subtree[member] ?? 1)
          ranges.push({ row: member, end, isMember: true })
        }
        break
      }
    }
  }
  return { entries: entries.slice(0, count), places }
}

/** Where a row, or what hides it, is in the list; -1 if it is nowhere. */
export function placeOf({ places }: List, { parent }: TraceColumns, row: number): number {
  let at = row
  while (at >= 0) {
    const place = places[at] ?? -1
    if (place >= 0) return place
    at = parent[at] ?? -1
  }
  return -1
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

/** Collapse the deepest level that is open (`by` -1), or open the highest that is collapsed (1). */
export function changeLevel({ columns }: Trace, collapsed: Uint8Array, by: 1 | -1): void {
  let level = by < 0 ? -1 : Number.POSITIVE_INFINITY
  let row = 0
  while (row < columns.count) {
    const size = columns.subtree[row] ?? 1
    const depth = columns.depth[row] ?? 0
    const isCollapsed = collapsed[row] === 1
    if (size > 1 && by < 0 && !isCollapsed) level = Math.max(level, depth)
    if (size > 1 && by > 0 && isCollapsed) level = Math.min(level, depth)
    row += isCollapsed ? size : 1
  }
  for (let at = 0; at < columns.count; at++) {
    if (columns.depth[at] === level && (columns.subtree[at] ?? 1) > 1)
      collapsed[at] = by < 0 ? 1 : 0
  }
}

/** Rows with children: all of them collapsed. */
export function collapseAll({ columns }: Trace): Uint8Array {
  return Uint8Array.from(columns.subtree, (size) => (size > 1 ? 1 : 0))
}
