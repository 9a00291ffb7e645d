/** Layered layout in a worker: a big graph takes a second, in which the page goes on. */

import dagre from '@dagrejs/dagre'
import { type Layout, type LayoutAsk, type LayoutTold, simpleLayout } from './layout.ts'

/** Beyond, the library takes many seconds for a picture that nobody can follow anyway. */
const EDGES_MAX = 400

declare const self: DedicatedWorkerGlobalScope

self.addEventListener('message', (event: MessageEvent<LayoutAsk>) => {
  const { id, nodes, edges } = event.data
  let layout: Layout
  try {
    layout = edges.length > EDGES_MAX ? simpleLayout(nodes, edges) : layered(nodes, edges)
  } catch {
    // A graph that the library fails on is still shown.
    layout = simpleLayout(nodes, edges)
  }
  self.postMessage({ id, layout } satisfies LayoutTold)
})

function layered(nodes: LayoutAsk['nodes'], edges: LayoutAsk['edges']): Layout {
  const graph = new dagre.graphlib.Graph()
  graph.setGraph({
    rankdir: 'LR',
    ranker: 'longest-path',
    nodesep: 18,
    ranksep: 90,
    marginx: 8,
    marginy: 8,
  })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const { name, width, height } of nodes) graph.setNode(name, { width, height })
  for (const { from, to } of edges) graph.setEdge(from, to)
  dagre.layout(graph)
  const { width = 0, height = 0 } = graph.graph()
  return {
    nodes: nodes.map((node) => {
      const { x, y } = graph.node(node.name)
      return { ...node, x, y }
    }),
    curves: edges.map(({ from, to }) => ({ from, to, points: graph.edge(from, to).points })),
    width,
    height,
  }
}
