import { expect, test } from 'vitest'
import { Flag } from '../protocol.ts'
import { random } from '../samples/generate.ts'
import { statistics } from './statistics.ts'

test('groups have the figures that a naive count gives, by falling total', () => {
  const next = random(5)
  const count = 500
  const keys = ['a', 'b', '', 'd', 'never']
  const places = Int32Array.from({ length: count }, () => Math.floor(next() * 5) - 1)
  const columns = {
    count,
    duration: Float64Array.from({ length: count }, () => Math.floor(next() * 1_000)),
    self: Float64Array.from({ length: count }, () => Math.floor(next() * 100)),
    flags: Uint32Array.from({ length: count }, () => (next() < 0.2 ? Flag.ERROR : 0)),
  }
  const keyAt = (row: number) => keys[places[row] ?? -1] ?? ''
  const wanted = ['a', 'b', '', 'd'].map((key) => {
    const rows = Array.from({ length: count }, (_, row) => row).filter((row) => keyAt(row) === key)
    const durations = rows.map((row) => columns.duration[row] ?? 0).toSorted((a, b) => a - b)
    const maxNano = durations.at(-1) ?? 0
    return {
      key,
      count: rows.length,
      errorCount: rows.filter((row) => columns.flags[row]).length,
      totalNano: durations.reduce((sum, each) => sum + each, 0),
      selfNano: rows.reduce((sum, row) => sum + (columns.self[row] ?? 0), 0),
      p95Nano: durations[Math.ceil(0.95 * durations.length) - 1] ?? 0,
      maxNano,
      longestRow: rows.find((row) => columns.duration[row] === maxNano) ?? -1,
    }
  })
  expect(statistics(columns, (row) => places[row] ?? -1, keys)).toEqual(
    wanted.toSorted((a, b) => b.totalNano - a.totalNano),
  )
})

test('a trace without spans has no groups', () => {
  const none = new Float64Array(0)
  const columns = { count: 0, duration: none, self: none, flags: new Uint32Array(0) }
  expect(statistics(columns, () => -1, [])).toEqual([])
})
