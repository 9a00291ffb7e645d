/** Lays the graph out with dagre, away from the page. */

import { Graph, layout as layOut } from '@dagrejs/dagre'
import { layoutOfParts } from './components.ts'
import { layered, ranksOf } from './layered.ts'
import {
  type Ask,
  COLUMN_GAP,
  type Layout,
  NODE_GAP,
  NODE_HEIGHT,
  NODE_WIDTH,
  type Outline,
  type Told,
} from './layout.ts'

declare const self: DedicatedWorkerGlobalScope

const EDGE_GAP = 10
/** Above, dagre's order of nodes within a column is its first, not its best: half the time. */
const ORDERED_NODES_MAX = 200
/** dagre puts a node on each column that an edge crosses, twice, and takes a second for some 5,000 of them. */
const CROSSED_COLUMNS_MAX = 6_000

self.addEventListener('message', ({ data: { id, outline } }: MessageEvent<Ask>) => {
  const begun = performance.now()
  const layout = layoutOfParts(outline, layoutOf)
  const told: Told = { id, layout, milliseconds: performance.now() - begun }
  self.postMessage(told)
})

function layoutOf(outline: Outline): Layout {
  if (crossedColumns(outline) > CROSSED_COLUMNS_MAX) return layered(outline)
  try {
    return layoutByDagre(outline)
  } catch {
    return layered(outline)
  }
}

function crossedColumns(outline: Outline): number {
  const ranks = ranksOf(outline)
  return outline.callers.reduce((sum, caller, edge) => {
    const callee = outline.callees[edge] ?? 0
    return sum + Math.abs((ranks[callee] ?? 0) - (ranks[caller] ?? 0))
  }, 0)
}

function layoutByDagre({ nodeCount, callers, callees }: Outline): Layout {
  const graph = new Graph({ multigraph: true })
  graph.setGraph({
    rankdir: 'LR',
    ranker: 'longest-path',
    nodesep: NODE_GAP,
    edgesep: EDGE_GAP,
    ranksep: COLUMN_GAP,
  })
  for (let node = 0; node < nodeCount; node++) {
    graph.setNode(String(node), { width: NODE_WIDTH, height: NODE_HEIGHT })
  }
  callers.forEach((caller, edge) => {
    graph.setEdge(String(caller), String(callees[edge]), {}, String(edge))
  })
  layOut(graph, { disableOptimalOrderHeuristic: nodeCount > ORDERED_NODES_MAX })
  const centre = (axis: 'x' | 'y') =>
    Float64Array.from({ length: nodeCount }, (_, node) => graph.node(String(node))[axis])
  return {
    x: centre('x'),
    y: centre('y'),
    via: Array.from(callers, (caller, edge) =>
      viaOf(graph.edge(String(caller), String(callees[edge]), String(edge)).points),
    ),
  }
}

/**
 * Level past each column, so that the whole gap between two is there for the curve.
 *
 * Of dagre's points the first and the last are on the borders of the nodes, and of those between every other one is in
 * a gap, where a label would be.
 */
function viaOf(points: readonly { x: number; y: number }[]): Float64Array {
  const half = (Math.sign((points.at(-1)?.x ?? 0) - (points[0]?.x ?? 0)) * NODE_WIDTH) / 2
  return Float64Array.from(
    points
      .slice(1, -1)
      .filter((_, at) => at % 2 === 1)
      .flatMap(({ x, y }) => [x - half, y, x + half, y]),
  )
}
