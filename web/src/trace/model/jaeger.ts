/** Jaeger's JSON, as its UI and its API write it, as OTLP. */

import type { Read } from './read.ts'
import { type OtlpKeyValue, type OtlpValue, objects, string } from './value.ts'

interface Tag {
  key: string
  type?: string
  value?: unknown
}

interface Reference {
  refType?: string
  traceID?: string
  spanID?: string
}

interface JaegerSpan {
  traceID: string
  spanID: string
  operationName?: string
  references?: Reference[]
  startTime?: number
  duration?: number
  tags?: Tag[]
  logs?: { timestamp?: number; fields?: Tag[] }[]
  processID?: string
  /** Before there were references. */
  parentSpanID?: string
  warnings?: string[] | null
}

export interface JaegerTrace {
  traceID?: string
  spans?: JaegerSpan[]
  processes?: Record<string, { serviceName?: string; tags?: Tag[] }>
}

const KINDS: Readonly<Record<string, number>> = {
  internal: 1,
  server: 2,
  client: 3,
  producer: 4,
  consumer: 5,
}

/** Of the API's answer (`data`), or of one trace of it. */
export function jaegerTraces(document: object): JaegerTrace[] {
  const { data } = document as { data?: JaegerTrace[] }
  const traces = Array.isArray(data) ? objects(data) : [document as JaegerTrace]
  return traces.filter(
    ({ spans }) => Array.isArray(spans) && spans.some((each) => typeof each?.traceID === 'string'),
  )
}

export function jaegerSpans(trace: JaegerTrace): Read[] {
  return objects(trace.spans).map((span) => read(trace, span))
}

function read(trace: JaegerTrace, span: JaegerSpan): Read {
  const process = trace.processes?.[span.processID ?? '']
  const references = objects(span.references)
  const parent = parentOf(span, references)
  const tags = objects(span.tags)
  const text = (key: string) => scalar(tags.find((tag) => tag.key === key)?.value)
  const isError = text('error') === 'true' || text('otel.status_code') === 'ERROR'
  const start = nanoOfMicro(span.startTime)
  return {
    original: span,
    resource: {
      attributes: [
        { key: 'service.name', value: { stringValue: string(process?.serviceName) } },
        ...objects(process?.tags).map(attribute),
      ],
    },
    scope: {
      name: text('otel.scope.name') || text('otel.library.name'),
      version: text('otel.scope.version'),
    },
    span: {
      traceId: span.traceID,
      spanId: span.spanID,
      parentSpanId: parent?.spanID ?? span.parentSpanID ?? '',
      name: string(span.operationName),
      kind: KINDS[text('span.kind')] ?? 0,
      startTimeUnixNano: String(start),
      endTimeUnixNano: String(start + nanoOfMicro(span.duration)),
      attributes: [...tags.map(attribute), ...warningsOf(span)],
      status: {
        code: isError ? 2 : text('otel.status_code') === 'OK' ? 1 : 0,
        message: text('otel.status_description'),
      },
      events: objects(span.logs).map((log) => {
        const fields = objects(log.fields)
        const named = fields.find((field) => field.key === 'event')
        return {
          timeUnixNano: String(nanoOfMicro(log.timestamp)),
          name: scalar((named ?? fields.find((field) => field.key === 'message'))?.value),
          attributes: fields.filter((field) => field !== named).map(attribute),
        }
      }),
      links: references
        .filter((each) => each !== parent)
        .map((each) => ({ traceId: string(each.traceID), spanId: string(each.spanID) })),
    },
  }
}

/** What it is a child of, or else what it follows from: the same trace's. */
function parentOf(span: JaegerSpan, references: readonly Reference[]): Reference | undefined {
  const own = references.filter((each) => each.traceID === span.traceID)
  return own.find((each) => each.refType === 'CHILD_OF') ?? own[0]
}

function warningsOf({ warnings }: JaegerSpan): OtlpKeyValue[] {
  if (!Array.isArray(warnings) || warnings.length === 0) return []
  const values = warnings.map((each) => ({ stringValue: string(each) }))
  return [{ key: 'jaeger.warnings', value: { arrayValue: { values } } }]
}

/** Nanoseconds of what should be a whole number of microseconds; 0 for what is none. */
export function nanoOfMicro(value: unknown): bigint {
  const micro = Math.round(Number(value))
  return Number.isFinite(micro) && micro > 0 ? BigInt(micro) * 1_000n : 0n
}

function attribute({ key, type, value }: Tag): OtlpKeyValue {
  return { key, value: typedValue(type, value) }
}

function typedValue(type: string | undefined, value: unknown): OtlpValue {
  if (type === 'bool' || typeof value === 'boolean') return { boolValue: scalar(value) === 'true' }
  if (type === 'int64') return { intValue: scalar(value) }
  if (type === 'float64' || typeof value === 'number') return { doubleValue: Number(scalar(value)) }
  if (type === 'binary') return { bytesValue: scalar(value) }
  return { stringValue: scalar(value) }
}

function scalar(value: unknown): string {
  return typeof value === 'boolean' ? String(value) : string(value)
}
