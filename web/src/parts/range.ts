/**
 * A time range as the address holds it: `last=15m`, or `start=…&end=…` in Unix seconds.
 *
 * A relative range ends now, anew with each question.
 */

import { durationParameter, parseDuration } from '../language/format.ts'
import type { Parameters } from '../route.ts'

export type Range =
  | { kind: 'last'; nano: number }
  | { kind: 'between'; startSeconds: number; endSeconds: number }

export const LAST_NANO = [5, 15, 60, 3 * 60, 6 * 60, 24 * 60, 2 * 24 * 60, 7 * 24 * 60].map(
  (minutes) => minutes * 60e9,
)
const DEFAULT: Range = { kind: 'last', nano: 3_600e9 }

export function rangeIn(parameters: Parameters, fallback: Range = DEFAULT): Range {
  const start = Number(parameters.start)
  const end = Number(parameters.end)
  if (start > 0 && end > start) return { kind: 'between', startSeconds: start, endSeconds: end }
  const nano = parseDuration(parameters.last ?? '')
  return nano ? { kind: 'last', nano } : fallback
}

/** The address's form of a range; what it does not use is undefined, and so removed. */
export function rangeParameters(
  range: Range,
): Record<'last' | 'start' | 'end', string | undefined> {
  return range.kind === 'last'
    ? { last: lastText(range.nano), start: undefined, end: undefined }
    : { last: undefined, start: String(range.startSeconds), end: String(range.endSeconds) }
}

/** `15m`, `6h`, `2d`. */
export function lastText(nano: number): string {
  for (const [unit, width] of [
    ['d', 86_400e9],
    ['h', 3_600e9],
    ['m', 60e9],
  ] as const) {
    if (nano >= width && nano % width === 0) return `${nano / width}${unit}`
  }
  return durationParameter(nano)
}

/** Start and end of a question to the API, in Unix seconds. */
export function secondsOf(
  range: Range,
  nowMilliseconds = Date.now(),
): { start: number; end: number } {
  if (range.kind === 'between') return { start: range.startSeconds, end: range.endSeconds }
  const end = nowMilliseconds / 1e3
  return { start: end - range.nano / 1e9, end }
}
