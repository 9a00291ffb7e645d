/**
 * Rows in any order become a trace in tree order: parents found, circles cut, children by start.
 *
 * Everything is arrays and loops: a trace may have 100,000 spans, and be as deep.
 */

import { Flag, type Trace, type TraceColumns } from '../protocol.ts'
import { criticalPath } from './critical-path.ts'
import { siblingGroups } from './groups.ts'
import { orderOf } from './order.ts'
import { hexOf, RowFlag, type Rows } from './rows.ts'
import { selfTimes } from './self-time.ts'
import { clockShifts } from './skew.ts'

export interface Built {
  trace: Trace
  /** Row of the trace → row of the input. */
  source: Uint32Array
}

const SERVER = 2
const CLIENT = 3
/** Of the spans under one id, as many are compared: bounds what a hostile trace can cost. */
const SAME_IDS_MAX = 64

export function buildTrace(
  rows: Rows,
  origin: Trace['head']['source'],
  isComplete: boolean,
): Built {
  const kept = withoutCopies(rows)
  const { parents, flags, duplicateCount } = parentsOf(rows, kept)
  const cycleCount = cutCycles(parents, flags)
  const order = treeOrder(rows, kept, parents)
  const columns = columnsOf(rows, kept, parents, flags, order)
  const names = namesOf(rows, columns)
  const services = servicesOf(rows, columns, kept, order)
  columns.shift.set(clockShifts(columns))
  markSkew(columns)
  columns.self.set(selfTimes(columns))
  const path = criticalPath(columns)
  Object.assign(columns, { criticalRow: path.row, criticalFrom: path.from, criticalTo: path.to })
  for (const row of path.row) columns.flags[row] = (columns.flags[row] ?? 0) | Flag.CRITICAL
  const groups = siblingGroups(columns)
  groups.forEach((group, at) => {
    for (const row of group.rows) columns.group[row] = at
  })
  addShares(columns, services)
  const { earliest, latest } = extent(columns)
  rebase(columns, earliest)
  const count = (flag: number) =>
    columns.flags.reduce((sum, each) => sum + (each & flag ? 1 : 0), 0)
  const head: Trace['head'] = {
    traceId: rows.traceId,
    source: origin,
    startUnixNano: String(rows.startUnixNano + BigInt(Math.round(earliest))),
    durationNano: latest - earliest,
    names,
    services,
    groups,
    rootCount: columns.parent.reduce((sum, parent) => sum + (parent < 0 ? 1 : 0), 0),
    errorCount: count(Flag.ERROR),
    missingParentCount: count(Flag.MISSING_PARENT),
    skewedCount: count(Flag.SKEWED),
    cycleCount,
    duplicateIdCount: duplicateCount,
    depthMax: columns.depth.reduce((high, depth) => Math.max(high, depth), 0),
    ...(path.missing ? { criticalPathMissing: path.missing } : {}),
    isComplete,
  }
  return { trace: { head, columns }, source: order.map((at) => kept[at] ?? 0) }
}

/** Rows that are not marked as copies, and are no copy of an earlier one of another page. */
function withoutCopies(rows: Rows): Uint32Array {
  const kept = new Uint32Array(rows.count)
  const ids = new Uint32Array(rows.spanId.buffer, rows.spanId.byteOffset, rows.count * 2)
  const table = new IdTable(ids, rows.count)
  let count = 0
  for (let row = 0; row < rows.count; row++) {
    if (((rows.flags[row] ?? 0) & RowFlag.COPY) !== 0) continue
    let other = table.add(row)
    for (let looked = 0; other >= 0 && !isSameSpan(rows, row, other); looked++) {
      other = looked < SAME_IDS_MAX ? table.next(other) : -1
    }
    if (other < 0) kept[count++] = row
  }
  return kept.slice(0, count)
}

function isSameSpan(rows: Rows, one: number, other: number): boolean {
  return (
    one !== other &&
    rows.start[one] === rows.start[other] &&
    rows.duration[one] === rows.duration[other] &&
    rows.kind[one] === rows.kind[other] &&
    rows.strings[rows.name[one] ?? 0] === rows.strings[rows.name[other] ?? 0] &&
    rows.scopes[rows.scope[one] ?? 0]?.service === rows.scopes[rows.scope[other] ?? 0]?.service
  )
}

/** Rows by their 64-bit ids: open addressing over two 32-bit halves, no string and no object for a span. */
class IdTable {
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

interface Parents {
  /** Place in `kept` → place of its parent, -1 for none. */
  parents: Int32Array
  flags: Uint32Array
  duplicateCount: number
}

function parentsOf(rows: Rows, kept: Uint32Array): Parents {
  const count = kept.length
  const ids = new Uint32Array(2 * count)
  const parentIds = new Uint32Array(rows.parentId.buffer, rows.parentId.byteOffset, rows.count * 2)
  const spanIds = new Uint32Array(rows.spanId.buffer, rows.spanId.byteOffset, rows.count * 2)
  kept.forEach((row, place) => {
    ids[2 * place] = spanIds[2 * row] ?? 0
    ids[2 * place + 1] = spanIds[2 * row + 1] ?? 0
  })
  const table = new IdTable(ids, count)
  const parents = new Int32Array(count).fill(-1)
  const flags = new Uint32Array(count)
  let duplicateCount = 0
  for (let place = 0; place < count; place++) {
    const first = table.add(place)
    if (first >= 0) {
      duplicateCount++
      flags[place] = (flags[place] ?? 0) | Flag.DUPLICATE_ID
      flags[first] = (flags[first] ?? 0) | Flag.DUPLICATE_ID
    }
  }
  const serviceOf = (place: number) => rows.scopes[rows.scope[kept[place] ?? 0] ?? 0]?.service
  const kindOf = (place: number) => rows.kind[kept[place] ?? 0]
  /** Of the rows of one id, the one that a span of `place` hangs below. */
  const choose = (first: number, place: number): number => {
    let fallback = -1
    for (
      let each = first, looked = 0;
      each >= 0 && looked < SAME_IDS_MAX;
      each = table.next(each), looked++
    ) {
      if (each === place) continue
      if (fallback < 0) fallback = each
      if (
        serviceOf(each) === serviceOf(place) &&
        (kindOf(each) !== CLIENT || kindOf(place) === SERVER)
      )
        return each
    }
    return fallback
  }
  const clientOf = (place: number): number => {
    let each = table.find(ids[2 * place] ?? 0, ids[2 * place + 1] ?? 0)
    for (let looked = 0; each >= 0 && looked < SAME_IDS_MAX; looked++) {
      if (kindOf(each) === CLIENT) return each
      each = table.next(each)
    }
    return -1
  }
  for (let place = 0; place < count; place++) {
    const row = kept[place] ?? 0
    if (kindOf(place) === SERVER && (flags[place] ?? 0) & Flag.DUPLICATE_ID) {
      // As Zipkin has it: a server's half has its client's id, and hangs below it. That is no irregularity.
      parents[place] = clientOf(place)
      if ((parents[place] ?? -1) >= 0) {
        duplicateCount--
        continue
      }
    }
    const high = parentIds[2 * row] ?? 0
    const low = parentIds[2 * row + 1] ?? 0
    if (high === 0 && low === 0) continue
    const first = table.find(high, low)
    const isOwn = first === place && table.next(place) < 0
    if (first < 0) flags[place] = (flags[place] ?? 0) | Flag.MISSING_PARENT
    else if (isOwn) flags[place] = (flags[place] ?? 0) | Flag.CYCLE
    else parents[place] = choose(first, place)
  }
  return { parents, flags, duplicateCount }
}

/** Make a root of one span of each circle; how many there were. */
function cutCycles(parents: Int32Array, flags: Uint32Array): number {
  const state = new Uint8Array(parents.length)
  let count = flags.reduce((sum, each) => sum + (each & Flag.CYCLE ? 1 : 0), 0)
  for (let start = 0; start < parents.length; start++) {
    let at = start
    while (at >= 0 && state[at] === 0) {
      state[at] = 1
      at = parents[at] ?? -1
    }
    const met = at >= 0 && state[at] === 1 ? at : -1
    for (at = start; at >= 0 && state[at] === 1; at = parents[at] ?? -1) state[at] = 2
    if (met >= 0) {
      parents[met] = -1
      flags[met] = (flags[met] ?? 0) | Flag.CYCLE
      count++
    }
  }
  return count
}

/** Places in `kept`, each parent before its children, siblings by start. */
function treeOrder(rows: Rows, kept: Uint32Array, parents: Int32Array): Uint32Array {
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

function columnsOf(
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
      columns.flags[parent] = (columns.flags[parent] ?? 0) | Flag.ERROR_BELOW
    }
    if (endOf(columns, row) > endOf(columns, parent))
      columns.flags[row] = (columns.flags[row] ?? 0) | Flag.OUTLIVES
  }
  const rowOfSource = new Int32Array(rows.count).fill(-1)
  order.forEach((place, row) => {
    rowOfSource[kept[place] ?? 0] = row
  })
  fillEvents(rows, columns, rowOfSource)
  for (const from of rows.links.row) {
    const row = rowOfSource[from] ?? -1
    if (row >= 0) columns.flags[row] = (columns.flags[row] ?? 0) | Flag.HAS_LINKS
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
    columns.flags[row] =
      (columns.flags[row] ?? 0) | Flag.HAS_EVENTS | (isException ? Flag.EXCEPTION : 0)
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

function markSkew(columns: TraceColumns): void {
  for (let row = 0; row < columns.count; row++) {
    const parent = columns.parent[row] ?? -1
    const own = columns.shift[row] ?? 0
    // What moves with its parent is not itself off.
    if (own !== 0 && own !== (parent < 0 ? 0 : (columns.shift[parent] ?? 0))) {
      columns.flags[row] = (columns.flags[row] ?? 0) | Flag.SKEWED
    }
  }
}

/** The names that spans have, each once; the column is told their places. */
function namesOf(rows: Rows, columns: TraceColumns): string[] {
  const names: string[] = []
  const places = new Int32Array(rows.strings.length).fill(-1)
  columns.name.forEach((string, row) => {
    if ((places[string] ?? -1) < 0) places[string] = names.push(rows.strings[string] ?? '') - 1
    columns.name[row] = places[string] ?? 0
  })
  return names
}

function servicesOf(
  rows: Rows,
  columns: TraceColumns,
  kept: Uint32Array,
  order: Uint32Array,
): Trace['head']['services'] {
  const index = new Map<string, number>()
  const services: Trace['head']['services'] = []
  for (let row = 0; row < columns.count; row++) {
    const name = rows.scopes[rows.scope[kept[order[row] ?? 0] ?? 0] ?? 0]?.service ?? ''
    let at = index.get(name)
    if (at === undefined) {
      at = services.push({ name, spanCount: 0, errorCount: 0, selfNano: 0, criticalNano: 0 }) - 1
      index.set(name, at)
    }
    columns.service[row] = Math.min(at, 65_535)
  }
  return services
}

function addShares(columns: TraceColumns, services: Trace['head']['services']): void {
  for (let row = 0; row < columns.count; row++) {
    const service = services[columns.service[row] ?? 0]
    if (!service) continue
    service.spanCount++
    service.selfNano += columns.self[row] ?? 0
    if ((columns.flags[row] ?? 0) & Flag.ERROR) service.errorCount++
  }
  columns.criticalRow.forEach((row, at) => {
    const service = services[columns.service[row] ?? 0]
    if (service)
      service.criticalNano += (columns.criticalTo[at] ?? 0) - (columns.criticalFrom[at] ?? 0)
  })
}

function extent(columns: TraceColumns): { earliest: number; latest: number } {
  let [earliest, latest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let row = 0; row < columns.count; row++) {
    earliest = Math.min(earliest, columns.start[row] ?? 0)
    latest = Math.max(latest, endOf(columns, row))
  }
  return columns.count ? { earliest, latest } : { earliest: 0, latest: 0 }
}

/** Times count from the start of the trace. */
function rebase(columns: TraceColumns, earliest: number): void {
  if (earliest === 0) return
  for (const times of [
    columns.start,
    columns.eventTime,
    columns.criticalFrom,
    columns.criticalTo,
  ]) {
    for (let at = 0; at < times.length; at++) times[at] = (times[at] ?? 0) - earliest
  }
}

export function spanIdOf(columns: TraceColumns, row: number): string {
  return hexOf(columns.spanId, row, 8)
}
