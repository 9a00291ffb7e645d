/** What the waterfall is told to show. */

import type { Colours } from '../../theme/tokens.ts'
import type { Trace } from '../protocol.ts'
import type { Derived } from './derived.ts'
import type { Entry } from './visible.ts'

export const ROW_PIXELS = 24

export interface Shown {
  trace: Trace
  derived: Derived
  entries: Int32Array
  collapsed: Uint8Array
  openGroups: ReadonlySet<number>
  range: readonly [number, number]
  /** The selected row or group; undefined for none. */
  selected: Entry | undefined
  /** Ascending. */
  hits: Uint32Array
  marks: Uint8Array | undefined
  showsCritical: boolean
  adjustsClocks: boolean
  colours: Colours
  texts: Texts
}

/** What the rows say, in the reader's language. */
export interface Texts {
  expand: string
  collapse: string
  error: string
  errorBelow: string
  missingParent: string
  hasLinks: string
  group: (count: number, name: string) => string
  groupTimes: (total: string, longest: string) => string
  found: (count: number) => string
}

/** A name may have ten thousand characters; a row shows some hundred. */
export function clipped(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}
