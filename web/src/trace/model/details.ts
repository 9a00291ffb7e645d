/** One span in full, from OTLP/JSON. */

import type { SpanDetails } from '../protocol.ts'
import { attributesOf, type OtlpKeyValue, objects, string } from './value.ts'

export interface OtlpEvent {
  timeUnixNano?: string | number
  name?: string
  attributes?: OtlpKeyValue[]
}

export interface OtlpSpan {
  traceId?: string
  spanId?: string
  parentSpanId?: string
  traceState?: string
  name?: string
  kind?: number | string
  startTimeUnixNano?: string | number
  endTimeUnixNano?: string | number
  attributes?: OtlpKeyValue[]
  events?: OtlpEvent[]
  links?: { traceId?: string; spanId?: string; traceState?: string; attributes?: OtlpKeyValue[] }[]
  status?: { code?: number | string; message?: string } | null
  droppedAttributesCount?: number
  droppedEventsCount?: number
  droppedLinksCount?: number
}

export interface OtlpResource {
  attributes?: OtlpKeyValue[]
}

export interface OtlpScope {
  name?: string
  version?: string
  attributes?: OtlpKeyValue[]
}

/** A span with what it shares with its neighbours. */
export interface Placed {
  span: OtlpSpan
  resource: OtlpResource
  scope: OtlpScope
}

export interface OtlpDocument {
  resourceSpans?: OtlpResourceSpans[]
}

export interface OtlpResourceSpans {
  resource?: OtlpResource | null
  scopeSpans?: OtlpScopeSpans[]
  /** What `scopeSpans` was until OTLP 0.15. */
  instrumentationLibrarySpans?: OtlpScopeSpans[]
}

interface OtlpScopeSpans {
  scope?: OtlpScope | null
  instrumentationLibrary?: OtlpScope | null
  spans?: OtlpSpan[]
}

export function spansIn({ resourceSpans }: OtlpDocument): Placed[] {
  return objects(resourceSpans).flatMap((each) =>
    objects(each.scopeSpans ?? each.instrumentationLibrarySpans).flatMap((of) =>
      objects(of.spans).map((span) => ({
        span,
        resource: each.resource ?? {},
        scope: of.scope ?? of.instrumentationLibrary ?? {},
      })),
    ),
  )
}

const KINDS = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER']

/** OTLP's number, of a number or of a name such as `SPAN_KIND_SERVER`. */
export function kindOf(kind: number | string | undefined): number {
  const place =
    typeof kind === 'number' ? kind : KINDS.indexOf(string(kind).replace('SPAN_KIND_', ''))
  return KINDS[place] ? place : 0
}

export function statusOf(code: number | string | undefined): 0 | 1 | 2 {
  if (code === 2 || code === 'STATUS_CODE_ERROR') return 2
  return code === 1 || code === 'STATUS_CODE_OK' ? 1 : 0
}

export function serviceOf(resource: OtlpResource): string {
  const found = objects(resource.attributes).find(({ key }) => key === 'service.name')
  return string(found?.value?.stringValue) || 'unknown_service'
}

/** Nanoseconds; 0 for what is none. */
export function nano(value: unknown): bigint {
  try {
    const found = typeof value === 'string' || typeof value === 'number' ? BigInt(value) : 0n
    return found > 0n ? found : 0n
  } catch {
    return 0n
  }
}

export function isException(event: OtlpEvent): boolean {
  return (
    event.name === 'exception' ||
    objects(event.attributes).some(({ key }) => key === 'exception.type')
  )
}

/** How many attributes, events and links the sender left out. */
export function droppedCount(span: OtlpSpan): number {
  const { droppedAttributesCount, droppedEventsCount, droppedLinksCount } = span
  return [droppedAttributesCount, droppedEventsCount, droppedLinksCount].reduce<number>(
    (sum, count) => sum + (Number(count) || 0),
    0,
  )
}

export function detailsOf(
  { span, resource, scope }: Placed,
  raw: unknown = { resource, scope, span },
): SpanDetails {
  return {
    spanId: string(span.spanId),
    parentSpanId: string(span.parentSpanId),
    name: string(span.name),
    service: serviceOf(resource),
    kind: kindOf(span.kind),
    startUnixNano: String(nano(span.startTimeUnixNano)),
    endUnixNano: String(nano(span.endTimeUnixNano)),
    statusCode: statusOf(span.status?.code),
    statusMessage: string(span.status?.message),
    traceState: string(span.traceState),
    attributes: attributesOf(span.attributes),
    resource: attributesOf(resource.attributes),
    scopeName: string(scope.name),
    scopeVersion: string(scope.version),
    scope: attributesOf(scope.attributes),
    events: objects(span.events)
      .map((event) => ({ at: nano(event.timeUnixNano), event }))
      .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
      .map(({ at, event }) => ({
        timeUnixNano: String(at),
        name: string(event.name),
        attributes: attributesOf(event.attributes),
      })),
    links: objects(span.links).map((link) => ({
      traceId: string(link.traceId),
      spanId: string(link.spanId),
      traceState: string(link.traceState),
      attributes: attributesOf(link.attributes),
    })),
    droppedCount: droppedCount(span),
    raw: indented(raw),
  }
}

function indented(value: unknown): string {
  try {
    return JSON.stringify(value, null, 2)
  } catch {
    // Nested deeper than the stack goes.
    return ''
  }
}
