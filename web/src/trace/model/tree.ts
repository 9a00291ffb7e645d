/**
 * Rows in any order become a trace in tree order: parents found, circles cut, children by start.
 *
 * Everything is arrays and loops: a trace may have 100,000 spans, and be as deep.
 */

import { Flag, type Trace, type TraceColumns } from '../protocol.ts'
import { criticalPath } from './critical-path.ts'
import { setFlag } from './flags.ts'
import { siblingGroups } from './groups.ts'
import { cutCycles, parentsOf, withoutCopies } from './parents.ts'
import type { Rows } from './rows.ts'
import { selfTimes } from './self-time.ts'
import { clockShifts } from './skew.ts'
import { columnsOf, endOf } from './tree-columns.ts'
import { treeOrder } from './tree-order.ts'

export interface Built {
  trace: Trace
  /** Row of the trace → row of the input. */
  source: Uint32Array
}

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
  for (const row of path.row) setFlag(columns.flags, row, Flag.CRITICAL)
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

function markSkew(columns: TraceColumns): void {
  for (let row = 0; row < columns.count; row++) {
    const parent = columns.parent[row] ?? -1
    const own = columns.shift[row] ?? 0
    // What moves with its parent is not itself off.
    if (own !== 0 && own !== (parent < 0 ? 0 : (columns.shift[parent] ?? 0))) {
      setFlag(columns.flags, row, Flag.SKEWED)
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
