/** Rows from spans that are read one by one, as files have them. */

import { hexOf, Interned, RowFlag, type Rows, type Scope } from './rows.ts'

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
