/** Edges of the API as a graph of services and of what they call. */

import type { Edge } from '../api/answers.ts'

export type NodeKind = 'service' | 'database' | 'queue' | 'external'

export interface Node {
  name: string
  kind: NodeKind
  /** Calls that come in. */
  calls: number
  errors: number
}

export interface Graph {
  /** By name. */
  nodes: Map<string, Node>
  edges: Edge[]
}

export type EdgeKind = Edge['kind']
export const EDGE_KINDS: readonly EdgeKind[] = ['rpc', 'messaging', 'database', 'external']
const KINDS_OF_CALLEES: Readonly<Partial<Record<EdgeKind, NodeKind>>> = {
  database: 'database',
  external: 'external',
}

/** A callee that calls nobody, and is called as a database or as a stranger, is one; names that call are services. */
export function graphOf(edges: readonly Edge[]): Graph {
  const nodes = new Map<string, Node>()
  const node = (name: string): Node => {
    const found = nodes.get(name) ?? { name, kind: 'service' as const, calls: 0, errors: 0 }
    nodes.set(name, found)
    return found
  }
  const callers = new Set(edges.map((edge) => edge.caller))
  for (const edge of edges) {
    node(edge.caller)
    const callee = node(edge.callee)
    callee.calls += edge.calls
    callee.errors += edge.errors
    const kind = KINDS_OF_CALLEES[edge.kind]
    if (kind && !callers.has(edge.callee)) callee.kind = kind
  }
  return { nodes, edges: [...edges] }
}

export interface Wanted {
  /** Only edges of these kinds; all if empty. */
  kinds: readonly EdgeKind[]
  /** Edges below this share of the calls of the busiest edge are left out. */
  leastShare: number
  onlyErrors: boolean
  /** Only what is within `depth` calls of this service, either way. */
  focus: string
  depth: number
}

export function wantedEdges(edges: readonly Edge[], wanted: Wanted): Edge[] {
  const most = edges.reduce((high, edge) => Math.max(high, edge.calls), 0)
  const kept = edges.filter(
    (edge) =>
      (wanted.kinds.length === 0 || wanted.kinds.includes(edge.kind)) &&
      edge.calls >= wanted.leastShare * most &&
      (!wanted.onlyErrors || edge.errors > 0),
  )
  return wanted.focus ? around(kept, wanted.focus, wanted.depth) : kept
}

/** Edges on paths of at most `depth` calls that lead to or from a service. */
export function around(edges: readonly Edge[], focus: string, depth: number): Edge[] {
  const kept = new Set<Edge>()
  for (const [from, to] of [
    ['caller', 'callee'],
    ['callee', 'caller'],
  ] as const) {
    let reached = new Set([focus])
    for (let step = 0; step < depth; step++) {
      const next = edges.filter((edge) => reached.has(edge[from]) && !kept.has(edge))
      for (const edge of next) kept.add(edge)
      reached = new Set(next.map((edge) => edge[to]))
    }
  }
  return edges.filter((edge) => kept.has(edge))
}

/** How many of the busiest edges are shown at first of a graph that is too big to read. */
export const EDGES_AT_FIRST = 120

/** The share below which edges are left out, so that at most `most` are left. */
export function shareFor(edges: readonly Edge[], most: number): number {
  if (edges.length <= most) return 0
  const calls = edges.map((edge) => edge.calls).sort((a, b) => b - a)
  // The first that goes may have as many calls as the last that would stay: then both go.
  return Math.min(1, ((calls[most] ?? 0) + 1) / (calls[0] ?? 1))
}

export function errorShare({ calls, errors }: { calls: number; errors: number }): number {
  return calls ? errors / calls : 0
}

/** 1 to 7 pixels, by the logarithm of the calls. */
export function edgeWidth(calls: number, most: number): number {
  return most <= 1 ? 2 : 1 + 6 * (Math.log1p(calls) / Math.log1p(most))
}
