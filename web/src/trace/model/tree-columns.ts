/** The columns of a trace in tree order: what each row is, and what follows from where it hangs. */

import { Flag, type TraceColumns } from '../protocol.ts'
import { setFlag } from './flags.ts'
import { RowFlag, type Rows } from './rows.ts'

export function columnsOf(
  rows: Rows,
  kept: Uint32Array,
  parents: Int32Array,
  cutFlags: Uint32Array,
  order: Uint32Array,
): TraceColumns {
  const count = order.length
  const rowOf = new Uint32Array(count)
  order.forEach((place, row) => {
    rowOf[place] = row
  })
  const columns: TraceColumns = {
    count,
    start: new Float64Array(count),
    duration: new Float64Array(count),
    self: new Float64Array(count),
    depth: new Uint16Array(count),
    parent: new Int32Array(count),
    subtree: new Uint32Array(count).fill(1),
    name: new Uint32Array(count),
    service: new Uint16Array(count),
    kind: new Uint8Array(count),
    flags: new Uint32Array(count),
    group: new Int32Array(count).fill(-1),
    shift: new Float64Array(count),
    spanId: new Uint8Array(8 * count),
    eventFrom: new Uint32Array(count + 1),
    eventTime: new Float64Array(rows.events.row.length),
    eventFlags: new Uint8Array(rows.events.row.length),
    criticalRow: new Uint32Array(0),
    criticalFrom: new Float64Array(0),
    criticalTo: new Float64Array(0),
  }
  const toIds = new Uint32Array(columns.spanId.buffer)
  const fromIds = new Uint32Array(rows.spanId.buffer, rows.spanId.byteOffset, 2 * rows.count)
  for (let row = 0; row < count; row++) {
    const place = order[row] ?? 0
    const from = kept[place] ?? 0
    const parent = parents[place] ?? -1
    columns.start[row] = rows.start[from] ?? 0
    columns.duration[row] = rows.duration[from] ?? 0
    columns.parent[row] = parent < 0 ? -1 : (rowOf[parent] ?? -1)
    columns.depth[row] =
      parent < 0 ? 0 : Math.min(65_535, (columns.depth[columns.parent[row] ?? 0] ?? 0) + 1)
    columns.name[row] = rows.name[from] ?? 0
    columns.kind[row] = rows.kind[from] ?? 0
    columns.flags[row] = (cutFlags[place] ?? 0) | rowFlags(rows.flags[from] ?? 0)
    toIds[2 * row] = fromIds[2 * from] ?? 0
    toIds[2 * row + 1] = fromIds[2 * from + 1] ?? 0
  }
  for (let row = count - 1; row > 0; row--) {
    const parent = columns.parent[row] ?? -1
    if (parent < 0) continue
    columns.subtree[parent] = (columns.subtree[parent] ?? 0) + (columns.subtree[row] ?? 0)
    if ((columns.flags[row] ?? 0) & (Flag.ERROR | Flag.ERROR_BELOW)) {
      setFlag(columns.flags, parent, Flag.ERROR_BELOW)
    }
    if (endOf(columns, row) > endOf(columns, parent)) setFlag(columns.flags, row, Flag.OUTLIVES)
  }
  const rowOfSource = new Int32Array(rows.count).fill(-1)
  order.forEach((place, row) => {
    rowOfSource[kept[place] ?? 0] = row
  })
  fillEvents(rows, columns, rowOfSource)
  for (const from of rows.links.row) {
    const row = rowOfSource[from] ?? -1
    if (row >= 0) setFlag(columns.flags, row, Flag.HAS_LINKS)
  }
  return columns
}

function rowFlags(flags: number): number {
  return (
    (flags & RowFlag.ERROR ? Flag.ERROR : 0) |
    (flags & RowFlag.ENTRY ? Flag.ENTRY : 0) |
    (flags & RowFlag.NEGATIVE ? Flag.NEGATIVE : 0) |
    (flags & RowFlag.DROPPED ? Flag.DROPPED : 0)
  )
}

function fillEvents(rows: Rows, columns: TraceColumns, rowOfSource: Int32Array): void {
  const { events } = rows
  const place = (at: number) => rowOfSource[events.row[at] ?? 0] ?? -1
  const from = columns.eventFrom
  for (let at = 0; at < events.row.length; at++) {
    const row = place(at)
    if (row < 0) continue
    from[row + 1] = (from[row + 1] ?? 0) + 1
    const isException = ((events.flags[at] ?? 0) & 1) !== 0
    setFlag(columns.flags, row, Flag.HAS_EVENTS | (isException ? Flag.EXCEPTION : 0))
  }
  for (let at = 1; at < from.length; at++) from[at] = (from[at] ?? 0) + (from[at - 1] ?? 0)
  const next = from.slice()
  for (let at = 0; at < events.row.length; at++) {
    const row = place(at)
    if (row < 0) continue
    const to = next[row] ?? 0
    columns.eventTime[to] = events.time[at] ?? 0
    columns.eventFlags[to] = events.flags[at] ?? 0
    next[row] = to + 1
  }
}

export function endOf(columns: TraceColumns, row: number): number {
  return (columns.start[row] ?? 0) + (columns.duration[row] ?? 0)
}
