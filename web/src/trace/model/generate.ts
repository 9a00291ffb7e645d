/** Seeded traces of any size, for tests and benchmarks. */

import { RowFlag, type Rows, RowWriter } from './rows.ts'

/** Numbers from 0 to 1 that are the same for the same seed. Source: mulberry32, public domain. */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A trace whose spans lie within their parents' time, in an order that says nothing. */
export function generated(count: number, seed = 1): Rows {
  const next = random(seed)
  const below = (limit: number) => Math.floor(next() * limit)
  const writer = new RowWriter()
  const spans: { start: number; duration: number; id: string }[] = []
  const order = Array.from({ length: count }, (_, at) => at)
  const made = order.map((at) => {
    const parent = at === 0 ? undefined : spans[Math.max(0, at - 1 - below(Math.min(at, 40)))]
    const start = parent ? parent.start + below(parent.duration + 1) : 0
    const duration = parent ? below(parent.start + parent.duration - start + 1) : 1_000_000_000
    const id = (at + 1).toString(16).padStart(16, '0')
    spans.push({ start, duration, id })
    return {
      spanId: id,
      parentSpanId: parent?.id ?? '',
      name: `step ${below(12)}`,
      statusMessage: '',
      startUnixNano: 1_790_000_000_000_000_000n + BigInt(start),
      durationNano: duration,
      scope: writer.scope({ service: `service-${below(8)}`, name: '', version: '' }),
      kind: 1 + below(5),
      flags: next() < 0.02 ? RowFlag.ERROR : 0,
      events: [],
      links: [],
    }
  })
  // Shuffled: what is sent first is not what began first.
  for (let at = count - 1; at > 0; at--) {
    const other = below(at + 1)
    const [a, b] = [made[at], made[other]]
    if (a && b) [made[at], made[other]] = [b, a]
  }
  for (const span of made) writer.add(span)
  return writer.rows('00000000000000000000000000000001')
}
