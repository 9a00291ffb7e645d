/** The attributes of all spans: distinct ones once, and which span has which. */

import { type AttributeColumns, type ColumnsAnswer, uint32 } from './columns.ts'
import { attributeText, type OtlpKeyValue, plain, string } from './value.ts'

export class Attributes {
  /** Key and text of each distinct attribute. */
  readonly keys: string[] = []
  readonly values: string[] = []
  private readonly places = new Map<string, number>()
  private readonly rowCount: number
  /** Row r has `own[ownFrom[r]] …`, so many as `ownCount` says; and those of its resource. */
  private own = new Uint32Array(1_024)
  private ownUsed = 0
  private readonly ownFrom: Uint32Array
  private readonly ownCount: Uint32Array
  private readonly resourceOf: Int32Array
  private readonly resources: Uint32Array[] = []

  constructor(rowCount: number) {
    this.rowCount = rowCount
    this.ownFrom = new Uint32Array(rowCount)
    this.ownCount = new Uint32Array(rowCount)
    this.resourceOf = new Int32Array(rowCount).fill(-1)
  }

  /** The place of an attribute among the distinct ones. */
  distinct({ key, value }: OtlpKeyValue): number {
    const text = attributeText(plain(value))
    // A key may hold any other separator.
    const pair = `${string(key)}\0${text}`
    const found = this.places.get(pair)
    if (found !== undefined) return found
    this.places.set(pair, this.keys.length)
    this.values.push(text)
    return this.keys.push(string(key)) - 1
  }

  /** A resource that rows may name. */
  resource(distinct: Uint32Array): number {
    return this.resources.push(distinct) - 1
  }

  set(row: number, distinct: Uint32Array, resource: number): void {
    if (row < 0 || row >= this.rowCount) return
    const end = this.ownUsed + distinct.length
    if (end > this.own.length) {
      const larger = new Uint32Array(Math.max(end, 2 * this.own.length))
      larger.set(this.own)
      this.own = larger
    }
    this.own.set(distinct, this.ownUsed)
    this.ownFrom[row] = this.ownUsed
    this.ownCount[row] = distinct.length
    this.resourceOf[row] = resource
    this.ownUsed = end
  }

  /** 1 for each row that has one of those marked in `wanted`. */
  having(wanted: Uint8Array): Uint8Array {
    const { own, ownFrom, ownCount, resourceOf } = this
    const ofResource = this.resources.map((all) => (all.some((each) => wanted[each] === 1) ? 1 : 0))
    const rows = new Uint8Array(this.rowCount)
    for (let row = 0; row < rows.length; row++) {
      let hit = ofResource[resourceOf[row] ?? -1] ?? 0
      const end = (ownFrom[row] ?? 0) + (ownCount[row] ?? 0)
      for (let at = ownFrom[row] ?? 0; at < end && !hit; at++) hit = wanted[own[at] ?? 0] ?? 0
      rows[row] = hit
    }
    return rows
  }

  /** Row → place of its attribute of a key, the span's own before its resource's; -1 where it has none. */
  placesOf(key: string): Int32Array {
    const { own, ownFrom, ownCount, resourceOf } = this
    const isWanted = Uint8Array.from(this.keys, (each) => (each === key ? 1 : 0))
    const ofResource = this.resources.map((all) => all.find((each) => isWanted[each] === 1) ?? -1)
    const places = new Int32Array(this.rowCount)
    for (let row = 0; row < places.length; row++) {
      let place = ofResource[resourceOf[row] ?? -1] ?? -1
      const end = (ownFrom[row] ?? 0) + (ownCount[row] ?? 0)
      for (let at = ownFrom[row] ?? 0; at < end; at++) {
        if (isWanted[own[at] ?? 0]) {
          place = own[at] ?? -1
          break
        }
      }
      places[row] = place
    }
    return places
  }

  /** Every key, sorted. */
  allKeys(): string[] {
    return [...new Set(this.keys)].sort()
  }
}

/** Add a page of the columnar answer; `rowAt` says which row each span of it is, -1 for none. */
export function addPage(
  attributes: Attributes,
  page: ColumnsAnswer & { attributes: AttributeColumns },
  rowAt: (place: number) => number,
): void {
  const part = page.attributes
  const distinct = Uint32Array.from(part.distinct, (each) => attributes.distinct(each))
  const resources = split(part.scope_counts, part.scope_index, distinct).map((all) =>
    attributes.resource(all),
  )
  const scope = uint32(page.columns.scope)
  split(part.counts, part.index, distinct).forEach((own, place) => {
    attributes.set(rowAt(place), own, resources[scope[place] ?? 0] ?? -1)
  })
}

function split(counts: string, index: string, distinct: Uint32Array): Uint32Array[] {
  const all = uint32(index).map((each) => distinct[each] ?? 0)
  let at = 0
  return Array.from(uint32(counts), (count) => {
    at += count
    return all.subarray(at - count, at)
  })
}
