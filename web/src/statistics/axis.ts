/** Axes: round times of a zone, round durations, and the range of values. */

import { clockTime, shortMoment, zone } from '../language/format.ts'
import { instantOf, wallClockOf } from '../parts/wall-clock.ts'

const MINUTE = 60
const HOUR = 3_600
const DAY = 86_400
const TIME_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR),
  ...[1, 2, 7, 14, 28, 56, 112].map((days) => days * DAY),
]

/** Unix seconds at which the zone's clocks show a round time. */
export function timeTicks(from: number, to: number, most: number, zoneName: string): number[] {
  const raw = (to - from) / Math.max(1, most)
  const step = TIME_STEPS.find((each) => each >= raw) ?? Math.ceil(raw / DAY) * DAY
  const [wallFrom, wallTo] = [wallSeconds(from, zoneName), wallSeconds(to, zoneName)]
  const changesClocks = wallTo - wallFrom !== Math.floor(to) - Math.floor(from)
  const found: number[] = []
  for (let wall = Math.ceil(wallFrom / step) * step; wall <= wallTo; wall += step) {
    const tick = changesClocks
      ? instantOf(new Date(wall * 1e3).toISOString().slice(0, 19), zoneName)
      : wall - wallFrom + Math.floor(from)
    if (tick !== undefined && tick >= from && tick <= to) found.push(tick)
  }
  return found
}

/** A time on an axis; where a day begins, the day. */
export function timeText(seconds: number): string {
  return wallSeconds(seconds, zone()) % DAY === 0 ? shortMoment(seconds) : clockTime(seconds)
}

/** What a clock of the zone shows, counted as if it were UTC. */
function wallSeconds(seconds: number, zoneName: string): number {
  return Date.parse(`${wallClockOf(seconds, zoneName)}Z`) / 1e3
}

/** `1.50 s` as `1.5 s`: at a tick, further digits say nothing. */
export function bare(text: string): string {
  return text.replace(/(\.\d*?)0+(?= )/, '$1').replace('. ', ' ')
}

export interface Axis {
  low: number
  high: number
  ticks: number[]
  isLogarithmic: boolean
}

/** Round steps (1, 2, 5 × 10^n), so that at most `most` of them are in the width. */
export function ticks(from: number, to: number, most: number): number[] {
  const raw = (to - from) / Math.max(1, most)
  if (!(raw > 0)) return []
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = ([1, 2, 5, 10].find((each) => each * power >= raw) ?? 10) * power
  const first = Math.ceil(from / step)
  const count = Math.floor(to / step) - first + 1
  return Array.from({ length: Math.max(0, count) }, (_, at) => (first + at) * step)
}

const TICKS_MAX = 5
const LOG_TICKS_MAX = 6
const HEADROOM = 1.08

/** From 0; the ticks are round in `unit`. */
export function linearAxis(highest: number, unit = 1): Axis {
  const high = (highest || unit) * HEADROOM
  return {
    low: 0,
    high,
    ticks: ticks(0, high / unit, TICKS_MAX).map((tick) => tick * unit),
    isLogarithmic: false,
  }
}

const WIDE = 20
const UNITS_NANO = [86_400e9, 3_600e9, 60e9, 1]

/** Of durations in nanoseconds: logarithmic once they differ much, or the short ones would lie on the floor. */
export function durationAxis(values: readonly (number | null)[]): Axis {
  let [low, high] = [Number.POSITIVE_INFINITY, 1]
  for (const value of values) {
    if (value === null || value <= 0) continue
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  if (high / low < WIDE || low > high) {
    return linearAxis(high, UNITS_NANO.find((unit) => high >= 2 * unit) ?? 1)
  }
  const [from, to] = [low / 1.25, high * 1.25]
  return { low: from, high: to, ticks: logTicks(from, to, LOG_TICKS_MAX), isLogarithmic: true }
}

const TENS = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10]
const TENS_AND_ABOVE = [...TENS, 60e9, 600e9, 3_600e9, 36_000e9, 86_400e9, 864_000e9]
const FINE = [
  ...TENS.flatMap((ten) => [ten, 2 * ten, 5 * ten]).filter((nano) => nano < 60e9),
  ...[60, 120, 300, 600, 1_800].map((seconds) => seconds * 1e9),
  ...[1, 2, 5, 12].map((hours) => hours * 3_600e9),
  ...[1, 2, 5, 10, 20].map((days) => days * 86_400e9),
]

/** Round durations for a logarithmic axis: 1, 2 and 5 of each power, else the powers, else some of them. */
export function logTicks(low: number, high: number, most: number): number[] {
  const within = (list: readonly number[]) => list.filter((each) => each >= low && each <= high)
  const fine = within(FINE)
  if (fine.length <= most) return fine
  const tens = within(TENS_AND_ABOVE)
  const every = Math.ceil(tens.length / most)
  return tens.filter((_, at) => at % every === 0)
}

/** Where a value lies between low (0) and high (1). */
export function placeOf(axis: Omit<Axis, 'ticks'>, value: number): number {
  if (!axis.isLogarithmic) return (value - axis.low) / (axis.high - axis.low)
  return Math.log(value / axis.low) / Math.log(axis.high / axis.low)
}
