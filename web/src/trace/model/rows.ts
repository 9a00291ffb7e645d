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

/** Texts and their places, each once; the empty one first. */
export class Interned {
  readonly list: string[] = ['']
  private readonly index = new Map<string, number>([['', 0]])

  of(text: string): number {
    const found = this.index.get(text)
    if (found !== undefined) return found
    this.index.set(text, this.list.length)
    return this.list.push(text) - 1
  }
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
