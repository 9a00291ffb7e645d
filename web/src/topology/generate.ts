/** Service graphs for tests and the benchmark: tiers from the edge to the stores, hubs, and some circles. Seeded. */

import type { Edge, EdgesAnswer } from '../api/answers.ts'

const TIERS = 6
const BACK_SHARE = 0.03
const STORE_SHARE = 0.16
const SECONDS = 3_600

export interface Wanted {
  nodeCount: number
  edgeCount: number
  seed?: number
}

export function generateEdges({ nodeCount, edgeCount, seed = 1 }: Wanted): EdgesAnswer {
  const random = randomFrom(seed)
  const storeCount = Math.floor(nodeCount * STORE_SHARE)
  const serviceCount = nodeCount - storeCount
  const tiers = Array.from({ length: serviceCount }, (_, at) =>
    Math.min(TIERS - 1, Math.floor((at / serviceCount) ** 0.7 * TIERS)),
  )
  const found = new Map<string, Edge>()
  const connect = (caller: number, callee: number) => {
    if (caller !== callee && caller < serviceCount) {
      const edge = edgeBetween(caller, callee, serviceCount, random)
      found.set(`${edge.caller} ${edge.callee} ${edge.kind}`, edge)
    }
  }
  // Everything is called by someone before it; then more at random, the first of a tier more than the others.
  for (let callee = 1; callee < nodeCount; callee++) {
    const before = Math.min(callee, serviceCount)
    connect(Math.floor(before * random() ** 1.5), callee)
  }
  for (let attempt = 0; found.size < edgeCount && attempt < edgeCount * 50; attempt++) {
    const caller = Math.floor(serviceCount * random())
    const isBack = random() < BACK_SHARE
    const callee = Math.floor(nodeCount * random() ** 1.4)
    const isDown = callee >= serviceCount || (tiers[callee] ?? 0) > (tiers[caller] ?? 0)
    if (isDown !== isBack) connect(caller, callee)
  }
  return {
    start_time_unix_nano: '1795409040000000000',
    end_time_unix_nano: String(1_795_409_040n * 1_000_000_000n + BigInt(SECONDS) * 1_000_000_000n),
    edges: [...found.values()],
    other: null,
    warnings: [],
  }
}

function edgeBetween(
  caller: number,
  callee: number,
  serviceCount: number,
  random: () => number,
): Edge {
  const kind =
    callee < serviceCount
      ? random() < 0.08
        ? 'messaging'
        : 'rpc'
      : (['database', 'database', 'external', 'messaging'] as const)[callee % 4]
  const calls = Math.ceil(10 ** (1 + 4 * random()))
  const errors = random() < 0.15 ? Math.floor(calls * random() ** 3) : 0
  const p50 = Math.round(10 ** (6 + 2.5 * random()))
  return {
    caller: `service-${caller}`,
    callee: callee < serviceCount ? `service-${callee}` : `${kind}-${callee}`,
    kind: kind ?? 'rpc',
    calls,
    errors,
    p50_nano: String(p50),
    p95_nano: String(p50 * 3),
    p99_nano: String(p50 * 7),
    exemplar_trace_id: Math.floor(random() * 2 ** 48)
      .toString(16)
      .padStart(32, '0'),
  }
}

/** Mulberry32: the same numbers below one for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
