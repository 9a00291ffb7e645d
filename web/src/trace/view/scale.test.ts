import { expect, test } from 'vitest'
import { Scale, stepOf, ticks, tickText } from './scale.ts'

test.each([
  [1, 1],
  [3, 5],
  [0.2, 1],
  [6e6, 10e6],
  [1e9, 1e9],
  [7e9, 10e9],
  [20e9, 30e9],
  [40e9, 60e9],
  [20 * 60e9, 30 * 60e9],
  [4 * 3_600e9, 6 * 3_600e9],
  [13 * 3_600e9, 86_400e9],
  [40 * 86_400e9, 50 * 86_400e9],
])('a step of at least %d ns is round', (nano, step) => {
  expect(stepOf(nano)).toBe(step)
})

test('ticks are the multiples of the step within the range', () => {
  expect(ticks(15, 52, 10)).toEqual([20, 30, 40, 50])
  expect(ticks(0, 0, 10)).toEqual([0])
  expect(ticks(5, 1, 1)).toEqual([])
})

test.each([
  [0, 1e6, 1e7, '0'],
  [500_000, 500_000, 2e6, '0.5 ms'],
  [163_001_000, 1_000, 163_010_000, '163.001 ms'],
  [20e6, 20e6, 160e6, '20 ms'],
  [1.2e9, 0.2e9, 2e9, '1.2 s'],
  [75 * 60e9, 15 * 60e9, 7_200e9, '1 h 15 min'],
  [60.5e9, 0.5e9, 61e9, '1 min 0.5 s'],
  [800 * 86_400e9, 100 * 86_400e9, 1e17, '800 d'],
])('a tick at %d ns is told as exactly as the step', (nano, step, to, text) => {
  expect(tickText(nano, step, to)).toBe(text)
})

test('a place and its time lead to one another, inside the range and out of it', () => {
  const scale = new Scale(100, 300, 500)
  for (const nano of [0, 100, 250, 1_000]) expect(scale.nano(scale.x(nano))).toBeCloseTo(nano)
})

test('a trace that takes no time has a scale', () => {
  const scale = new Scale(0, 1, 500)
  expect(scale.ticks(100)).toEqual([0, 1])
})
