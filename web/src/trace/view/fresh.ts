import type { TraceHead } from '../protocol.ts'

/** A trace whose last span ended less than this ago may get more. */
const FRESH_MILLISECONDS = 60_000

/** More of its spans may be on their way. */
export function isFresh(head: TraceHead): boolean {
  const end = Number(BigInt(head.startUnixNano) / 1_000_000n) + head.durationNano / 1e6
  return head.source === 'server' && Date.now() - end < FRESH_MILLISECONDS
}
