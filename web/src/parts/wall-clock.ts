/** Between Unix seconds and what a clock on the wall of a time zone shows, as `datetime-local` fields have it. */

/** `2026-11-23T12:00:03`. */
export function wallClockOf(unixSeconds: number, timeZone: string): string {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  }).formatToParts(Math.floor(unixSeconds) * 1e3)
  const part = Object.fromEntries(parts.map(({ type, value }) => [type, value]))
  return `${part.year}-${part.month}-${part.day}T${part.hour}:${part.minute}:${part.second}`
}

/** Undefined for what is no time. A time that a change of clocks skips is taken as the one after it. */
export function instantOf(wallClock: string, timeZone: string): number | undefined {
  const asUtc = Date.parse(`${wallClock}Z`) / 1e3
  if (Number.isNaN(asUtc)) return undefined
  // The offset may differ between the guess and the answer: the second round settles it.
  let seconds = asUtc
  for (let round = 0; round < 2; round++) {
    seconds = asUtc - (Date.parse(`${wallClockOf(seconds, timeZone)}Z`) / 1e3 - seconds)
  }
  return seconds
}
