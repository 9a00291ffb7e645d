import { describe, expect, test } from 'vitest'
import { duration, durationParameter, parseDuration } from './format.ts'
import { percent, rate } from './numbers.ts'

describe('duration', () => {
  test.each([
    [0, '0 ns'],
    [1, '1.00 ns'],
    [999, '999 ns'],
    [999.96, '1.00 µs'],
    [1_234, '1.23 µs'],
    [12_340_000, '12.3 ms'],
    [999_600_000, '1.00 s'],
    [59_000_000_000, '59.0 s'],
    [65e9, '1 min 05 s'],
    [3_600e9, '1 h'],
    [90_061e9, '1 d 01 h'],
    [-1_500_000, '−1.50 ms'],
  ])('of %d ns has three digits and one unit, or two units from a minute on', (nano, text) => {
    expect(duration(nano)).toBe(text)
  })
})

test.each(['1ns', '250ms', '1.5s', '90s', '1.001us'])('%s reads back as it was written', (text) => {
  expect(durationParameter(parseDuration(text) ?? -1)).toBe(text)
})

test.each(['', '12', 'fast', '1 parsec', '-5ms'])('%j is no duration', (text) => {
  expect(parseDuration(text)).toBeUndefined()
})

test('a share that is more than nothing never reads as nothing', () => {
  expect(percent(0.00001)).toBe('<0.1%')
  expect(percent(0)).toBe('0%')
})

test('few calls are counted by the minute', () => {
  expect(rate(0.05)).toBe('3/min')
  expect(rate(2)).toBe('2/s')
})
