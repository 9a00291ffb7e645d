/**
 * What the page and the trace worker say to each other, and the trace as columns that they share.
 *
 * The worker fetches, parses and computes; the page draws. Columns are typed arrays, transferred, never copied.
 */

import type { Server } from '../api/ask.ts'
import type { Failure } from '../api/failure.ts'
import type { TreeRow } from './row-numbers.ts'

/** Bits of `TraceColumns.flags`. */
export const Flag = {
  /** The span's own status is error. */
  ERROR: 1 << 0,
  /** A descendant's is. */
  ERROR_BELOW: 1 << 1,
  /** It names a parent that is not among the stored spans. */
  MISSING_PARENT: 1 << 2,
  /** It starts before its parent or ends after it by more than a child may: the clocks differ. */
  SKEWED: 1 << 3,
  /** Its end lies before its start: the duration is taken as 0. */
  NEGATIVE: 1 << 4,
  /** The service was entered here. */
  ENTRY: 1 << 5,
  HAS_EVENTS: 1 << 6,
  HAS_LINKS: 1 << 7,
  /** Some of it lies on the critical path. */
  CRITICAL: 1 << 8,
  /** It was its own ancestor; the circle was cut above it. */
  CYCLE: 1 << 9,
  /** Another span of the trace has the same id. */
  DUPLICATE_ID: 1 << 10,
  /** An event of it is an exception. */
  EXCEPTION: 1 << 11,
  /** The sender dropped attributes, events or links of it. */
  DROPPED: 1 << 12,
  /** It outlives its parent: work that the parent did not wait for. */
  OUTLIVES: 1 << 13,
} as const

/**
 * The spans of a trace in tree order: row 0 is the first root, children follow their parent, by start.
 *
 * A subtree is the rows `row … row + subtree[row] - 1`. Times are nanoseconds after the start of the trace.
 */
export interface TraceColumns {
  count: number
  start: Float64Array
  duration: Float64Array
  /** Of the span less the time that its children cover. */
  self: Float64Array
  depth: Uint16Array
  /** The parent's row; -1 for none. */
  parent: Int32Array
  /** How many rows the subtree has, itself among them. */
  subtree: Uint32Array
  /** Index of `TraceHead.names`. */
  name: Uint32Array
  /** Index of `TraceHead.services`. */
  service: Uint16Array
  /** OTLP's span kind, 0 to 5. */
  kind: Uint8Array
  flags: Uint32Array
  /** Index of `TraceHead.groups` of repeated siblings; -1 for none. */
  group: Int32Array
  /** Where to shift a skewed span to when the clocks are adjusted: nanoseconds to add to `start`; 0 for most. */
  shift: Float64Array
  /** Span ids, 8 bytes a row. */
  spanId: Uint8Array
  /** Events of row r are `eventFrom[r] … eventFrom[r + 1] - 1` (so: count + 1 elements). */
  eventFrom: Uint32Array
  eventTime: Float64Array
  /** 1: an exception. */
  eventFlags: Uint8Array
  /** The critical path, in time order: row, from, to (nanoseconds after the start of the trace). */
  criticalRow: Uint32Array
  criticalFrom: Float64Array
  criticalTo: Float64Array
}

export interface ServiceShare {
  name: string
  spanCount: number
  errorCount: number
  /** Sum of self time of its spans. */
  selfNano: number
  /** Its part of the critical path. */
  criticalNano: number
}

/** Repeated siblings (five or more of the same service and name under one parent): shown as one row until opened. */
export interface SiblingGroup {
  parent: number
  /** Ascending. */
  rows: Uint32Array
  errorCount: number
  totalNano: number
  maxNano: number
}

export interface TraceHead {
  traceId: string
  /** `server`, or the format of the dropped file. */
  source: 'server' | 'otlp' | 'jaeger' | 'zipkin'
  startUnixNano: string
  durationNano: number
  names: string[]
  services: ServiceShare[]
  groups: SiblingGroup[]
  rootCount: number
  errorCount: number
  /** Spans that name a parent that is not there. */
  missingParentCount: number
  skewedCount: number
  cycleCount: number
  /** Spans whose id an earlier one has; not the halves, client's and server's, of one call. */
  duplicateIdCount: number
  depthMax: number
  /** Of a file that holds several traces: how many there are besides this one, which has the most spans. */
  otherTraceCount?: number
  /** Why there is no critical path: the roots do not share one, or the trace is still arriving; undefined if there is one. */
  criticalPathMissing?: 'several_roots' | 'no_duration'
  /** False while pages are still on their way. */
  isComplete: boolean
}

export interface Trace {
  head: TraceHead
  columns: TraceColumns
}

export type AttributeValue =
  | string
  | number
  | boolean
  | null
  | AttributeValue[]
  | { [key: string]: AttributeValue }

/** `type` is OTLP's: string, int, double, bool, bytes (base64), array, kvlist, empty; an int beyond 2^53 is a string. */
export interface Attribute {
  key: string
  type: 'string' | 'int' | 'double' | 'bool' | 'bytes' | 'array' | 'kvlist' | 'empty'
  value: AttributeValue
}

export interface SpanEvent {
  timeUnixNano: string
  name: string
  attributes: Attribute[]
}

export interface SpanLink {
  traceId: string
  spanId: string
  traceState: string
  attributes: Attribute[]
}

export interface SpanDetails {
  spanId: string
  parentSpanId: string
  name: string
  service: string
  kind: number
  startUnixNano: string
  endUnixNano: string
  statusCode: 0 | 1 | 2
  statusMessage: string
  traceState: string
  /** Sorted by key, as are all attributes here. */
  attributes: Attribute[]
  resource: Attribute[]
  scopeName: string
  scopeVersion: string
  scope: Attribute[]
  events: SpanEvent[]
  links: SpanLink[]
  droppedCount: number
  /** The span with its resource and scope as OTLP/JSON, or as the dropped file had it; indented. */
  raw: string
}

export interface LogEntry {
  row: TreeRow
  timeUnixNano: string
  name: string
  isException: boolean
  /** `key=value` pairs in a line, the message first. */
  text: string
}

/** A row of the statistics table. */
export interface SpanGroup {
  /** The value grouped by. */
  key: string
  count: number
  errorCount: number
  totalNano: number
  selfNano: number
  p95Nano: number
  maxNano: number
  /** Where it is longest. */
  longestRow: number
}

export type GroupBy = { by: 'service' } | { by: 'name' } | { by: 'attribute'; key: string }

/** Questions of the page. `id` comes back with the answer; a newer question of the same kind drops an older `find`. */
export type Ask =
  | { kind: 'open'; id: number; server: Server; traceId: string }
  | { kind: 'openFile'; id: number; file: Blob }
  | { kind: 'details'; id: number; row: TreeRow }
  /** Rows whose name, service, span id, status message or attributes (keys, values, `key=value`) hold all the words. */
  | { kind: 'find'; id: number; text: string }
  | { kind: 'logs'; id: number }
  | { kind: 'statistics'; id: number; groupBy: GroupBy }
  | { kind: 'attributeKeys'; id: number }
  /** Traces that link to this one, from the server. */
  | { kind: 'linkedFrom'; id: number }
  /** The whole trace as OTLP/JSON (of a file: as it was). */
  | { kind: 'download'; id: number }

export type Told =
  /** After each page of a big trace; the last one has `isComplete`. */
  | { kind: 'trace'; id: number; trace: Trace }
  | { kind: 'failure'; id: number; failure: Failure }
  | { kind: 'details'; id: number; details: SpanDetails }
  /** Ascending. First by what is there (`isPartial`), then, once attributes have been fetched, by them too. */
  | { kind: 'find'; id: number; rows: Uint32Array; isPartial: boolean }
  /** By time; the earliest 20,000. */
  | { kind: 'logs'; id: number; entries: LogEntry[] }
  /** By falling total duration, the first 5,000. Spans without the attribute have the key ''. */
  | { kind: 'statistics'; id: number; groups: SpanGroup[] }
  | { kind: 'attributeKeys'; id: number; keys: string[] }
  | {
      kind: 'linkedFrom'
      id: number
      traces: { traceId: string; service: string; name: string; startUnixNano: string }[]
    }
  | { kind: 'download'; id: number; blob: Blob; fileName: string }
