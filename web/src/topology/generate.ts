/** Seeded graphs of services, with hubs, circles and databases, for tests and the benchmark. */

import type { Edge } from '../api/answers.ts'
import { random } from '../trace/samples/generate.ts'

export function generatedEdges(nodes: number, edges: number, seed = 1): Edge[] {
  const next = random(seed)
  const below = (limit: number) => Math.floor(next() * limit)
  const found = new Map<string, Edge>()
  while (found.size < edges) {
    // The first few are hubs; most calls go onwards, some back.
    const caller = next() < 0.15 ? below(Math.min(5, nodes)) : below(nodes)
    const callee =
      next() < 0.93 ? caller + 1 + below(Math.max(1, nodes - caller - 1)) : below(nodes)
    if (callee === caller || callee >= nodes) continue
    const isDatabase = callee % 9 === 8
    const calls = 1 + Math.floor(10 ** (next() * 5))
    found.set(`${caller} ${callee}`, {
      caller: `service-${caller}`,
      callee: isDatabase ? `db-${callee}` : `service-${callee}`,
      kind: isDatabase ? 'database' : next() < 0.1 ? 'messaging' : 'rpc',
      calls,
      errors: next() < 0.2 ? Math.floor(calls * next() * 0.2) : 0,
      p50_nano: String(1e6 + below(1e7)),
      p95_nano: String(1e7 + below(1e8)),
      p99_nano: String(1e8 + below(1e8)),
      exemplar_trace_id: null,
    })
  }
  return [...found.values()]
}
