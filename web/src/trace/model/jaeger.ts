/** Jaeger's JSON, as its UI and its API write it, as OTLP. */

import type { Read } from './file.ts'
import type { OtlpKeyValue, OtlpValue } from './value.ts'

interface Tag {
  key: string
  type?: string
  value?: unknown
}

interface JaegerSpan {
  traceID: string
  spanID: string
  operationName?: string
  references?: { refType?: string; traceID?: string; spanID?: string }[]
  startTime?: number
  duration?: number
  tags?: Tag[]
  logs?: { timestamp?: number; fields?: Tag[] }[]
  processID?: string
}

interface JaegerTrace {
  traceID?: string
  spans: JaegerSpan[]
  processes?: Record<string, { serviceName?: string; tags?: Tag[] }>
}

interface JaegerDocument {
  data: JaegerTrace[]
}

const KINDS: Readonly<Record<string, number>> = {
  internal: 1,
  server: 2,
  client: 3,
  producer: 4,
  consumer: 5,
}

export function isJaeger(document: unknown): document is JaegerDocument {
  const data = (document as Partial<JaegerDocument> | null)?.data
  return (
    Array.isArray(data) &&
    data.every((trace) => Array.isArray((trace as Partial<JaegerTrace>)?.spans))
  )
}

export function jaegerSpans({ data }: JaegerDocument): Read[] {
  return data.flatMap((trace) => trace.spans.map((span) => read(trace, span)))
}

function read(trace: JaegerTrace, span: JaegerSpan): Read {
  const process = trace.processes?.[span.processID ?? '']
  const references = span.references ?? []
  const parent = references.find(
    (each) => each.refType === 'CHILD_OF' && each.traceID === span.traceID,
  )
  const tags = span.tags ?? []
  const text = (key: string) => String(tags.find((tag) => tag.key === key)?.value ?? '')
  const isError = text('error') === 'true' || text('otel.status_code') === 'ERROR'
  const start = BigInt(Math.round(span.startTime ?? 0)) * 1_000n
  return {
    original: span,
    resource: {
      attributes: [
        { key: 'service.name', value: { stringValue: process?.serviceName ?? '' } },
        ...(process?.tags ?? []).map(attribute),
      ],
    },
    scope: {
      name: text('otel.scope.name') || text('otel.library.name'),
      version: text('otel.scope.version'),
    },
    span: {
      traceId: span.traceID,
      spanId: span.spanID,
      parentSpanId: parent?.spanID ?? '',
      name: span.operationName ?? '',
      kind: KINDS[text('span.kind')] ?? 0,
      startTimeUnixNano: String(start),
      endTimeUnixNano: String(start + BigInt(Math.round(span.duration ?? 0)) * 1_000n),
      attributes: tags.map(attribute),
      status: {
        code: isError ? 2 : text('otel.status_code') === 'OK' ? 1 : 0,
        message: text('otel.status_description'),
      },
      events: (span.logs ?? []).map((log) => {
        const fields = log.fields ?? []
        const named = fields.find((field) => field.key === 'event')
        return {
          timeUnixNano: String(BigInt(Math.round(log.timestamp ?? 0)) * 1_000n),
          name: String(
            named?.value ?? fields.find((field) => field.key === 'message')?.value ?? '',
          ),
          attributes: fields.filter((field) => field !== named).map(attribute),
        }
      }),
      links: references
        .filter((each) => each !== parent)
        .map((each) => ({ traceId: each.traceID ?? '', spanId: each.spanID ?? '' })),
    },
  }
}

function attribute({ key, type, value }: Tag): OtlpKeyValue {
  return { key, value: typedValue(type, value) }
}

function typedValue(type: string | undefined, value: unknown): OtlpValue {
  if (type === 'bool' || typeof value === 'boolean') return { boolValue: String(value) === 'true' }
  if (type === 'int64') return { intValue: String(value) }
  if (type === 'float64' || typeof value === 'number') return { doubleValue: Number(value) }
  if (type === 'binary') return { bytesValue: String(value) }
  return { stringValue: String(value ?? '') }
}
