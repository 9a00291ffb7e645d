import { expect, test } from 'vitest'
import type { Edge } from '../api/answers.ts'
import { generatedEdges } from './generate.ts'
import { around, edgeWidth, graphOf, shareFor, wantedEdges } from './graph.ts'
import { distance, isIn, simpleLayout } from './layout.ts'

const edge = (
  caller: string,
  callee: string,
  kind: Edge['kind'] = 'rpc',
  calls = 10,
  errors = 0,
): Edge => ({
  caller,
  callee,
  kind,
  calls,
  errors,
  p50_nano: '1',
  p95_nano: '2',
  p99_nano: '3',
  exemplar_trace_id: null,
})
const EDGES = [
  edge('front', 'cart'),
  edge('cart', 'stock', 'rpc', 5, 1),
  edge('stock', 'db', 'database', 100),
  edge('front', 'mail', 'messaging', 1),
  edge('mail', 'smtp', 'external', 1),
]
const names = (edges: readonly Edge[]) => edges.map((each) => `${each.caller}>${each.callee}`)

test('what is called as a database and calls nobody is one', () => {
  const { nodes } = graphOf([...EDGES, edge('front', 'stock', 'database')])
  expect(nodes.get('db')?.kind).toBe('database')
  expect(nodes.get('smtp')?.kind).toBe('external')
  expect(nodes.get('stock')).toMatchObject({ kind: 'service', calls: 15, errors: 1 })
})

test('a focus keeps the paths that lead to and from it, as far as asked', () => {
  expect(names(around(EDGES, 'cart', 1))).toEqual(['front>cart', 'cart>stock'])
  expect(names(around(EDGES, 'cart', 2))).toEqual(['front>cart', 'cart>stock', 'stock>db'])
})

test('filters narrow together', () => {
  const all = { kinds: [], leastShare: 0, onlyErrors: false, focus: '', depth: 1 }
  expect(wantedEdges(EDGES, all)).toHaveLength(5)
  expect(names(wantedEdges(EDGES, { ...all, onlyErrors: true }))).toEqual(['cart>stock'])
  expect(names(wantedEdges(EDGES, { ...all, leastShare: 0.1 }))).toEqual(['front>cart', 'stock>db'])
  expect(names(wantedEdges(EDGES, { ...all, kinds: ['messaging', 'external'] }))).toEqual([
    'front>mail',
    'mail>smtp',
  ])
})

test('a big graph is cut to what can be read', () => {
  const edges = generatedEdges(500, 1_155)
  const share = shareFor(edges, 120)
  const kept = wantedEdges(edges, {
    kinds: [],
    leastShare: share,
    onlyErrors: false,
    focus: '',
    depth: 1,
  })
  expect(kept.length).toBeLessThanOrEqual(120)
  expect(kept.length).toBeGreaterThan(60)
  expect(shareFor(EDGES, 120)).toBe(0)
})

test('the layout without a library overlaps nothing, and calls go to the right, but for circles', () => {
  const edges = generatedEdges(60, 120, 3).map(({ caller, callee }) => ({
    from: caller,
    to: callee,
  }))
  const boxes = [...new Set(edges.flatMap(({ from, to }) => [from, to]))].map((name) => ({
    name,
    width: 120,
    height: 40,
  }))
  const { nodes, curves } = simpleLayout(boxes, edges)
  expect(curves).toHaveLength(edges.length)
  for (const [at, a] of nodes.entries()) {
    for (const b of nodes.slice(at + 1)) {
      expect(Math.abs(a.x - b.x) >= 120 || Math.abs(a.y - b.y) >= 40).toBe(true)
    }
  }
  const x = new Map(nodes.map((node) => [node.name, node.x]))
  const backwards = edges.filter(({ from, to }) => (x.get(from) ?? 0) >= (x.get(to) ?? 0))
  expect(backwards.length).toBeLessThan(edges.length * 0.2)
})

test('a circle alone is laid out', () => {
  const { nodes } = simpleLayout(
    [
      { name: 'a', width: 10, height: 10 },
      { name: 'b', width: 10, height: 10 },
    ],
    [
      { from: 'a', to: 'b' },
      { from: 'b', to: 'a' },
    ],
  )
  expect(nodes.map((node) => node.x)).not.toEqual([nodes[0]?.x, nodes[0]?.x])
})

test('points are found in nodes and near curves', () => {
  const node = { name: 'a', x: 100, y: 50, width: 40, height: 20 }
  expect(isIn(node, 119, 59)).toBe(true)
  expect(isIn(node, 121, 50)).toBe(false)
  const curve = {
    from: 'a',
    to: 'b',
    points: [
      { x: 0, y: 0 },
      { x: 100, y: 0 },
      { x: 100, y: 100 },
    ],
  }
  expect(distance(curve, 50, 3)).toBeCloseTo(3)
  expect(distance(curve, 104, 50)).toBeCloseTo(4)
})

test('more calls are a wider edge', () => {
  expect(edgeWidth(1, 1_000)).toBeLessThan(edgeWidth(1_000, 1_000))
  expect(edgeWidth(1_000, 1_000)).toBeCloseTo(7)
})
