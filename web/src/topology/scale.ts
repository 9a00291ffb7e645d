/** How much a call weighs in the picture. */

import { errorShare, type Sum } from './graph.ts'

const WIDTH_MIN = 1
const WIDTH_MAX = 6
/** Rates this far below the highest are drawn as thin as can be. */
const DECADES = 3

/** Pixels, by the logarithm of the share of the largest. */
export function edgeWidth(calls: number, callsMax: number): number {
  if (calls <= 0 || callsMax <= 0) return WIDTH_MIN
  const share = 1 + Math.log10(Math.min(1, calls / callsMax)) / DECADES
  return WIDTH_MIN + (WIDTH_MAX - WIDTH_MIN) * Math.max(0, share)
}

/** None, some, or so many that someone should look. */
export type ErrorLevel = 'none' | 'some' | 'many'

const MANY_SHARE = 0.05

export function errorLevel(sum: Sum): ErrorLevel {
  if (sum.errors <= 0) return 'none'
  return errorShare(sum) < MANY_SHARE ? 'some' : 'many'
}

export const LEVEL_ICONS = { none: undefined, some: 'warning', many: 'error' } as const
