/** The order of the traces that are loaded. */

import type { TraceSummary } from '../api/answers.ts'

export const ORDERS = ['newest', 'longest', 'spans', 'errors'] as const
export type Order = (typeof ORDERS)[number]

export function sorted(traces: readonly TraceSummary[], order: Order): TraceSummary[] {
  const by: Record<Order, (trace: TraceSummary) => number> = {
    newest: (trace) => Number(trace.start_time_unix_nano),
    longest: (trace) => Number(trace.duration_nano),
    spans: (trace) => trace.span_count,
    errors: (trace) => trace.error_count,
  }
  return [...traces].sort((a, b) => by[order](b) - by[order](a))
}

/** Pages joined; a trace that came twice counts as it came last. */
export function joined(
  before: readonly TraceSummary[],
  more: readonly TraceSummary[],
): TraceSummary[] {
  return [...new Map([...before, ...more].map((trace) => [trace.trace_id, trace])).values()]
}
