/** Finding in a trace: every word must be in a span's own texts, or in one of its attributes. */

import type { Trace } from '../protocol.ts'
import { spanIdOf } from './tree.ts'

/** The texts of a trace in lower case, once for each distinct one; made at the first search. */
export interface Haystack {
  names: string[]
  services: string[]
  /** Row → index of `messages`. */
  message: Uint32Array
  messages: string[]
}

/** The attributes that are looked through, by the trace's rows. */
export interface Searched {
  texts: readonly string[]
  has(row: number, wanted: Uint8Array): boolean
}

/** Words, or phrases in quotes; lower case. */
export function wordsIn(text: string): string[] {
  const found = text.toLowerCase().match(/"[^"]*"?|\S+/g) ?? []
  return found.map((word) => word.replace(/^"|"$/g, '')).filter(Boolean)
}

export function haystackOf(
  trace: Trace,
  statusMessages: Uint32Array,
  strings: readonly string[],
): Haystack {
  const lower = strings.map((text) => text.toLowerCase())
  return {
    names:
      trace.head.names === strings ? lower : trace.head.names.map((name) => name.toLowerCase()),
    services: trace.head.services.map(({ name }) => name.toLowerCase()),
    message: statusMessages,
    messages: lower,
  }
}

/** Rows that have all words; ascending. Without attributes, by what is there. */
export function find(
  trace: Trace,
  haystack: Haystack,
  attributes: Searched | undefined,
  text: string,
): Uint32Array {
  const words = wordsIn(text)
  if (words.length === 0) return new Uint32Array(0)
  const { columns } = trace
  const hits = new Uint8Array(columns.count).fill(1)
  for (const word of words) {
    const names = having(haystack.names, word)
    const services = having(haystack.services, word)
    const messages = having(haystack.messages, word)
    const pairs = attributes && having(attributes.texts, word)
    const isId = /^[0-9a-f]{4,16}$/.test(word)
    for (let row = 0; row < columns.count; row++) {
      if (!hits[row]) continue
      const hit =
        names[columns.name[row] ?? 0] ||
        services[columns.service[row] ?? 0] ||
        messages[haystack.message[row] ?? 0] ||
        (pairs && attributes.has(row, pairs)) ||
        (isId && spanIdOf(columns, row).startsWith(word))
      if (!hit) hits[row] = 0
    }
  }
  const rows = new Uint32Array(columns.count)
  let count = 0
  for (let row = 0; row < columns.count; row++) if (hits[row]) rows[count++] = row
  return rows.slice(0, count)
}

/** Which of the texts have a word: 1 for each that does. */
function having(texts: readonly string[], word: string): Uint8Array {
  return Uint8Array.from(texts, (text) => (text.includes(word) ? 1 : 0))
}
