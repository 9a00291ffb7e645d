/** The spans of a trace as they came, from the server or from a file: one form, before any tree is made of them. */

/** Bits of `Rows.flags`, as the columnar answer has them. */
export const RowFlag = {
  ERROR: 1,
  ENTRY: 2,
  OK: 4,
  COPY: 8,
  NEGATIVE: 16,
  DROPPED: 32,
} as const

export interface Scope {
  service: string
  name: string
  version: string
}

export interface RowEvents {
  /** Ascending. */
  row: Int32Array
  /** Nanoseconds after `Rows.startUnixNano`. */
  time: Float64Array
  name: Uint32Array
  /** 1: an exception. */
  flags: Uint8Array
}

export interface RowLinks {
  row: Int32Array
  /** 16 bytes each. */
  traceId: Uint8Array
  /** 8 bytes each. */
  spanId: Uint8Array
}

export interface Rows {
  traceId: string
  startUnixNano: bigint
  count: number
  /** 8 bytes a row; so is `parentId`, all zero for none. */
  spanId: Uint8Array<ArrayBuffer>
  parentId: Uint8Array<ArrayBuffer>
  /** Nanoseconds after `startUnixNano`. */
  start: Float64Array
  duration: Float64Array
  /** Index of `strings`; so is `statusMessage`, and an event's name. */
  name: Uint32Array
  statusMessage: Uint32Array
  /** Index of `scopes`. */
  scope: Uint32Array
  kind: Uint8Array
  flags: Uint8Array
  strings: string[]
  scopes: Scope[]
  events: RowEvents
  links: RowLinks
}

/** A growing list of rows, for readers that make them one by one. */
export class RowWriter {
  private readonly spans: WrittenSpan[] = []
  private readonly strings = new Interned()
  private readonly scopes = new Map<string, number>()
  private readonly scopeList: Scope[] = []

  get count(): number {
    return this.spans.length
  }

  add(span: WrittenSpan): void {
    this.spans.push(span)
  }

  scope(scope: Scope): number {
    const key = JSON.stringify([scope.service, scope.name, scope.version])
    const found = this.scopes.get(key)
    if (found !== undefined) return found
    this.scopes.set(key, this.scopeList.length)
    return this.scopeList.push(scope) - 1
  }

  rows(traceId: string): Rows {
    const { spans } = this
    const base = spans.reduce(
      (low, span) => (span.startUnixNano < low ? span.startUnixNano : low),
      spans[0]?.startUnixNano ?? 0n,
    )
    const relative = (nano: bigint) => Number(nano - base)
    const events = spans.flatMap((span, row) => span.events.map((event) => ({ row, ...event })))
    const links = spans.flatMap((span, row) => span.links.map((link) => ({ row, ...link })))
    return {
      traceId,
      startUnixNano: base,
      count: spans.length,
      spanId: idBytes(
        spans.map((span) => span.spanId),
        8,
      ),
      parentId: idBytes(
        spans.map((span) => span.parentSpanId),
        8,
      ),
      start: Float64Array.from(spans, (span) => relative(span.startUnixNano)),
      duration: Float64Array.from(spans, (span) => Math.max(0, span.durationNano)),
      name: Uint32Array.from(spans, (span) => this.strings.of(span.name)),
      statusMessage: Uint32Array.from(spans, (span) => this.strings.of(span.statusMessage)),
      scope: Uint32Array.from(spans, (span) => span.scope),
      kind: Uint8Array.from(spans, (span) => span.kind),
      flags: Uint8Array.from(
        spans,
        (span) => span.flags | (span.durationNano < 0 ? RowFlag.NEGATIVE : 0),
      ),
      strings: this.strings.list,
      scopes: this.scopeList,
      events: {
        row: Int32Array.from(events, (event) => event.row),
        time: Float64Array.from(events, (event) => Math.max(0, relative(event.timeUnixNano))),
        name: Uint32Array.from(events, (event) => this.strings.of(event.name)),
        flags: Uint8Array.from(events, (event) => (event.isException ? 1 : 0)),
      },
      links: {
        row: Int32Array.from(links, (link) => link.row),
        traceId: idBytes(
          links.map((link) => link.traceId),
          16,
        ),
        spanId: idBytes(
          links.map((link) => link.spanId),
          8,
        ),
      },
    }
  }
}

export interface WrittenSpan {
  spanId: string
  parentSpanId: string
  name: string
  statusMessage: string
  startUnixNano: bigint
  durationNano: number
  scope: number
  kind: number
  flags: number
  events: { timeUnixNano: bigint; name: string; isException: boolean }[]
  links: { traceId: string; spanId: string }[]
}

class Interned {
  readonly list: string[] = ['']
  private readonly index = new Map<string, number>([['', 0]])

  of(text: string): number {
    const found = this.index.get(text)
    if (found !== undefined) return found
    this.index.set(text, this.list.length)
    return this.list.push(text) - 1
  }
}

/** Hexadecimal ids as bytes, padded on the left; what is none is all zero. */
function idBytes(ids: readonly string[], width: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ids.length * width)
  ids.forEach((id, row) => {
    const digits = isHex(id) ? id.slice(-2 * width).padStart(2 * width, '0') : ''
    for (let at = 0; at < digits.length / 2; at++) {
      bytes[row * width + at] = Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16)
    }
  })
  return bytes
}

function isHex(text: string): boolean {
  return /^[0-9a-f]*$/i.test(text)
}

/**
 * An id of a file as hexadecimal digits; '' for none.
 *
 * Files have hexadecimal digits, perhaps fewer; or base64, as protobuf's own JSON does. Any other text is no id of a
 * standard, but still tells spans apart.
 */
export function hexId(id: unknown, width: number): string {
  if (typeof id !== 'string' || /^0*$/.test(id)) return ''
  if (isHex(id))
    return id
      .toLowerCase()
      .slice(-2 * width)
      .padStart(2 * width, '0')
  const decoded = decodedBase64(id)
  const bytes = decoded?.length === width ? decoded : hashed(id, width)
  const digits = hexOf(bytes, 0, width)
  return /^0*$/.test(digits) ? '' : digits
}

function decodedBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(text), (each) => each.charCodeAt(0))
  } catch {
    return undefined
  }
}

/** FNV-1a, going on for each byte. */
function hashed(text: string, width: number): Uint8Array {
  let hash = 0x811c9dc5
  return new Uint8Array(width).map(() => {
    for (let at = 0; at < text.length; at++)
      hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
    return hash >>> 24
  })
}

export function hexOf(bytes: Uint8Array, row: number, width: number): string {
  let text = ''
  for (let at = row * width; at < (row + 1) * width; at++) {
    text += (bytes[at] ?? 0).toString(16).padStart(2, '0')
  }
  return text
}

/** The pages of one trace as one. Times keep their moments; equal strings become one, as within a page. */
export function joined(parts: readonly Rows[]): Rows {
  const [first] = parts
  if (!first || parts.length === 1) return first as Rows
  const base = parts.reduce(
    (low, part) => (part.startUnixNano < low ? part.startUnixNano : low),
    first.startUnixNano,
  )
  const at = {
    rows: offsets(parts, (part) => part.count),
    scopes: offsets(parts, (part) => part.scopes.length),
  }
  const strings = new Interned()
  const places = parts.map((part) => Uint32Array.from(part.strings, (text) => strings.of(text)))
  const shifts = parts.map((part) => Number(part.startUnixNano - base))
  const floats = (of: (part: Rows) => Float64Array) =>
    concat(Float64Array, parts, (part, i) => of(part).map((value) => value + (shifts[i] ?? 0)))
  const texts = (of: (part: Rows) => Uint32Array) =>
    concat(Uint32Array, parts, (part, i) => of(part).map((value) => places[i]?.[value] ?? 0))
  const rowsOf = (of: (part: Rows) => Int32Array) =>
    concat(Int32Array, parts, (part, i) => of(part).map((value) => value + (at.rows[i] ?? 0)))
  return {
    traceId: first.traceId,
    startUnixNano: base,
    count: parts.reduce((sum, part) => sum + part.count, 0),
    spanId: concat(Uint8Array, parts, (part) => part.spanId),
    parentId: concat(Uint8Array, parts, (part) => part.parentId),
    start: floats((part) => part.start),
    duration: concat(Float64Array, parts, (part) => part.duration),
    name: texts((part) => part.name),
    statusMessage: texts((part) => part.statusMessage),
    scope: concat(Uint32Array, parts, (part, i) =>
      part.scope.map((value) => value + (at.scopes[i] ?? 0)),
    ),
    kind: concat(Uint8Array, parts, (part) => part.kind),
    flags: concat(Uint8Array, parts, (part) => part.flags),
    strings: strings.list,
    scopes: parts.flatMap((part) => part.scopes),
    events: {
      row: rowsOf((part) => part.events.row),
      time: floats((part) => part.events.time),
      name: texts((part) => part.events.name),
      flags: concat(Uint8Array, parts, (part) => part.events.flags),
    },
    links: {
      row: rowsOf((part) => part.links.row),
      traceId: concat(Uint8Array, parts, (part) => part.links.traceId),
      spanId: concat(Uint8Array, parts, (part) => part.links.spanId),
    },
  }
}

function offsets(parts: readonly Rows[], size: (part: Rows) => number): number[] {
  let sum = 0
  return parts.map((part) => {
    sum += size(part)
    return sum - size(part)
  })
}

interface Typed<T> {
  new (length: number): T
}

function concat<T extends { length: number; set(values: T, at: number): void }>(
  type: Typed<T>,
  parts: readonly Rows[],
  of: (part: Rows, index: number) => T,
): T {
  const pieces = parts.map(of)
  const whole = new type(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
