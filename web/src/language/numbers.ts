/** Numbers, shares and rates for people. */

import { locale } from './language.ts'

export function number(value: number): string {
  return formatter('number').format(value)
}

/** At most three significant digits: `12.3`, `1,230`. */
export function rounded(value: number): string {
  return formatter('rounded').format(value)
}

/** Of a share: `0.123` is `12.3%`; what is more than nothing never reads `0%`. */
export function percent(share: number): string {
  if (share > 0 && share < 0.001) return '<0.1%'
  return formatter('percent').format(share)
}

/** Calls a second, or a minute where they are few. */
export function rate(perSecond: number): string {
  return perSecond >= 1 || perSecond === 0
    ? `${rounded(perSecond)}/s`
    : `${rounded(perSecond * 60)}/min`
}

export function bytes(count: number): string {
  if (count < 1e3) return `${count} B`
  return count < 1e6 ? `${rounded(count / 1e3)} kB` : `${rounded(count / 1e6)} MB`
}

const numbers = new Map<string, Intl.NumberFormat>()
const NUMBER_OPTIONS = {
  number: {},
  rounded: { maximumSignificantDigits: 3 },
  percent: { style: 'percent', maximumSignificantDigits: 3 },
} as const satisfies Record<string, Intl.NumberFormatOptions>

function formatter(kind: keyof typeof NUMBER_OPTIONS): Intl.NumberFormat {
  const key = `${locale.value} ${kind}`
  const found = numbers.get(key) ?? new Intl.NumberFormat(locale.value, NUMBER_OPTIONS[kind])
  numbers.set(key, found)
  return found
}
