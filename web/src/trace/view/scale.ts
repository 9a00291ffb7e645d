/** Ticks of a time axis, and where labels go. */

/** Round steps (1, 2, 5 × 10^n) so that there are at most `most` ticks in the width. */
export function ticks(from: number, to: number, most: number): number[] {
  const raw = (to - from) / Math.max(1, most)
  if (!(raw > 0)) return []
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = ([1, 2, 5, 10].find((each) => each * power >= raw) ?? 10) * power
  const found: number[] = []
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at)
  return found
}
