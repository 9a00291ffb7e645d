/** From time to pixels, and the ticks of a time axis. */

import { exactTime, shortMoment } from '../../language/format.ts'

/** Left of the range, so that what starts with it shows its edge; right of it, so that its label has room. */
export const LEFT_PIXELS = 8
export const RIGHT_PIXELS = 68

const SECOND = 1e9
const MINUTE = 60e9
const HOUR = 3_600e9
const DAY = 86_400e9
/** Of clocks, where tens are not round. */
const CLOCK_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR),
]

export class Scale {
  private readonly perNano: number

  constructor(
    readonly from: number,
    readonly to: number,
    readonly width: number,
    private readonly left = LEFT_PIXELS,
    right = RIGHT_PIXELS,
  ) {
    this.perNano = Math.max(1, width - left - right) / Math.max(1e-3, to - from)
  }

  x(nano: number): number {
    return this.left + (nano - this.from) * this.perNano
  }

  nano(x: number): number {
    return this.from + (x - this.left) / this.perNano
  }

  /** Ticks across all of the width, at least `apart` pixels from one another. */
  ticks(apart: number): number[] {
    return ticks(Math.max(this.from, this.nano(0)), this.nano(this.width), this.step(apart))
  }

  step(apart: number): number {
    return stepOf(apart / this.perNano)
  }
}

/** The round step that is at least so many nanoseconds: 1, 2 or 5 × 10^n, of minutes and hours as clocks have them. */
export function stepOf(nano: number): number {
  if (nano > SECOND && nano <= 12 * HOUR) {
    return CLOCK_STEPS.find((step) => step >= nano) ?? DAY
  }
  const unit = nano > SECOND ? DAY : 1
  const size = Math.max(1, nano / unit)
  const power = 10 ** Math.floor(Math.log10(size) + 1e-9)
  return ([1, 2, 5].find((each) => each * power >= size * (1 - 1e-9)) ?? 10) * power * unit
}

export function ticks(from: number, to: number, step: number): number[] {
  if (!(step > 0) || !(to >= from)) return []
  const [first, last] = [Math.ceil(from / step), Math.floor(to / step)]
  return Array.from({ length: last - first + 1 }, (_, at) => (first + at) * step)
}

/** A tick's time after the start, as exact as the step and no more, in the unit that suits the end of the axis. */
export function tickText(nano: number, step: number, to: number): string {
  if (nano === 0) return '0'
  if (to < MINUTE) {
    const [unit, width] =
      to >= SECOND ? ['s', SECOND] : to >= 1e6 ? ['ms', 1e6] : to >= 1e3 ? ['µs', 1e3] : ['ns', 1]
    return `${(nano / Number(width)).toFixed(decimals(step / Number(width)))} ${unit}`
  }
  const seconds = (nano % MINUTE) / SECOND
  const parts = [
    [Math.floor(nano / DAY), 'd'],
    [Math.floor(nano / HOUR) % 24, 'h'],
    [Math.floor(nano / MINUTE) % 60, 'min'],
  ] as const
  const texts = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}`)
  if (seconds > 0) texts.push(`${seconds.toFixed(decimals(step / SECOND))} s`)
  return texts.join(' ')
}

/** The same as a moment in the chosen zone. */
export function clockText(unixNano: bigint, step: number): string {
  if (step >= HOUR) return shortMoment(Number(unixNano / 1_000_000_000n))
  const text = exactTime(unixNano)
  const digits = decimals(step / SECOND)
  return digits === 0 ? text.slice(0, 8) : text.slice(0, 9 + digits)
}

function decimals(step: number): number {
  return Math.min(9, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)))
}
