/** Which span hangs below which: copies left out, halves of a call together, circles cut. */

import { Flag } from '../protocol.ts'
import { setFlag } from './flags.ts'
import { IdTable, SAME_IDS_MAX } from './ids.ts'
import { RowFlag, type Rows } from './rows.ts'

const SERVER = 2
const CLIENT = 3

/** Rows that are not marked as copies, and are no copy of an earlier one of another page. */
export function withoutCopies(rows: Rows): Uint32Array {
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

export interface Parents {
  /** Place in `kept` → place of its parent, -1 for none. */
  parents: Int32Array
  flags: Uint32Array
  duplicateCount: number
}

/** The parent of each span of `kept`, by its id. */
export function parentsOf(rows: Rows, kept: Uint32Array): Parents {
  const ids = idsOf(rows.spanId, kept)
  const parentIds = idsOf(rows.parentId, kept)
  const table = new IdTable(ids, kept.length)
  const parents = new Int32Array(kept.length).fill(-1)
  const flags = new Uint32Array(kept.length)
  const choose = chooser(rows, kept, table)
  let duplicateCount = markDuplicates(table, flags)
  for (let place = 0; place < kept.length; place++) {
    if (rows.kind[kept[place] ?? 0] === SERVER && (flags[place] ?? 0) & Flag.DUPLICATE_ID) {
      // As Zipkin has it: a server's half has its client's id, and hangs below it. That is no irregularity.
      parents[place] = choose.client(table.find(ids[2 * place] ?? 0, ids[2 * place + 1] ?? 0))
      if ((parents[place] ?? -1) >= 0) {
        duplicateCount--
        continue
      }
    }
    const high = parentIds[2 * place] ?? 0
    const low = parentIds[2 * place + 1] ?? 0
    if (high === 0 && low === 0) continue
    const first = table.find(high, low)
    if (first < 0) setFlag(flags, place, Flag.MISSING_PARENT)
    else if (first === place && table.next(place) < 0) setFlag(flags, place, Flag.CYCLE)
    else parents[place] = choose.parent(first, place)
  }
  return { parents, flags, duplicateCount }
}

/** The ids of the rows that are kept, as two halves each. */
function idsOf(bytes: Uint8Array, kept: Uint32Array): Uint32Array {
  const halves = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)
  const ids = new Uint32Array(2 * kept.length)
  for (let place = 0; place < kept.length; place++) {
    const row = kept[place] ?? 0
    ids[2 * place] = halves[2 * row] ?? 0
    ids[2 * place + 1] = halves[2 * row + 1] ?? 0
  }
  return ids
}

/** Fill the table, and mark the spans that share an id; how many have the id of an earlier one. */
function markDuplicates(table: IdTable, flags: Uint32Array): number {
  let count = 0
  for (let place = 0; place < flags.length; place++) {
    const first = table.add(place)
    if (first < 0) continue
    count++
    setFlag(flags, place, Flag.DUPLICATE_ID)
    setFlag(flags, first, Flag.DUPLICATE_ID)
  }
  return count
}

/** Who, of the spans under one id, is meant. Both functions are told the first of them, or -1. */
function chooser(rows: Rows, kept: Uint32Array, table: IdTable) {
  const kindOf = (place: number) => rows.kind[kept[place] ?? 0]
  const serviceOf = (place: number) => rows.scopes[rows.scope[kept[place] ?? 0] ?? 0]?.service
  const isLikely = (parent: number, place: number) =>
    serviceOf(parent) === serviceOf(place) &&
    (kindOf(parent) !== CLIENT || kindOf(place) === SERVER)
  /** The first that meets a condition; -1 if none of the first ones does. */
  const among = (first: number, isMet: (each: number) => boolean) => {
    let each = first
    for (let looked = 0; each >= 0 && looked < SAME_IDS_MAX; looked++) {
      if (isMet(each)) return each
      each = table.next(each)
    }
    return -1
  }
  return {
    client: (first: number) => among(first, (each) => kindOf(each) === CLIENT),
    /** The one that a span hangs below: of its own service if there is such a one. */
    parent: (first: number, place: number) => {
      const likely = among(first, (each) => each !== place && isLikely(each, place))
      return likely < 0 ? among(first, (each) => each !== place) : likely
    },
  }
}

/** Make a root of one span of each circle; how many there were. */
export function cutCycles(parents: Int32Array, flags: Uint32Array): number {
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
      setFlag(flags, met, Flag.CYCLE)
      count++
    }
  }
  return count
}
