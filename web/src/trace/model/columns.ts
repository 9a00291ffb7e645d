/** Pages of the columnar answer as rows. The format is in docs/api.md, `GET /v1/traces/{trace_id}`. */

import { AskError } from '../../api/failure.ts'
import type { Rows } from './rows.ts'
import type { OtlpKeyValue } from './value.ts'

export interface ColumnsAnswer {
  version: number
  trace_id: string
  start_time_unix_nano: string
  next: string | null
  chunks: { key: string; span_count: number }[]
  strings: string[]
  scopes: { service: number; scope_name: number; scope_version: number }[]
  columns: Record<
    | 'span_id'
    | 'parent'
    | 'foreign_ids'
    | 'start'
    | 'duration'
    | 'name'
    | 'scope'
    | 'kind'
    | 'flags'
    | 'status_message',
    string
  >
  events: Record<'row' | 'time' | 'name' | 'flags', string>
  links: Record<'row' | 'trace_id' | 'span_id', string>
  attributes?: AttributeColumns
}

export interface AttributeColumns {
  distinct: OtlpKeyValue[]
  counts: string
  index: string
  scope_counts: string
  scope_index: string
}

/** The answer, if it is one. Raises AskError. */
export function columnsAnswer(answer: unknown): ColumnsAnswer {
  const { version, columns, strings } = (answer ?? {}) as Partial<ColumnsAnswer>
  if (version === 1 && columns && Array.isArray(strings)) return answer as ColumnsAnswer
  throw new AskError({ kind: 'broken', message: `version ${version} of columns is not known` })
}

export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  if ('fromBase64' in Uint8Array) {
    return (
      Uint8Array as unknown as { fromBase64(text: string): Uint8Array<ArrayBuffer> }
    ).fromBase64(base64)
  }
  const binary = atob(base64)
  const bytes = new Uint8Array(binary.length)
  for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at)
  return bytes
}

export const uint32 = (base64: string) => new Uint32Array(bytesOf(base64).buffer)
const int32 = (base64: string) => new Int32Array(bytesOf(base64).buffer)

/** 64-bit integers as numbers: exact to 2^53, which is 104 days in nanoseconds. */
function uint64(base64: string): Float64Array {
  const halves = uint32(base64)
  const values = new Float64Array(halves.length / 2)
  for (let at = 0; at < values.length; at++) {
    values[at] = (halves[2 * at] ?? 0) + (halves[2 * at + 1] ?? 0) * 2 ** 32
  }
  return values
}

/** A page's rows, its copies among them: attributes come in the same order. */
export function rowsOf(page: ColumnsAnswer): Rows {
  const { columns, strings } = page
  const text = (at: number) => strings[at] ?? ''
  const spanId = bytesOf(columns.span_id)
  return {
    traceId: page.trace_id,
    startUnixNano: BigInt(page.start_time_unix_nano),
    count: spanId.length / 8,
    spanId,
    parentId: parentIds(spanId, int32(columns.parent), bytesOf(columns.foreign_ids)),
    start: uint64(columns.start),
    duration: uint64(columns.duration),
    name: uint32(columns.name),
    statusMessage: uint32(columns.status_message),
    scope: uint32(columns.scope),
    kind: bytesOf(columns.kind),
    flags: bytesOf(columns.flags),
    strings,
    scopes: page.scopes.map((each) => ({
      service: text(each.service),
      name: text(each.scope_name),
      version: text(each.scope_version),
    })),
    events: {
      row: int32(page.events.row),
      time: uint64(page.events.time),
      name: uint32(page.events.name),
      flags: bytesOf(page.events.flags),
    },
    links: {
      row: int32(page.links.row),
      traceId: bytesOf(page.links.trace_id),
      spanId: bytesOf(page.links.span_id),
    },
  }
}

function parentIds(
  spanId: Uint8Array<ArrayBuffer>,
  parent: Int32Array,
  foreign: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const ids = new Uint8Array(spanId.length)
  const [to, own, other] = [
    new Uint32Array(ids.buffer),
    new Uint32Array(spanId.buffer),
    new Uint32Array(foreign.buffer),
  ]
  const count = parent.length
  for (let row = 0; row < count; row++) {
    const at = parent[row] ?? -1
    if (at < 0) continue
    const [from, place] = at < count ? [own, at] : [other, at - count]
    to[2 * row] = from[2 * place] ?? 0
    to[2 * row + 1] = from[2 * place + 1] ?? 0
  }
  return ids
}
