/** What is chosen on a chart: a time, perhaps durations too; in the address, and as a search. */

import {
  clockTime,
  durationParameter,
  parseDuration,
  shortMoment,
  zone,
} from '../language/format.ts'
import { wallClockOf } from '../parts/wall-clock.ts'
import type { Parameters } from '../route.ts'
import type { Steps } from './series.ts'

export interface Brush {
  /** Unix seconds. */
  from: number
  to: number
  /** Nanoseconds. */
  low?: number | undefined
  high?: number | undefined
}

export function brushIn(parameters: Parameters): Brush | undefined {
  const [from, to] = [Number(parameters['from']), Number(parameters['to'])]
  if (!(from > 0 && to > from)) return undefined
  return {
    from,
    to,
    low: parseDuration(parameters['min'] ?? ''),
    high: parseDuration(parameters['max'] ?? ''),
  }
}

/** The address's form of it; of nothing chosen, all are undefined, and so removed. */
export function brushParameters(
  brush: Brush | undefined,
): Record<'from' | 'to' | 'min' | 'max', string | undefined> {
  return {
    from: brush && String(brush.from),
    to: brush && String(brush.to),
    ...durationsOf(brush),
  }
}

/** Whole steps: a point stands where its step begins, and is meant as a whole. */
export function snapped({ from, to, low, high }: Brush, { start, end, width }: Steps): Brush {
  const first = start + Math.floor((from - start) / width) * width
  const last = start + Math.ceil((to - start) / width) * width
  const left = Math.min(Math.max(start, first), end - width)
  return { from: left, to: Math.max(left + width, Math.min(end, last)), low, high }
}

/** What the search view takes: the traces of what is chosen. */
export function searchOf(
  brush: Brush,
  service: string,
  spanName: string,
): Record<string, string | undefined> {
  return {
    service,
    span_name: spanName,
    start: String(Math.floor(brush.from)),
    end: String(Math.ceil(brush.to)),
    ...durationsOf(brush),
  }
}

function durationsOf(brush: Brush | undefined): Record<'min' | 'max', string | undefined> {
  return {
    min: brush?.low ? durationParameter(outward(brush.low, Math.floor)) : undefined,
    max: brush?.high ? durationParameter(outward(brush.high, Math.ceil)) : undefined,
  }
}

/** Three digits are enough to read, and nothing that was chosen may be left out. */
function outward(nano: number, round: (value: number) => number): number {
  const digit = 10 ** Math.max(0, Math.floor(Math.log10(nano)) - 2)
  // Of 1.2e9 / 1e7 the computer makes 120.00000000000001, at times.
  return round(Number((nano / digit).toPrecision(12))) * digit
}

/** The store knows quantiles to within 1.1 %: what lies at one may be a little shorter. */
const QUANTILE_LEEWAY = 0.98

/** The shortest duration with which a search surely finds what lies at the quantile. */
export function atLeast(quantileNano: number): number {
  return Math.max(1, outward(quantileNano * QUANTILE_LEEWAY, Math.floor))
}

/** `23 Nov, 12:03 – 12:10`. */
export function spanText(from: number, to: number): string {
  const day = (seconds: number) => wallClockOf(seconds, zone()).slice(0, 10)
  return `${shortMoment(from)} – ${day(from) === day(to) ? clockTime(to) : shortMoment(to)}`
}
