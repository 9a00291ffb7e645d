import { describe, expect, test } from 'vitest'
import {
  cameraIn,
  cameraText,
  centred,
  fitted,
  moved,
  revealing,
  toPicture,
  toScreen,
  zoomed,
} from './camera.ts'
import { componentsOf, layoutOfParts } from './components.ts'
import { generatedEdges } from './generate.ts'
import { graphFrom } from './graph.ts'
import { layered, ranksOf } from './layered.ts'
import { draft, NODE_HEIGHT, NODE_WIDTH, type Outline } from './layout.ts'
import { parametersOf, type View, viewIn } from './query.ts'
import { boxOf, distanceToLine, hitAt, neighbour, overlap, sceneOf } from './scene.ts'

const outline = (nodeCount: number, ...pairs: [number, number][]): Outline => ({
  nodeCount,
  callers: Int32Array.from(pairs, ([caller]) => caller),
  callees: Int32Array.from(pairs, ([, callee]) => callee),
})
const graphOf = (nodeCount: number, edgeCount: number, seed = 1) =>
  graphFrom({
    start_time_unix_nano: '0',
    end_time_unix_nano: '3600000000000',
    edges: generatedEdges(nodeCount, edgeCount, seed),
    other: null,
    warnings: [],
  })

describe('the layout of our own', () => {
  test('puts a callee right of every caller', () => {
    expect([...ranksOf(outline(4, [0, 1], [1, 2], [0, 2], [2, 3]))]).toEqual([0, 1, 2, 3])
  })

  test('opens circles, and ends', () => {
    expect([...ranksOf(outline(3, [0, 1], [1, 2], [2, 0]))]).toEqual([0, 1, 2])
  })

  test('takes a chain of any length', () => {
    const chain = Array.from({ length: 20_000 }, (_, at): [number, number] => [at, at + 1])
    expect(ranksOf(outline(20_001, ...chain)).at(-1)).toBe(20_000)
  })

  test.each([1, 2, 3])(
    'overlaps nothing, and leads to the right but where a circle closes (seed %i)',
    (seed) => {
      const drafted = draft(graphOf(120, 260, seed))
      const { x, y } = layered(drafted.outline)
      const boxes = Array.from(x, (each, at) => ({ x: each, y: y[at] ?? 0 }))
      for (const [at, one] of boxes.entries()) {
        for (const other of boxes.slice(at + 1)) {
          const isApart =
            Math.abs(one.x - other.x) >= NODE_WIDTH || Math.abs(one.y - other.y) >= NODE_HEIGHT
          expect(isApart).toBe(true)
        }
      }
      const { callers, callees } = drafted.outline
      const backward = callers.filter(
        (caller, edge) => (x[caller] ?? 0) >= (x[callees[edge] ?? 0] ?? 0),
      )
      expect(backward.length).toBeLessThan(callers.length * 0.1)
    },
  )

  test('lays out five hundred nodes at once', () => {
    const drafted = draft(graphOf(500, 1_155))
    const begun = performance.now()
    layered(drafted.outline)
    expect(performance.now() - begun).toBeLessThan(500)
  })
})

describe('parts that nothing connects', () => {
  test('are told apart', () => {
    const parts = componentsOf(outline(6, [0, 3], [3, 1], [4, 5]))
    expect(parts).toEqual([
      { nodes: [0, 1, 3], edges: [0, 1] },
      { nodes: [2], edges: [] },
      { nodes: [4, 5], edges: [2] },
    ])
  })

  test('lie side by side, and overlap nowhere', () => {
    const pairs = Array.from({ length: 60 }, (_, at): [number, number] => [2 * at, 2 * at + 1])
    const { x, y } = layoutOfParts(outline(120, ...pairs), layered)
    const width = Math.max(...x) - Math.min(...x)
    const height = Math.max(...y) - Math.min(...y)
    expect(width / height).toBeGreaterThan(1)
    expect(width / height).toBeLessThan(3)
    expect(new Set(Array.from(x, (each, at) => `${each} ${y[at]}`)).size).toBe(120)
  })
})

describe('a draft', () => {
  test('is the same whatever the figures and the order', () => {
    const { nodes, edges } = graphOf(40, 80)
    const other = draft({ nodes: nodes.toReversed(), edges: edges.toReversed() })
    expect(other).toEqual(draft({ nodes, edges }))
    expect(draft({ nodes, edges: edges.slice(1) }).key).not.toBe(other.key)
  })
})

describe('the scene', () => {
  const graph = graphOf(40, 80)
  const drafted = draft(graph)
  const scene = sceneOf(graph, drafted, layered(drafted.outline))

  test('ends each edge at the sides of its nodes', () => {
    for (const { edge, points } of scene.edges) {
      const caller = scene.nodeOf.get(edge.caller.key)
      const callee = scene.nodeOf.get(edge.callee.key)
      if (!caller || !callee) throw new Error('no end')
      expect(Math.abs((points[0] ?? 0) - caller.x)).toBe(NODE_WIDTH / 2)
      expect(Math.abs((points.at(-2) ?? 0) - callee.x)).toBe(NODE_WIDTH / 2)
      expect(Math.abs((points.at(-1) ?? 0) - callee.y)).toBeLessThan(NODE_HEIGHT / 2)
    }
  })

  test('finds a node within its box, and an edge near its curve', () => {
    const [placed] = scene.nodes
    if (!placed) throw new Error('no node')
    const { right, top } = boxOf(placed)
    expect(hitAt(scene, { x: right - 1, y: top + 1 }, 5)).toEqual({ node: placed.node })
    const edge = scene.edges.find(({ middle }) =>
      scene.nodes.every(
        (each) =>
          !overlap(boxOf(each), {
            left: middle.x - 1,
            right: middle.x + 1,
            top: middle.y - 1,
            bottom: middle.y + 1,
          }),
      ),
    )
    if (!edge) throw new Error('no edge in the open')
    expect(hitAt(scene, edge.middle, 5)).toHaveProperty('edge')
    expect(hitAt(scene, { x: scene.bounds.right + 20, y: 0 }, 5)).toBeUndefined()
  })

  test('leads the arrow keys along the busiest call and through the column', () => {
    const [busiest] = graph.edges
    if (!busiest) throw new Error('no edge')
    expect(neighbour(scene, busiest.caller, 'callee')).toBe(busiest.callee)
    expect(neighbour(scene, busiest.callee, 'caller')).toBe(busiest.caller)
    const here = scene.nodes.find(({ node }) => neighbour(scene, node, 'below'))
    const below = here && neighbour(scene, here.node, 'below')
    expect(below && neighbour(scene, below, 'above')).toBe(here?.node)
  })
})

test('the distance to a line is that to its nearest piece', () => {
  const line = Float64Array.of(0, 0, 10, 0, 10, 10)
  expect(distanceToLine(line, { x: 5, y: 3 })).toBe(3)
  expect(distanceToLine(line, { x: 13, y: 14 })).toBe(5)
  expect(distanceToLine(Float64Array.of(1, 1, 1, 1), { x: 1, y: 3 })).toBe(2)
})

describe('the camera', () => {
  const camera = { x: 30, y: -10, zoom: 0.5 }
  const size = { width: 800, height: 600 }

  test('keeps what is under the pointer while it zooms', () => {
    const at = { x: 200, y: 120 }
    const before = toPicture(camera, at)
    const after = toPicture(zoomed(camera, 2, at), at)
    expect(after.x).toBeCloseTo(before.x)
    expect(after.y).toBeCloseTo(before.y)
    expect(zoomed(camera, 1e9, at).zoom).toBe(3)
  })

  test('fits a picture into the middle, and blows none up', () => {
    const fit = fitted({ left: 0, top: 0, right: 4_000, bottom: 100 }, size)
    expect(toScreen(fit, { x: 2_000, y: 50 })).toEqual({ x: 400, y: 300 })
    expect(toScreen(fit, { x: 0, y: 0 }).x).toBeGreaterThan(0)
    expect(fitted({ left: 0, top: 0, right: 10, bottom: 10 }, size).zoom).toBeLessThan(1.2)
  })

  test('moves by pixels, and no more than to reveal what is outside', () => {
    expect(moved(camera, 10, 0).x).toBe(50)
    const inside = { left: 600, top: 200, right: 700, bottom: 240 }
    expect(revealing(camera, inside, size)).toEqual(camera)
    const outside = { ...inside, left: 5_000, right: 5_100 }
    const shown = revealing(camera, outside, size)
    expect(toScreen(shown, { x: 5_100, y: 200 }).x).toBeLessThan(size.width)
    expect(shown.y).toBe(camera.y)
    expect(toScreen(centred(camera, { x: 7, y: 8 }, size), { x: 7, y: 8 })).toEqual({
      x: 400,
      y: 300,
    })
  })

  test('reads back from the address', () => {
    expect(cameraIn(cameraText(camera))).toEqual(camera)
    expect(['', '1,2', '1,2,0', 'a,b,c', '1,2,Infinity'].map(cameraIn)).toEqual(
      Array(5).fill(undefined),
    )
  })
})

describe('the view', () => {
  const present = (parameters: Record<string, string | undefined>) =>
    Object.fromEntries(Object.entries(parameters).filter(([, value]) => value)) as Record<
      string,
      string
    >

  test('reads back from the address', () => {
    const view: View = {
      tab: 'table',
      focus: 'database:orders',
      depth: 4,
      direction: 'callers',
      hidePercent: 0,
      kinds: new Set(['rpc', 'database']),
      onlyErrors: true,
      selected: 'cart',
      range: { kind: 'between', startSeconds: 10, endSeconds: 20 },
    }
    expect(viewIn(present(parametersOf(view)))).toEqual(view)
  })

  test('has an empty address but for the range, and takes nonsense for nothing', () => {
    expect(present(parametersOf(viewIn({})))).toEqual({ last: '1h' })
    expect(viewIn({ depth: '9', hide: 'much', kinds: 'x', direction: 'up', tab: 'z' })).toEqual(
      viewIn({}),
    )
  })
})
