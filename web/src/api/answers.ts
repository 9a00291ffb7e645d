/** The answers of the native API, as `openapi.json` has them. `*_nano` are decimal strings. */

export interface TraceSummary {
  trace_id: string
  root_service: string
  root_span_name: string
  start_time_unix_nano: string
  duration_nano: string
  span_count: number
  error_count: number
  services: string[]
  service_span_counts: Record<string, number>
  service_error_counts: Record<string, number>
}

export interface SearchAnswer {
  traces: TraceSummary[]
  next: string | null
  warnings: string[]
}

export interface ServicesAnswer {
  services: string[]
}

export type SpanKind = 'unspecified' | 'internal' | 'server' | 'client' | 'producer' | 'consumer'

export interface SpanNamesAnswer {
  span_names: { name: string; kind: SpanKind }[]
}

export interface AttributesAnswer {
  attributes: {
    key: string
    span_count: number
    values: { value: string; span_count: number }[]
  }[]
  /** How many of the newest traces were looked at. */
  trace_count: number
  warnings: string[]
}

/** OTLP's exponential histogram of nanoseconds: bucket i of `bucketCounts` ends at 2^((offset+i+1)/2^scale). */
export interface Histogram {
  scale: number
  zeroCount: string
  positive: { offset: number; bucketCounts: string[] }
}

export interface Figures {
  calls: number
  errors: number
  /** Calls a second. */
  rate: number
  p50_nano: string
  p75_nano: string
  p90_nano: string
  p95_nano: string
  p99_nano: string
  histogram: Histogram
}

export interface Point extends Figures {
  start_time_unix_nano: string
}

export interface Series {
  span_name: string
  kind: SpanKind
  points: Point[]
  total: Figures
}

export interface StatisticsAnswer {
  service: string
  start_time_unix_nano: string
  end_time_unix_nano: string
  step_nano: string
  series: Series[]
  total: Figures
  total_points: Point[]
  other: Figures | null
  /** Calls of names with ids in them, counted by the name without; and those in `other`. */
  folded: { renamed_calls: number; other_calls: number }
  warnings: string[]
}

export interface Edge {
  caller: string
  callee: string
  kind: 'rpc' | 'messaging' | 'database' | 'external'
  calls: number
  errors: number
  p50_nano: string
  p95_nano: string
  p99_nano: string
  exemplar_trace_id: string | null
}

export interface EdgesAnswer {
  start_time_unix_nano: string
  end_time_unix_nano: string
  edges: Edge[]
  other: Figures | null
  warnings: string[]
}
