/** Finding in a trace: every word must be in a span's own texts, or in one of its attributes. */

import type { Attributes } from './attributes.ts'
import { hexOf, type Rows } from './rows.ts'

/** Shorter words would meet the beginning of some id by chance. */
const ID_DIGITS_MIN = 4
/** Of one text that is searched at once: far below what a string may have. */
const BLOCK_CHARACTERS = 8_000_000

/** Words, or phrases in quotes; lower case. */
export function wordsIn(text: string): string[] {
  const found = normal(text).match(/"[^"]*"?|\S+/g) ?? []
  return found.map((word) => word.replace(/^"|"$/g, '')).filter(Boolean)
}

/** As texts are compared. A NUL stands between them, and so is in none. */
function normal(text: string): string {
  return text.normalize('NFC').toLowerCase().replaceAll('\0', ' ')
}

/** Many texts that are searched as few long ones: one call for each hit, not for each text. */
export class Texts {
  private readonly count: number
  private readonly blocks: { text: string; first: number; starts: Uint32Array }[] = []

  constructor(texts: Iterable<string>) {
    let [pieces, starts, length, count]: [string[], number[], number, number] = [[], [], 0, 0]
    const close = () => {
      if (starts.length === 0) return
      const first = count - starts.length
      this.blocks.push({ text: pieces.join('\0'), first, starts: Uint32Array.from(starts) })
      ;[pieces, starts, length] = [[], [], 0]
    }
    for (const text of texts) {
      const piece = normal(text)
      if (length + piece.length > BLOCK_CHARACTERS) close()
      starts.push(length)
      pieces.push(piece)
      length += piece.length + 1
      count++
    }
    close()
    this.count = count
  }

  /** 1 for each text that has the word. */
  having(word: string): Uint8Array {
    const marks = new Uint8Array(this.count)
    for (const { text, first, starts } of this.blocks) {
      let at = 0
      for (let from = text.indexOf(word); from >= 0; from = text.indexOf(word, starts[at])) {
        at = placeOf(starts, from, at)
        marks[first + at] = 1
        at++
        if (at === starts.length) break
      }
    }
    return marks
  }
}

/** The last of `starts`, from `low` on, that is not beyond `position`. */
function placeOf(starts: Uint32Array, position: number, low: number): number {
  // Hits are mostly close to each other: look ahead in growing steps, then between.
  let step = 1
  while ((starts[low + step] ?? Number.POSITIVE_INFINITY) <= position) {
    low += step
    step *= 2
  }
  let high = Math.min(low + step, starts.length)
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((starts[middle] ?? 0) <= position) low = middle
    else high = middle
  }
  return low
}

/** What a trace is searched in; made at the first question. */
export class Haystack {
  private readonly rows: Rows
  private readonly strings: Texts
  private readonly services: Texts
  private attributes: { all: Attributes; pairs: Texts } | undefined

  constructor(rows: Rows) {
    this.rows = rows
    this.strings = new Texts(rows.strings)
    this.services = new Texts(rows.scopes.map(({ service }) => service))
  }

  addAttributes(all: Attributes): void {
    if (this.attributes) return
    const pairs = new Texts(all.keys.map((key, at) => `${key}=${all.values[at] ?? ''}`))
    this.attributes = { all, pairs }
  }

  get hasAttributes(): boolean {
    return this.attributes !== undefined
  }

  /** 1 for each of `Rows` that has all words. */
  find(words: readonly string[]): Uint8Array {
    const { count, name, statusMessage, scope } = this.rows
    const hits = new Uint8Array(count).fill(words.length ? 1 : 0)
    for (const word of words) {
      const strings = this.strings.having(word)
      const services = this.services.having(word)
      const ofAttributes = this.rowsWithAttribute(word)
      const isId = word.length >= ID_DIGITS_MIN && /^[0-9a-f]{1,16}$/.test(word)
      for (let row = 0; row < count; row++) {
        if (!hits[row]) continue
        hits[row] =
          strings[name[row] ?? 0] ||
          services[scope[row] ?? 0] ||
          strings[statusMessage[row] ?? 0] ||
          ofAttributes?.[row] ||
          (isId && this.hasId(row, word) ? 1 : 0)
      }
    }
    return hits
  }

  private rowsWithAttribute(word: string): Uint8Array | undefined {
    const marks = this.attributes?.pairs.having(word)
    return marks?.includes(1) ? this.attributes?.all.having(marks) : undefined
  }

  private hasId(row: number, digits: string): boolean {
    const { spanId } = this.rows
    const first = (spanId[8 * row] ?? 0) >> 4
    // Most ids differ in their first digit: no text is made of those.
    return (
      first === Number.parseInt(digits[0] ?? '', 16) && hexOf(spanId, row, 8).startsWith(digits)
    )
  }
}
