/** Which part of the graph is shown: kinds, errors, the neighbourhood of one service, and what is often enough. */

import type { CallKind, Edge, Graph, Node } from './graph.ts'

export type Direction = 'both' | 'callers' | 'callees'
export const DIRECTIONS: readonly Direction[] = ['both', 'callers', 'callees']

export interface Narrowing {
  kinds: ReadonlySet<CallKind>
  onlyErrors: boolean
  focus: Node | undefined
  /** Calls away from the focus. */
  depth: number
  direction: Direction
  /** Percent of all calls below which an edge is hidden; undefined: as many as one can take in. */
  hidePercent: number | undefined
}

export interface Shown {
  nodes: readonly Node[]
  edges: readonly Edge[]
  /** Edges that were hidden for being small. */
  hiddenCount: number
  /** Whether the view itself chose to hide them. */
  isOverview: boolean
}

/** More nodes than these are first shown by their largest edges alone. */
const OVERVIEW_NODES_MIN = 80
const OVERVIEW_EDGES_MAX = 120

export function narrow(graph: Graph, narrowing: Narrowing): Shown {
  const wanted = graph.edges.filter(
    ({ kind, errors }) => narrowing.kinds.has(kind) && (!narrowing.onlyErrors || errors > 0),
  )
  const near = narrowing.focus ? around(wanted, narrowing.focus, narrowing) : wanted
  const isOverview =
    narrowing.hidePercent === undefined && nodesOf(near).length > OVERVIEW_NODES_MIN
  const edges = isOverview
    ? near.slice(0, OVERVIEW_EDGES_MAX)
    : above(near, narrowing.hidePercent ?? 0)
  const hiddenCount = near.length - edges.length
  return {
    nodes: nodesOf(edges, narrowing.focus),
    edges,
    hiddenCount,
    isOverview: isOverview && hiddenCount > 0,
  }
}

/** The edges on the ways of at most `depth` calls from the focus, or to it. */
export function around(
  edges: readonly Edge[],
  focus: Node,
  { depth, direction }: { depth: number; direction: Direction },
): Edge[] {
  const down = direction === 'callers' ? undefined : distances(edges, focus, 'caller', 'callee')
  const up = direction === 'callees' ? undefined : distances(edges, focus, 'callee', 'caller')
  const isNear = (distance: number | undefined) => distance !== undefined && distance < depth
  return edges.filter((edge) => isNear(down?.get(edge.caller)) || isNear(up?.get(edge.callee)))
}

function distances(
  edges: readonly Edge[],
  focus: Node,
  from: 'caller' | 'callee',
  to: 'caller' | 'callee',
): Map<Node, number> {
  const next = new Map<Node, Edge[]>()
  for (const edge of edges) {
    const known = next.get(edge[from])
    if (known) known.push(edge)
    else next.set(edge[from], [edge])
  }
  const found = new Map([[focus, 0]])
  // A map lists what is added while it is walked: nearer ones come first.
  for (const [node, distance] of found) {
    for (const edge of next.get(node) ?? []) {
      if (!found.has(edge[to])) found.set(edge[to], distance + 1)
    }
  }
  return found
}

function above(edges: readonly Edge[], percent: number): readonly Edge[] {
  const all = edges.reduce((sum, { calls }) => sum + calls, 0)
  const least = (all * percent) / 100
  return percent > 0 ? edges.filter(({ calls }) => calls >= least) : edges
}

/** The ends of the edges; the focus too, if it has none. */
function nodesOf(edges: readonly Edge[], focus?: Node): Node[] {
  const found = new Set(edges.flatMap(({ caller, callee }) => [caller, callee]))
  if (focus) found.add(focus)
  return [...found]
}
