import { expect, test } from 'vitest'
import { parseDuration } from '../language/format.ts'
import { atLeast, brushIn, brushParameters, searchOf, snapped } from './brush.ts'

const steps = { start: 600, end: 1_200, width: 60, seconds: [] }

test('a choice goes through the address', () => {
  const brush = { from: 660, to: 720, low: 250e6, high: 1.5e9 }
  const parameters = brushParameters(brush)
  expect(parameters).toEqual({ from: '660', to: '720', min: '250ms', max: '1.5s' })
  expect(brushIn(parameters as Record<string, string>)).toEqual(brush)
  expect(brushIn({})).toBeUndefined()
  expect(brushIn({ from: '9', to: '3' })).toBeUndefined()
  expect(Object.values(brushParameters(undefined))).toEqual(Array(4).fill(undefined))
})

test('whole steps are chosen, within the range, and at least one', () => {
  expect(snapped({ from: 665, to: 719 }, steps)).toMatchObject({ from: 660, to: 720 })
  expect(snapped({ from: 0, to: 9_999 }, steps)).toMatchObject({ from: 600, to: 1_200 })
  expect(snapped({ from: 1_200, to: 1_200 }, steps)).toMatchObject({ from: 1_140, to: 1_200 })
  expect(snapped({ from: 660, to: 660 }, steps)).toMatchObject({ from: 660, to: 720 })
})

test('a search finds all that was chosen: durations are rounded outwards', () => {
  const found = searchOf({ from: 660.2, to: 719.6, low: 251_487_654, high: 1_234_567_890 }, 'a', '')
  expect(found).toEqual({
    service: 'a',
    span_name: '',
    start: '660',
    end: '720',
    min: '251ms',
    max: '1.24s',
  })
})

test('without durations, none is asked for', () => {
  expect(searchOf({ from: 1, to: 2 }, 'a', 'b')).toMatchObject({ min: undefined, max: undefined })
  expect(searchOf({ from: 1, to: 2, low: 0.5, high: 1 }, 'a', 'b').max).toBe('1ns')
})

test('what lies at a quantile is found although the quantile is inexact', () => {
  for (const nano of [1, 7, 999, 1_001, 20_610_483, 1.13e9, 86_400e9]) {
    expect(atLeast(nano)).toBeLessThanOrEqual(Math.max(1, nano * 0.989))
    expect(
      parseDuration(searchOf({ from: 1, to: 2, low: nano }, '', '').min ?? ''),
    ).toBeLessThanOrEqual(nano)
  }
})
