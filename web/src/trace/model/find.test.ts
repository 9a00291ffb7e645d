import { expect, test } from 'vitest'
import { random } from '../samples/generate.ts'
import { Attributes } from './attributes.ts'
import { Haystack, Texts, wordsIn } from './find.ts'
import { RowWriter } from './row-writer.ts'
import type { OtlpKeyValue } from './value.ts'

const SPANS = [
  { id: 'cafe01', name: 'GET /cart', service: 'Shop', message: '', route: '/cart' },
  { id: 'beef02', name: 'SELECT items', service: 'cart-db', message: 'Deadlock found', route: '' },
  { id: 'cafe03', name: 'Größe', service: 'shop', message: '', route: '/size=XL' },
]

function haystack(hasAttributes = true): Haystack {
  const writer = new RowWriter()
  const attributes = new Attributes(SPANS.length)
  const resource = attributes.resource(
    Uint32Array.of(attributes.distinct({ key: 'host.name', value: { stringValue: 'node-7' } })),
  )
  SPANS.forEach(({ id, name, service, message, route }, row) => {
    writer.add({
      spanId: id.padEnd(16, '0'),
      parentSpanId: '',
      name,
      statusMessage: message,
      startUnixNano: 1n,
      durationNano: 1,
      scope: writer.scope({ service, name: '', version: '' }),
      kind: 1,
      flags: 0,
      events: [],
      links: [],
    })
    const own: OtlpKeyValue[] = route ? [{ key: 'http.route', value: { stringValue: route } }] : []
    const distinct = Uint32Array.from(own, (each) => attributes.distinct(each))
    attributes.set(row, distinct, row === 0 ? resource : -1)
  })
  const found = new Haystack(writer.rows('01'))
  if (hasAttributes) found.addAttributes(attributes)
  return found
}

test.each([
  ['get', [0]],
  ['GET  cart', [0]],
  ['shop', [0, 2]],
  ['"get /cart"', [0]],
  ['"cart get"', []],
  ['deadlock', [1]],
  ['cafe', [0, 2]],
  ['CAFE03', [2]],
  ['afe03', []],
  ['http.route', [0, 2]],
  ['http.route=/cart', [0]],
  ['http.route=/size=xl', [2]],
  ['größe', [2]],
  ['Gro\u0308ße', [2]],
  ['node-7', [0]],
  ['shop http.route größe', [2]],
  ['get deadlock', []],
  ['', []],
  ['"', []],
])('%j finds the rows %j', (text, wanted) => {
  const hits = haystack().find(wordsIn(text))
  expect([...hits.keys()].filter((row) => hits[row])).toEqual(wanted)
})

test('without attributes, it finds by what is there', () => {
  expect([...haystack(false).find(['cart'])]).toEqual([1, 1, 0])
})

test('texts that are searched as one are found as if each were searched alone', () => {
  const next = random(3)
  const texts = Array.from({ length: 2_000 }, () =>
    Array.from({ length: Math.floor(next() * 9) }, () => 'abc\0'[Math.floor(next() * 4)]).join(''),
  )
  const all = new Texts(texts)
  for (const word of ['a', 'ab', 'abc', 'cc', 'abcabc', 'x']) {
    expect([...all.having(word)]).toEqual(texts.map((text) => (text.includes(word) ? 1 : 0)))
  }
})
