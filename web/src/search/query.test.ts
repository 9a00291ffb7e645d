import { expect, test } from 'vitest'
import type { TraceSummary } from '../api/answers.ts'
import { conditionsOf, hasConditions, parametersOf, questionOf, searchIn } from './query.ts'
import { area, hit, plotOf } from './scatter.ts'
import { joined, sorted } from './sort.ts'

const SEARCH = {
  service: 'cart',
  spanName: 'GET /',
  attributes: ['a=b', 'c= d=e'],
  min: '10ms',
  max: '2 s',
  onlyErrors: true,
  link: 'abc',
  limit: 100,
  range: { kind: 'between' as const, startSeconds: 10, endSeconds: 20 },
}

test('a search reads back from the address as it was written', () => {
  expect(searchIn(present(parametersOf(SEARCH)))).toEqual(SEARCH)
  expect(parametersOf(searchIn({}))).toMatchObject({ service: '', limit: '', last: '1h' })
})

function present(parameters: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(parameters).filter(([, value]) => value)) as Record<
    string,
    string
  >
}

test('the API is asked with exact durations and with seconds', () => {
  expect(questionOf(SEARCH)).toMatchObject({
    attribute: ['a=b', 'c= d=e'],
    min_duration: '10ms',
    max_duration: '2s',
    start: '10.000',
    end: '20.000',
  })
  expect(questionOf({ ...SEARCH, min: 'fast' })['min_duration']).toBe('')
})

test('a relative range ends now: its end is left to the server', () => {
  const question = questionOf({ ...SEARCH, range: { kind: 'last', nano: 60e9 } }, 100_000)
  expect(question).toMatchObject({ start: '40.000', end: '' })
})

test('each condition can be left out alone', () => {
  expect(conditionsOf(SEARCH).map(({ text }) => text)).toEqual([
    'cart',
    'GET /',
    'a=b',
    'c= d=e',
    '10ms',
    '2 s',
    'error',
    'abc',
  ])
  expect(conditionsOf(SEARCH)[2]?.search.attributes).toEqual(['c= d=e'])
  expect(hasConditions(searchIn({ last: '6h' }))).toBe(false)
})

const trace = (id: string, start: number, duration: number): TraceSummary => ({
  trace_id: id,
  root_service: '',
  root_span_name: '',
  start_time_unix_nano: String(BigInt(start) * 1_000_000_000n),
  duration_nano: String(duration),
  span_count: duration,
  error_count: -duration,
  services: [],
  service_span_counts: {},
  service_error_counts: {},
})

test('traces are sorted by what is asked, and joined without doubles', () => {
  const traces = [trace('a', 1, 30), trace('b', 2, 10)]
  expect(sorted(traces, 'newest').map((each) => each.trace_id)).toEqual(['b', 'a'])
  expect(sorted(traces, 'longest').map((each) => each.trace_id)).toEqual(['a', 'b'])
  expect(joined(traces, [trace('b', 2, 11)]).map((each) => each.duration_nano)).toEqual([
    '30',
    '11',
  ])
})

test('a rectangle around a point holds its time and duration', () => {
  const box = { left: 50, top: 10, width: 500, height: 200 }
  const plot = plotOf([trace('a', 15, 5_000_000), trace('b', 19, 90_000_000)], 10, 20, box)
  const [point] = plot.points
  if (!point) throw new Error('no point')
  expect(hit(plot, point.x + 3, point.y - 3)?.trace.trace_id).toBe('a')
  expect(hit(plot, point.x + 30, point.y)).toBeUndefined()
  const found = area(plot, box, [point.x - 5, point.y + 5], [point.x + 5, point.y - 5])
  expect(found.start).toBeLessThan(15)
  expect(found.end).toBeGreaterThan(15)
  expect(found.min).toBeLessThan(5_000_000)
  expect(found.max).toBeGreaterThan(5_000_000)
})
