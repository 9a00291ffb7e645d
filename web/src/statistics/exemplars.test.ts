import { expect, test } from 'vitest'
import type { TraceSummary } from '../api/answers.ts'
import { exemplarOf, onceEach, slicesOf } from './exemplars.ts'

const trace = {
  trace_id: 'a',
  root_service: 'shop',
  root_span_name: 'GET /',
  start_time_unix_nano: '2000000000',
  duration_nano: '5000000',
} as TraceSummary

test('slices cover the range', () => {
  expect(slicesOf(0, 10, 4)).toEqual([
    [0, 3],
    [3, 5],
    [5, 8],
    [8, 10],
  ])
})

test('a trace has a duration of the service only where it began there', () => {
  expect(exemplarOf(trace, 'shop', '', false)).toMatchObject({ seconds: 2, nano: 5e6 })
  expect(exemplarOf(trace, 'shop', 'GET /', false).nano).toBe(5e6)
  expect(exemplarOf(trace, 'shop', 'query', false).nano).toBeUndefined()
  expect(exemplarOf(trace, 'other', '', false).nano).toBeUndefined()
})

test('what is slow and failed is one failed trace', () => {
  const [slow, failed] = [exemplarOf(trace, 'a', '', false), exemplarOf(trace, 'a', '', true)]
  expect(onceEach([slow, failed])).toEqual([failed])
  expect(onceEach([failed, slow])).toEqual([failed])
})
