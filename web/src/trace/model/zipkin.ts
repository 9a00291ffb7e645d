/** Zipkin's JSON, version 2, as OTLP. */

import { nanoOfMicro } from './jaeger.ts'
import type { Read } from './read.ts'
import { type OtlpKeyValue, objects, string } from './value.ts'

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

export function isZipkin(span: object): span is ZipkinSpan {
  const { traceId, id } = span as Partial<ZipkinSpan>
  return typeof traceId === 'string' && typeof id === 'string'
}

export function zipkinSpans(spans: readonly ZipkinSpan[]): Read[] {
  const times = new Times(spans)
  return spans.map((span) => read(span, times.startOf(span)))
}

/** A server's half may have no time of its own: then its client's, its parent's, or its trace's holds. */
class Times {
  private readonly known = new Map<string, bigint>()

  constructor(spans: readonly ZipkinSpan[]) {
    for (const span of spans) {
      const time = nanoOfMicro(span.timestamp)
      if (time === 0n) continue
      for (const key of [span.traceId, `${span.traceId} ${span.id}`]) {
        const known = this.known.get(key)
        if (known === undefined || time < known) this.known.set(key, time)
      }
    }
  }

  startOf({ traceId, id, parentId, timestamp }: ZipkinSpan): bigint {
    return (
      nanoOfMicro(timestamp) ||
      this.known.get(`${traceId} ${id}`) ||
      this.known.get(`${traceId} ${parentId}`) ||
      this.known.get(traceId) ||
      0n
    )
  }
}

function read(span: ZipkinSpan, start: bigint): Read {
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
      traceId: span.traceId,
      spanId: span.id,
      // A server's half has its client's id; the tree is told by the kinds.
      parentSpanId: span.parentId ?? '',
      name: string(span.name),
      kind: KINDS[span.kind ?? ''] ?? 0,
      startTimeUnixNano: String(start),
      endTimeUnixNano: String(start + nanoOfMicro(span.duration)),
      attributes: [
        ...Object.entries(span.tags ?? {}).map(([key, value]) => text(key, value)),
        ...(span.remoteEndpoint?.serviceName
          ? [text('peer.service', span.remoteEndpoint.serviceName)]
          : []),
        ...address('net.peer', span.remoteEndpoint),
      ],
      status: error === undefined ? {} : { code: 2, message: string(error) },
      events: objects(span.annotations).map((each) => ({
        timeUnixNano: String(nanoOfMicro(each.timestamp)),
        name: string(each.value),
      })),
    },
  }
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
  return { key, value: { stringValue: string(value) } }
}
