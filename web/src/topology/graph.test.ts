import { describe, expect, test } from 'vitest'
import type { Edge as Call, EdgesAnswer } from '../api/answers.ts'
import { generatedEdges } from './generate.ts'
import { errorShare, type Graph, graphFrom, type Node, workOf } from './graph.ts'
import { around, type Narrowing, narrow } from './narrow.ts'
import { edgeWidth, errorLevel } from './scale.ts'
import { reordered, sorted } from './sort.ts'

const call = (
  caller: string,
  callee: string,
  kind: Call['kind'] = 'rpc',
  calls = 10,
  errors = 0,
): Call => ({
  caller,
  callee,
  kind,
  calls,
  errors,
  p50_nano: '1',
  p95_nano: String(calls),
  p99_nano: '3',
  exemplar_trace_id: null,
})
const answerOf = (edges: Call[]): EdgesAnswer => ({
  start_time_unix_nano: '1795409040000000000',
  end_time_unix_nano: '1795409100000000000',
  edges,
  other: null,
  warnings: [],
})
const CALLS = [
  call('front', 'cart'),
  call('cart', 'stock', 'rpc', 5, 1),
  call('stock', 'db', 'database', 100),
  call('front', 'mail', 'messaging', 1),
  call('mail', 'smtp', 'external', 2),
]
const ALL: Narrowing = {
  kinds: new Set(['rpc', 'messaging', 'database', 'external']),
  onlyErrors: false,
  focus: undefined,
  depth: 1,
  direction: 'both',
  hidePercent: undefined,
}
const named = (graph: Graph, key: string): Node => {
  const found = graph.nodes.find((node) => node.key === key)
  if (!found) throw new Error(`no ${key}`)
  return found
}
const names = (edges: Graph['edges']) =>
  edges.map((each) => `${each.caller.name}>${each.callee.name}`)

describe('the graph', () => {
  const graph = graphFrom(answerOf(CALLS))

  test('knows what a callee is by the kind of its calls', () => {
    expect(graph.nodes.map(({ key }) => key).sort()).toEqual([
      'cart',
      'database:db',
      'external:smtp',
      'front',
      'mail',
      'stock',
    ])
  })

  test('takes a queue for one unless it sends spans', () => {
    const calls = [call('shop', 'orders', 'messaging')]
    expect(graphFrom(answerOf(calls)).nodes[1]?.kind).toBe('queue')
    expect(graphFrom(answerOf(calls), ['orders']).nodes[1]?.kind).toBe('service')
  })

  test('keeps a database apart from a service of the same name', () => {
    const same = graphFrom(answerOf([call('a', 'redis'), call('a', 'redis', 'database')]), [
      'redis',
    ])
    expect(same.nodes.map(({ key }) => key)).toEqual(['a', 'redis', 'database:redis'])
  })

  test('sums what comes in and goes out', () => {
    expect(named(graph, 'stock')).toMatchObject({
      incoming: { calls: 5, errors: 1 },
      outgoing: { calls: 100, errors: 0 },
    })
    expect(workOf(named(graph, 'front')).calls).toBe(11)
    expect(errorShare({ calls: 0, errors: 0 })).toBe(0)
    expect(graph.seconds).toBe(60)
  })

  test('has two edges where one calls another in two ways, and none without calls', () => {
    const two = graphFrom(
      answerOf([call('a', 'b'), call('a', 'b', 'messaging'), call('b', 'a', 'rpc', 0)]),
      ['b'],
    )
    expect(new Set(two.edges.map(({ key }) => key)).size).toBe(2)
  })

  test('has the edges with most calls first, whatever the order of the answer', () => {
    const reversed = graphFrom(answerOf(CALLS.toReversed()))
    expect(names(reversed.edges)).toEqual(names(graph.edges))
    expect(names(graph.edges)[0]).toBe('stock>db')
  })
})

describe('narrowing', () => {
  const graph = graphFrom(answerOf(CALLS))
  const edges = (narrowing: Partial<Narrowing>) =>
    names(narrow(graph, { ...ALL, ...narrowing }).edges).sort()

  test('by focus keeps the ways to it and from it, no further than asked', () => {
    const focus = named(graph, 'cart')
    expect(edges({ focus })).toEqual(['cart>stock', 'front>cart'])
    expect(edges({ focus, depth: 2 })).toEqual(['cart>stock', 'front>cart', 'stock>db'])
    expect(edges({ focus, direction: 'callers', depth: 5 })).toEqual(['front>cart'])
    expect(edges({ focus, direction: 'callees' })).toEqual(['cart>stock'])
  })

  test('by focus ends in a circle', () => {
    const circle = graphFrom(answerOf([call('a', 'b'), call('b', 'c'), call('c', 'a')]))
    const focus = named(circle, 'a')
    expect(names(around(circle.edges, focus, { depth: 1, direction: 'callees' }))).toEqual(['a>b'])
    expect(around(circle.edges, focus, { depth: 5, direction: 'both' })).toHaveLength(3)
  })

  test('shows the focus even if nothing is left of its calls', () => {
    const focus = named(graph, 'cart')
    expect(narrow(graph, { ...ALL, focus, kinds: new Set(['database']) }).nodes).toEqual([focus])
  })

  test('by kinds, errors and share of all calls', () => {
    expect(edges({ onlyErrors: true })).toEqual(['cart>stock'])
    expect(edges({ kinds: new Set(['messaging', 'external']) })).toEqual([
      'front>mail',
      'mail>smtp',
    ])
    expect(edges({ hidePercent: 5 })).toEqual(['front>cart', 'stock>db'])
    expect(narrow(graph, { ...ALL, hidePercent: 5 })).toMatchObject({
      hiddenCount: 3,
      isOverview: false,
    })
  })

  test('begins with the busiest edges of a graph that is too big to read', () => {
    const big = graphFrom(answerOf(generatedEdges(500, 1_155)))
    const shown = narrow(big, ALL)
    expect(shown).toMatchObject({ isOverview: true, hiddenCount: big.edges.length - 120 })
    expect(shown.edges).toEqual(big.edges.slice(0, 120))
    expect(narrow(big, { ...ALL, hidePercent: 0 }).edges).toHaveLength(big.edges.length)
  })
})

test('ten times the calls are a wider edge, never wider than the widest', () => {
  const widths = [1, 10, 100, 1_000, 10_000].map((calls) => edgeWidth(calls, 10_000))
  expect(widths).toEqual([...widths].sort((one, other) => one - other))
  expect(widths[4]).toBeCloseTo(6)
  expect(widths[0]).toBe(1)
  expect(edgeWidth(20_000, 10_000)).toBeCloseTo(6)
})

test('errors are some below five percent', () => {
  expect([0, 1, 49, 50].map((errors) => errorLevel({ calls: 1_000, errors }))).toEqual([
    'none',
    'some',
    'some',
    'many',
  ])
})

describe('the table', () => {
  const { edges } = graphFrom(answerOf(CALLS))

  test('sorts by name and by figure, both ways', () => {
    expect(names(sorted(edges, { column: 'callee', isDescending: false }))[0]).toBe('front>cart')
    expect(names(sorted(edges, { column: 'errors', isDescending: true }))[0]).toBe('cart>stock')
    const order = { column: 'p95', isDescending: false } as const
    expect(names(sorted(edges, order))).toEqual(names(edges).toReversed())
  })

  test('begins with the largest figure, or the first name', () => {
    const order = { column: 'calls', isDescending: true } as const
    expect(reordered(order, 'calls').isDescending).toBe(false)
    expect(reordered(order, 'p99')).toEqual({ column: 'p99', isDescending: true })
    expect(reordered(order, 'caller')).toEqual({ column: 'caller', isDescending: false })
  })
})
