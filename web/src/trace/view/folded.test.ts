import { expect, test } from 'vitest'
import { foldedIn, foldedText } from './folded.ts'

const isEven = (at: number) => at % 2 === 0

test.each([
  ['nothing', 10, []],
  ['a few', 1_000, [0, 36, 998]],
  ['all but a few', 1_000, Array.from({ length: 500 }, (_, at) => 2 * at).slice(3)],
  ['all', 100_000, Array.from({ length: 50_000 }, (_, at) => 2 * at)],
])('%s of what can be folded reads back as it was written', (_, count, folded) => {
  const wanted = new Set(folded)
  const text = foldedText(count, isEven, (at) => wanted.has(at))
  expect(text.length).toBeLessThan(1_500)
  const marks = foldedIn(text, count, isEven)
  expect([...marks.keys()].filter((at) => marks[at])).toEqual(folded)
})

test('what is too much to be written is left out', () => {
  expect(foldedText(10_000, isEven, (at) => at % 4 === 0)).toBe('')
})

test.each(['', '!zz.q', 'x y', '-1', '1', '!!!'])('%j breaks nothing', (text) => {
  expect(foldedIn(text, 10, isEven)).toHaveLength(10)
})
