import { expect, test } from 'vitest'
import { instantOf, wallClockOf } from './wall-clock.ts'

test.each(['UTC', 'Asia/Shanghai', 'America/St_Johns', 'Europe/Berlin'])(
  'a moment reads back from the clock on a wall in %s',
  (zone) => {
    for (const seconds of [0, 1_711_850_400, 1_729_994_400, 1_795_412_663]) {
      expect(instantOf(wallClockOf(seconds, zone), zone)).toBe(seconds)
    }
  },
)

test('what is no time is none', () => {
  expect(instantOf('yesterday', 'UTC')).toBeUndefined()
})
