/** Zipkin's JSON, version 2, as OTLP. */

import type { Read } from './file.ts'
import type { OtlpKeyValue } from './value.ts'

interface Endpoint {
  serviceName?: string
  ipv4?: string
  ipv6?: string
  port?: number
}

interface ZipkinSpan {
  traceId: string
  id: string
  parentId?: string
  kind?: string
  name?: string
  timestamp?: number
  duration?: number
  localEndpoint?: Endpoint
  remoteEndpoint?: Endpoint
  annotations?: { timestamp?: number; value?: string }[]
  tags?: Record<string, string>
  shared?: boolean
}

const KINDS: Readonly<Record<string, number>> = { SERVER: 2, CLIENT: 3, PRODUCER: 4, CONSUMER: 5 }

/** A list of spans, or a list of traces that are lists. */
export function isZipkin(document: unknown): document is ZipkinSpan[] | ZipkinSpan[][] {
  if (!Array.isArray(document) || document.length === 0) return false
  return document.flat().every((each: unknown) => {
    const span = each as Partial<ZipkinSpan> | null
    return typeof span?.traceId === 'string' && typeof span.id === 'string'
  })
}

export function zipkinSpans(document: ZipkinSpan[] | ZipkinSpan[][]): Read[] {
  return document.flat().map(read)
}

function read(span: ZipkinSpan): Read {
  const start = micro(span.timestamp)
  const error = span.tags?.error
  return {
    original: span,
    resource: {
      attributes: [
        text('service.name', span.localEndpoint?.serviceName ?? ''),
        ...address('net.host', span.localEndpoint),
      ],
    },
    scope: {},
    span: {
      traceId: span.traceId.padStart(32, '0'),
      spanId: span.id,
      // A server's half has its client's id; the tree is told by the kinds.
      parentSpanId: span.parentId ?? '',
      name: span.name ?? '',
      kind: KINDS[span.kind ?? ''] ?? 0,
      startTimeUnixNano: String(start),
      endTimeUnixNano: String(start + micro(span.duration)),
      attributes: [
        ...Object.entries(span.tags ?? {}).map(([key, value]) => text(key, value)),
        ...(span.remoteEndpoint?.serviceName
          ? [text('peer.service', span.remoteEndpoint.serviceName)]
          : []),
        ...address('net.peer', span.remoteEndpoint),
      ],
      status: error === undefined ? {} : { code: 2, message: String(error) },
      events: (span.annotations ?? []).map((each) => ({
        timeUnixNano: String(micro(each.timestamp)),
        name: each.value ?? '',
      })),
    },
  }
}

function micro(value: number | undefined): bigint {
  return BigInt(Math.round(value ?? 0)) * 1_000n
}

function address(prefix: string, endpoint: Endpoint | undefined): OtlpKeyValue[] {
  const ip = endpoint?.ipv4 ?? endpoint?.ipv6
  return [
    ...(ip ? [text(`${prefix}.ip`, ip)] : []),
    ...(endpoint?.port
      ? [{ key: `${prefix}.port`, value: { intValue: String(endpoint.port) } }]
      : []),
  ]
}

function text(key: string, value: unknown): OtlpKeyValue {
  return { key, value: { stringValue: String(value) } }
}
