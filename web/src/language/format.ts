/** Durations and times for people. Durations are nanoseconds; moments are Unix nanoseconds. */

import { timeZone } from '../settings/state.ts'
import { locale } from './language.ts'

const UNITS = [
  ['d', 86_400e9],
  ['h', 3_600e9],
  ['min', 60e9],
  ['s', 1e9],
  ['ms', 1e6],
  ['µs', 1e3],
  ['ns', 1],
] as const

/** Three significant digits and one unit, `1.23 ms`; two units from a minute on, `1 min 05 s`. */
export function duration(nano: number): string {
  const size = Math.abs(nano)
  const sign = nano < 0 ? '−' : ''
  if (size >= 60e9) return sign + twoUnits(size)
  const [unit, width] = UNITS.find(([, each]) => size >= each) ?? (['ns', 1] as const)
  const text = significant(size / width)
  return `${sign}${text === '1000' ? `1.00 ${larger(unit)}` : `${text} ${unit}`}`
}

function larger(unit: string): string {
  const at = UNITS.findIndex(([name]) => name === unit)
  return UNITS[at - 1]?.[0] ?? unit
}

function twoUnits(nano: number): string {
  const seconds = Math.round(nano / 1e9)
  const parts = [
    ['d', Math.floor(seconds / 86_400)],
    ['h', Math.floor(seconds / 3_600) % 24],
    ['min', Math.floor(seconds / 60) % 60],
    ['s', seconds % 60],
  ] as const
  const first = parts.findIndex(([, count]) => count > 0)
  const [major, minor] = [parts[first], parts[first + 1]]
  if (!major) return '0 s'
  const head = `${major[1]} ${major[0]}`
  return minor?.[1] ? `${head} ${String(minor[1]).padStart(2, '0')} ${minor[0]}` : head
}

function significant(value: number): string {
  if (value === 0) return '0'
  if (value >= 99.95) return value.toFixed(0)
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(2)
}

/** A duration as the API and the search field take it, exact to the nanosecond: `1.5s`, `250ms`. */
export function durationParameter(nano: number): string {
  for (const [unit, width] of [
    ['s', 1e9],
    ['ms', 1e6],
    ['us', 1e3],
  ] as const) {
    if (nano >= width && nano % (width / 1e3) === 0) return `${nano / width}${unit}`
  }
  return `${Math.round(nano)}ns`
}

const DURATION = /^(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|min|h|d)$/
const NANO = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  min: 60e9,
  h: 3_600e9,
  d: 86_400e9,
}

/** Nanoseconds of what someone typed, such as `250ms` or `1.5 s`; undefined for what is none. */
export function parseDuration(text: string): number | undefined {
  const found = DURATION.exec(text.trim())
  if (!found) return undefined
  return Math.round(Number(found[1]) * NANO[found[2] as keyof typeof NANO])
}

/** The IANA name of the zone in which moments are shown; name it wherever they are. */
export function zone(): string {
  const chosen = timeZone.value
  if (chosen === 'utc') return 'UTC'
  if (chosen !== 'local' && isZone(chosen)) return chosen
  return Intl.DateTimeFormat(locale.value).resolvedOptions().timeZone || 'UTC'
}

export function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-GB', { timeZone: name })
    return true
  } catch {
    return false
  }
}

/** `23 Nov 2026, 12:00:03.123` */
export function moment(unixNano: bigint | string): string {
  return dateFormatter('moment').format(Number(BigInt(unixNano) / 1_000_000n))
}

/** `12:00:03.123456789`: all of it, within its day. */
export function exactTime(unixNano: bigint | string): string {
  const nano = BigInt(unixNano)
  const clock = dateFormatter('clock').format(Number(nano / 1_000_000n))
  return `${clock}.${String(nano % 1_000_000_000n).padStart(9, '0')}`
}

/** For axes and lists: `23 Nov, 12:00`. */
export function shortMoment(unixSeconds: number): string {
  return dateFormatter('short').format(unixSeconds * 1_000)
}

export function clockTime(unixSeconds: number): string {
  return dateFormatter('hour').format(unixSeconds * 1_000)
}

/** `3 min ago`. */
export function ago(unixNano: bigint | string, nowMilliseconds = Date.now()): string {
  const seconds = Math.max(0, nowMilliseconds / 1e3 - Number(BigInt(unixNano) / 1_000_000n) / 1e3)
  const [unit, width] =
    (
      [
        ['day', 86_400],
        ['hour', 3_600],
        ['minute', 60],
        ['second', 1],
      ] as const
    ).find(([, each]) => seconds >= each) ?? (['second', 1] as const)
  return new Intl.RelativeTimeFormat(locale.value, { style: 'short' }).format(
    -Math.floor(seconds / width),
    unit,
  )
}

const dates = new Map<string, Intl.DateTimeFormat>()
const TIME = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const
const DATE_OPTIONS = {
  moment: {
    ...TIME,
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    second: '2-digit',
    fractionalSecondDigits: 3,
  },
  clock: { ...TIME, second: '2-digit' },
  short: { ...TIME, month: 'short', day: 'numeric' },
  hour: TIME,
} as const satisfies Record<string, Intl.DateTimeFormatOptions>

function dateFormatter(kind: keyof typeof DATE_OPTIONS): Intl.DateTimeFormat {
  const key = `${locale.value} ${zone()} ${kind}`
  const found =
    dates.get(key) ??
    new Intl.DateTimeFormat(locale.value, { ...DATE_OPTIONS[kind], timeZone: zone() })
  dates.set(key, found)
  return found
}
