import { expect, test } from 'vitest'
import { random } from '../samples/generate.ts'
import { orderOf } from './order.ts'

test.each([1, 7, 60_000, 70_000, 2 ** 33, 2 ** 53 - 1, 2 ** 62])(
  'keys up to %d come in order, equal ones as they were',
  (highest) => {
    const next = random(9)
    const keys = Float64Array.from({ length: 500 }, (_, at) =>
      at % 3 ? Math.floor(next() * highest) : Math.floor(next() * Math.min(5, highest)),
    )
    keys[4] = highest
    const wanted = [...keys.keys()].sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0) || a - b)
    expect([...orderOf(keys)]).toEqual(wanted)
  },
)

test('no key is in order', () => {
  expect(orderOf(new Float64Array(0))).toHaveLength(0)
})
