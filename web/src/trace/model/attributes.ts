/** The attributes of all spans: distinct ones once, and which span has which. */

import { type AttributeColumns, bytesOf } from './columns.ts'
import { type OtlpValue, textOf } from './value.ts'

export class Attributes {
  /** `key=value` of each distinct attribute, in lower case. */
  readonly texts: string[] = []
  readonly keys: string[] = []
  readonly values: string[] = []
  private readonly index = new Map<string, number>()
  /** Row → its distinct attributes; a resource's are behind the span's own. */
  private readonly ofRow: Uint32Array[]

  constructor(count: number) {
    this.ofRow = new Array<Uint32Array>(count).fill(new Uint32Array(0))
  }

  distinct(key: string, value: string): number {
    const text = `${key}=${value}`
    const found = this.index.get(text)
    if (found !== undefined) return found
    this.index.set(text, this.texts.length)
    this.keys.push(key)
    this.values.push(value)
    return this.texts.push(text.toLowerCase()) - 1
  }

  set(row: number, distinct: Uint32Array): void {
    this.ofRow[row] = distinct
  }

  /** Whether a row has one of those marked in `wanted`. */
  has(row: number, wanted: Uint8Array): boolean {
    const own = this.ofRow[row]
    if (!own) return false
    for (const each of own) if (wanted[each]) return true
    return false
  }

  /** The value of a key; undefined where the span has none. */
  value(row: number, key: string): string | undefined {
    for (const each of this.ofRow[row] ?? []) if (this.keys[each] === key) return this.values[each]
    return undefined
  }

  /** Every key, sorted. */
  allKeys(): string[] {
    return [...new Set(this.keys)].sort()
  }
}

/** Add a part of the columnar answer; `rowAt` says which row each span of it is, -1 for none. */
export function addColumns(
  attributes: Attributes,
  part: AttributeColumns,
  scopes: Uint32Array,
  rowAt: (place: number) => number,
): void {
  const distinct = part.distinct.map(({ key, value }) =>
    attributes.distinct(key, textOf(value as OtlpValue)),
  )
  const numbers = (base64: string) => new Uint32Array(bytesOf(base64).buffer)
  const ofScopes = split(numbers(part.scope_counts), numbers(part.scope_index), distinct)
  split(numbers(part.counts), numbers(part.index), distinct).forEach((own, place) => {
    const row = rowAt(place)
    if (row < 0) return
    const resource = ofScopes[scopes[place] ?? 0] ?? new Uint32Array(0)
    const all = new Uint32Array(own.length + resource.length)
    all.set(own)
    all.set(resource, own.length)
    attributes.set(row, all)
  })
}

function split(
  counts: Uint32Array,
  index: Uint32Array,
  distinct: readonly number[],
): Uint32Array[] {
  let at = 0
  return Array.from(counts, (count) => {
    at += count
    return index.slice(at - count, at).map((each) => distinct[each] ?? 0)
  })
}
