import { expect, test } from 'vitest'
import { fragmentOf, hrefTo, routeIn } from './route.ts'

test('an address reads back as the view that it was made of', () => {
  const route = {
    view: 'trace' as const,
    subject: '5b8efff798038103d269b633813fc60c',
    parameters: { find: 'a&b=c #/?', span: 'eee19b7ec3c1b174' },
  }
  expect(routeIn(fragmentOf(route))).toEqual(route)
})

test.each(['', '#', '#/', '#/nothing/here', '#/%E0%A4%A'])('%j leads to the search', (fragment) => {
  expect(routeIn(fragment).view).toBe('search')
})

test('empty parameters are left out of an address', () => {
  expect(hrefTo('search', '', { service: '', span_name: undefined, last: '1h' })).toBe(
    '#/search?last=1h',
  )
})
