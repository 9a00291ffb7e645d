/** A file that somebody dropped: OTLP, Jaeger or Zipkin JSON, as one trace. */

import { AskError } from '../../api/failure.ts'
import type { Trace } from '../protocol.ts'
import {
  kindOf,
  nano,
  type OtlpDocument,
  type Placed,
  serviceOf,
  spansIn,
  statusOf,
} from './details.ts'
import { isJaeger, jaegerSpans } from './jaeger.ts'
import { RowFlag, type Rows, RowWriter } from './rows.ts'
import { isZipkin, zipkinSpans } from './zipkin.ts'

const BYTES_MAX = 200_000_000

export interface Opened {
  format: Exclude<Trace['head']['source'], 'server'>
  rows: Rows
  /** By row. */
  spans: Placed[]
  /** By row: the span as the file has it. */
  originals: unknown[]
}

/** A span as OTLP has it, and as it was in the file. */
export interface Read extends Placed {
  original: unknown
}

/** Raises AskError of the kind `file`, with what was found instead. */
export async function open(file: Blob): Promise<Opened> {
  if (file.size > BYTES_MAX) throw wrong(`it has ${file.size} bytes; the limit is ${BYTES_MAX}`)
  return readTrace(await textOf(file))
}

async function textOf(file: Blob): Promise<string> {
  const [first, second] = new Uint8Array(await file.slice(0, 2).arrayBuffer())
  if (first !== 0x1f || second !== 0x8b) return file.text()
  const stream = file.stream().pipeThrough(new DecompressionStream('gzip'))
  return new Response(stream).text().catch(() => {
    throw wrong('its compression is damaged')
  })
}

export function readTrace(text: string): Opened {
  const document = parsed(text)
  const [format, read] = spansOf(document)
  if (read.length === 0) throw wrong('it is JSON, but holds no span of OTLP, Jaeger or Zipkin')
  return largestTrace(format, read)
}

/** One document, or one a line, as the Collector's file exporter writes them. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const lines = text.split('\n').filter((line) => line.trim())
    try {
      if (lines.length > 1) return lines.map((line) => JSON.parse(line) as unknown)
    } catch {
      // Neither: the first error says where it ends or what it is.
    }
    throw wrong(error instanceof Error ? error.message : 'it is not JSON')
  }
}

function spansOf(document: unknown): [Opened['format'], Read[]] {
  if (isJaeger(document)) return ['jaeger', jaegerSpans(document)]
  if (isZipkin(document)) return ['zipkin', zipkinSpans(document)]
  const documents = Array.isArray(document) ? document : [document]
  const spans = documents.flatMap((each: unknown) => {
    const { resourceSpans, batches } = (each ?? {}) as OtlpDocument & {
      batches?: OtlpDocument['resourceSpans']
    }
    const list = resourceSpans ?? batches
    return Array.isArray(list) ? spansIn({ resourceSpans: list }) : []
  })
  return ['otlp', spans.map((each) => ({ ...each, original: each }))]
}

function largestTrace(format: Opened['format'], read: readonly Read[]): Opened {
  const byTrace = new Map<string, Read[]>()
  for (const each of read) {
    const id = String(each.span.traceId ?? '')
    const found = byTrace.get(id)
    if (found) found.push(each)
    else byTrace.set(id, [each])
  }
  const [traceId, spans] = [...byTrace].sort((a, b) => b[1].length - a[1].length)[0] ?? ['', []]
  const writer = new RowWriter()
  for (const each of spans) write(writer, each)
  return {
    format,
    rows: writer.rows(traceId),
    spans,
    originals: spans.map((each) => each.original),
  }
}

function write(writer: RowWriter, { span, resource, scope }: Placed): void {
  const start = nano(span.startTimeUnixNano)
  const status = statusOf(span.status?.code)
  const dropped =
    (span.droppedAttributesCount ?? 0) +
    (span.droppedEventsCount ?? 0) +
    (span.droppedLinksCount ?? 0)
  const kind = kindOf(span.kind)
  const isEntry = kind === 2 || kind === 5 || !span.parentSpanId
  writer.add({
    spanId: span.spanId ?? '',
    parentSpanId: span.parentSpanId ?? '',
    name: span.name ?? '',
    statusMessage: span.status?.message ?? '',
    startUnixNano: start,
    durationNano: Number(nano(span.endTimeUnixNano) - start),
    scope: writer.scope({
      service: serviceOf(resource),
      name: scope.name ?? '',
      version: scope.version ?? '',
    }),
    kind,
    flags:
      (status === 2 ? RowFlag.ERROR : 0) |
      (status === 1 ? RowFlag.OK : 0) |
      (isEntry ? RowFlag.ENTRY : 0) |
      (dropped ? RowFlag.DROPPED : 0),
    events: (span.events ?? []).map((event) => ({
      timeUnixNano: nano(event.timeUnixNano),
      name: event.name ?? '',
      isException:
        event.name === 'exception' ||
        !!event.attributes?.some(({ key }) => key === 'exception.type'),
    })),
    links: (span.links ?? []).map((link) => ({
      traceId: link.traceId ?? '',
      spanId: link.spanId ?? '',
    })),
  })
}

function wrong(message: string): AskError {
  return new AskError({ kind: 'file', message })
}
