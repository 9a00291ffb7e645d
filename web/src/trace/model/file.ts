/** A file that somebody dropped: OTLP, Jaeger or Zipkin JSON, as one trace. */

import { AskError, failureOf } from '../../api/failure.ts'
import type { Trace } from '../protocol.ts'
import {
  droppedCount,
  isException,
  kindOf,
  nano,
  type OtlpDocument,
  type OtlpResourceSpans,
  type OtlpSpan,
  type Placed,
  serviceOf,
  spansIn,
  statusOf,
} from './details.ts'
import { grouped } from './grouped.ts'
import { jaegerSpans, jaegerTraces } from './jaeger.ts'
import type { Read } from './read.ts'
import { hexId, RowWriter } from './row-writer.ts'
import { RowFlag, type Rows } from './rows.ts'
import { objects, string } from './value.ts'
import { isZipkin, zipkinSpans } from './zipkin.ts'

const BYTES_MAX = 200_000_000
/** Longer integers are not exact as numbers: 64 bits of an attribute, nanoseconds of a time. */
const LONG_INTEGER = /(?<![\w.+-])-?(?:\d{17,}|9\d{15})(?![\w.])/
const STRING_OR_LONG_INTEGER = new RegExp(
  `"[^"\\\\]*(?:\\\\.[^"\\\\]*)*"|${LONG_INTEGER.source}`,
  'gs',
)

export interface Opened {
  format: Exclude<Trace['head']['source'], 'server'>
  rows: Rows
  /** By row. */
  spans: Read[]
  /** Of the other traces in the file. */
  otherTraceCount: number
}

/** Raises AskError of the kind `file`, with what was found instead. */
export async function open(file: Blob): Promise<Opened> {
  if (file.size > BYTES_MAX) throw wrong(`it has ${file.size} bytes; the limit is ${BYTES_MAX}`)
  try {
    return readTrace(await textOf(file))
  } catch (error) {
    throw error instanceof AskError ? error : wrong(failureOf(error).message)
  }
}

async function textOf(file: Blob): Promise<string> {
  const [first, second] = new Uint8Array(await file.slice(0, 2).arrayBuffer())
  return first === 0x1f && second === 0x8b ? unzipped(file) : file.text()
}

/** A small file may hold more than there is memory. */
async function unzipped(file: Blob): Promise<string> {
  let size = 0
  const bounded = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(piece, controller) {
      size += piece.length
      if (size > BYTES_MAX) throw wrong(`unpacked it has more than ${BYTES_MAX} bytes, the limit`)
      controller.enqueue(piece)
    },
  })
  const stream = file.stream().pipeThrough(new DecompressionStream('gzip')).pipeThrough(bounded)
  try {
    return await new Response(stream).text()
  } catch (error) {
    throw size > BYTES_MAX ? error : wrong('its compression is damaged, or it is cut off')
  }
}

export function readTrace(text: string): Opened {
  const document = parsed(text)
  const [format, read] = spansOf(document)
  if (read.length === 0) {
    throw wrong(
      `it is ${described(document)}; wanted are OTLP (resourceSpans), Jaeger (data) or Zipkin (a list of spans)`,
    )
  }
  return largestTrace(format, read)
}

/** One document, or one a line, as the Collector's file exporter writes them. */
function parsed(text: string): unknown {
  if (!text.trim()) throw wrong('it is empty')
  const exact = LONG_INTEGER.test(text) ? withLongIntegersQuoted(text) : text
  try {
    return JSON.parse(exact)
  } catch (error) {
    const lines = exact.split('\n').filter((line) => line.trim())
    try {
      if (lines.length > 1) return lines.map((line) => JSON.parse(line) as unknown)
    } catch {
      // Neither: the first error says where it ends, or what it is.
    }
    throw wrong(`it is no whole JSON: ${failureOf(error).message}, of ${text.length} characters`)
  }
}

function withLongIntegersQuoted(text: string): string {
  return text.replace(STRING_OR_LONG_INTEGER, (found) =>
    found.startsWith('"') || Number.isSafeInteger(Number(found)) ? found : `"${found}"`,
  )
}

function described(document: unknown): string {
  if (Array.isArray(document)) {
    return document.length ? `a list that begins with ${described(document[0])}` : 'an empty list'
  }
  if (document === null || typeof document !== 'object') return `JSON of ${String(document)}`
  const names = Object.keys(document)
  return names.length ? `an object with ${names.slice(0, 5).join(', ')}` : 'an empty object'
}

function spansOf(document: unknown): [Opened['format'], Read[]] {
  const documents = objects([document].flat(2) as object[])
  const traces = documents.flatMap(jaegerTraces)
  if (traces.length) return ['jaeger', traces.flatMap(jaegerSpans)]
  const otlp = documents.flatMap((each) => spansIn({ resourceSpans: resourceSpansOf(each) }))
  if (otlp.length) return ['otlp', otlp.map((each) => ({ ...each, original: each }))]
  return ['zipkin', zipkinSpans(documents.filter(isZipkin))]
}

/** Of OTLP itself; of Tempo, which names them `batches`; of an answer of Jaeger's or Tempo's API around either. */
function resourceSpansOf(document: object): OtlpResourceSpans[] {
  const { result, trace } = document as { result?: OtlpDocument; trace?: OtlpDocument }
  const inner = (result ?? trace ?? document) as OtlpDocument & { batches?: OtlpResourceSpans[] }
  return objects(inner.resourceSpans ?? inner.batches)
}

function largestTrace(format: Opened['format'], read: readonly Read[]): Opened {
  const byTrace = grouped(read.map(withHexIds), ({ span }) => span.traceId ?? '')
  const [traceId, spans] = [...byTrace].reduce((best, each) =>
    each[1].length > best[1].length ? each : best,
  )
  const writer = new RowWriter()
  for (const each of spans) write(writer, each)
  return { format, rows: writer.rows(traceId), spans, otherTraceCount: byTrace.size - 1 }
}

function withHexIds(read: Read): Read {
  const { span } = read
  const ids = {
    traceId: hexId(span.traceId, 16),
    spanId: hexId(span.spanId, 8),
    parentSpanId: hexId(span.parentSpanId, 8),
    links: objects(span.links).map((link) => ({
      ...link,
      traceId: hexId(link.traceId, 16),
      spanId: hexId(link.spanId, 8),
    })),
  }
  return { ...read, span: { ...span, ...ids } }
}

function write(writer: RowWriter, { span, resource, scope }: Placed): void {
  const start = nano(span.startTimeUnixNano)
  writer.add({
    spanId: string(span.spanId),
    parentSpanId: string(span.parentSpanId),
    name: string(span.name),
    statusMessage: string(span.status?.message),
    startUnixNano: start,
    durationNano: Number(nano(span.endTimeUnixNano) - start),
    scope: writer.scope({
      service: serviceOf(resource),
      name: string(scope.name),
      version: string(scope.version),
    }),
    kind: kindOf(span.kind),
    flags: flagsOf(span),
    events: objects(span.events).map((event) => ({
      timeUnixNano: nano(event.timeUnixNano),
      name: string(event.name),
      isException: isException(event),
    })),
    links: objects(span.links).map((link) => ({
      traceId: string(link.traceId),
      spanId: string(link.spanId),
    })),
  })
}

const STATUS_FLAGS = [0, RowFlag.OK, RowFlag.ERROR]

function flagsOf(span: OtlpSpan): number {
  const kind = kindOf(span.kind)
  const isEntry = kind === 2 || kind === 5 || !span.parentSpanId
  return (
    (STATUS_FLAGS[statusOf(span.status?.code)] ?? 0) |
    (isEntry ? RowFlag.ENTRY : 0) |
    (droppedCount(span) ? RowFlag.DROPPED : 0)
  )
}

function wrong(message: string): AskError {
  return new AskError({ kind: 'file', message })
}
