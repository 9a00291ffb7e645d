/** One span in full, from OTLP/JSON. */

import type { SpanDetails } from '../protocol.ts'
import { attributesOf, type OtlpKeyValue } from './value.ts'

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
  events?: { timeUnixNano?: string | number; name?: string; attributes?: OtlpKeyValue[] }[]
  links?: { traceId?: string; spanId?: string; traceState?: string; attributes?: OtlpKeyValue[] }[]
  status?: { code?: number | string; message?: string }
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

interface OtlpResourceSpans {
  resource?: OtlpResource
  scopeSpans?: { scope?: OtlpScope; spans?: OtlpSpan[] }[]
}

export function spansIn(document: OtlpDocument): Placed[] {
  return (document.resourceSpans ?? []).flatMap(({ resource = {}, scopeSpans = [] }) =>
    scopeSpans.flatMap(({ scope = {}, spans = [] }) =>
      spans.map((span) => ({ span, resource, scope })),
    ),
  )
}

const KINDS = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER']

/** OTLP's number, of a number or of a name such as `SPAN_KIND_SERVER`. */
export function kindOf(kind: number | string | undefined): number {
  if (typeof kind === 'number') return kind >= 0 && kind < KINDS.length ? kind : 0
  return Math.max(0, KINDS.indexOf(String(kind ?? '').replace('SPAN_KIND_', '')))
}

export function statusOf(code: number | string | undefined): 0 | 1 | 2 {
  if (code === 2 || code === 'STATUS_CODE_ERROR') return 2
  return code === 1 || code === 'STATUS_CODE_OK' ? 1 : 0
}

export function serviceOf(resource: OtlpResource): string {
  const found = resource.attributes?.find(({ key }) => key === 'service.name')
  return found?.value?.stringValue || 'unknown_service'
}

/** Nanoseconds; 0 for what is none. */
export function nano(value: string | number | undefined): bigint {
  try {
    return BigInt(value ?? 0)
  } catch {
    return 0n
  }
}

export function detailsOf(
  { span, resource, scope }: Placed,
  raw: unknown = { resource, scope, span },
): SpanDetails {
  return {
    spanId: span.spanId ?? '',
    parentSpanId: span.parentSpanId ?? '',
    name: span.name ?? '',
    service: serviceOf(resource),
    kind: kindOf(span.kind),
    startUnixNano: String(nano(span.startTimeUnixNano)),
    endUnixNano: String(nano(span.endTimeUnixNano)),
    statusCode: statusOf(span.status?.code),
    statusMessage: span.status?.message ?? '',
    traceState: span.traceState ?? '',
    attributes: attributesOf(span.attributes),
    resource: attributesOf(resource.attributes),
    scopeName: scope.name ?? '',
    scopeVersion: scope.version ?? '',
    scope: attributesOf(scope.attributes),
    events: (span.events ?? [])
      .map((event) => ({
        timeUnixNano: String(nano(event.timeUnixNano)),
        name: event.name ?? '',
        attributes: attributesOf(event.attributes),
      }))
      .sort((a, b) => (BigInt(a.timeUnixNano) < BigInt(b.timeUnixNano) ? -1 : 1)),
    links: (span.links ?? []).map((link) => ({
      traceId: link.traceId ?? '',
      spanId: link.spanId ?? '',
      traceState: link.traceState ?? '',
      attributes: attributesOf(link.attributes),
    })),
    droppedCount:
      (span.droppedAttributesCount ?? 0) +
      (span.droppedEventsCount ?? 0) +
      (span.droppedLinksCount ?? 0),
    raw: JSON.stringify(raw, null, 2),
  }
}
