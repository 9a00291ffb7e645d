import { expect, test } from 'vitest'
import { hrefOf, isTemplate } from './link-pattern.ts'

const values = (name: string) =>
  ({ trace_id: 'abc', 'attribute:user': 'a b&c="<' })[name] as string | undefined

test.each([
  ['https://logs.example/?q={trace_id}', 'https://logs.example/?q=abc'],
  ['https://x.example/{attribute:user}', 'https://x.example/a%20b%26c%3D%22%3C'],
  ['https://x.example/{span_id}', undefined],
  ['javascript:alert({trace_id})', undefined],
  ['data:text/html,{trace_id}', undefined],
  ['{trace_id}', undefined],
  ['not a url', undefined],
])('%s leads to %s', (url, expected) => {
  expect(hrefOf({ name: '', url }, values)).toBe(expected)
})

test('a value cannot change where a link leads', () => {
  expect(hrefOf({ name: '', url: '{trace_id}://x' }, () => 'javascript:alert(1)//')).toBeUndefined()
  expect(isTemplate('ftp://x/{trace_id}')).toBe(false)
})
