/** Seeded traces of any size, for tests and benchmarks. */

import type { ColumnsAnswer } from '../model/columns.ts'
import { RowWriter } from '../model/row-writer.ts'
import { RowFlag, type Rows } from '../model/rows.ts'
import type { OtlpKeyValue } from '../model/value.ts'

/** Numbers from 0 to 1 that are the same for the same seed. Source: mulberry32, public domain. */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface Shape {
  seed?: number
  /** How many of the latest spans a new one may be a child of: fewer make a deeper tree. */
  reach?: number
  services?: number
  errorShare?: number
  eventShare?: number
}

const REPEATED = 8

/** A trace whose spans lie within their parents' time, some repeated under one parent, in an order that says nothing. */
export function generated(count: number, shape: Shape = {}): Rows {
  const { seed = 1, reach = 40, services = 8, errorShare = 0.02, eventShare = 0.05 } = shape
  const next = random(seed)
  const below = (limit: number) => Math.floor(next() * limit)
  const writer = new RowWriter()
  const spans: { start: number; duration: number; id: string }[] = []
  const made = Array.from({ length: count }, (_, at) => {
    // One span in so many has a row of equal children.
    const isRepeated = at > REPEATED && at % (10 * REPEATED) < REPEATED
    const back = isRepeated ? (at % (10 * REPEATED)) + 1 : 1 + below(Math.min(at, reach))
    const parent = spans[at - back]
    const start = parent ? parent.start + below(parent.duration + 1) : 0
    const duration = parent ? below(parent.start + parent.duration - start + 1) : 1_000_000_000
    const id = (at + 1).toString(16).padStart(16, '0')
    spans.push({ start, duration, id })
    const startUnixNano = 1_790_000_000_000_000_000n + BigInt(start)
    const hasEvent = next() < eventShare
    const service = `service-${isRepeated ? 0 : below(services)}`
    return {
      spanId: id,
      parentSpanId: parent?.id ?? '',
      name: isRepeated ? 'repeated' : `step ${below(12)}`,
      statusMessage: '',
      startUnixNano,
      durationNano: duration,
      scope: writer.scope({ service, name: '', version: '' }),
      kind: 1 + below(5),
      flags: next() < errorShare ? RowFlag.ERROR : 0,
      events: hasEvent
        ? [{ timeUnixNano: startUnixNano, name: 'exception', isException: true }]
        : [],
      links: [],
    }
  })
  // Shuffled: what is sent first is not what began first.
  for (let at = count - 1; at > 0; at--) {
    const other = below(at + 1)
    const [a, b] = [made[at], made[other]]
    if (a && b) [made[at], made[other]] = [b, a]
  }
  for (const span of made) writer.add(span)
  return writer.rows('00000000000000000000000000000001')
}

/** Rows as the server's page of them, in chunks of so many; with attributes, if `attributesOf` a row is given. */
export function pageOf(
  rows: Rows,
  chunkSpans = rows.count,
  attributesOf?: (row: number) => OtlpKeyValue[],
): ColumnsAnswer {
  const own = Array.from({ length: rows.count }, (_, row) => attributesOf?.(row) ?? [])
  const services = rows.scopes.map(({ service }) => service)
  const strings = [...rows.strings, ...services]
  return {
    version: 1,
    trace_id: rows.traceId,
    start_time_unix_nano: String(rows.startUnixNano),
    next: null,
    chunks: Array.from({ length: Math.ceil(rows.count / chunkSpans) }, (_, at) => ({
      key: `chunk-${at}`,
      span_count: Math.min(chunkSpans, rows.count - at * chunkSpans),
    })),
    strings,
    scopes: services.map((_, at) => ({
      service: rows.strings.length + at,
      scope_name: 0,
      scope_version: 0,
    })),
    columns: {
      span_id: base64(rows.spanId),
      ...parentColumns(rows),
      start: base64(uint64(rows.start)),
      duration: base64(uint64(rows.duration)),
      name: base64(rows.name),
      scope: base64(rows.scope),
      kind: base64(rows.kind),
      flags: base64(rows.flags),
      status_message: base64(rows.statusMessage),
    },
    events: {
      row: base64(rows.events.row),
      time: base64(uint64(rows.events.time)),
      name: base64(rows.events.name),
      flags: base64(rows.events.flags),
    },
    links: {
      row: base64(rows.links.row),
      trace_id: base64(rows.links.traceId),
      span_id: base64(rows.links.spanId),
    },
    ...(attributesOf && {
      attributes: {
        distinct: own.flat(),
        counts: base64(Uint32Array.from(own, (each) => each.length)),
        index: base64(Uint32Array.from(own.flat().keys())),
        scope_counts: base64(new Uint32Array(services.length)),
        scope_index: '',
      },
    }),
  }
}

function parentColumns(rows: Rows): { parent: string; foreign_ids: string } {
  const ids = new BigUint64Array(rows.spanId.buffer)
  const places = new Map<bigint, number>()
  ids.forEach((id, row) => {
    if (!places.has(id)) places.set(id, row)
  })
  const foreign: bigint[] = []
  const parent = Int32Array.from(new BigUint64Array(rows.parentId.buffer), (id) => {
    if (id === 0n) return -1
    const known = places.get(id)
    if (known !== undefined) return known
    places.set(id, rows.count + foreign.length)
    return rows.count + foreign.push(id) - 1
  })
  return { parent: base64(parent), foreign_ids: base64(BigUint64Array.from(foreign)) }
}

function uint64(values: Float64Array): BigUint64Array {
  return BigUint64Array.from(values, BigInt)
}

function base64({ buffer, byteOffset, byteLength }: ArrayBufferView): string {
  let binary = ''
  for (const byte of new Uint8Array(buffer, byteOffset, byteLength)) {
    binary += String.fromCharCode(byte)
  }
  return btoa(binary)
}
