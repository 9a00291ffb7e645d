import { expect, test } from 'vitest'
import { bare, durationAxis, linearAxis, logTicks, placeOf, ticks, timeTicks } from './axis.ts'

const at = (text: string) => Date.parse(text) / 1e3
const texts = (found: number[]) =>
  found.map((seconds) => new Date(seconds * 1e3).toISOString().slice(5, 16))

test('ticks of time are round on the zone’s clocks', () => {
  const found = timeTicks(at('2026-11-23T09:50Z'), at('2026-11-23T21:50Z'), 5, 'Asia/Kolkata')
  // Half past by UTC is the full hour there.
  expect(texts(found)).toEqual(['11-23T12:30', '11-23T15:30', '11-23T18:30', '11-23T21:30'])
})

test('days begin at midnight of the zone, when its clocks change too', () => {
  const found = timeTicks(at('2026-10-23T10:00Z'), at('2026-10-27T10:00Z'), 5, 'Europe/Berlin')
  expect(texts(found)).toEqual(['10-23T22:00', '10-24T22:00', '10-25T23:00', '10-26T23:00'])
})

test('there are never more ticks than asked for, but one at each end', () => {
  for (const hours of [0.1, 1, 7, 30, 24 * 8, 24 * 400]) {
    const found = timeTicks(
      at('2026-01-01T00:07Z'),
      at('2026-01-01T00:07Z') + hours * 3_600,
      6,
      'UTC',
    )
    expect(found.length).toBeLessThanOrEqual(7)
    expect(found.length).toBeGreaterThan(0)
  }
})

test('ticks are multiples, without the noise of adding up', () => {
  expect(ticks(0, 0.55, 6)).toEqual([0, 0.1, 0.2, 0.30000000000000004, 0.4, 0.5])
  expect(ticks(0, 0, 5)).toEqual([])
})

test('ticks of few calls are round by the minute', () => {
  expect(linearAxis(0.5, 1 / 60).ticks.map((tick) => Math.round(tick * 60))).toEqual([
    0, 10, 20, 30,
  ])
})

test('durations that differ little stand on a linear axis from 0, others on a logarithmic one', () => {
  expect(durationAxis([5e6, null, 20e6])).toMatchObject({ low: 0, isLogarithmic: false })
  const wide = durationAxis([1e6, 1e9])
  expect(wide.isLogarithmic).toBe(true)
  expect(wide.low).toBeLessThan(1e6)
  expect(wide.high).toBeGreaterThan(1e9)
  expect(durationAxis([null])).toMatchObject({ low: 0, isLogarithmic: false })
})

test('above a minute, ticks are minutes and hours', () => {
  expect(durationAxis([300e9, 170e9]).ticks.map((tick) => tick / 60e9)).toEqual([0, 2, 4])
  expect(logTicks(1e9, 7_200e9, 4)).toEqual([1e9, 60e9, 3_600e9])
})

test('a logarithmic axis has 1, 2 and 5, and only powers where that is too much', () => {
  expect(logTicks(1e6, 10e6, 5)).toEqual([1e6, 2e6, 5e6, 10e6])
  expect(logTicks(1e3, 1e9, 4)).toEqual([1e3, 1e5, 1e7, 1e9])
})

test('places go from 0 to 1', () => {
  expect(placeOf({ low: 0, high: 8, isLogarithmic: false }, 2)).toBe(0.25)
  expect(placeOf({ low: 1, high: 100, isLogarithmic: true }, 10)).toBeCloseTo(0.5)
})

test('a tick shows no zeros that say nothing', () => {
  expect(['1.00 s', '1.50 s', '20.0 ms', '100 ms', '0.25/min', '5 min'].map(bare)).toEqual([
    '1 s',
    '1.5 s',
    '20 ms',
    '100 ms',
    '0.25/min',
    '5 min',
  ])
})
