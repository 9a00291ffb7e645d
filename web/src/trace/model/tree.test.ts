import { describe, expect, test } from 'vitest'
import { Flag } from '../protocol.ts'
import { generated } from '../samples/generate.ts'
import { spanIdOf } from './ids.ts'
import { RowWriter } from './row-writer.ts'
import type { Rows } from './rows.ts'
import { buildTrace } from './tree.ts'

interface Sketch {
  id: string
  parent?: string
  service?: string
  name?: string
  start?: number
  duration?: number
  kind?: number
}

function rows(sketches: Sketch[]): Rows {
  const writer = new RowWriter()
  for (const {
    id,
    parent = '',
    service = 'shop',
    name = 'work',
    start = 0,
    duration = 10,
    kind = 1,
  } of sketches) {
    writer.add({
      spanId: id,
      parentSpanId: parent,
      name,
      statusMessage: '',
      startUnixNano: 1_000n + BigInt(start),
      durationNano: duration,
      scope: writer.scope({ service, name: '', version: '' }),
      kind,
      flags: 0,
      events: [],
      links: [],
    })
  }
  return writer.rows('01')
}

function tree(sketches: Sketch[]) {
  const { trace } = buildTrace(rows(sketches), 'otlp', true)
  const { columns } = trace
  const ids = Array.from({ length: columns.count }, (_, row) =>
    spanIdOf(columns, row).replace(/^0+/, ''),
  )
  const has = (flag: number) => ids.filter((_, row) => (columns.flags[row] ?? 0) & flag)
  return { ...trace, ids, has, parents: [...columns.parent] }
}

describe('the tree', () => {
  test('has parents before children, and siblings by start', () => {
    const { ids, parents, columns } = tree([
      { id: 'c', parent: 'a', start: 5 },
      { id: 'b', parent: 'a', start: 2 },
      { id: 'd', parent: 'b', start: 3 },
      { id: 'a', start: 0 },
    ])
    expect(ids).toEqual(['a', 'b', 'd', 'c'])
    expect(parents).toEqual([-1, 0, 1, 0])
    expect([...columns.subtree]).toEqual([4, 2, 1, 1])
    expect([...columns.depth]).toEqual([0, 1, 2, 1])
  })

  test('makes a root of a span whose parent is missing, and says so', () => {
    const { has, parents } = tree([{ id: 'a', parent: '99' }])
    expect(parents).toEqual([-1])
    expect(has(Flag.MISSING_PARENT)).toEqual(['a'])
  })

  test.each([
    [[{ id: 'a', parent: 'a' }]],
    [
      [
        { id: 'a', parent: 'b' },
        { id: 'b', parent: 'a' },
      ],
    ],
    [
      [
        { id: 'a', parent: 'c' },
        { id: 'b', parent: 'a' },
        { id: 'c', parent: 'b' },
        { id: 'd', parent: 'b' },
      ],
    ],
  ])('cuts a circle at one span, and keeps all', (sketches) => {
    const { ids, head, has } = tree(sketches)
    expect(ids.toSorted()).toEqual(sketches.map(({ id }) => id).toSorted())
    expect(head.cycleCount).toBe(1)
    expect(has(Flag.CYCLE)).toHaveLength(1)
  })

  test('hangs a server’s half below the client’s that has its id, and what it called below it', () => {
    const { ids, parents, columns } = tree([
      { id: 'a' },
      { id: 'b', parent: 'a', kind: 3, service: 'shop' },
      { id: 'b', parent: 'a', kind: 2, service: 'cart' },
      { id: 'c', parent: 'b', kind: 1, service: 'cart' },
    ])
    expect(ids).toEqual(['a', 'b', 'b', 'c'])
    expect(parents).toEqual([-1, 0, 1, 2])
    expect([...columns.kind]).toEqual([1, 3, 2, 1])
  })

  test('leaves copies out', () => {
    expect(tree([{ id: 'a' }, { id: 'a' }]).ids).toEqual(['a'])
    expect(tree([{ id: 'a' }, { id: 'a', duration: 11 }]).ids).toEqual(['a', 'a'])
  })

  test('is no deeper in the stack for a chain of 100,000', () => {
    const chain = Array.from({ length: 100_000 }, (_, at) => ({
      id: (at + 1).toString(16),
      parent: at ? at.toString(16) : '',
      start: at,
      duration: 200_000 - at,
    }))
    const { columns } = buildTrace(rows(chain), 'otlp', true).trace
    expect(columns.subtree[0]).toBe(100_000)
    expect(columns.depth[99_999]).toBe(65_535)
  })

  test('is made soon where all spans have one id', () => {
    const same = Array.from({ length: 50_000 }, (_, at) => ({ id: 'a', start: at }))
    expect(buildTrace(rows(same), 'otlp', true).trace.columns.count).toBe(50_000)
  })

  test('takes a message that waited in its queue for no difference of clocks', () => {
    const { head } = tree([
      { id: 'a', kind: 4 },
      { id: 'b', parent: 'a', kind: 5, service: 'mail', start: 5_000 },
    ])
    expect(head.skewedCount).toBe(0)
  })

  test('counts spans with an id that another has, but not the halves of one call', () => {
    const halves = [
      { id: 'b', kind: 2, service: 'cart' },
      { id: 'b', kind: 3 },
    ]
    expect(tree(halves).head.duplicateIdCount).toBe(0)
    expect(tree([...halves, { id: 'b', start: 1 }]).head.duplicateIdCount).toBe(1)
  })

  test('names each name once, and groups repeated siblings', () => {
    const repeated = Array.from({ length: 5 }, (_, at) => ({
      id: `b${at}`,
      parent: 'a',
      name: 'query',
      start: at,
    }))
    const { head, columns } = tree([{ id: 'a' }, { id: 'c', parent: 'a', start: 2 }, ...repeated])
    expect(head.names).toEqual(['work', 'query'])
    expect(head.groups).toMatchObject([{ parent: 0, errorCount: 0, totalNano: 50, maxNano: 10 }])
    expect([...columns.group].filter((group) => group === 0)).toHaveLength(5)
    expect(tree([{ id: 'a' }, ...repeated.slice(1)]).head.groups).toEqual([])
  })

  test('marks clocks that differ between services, not what only outlives its parent', () => {
    const { has, columns } = tree([
      { id: 'a', duration: 100 },
      { id: 'b', parent: 'a', service: 'cart', start: 5_000, duration: 20 },
      { id: 'c', parent: 'b', service: 'cart', start: 5_005, duration: 5 },
      { id: 'd', parent: 'a', service: 'mail', start: 90, duration: 50 },
    ])
    expect(has(Flag.SKEWED)).toEqual(['b'])
    expect(has(Flag.OUTLIVES)).toEqual(['d', 'b'])
    expect([...columns.shift].filter(Boolean)).toEqual([40 - 5_000, 40 - 5_000])
  })
})

test.each([1, 2, 3, 4, 5])(
  'a generated trace (%d) is the same as one made with objects',
  (seed) => {
    const input = generated(300, { seed })
    const { columns } = buildTrace(input, 'otlp', true).trace
    for (let row = 0; row < columns.count; row++) {
      const children = Array.from({ length: columns.count }, (_, at) => at).filter(
        (at) => columns.parent[at] === row,
      )
      const size = (at: number): number =>
        1 + children_of(at).reduce((sum: number, child) => sum + size(child), 0)
      const children_of = (at: number) =>
        Array.from({ length: columns.count }, (_, each) => each).filter(
          (each) => columns.parent[each] === at,
        )
      if (row < 20) expect(columns.subtree[row]).toBe(size(row))
      const covered = union(
        children.map((at) => [
          columns.start[at] ?? 0,
          (columns.start[at] ?? 0) + (columns.duration[at] ?? 0),
        ]),
      )
      expect(columns.self[row]).toBeCloseTo((columns.duration[row] ?? 0) - covered, 3)
    }
    expect(columns.parent.filter((parent) => parent < 0)).toHaveLength(1)
  },
)

function union(intervals: [number, number][]): number {
  let [total, reached] = [0, Number.NEGATIVE_INFINITY]
  for (const [from, to] of intervals.toSorted((a, b) => a[0] - b[0])) {
    total += Math.max(0, to - Math.max(from, reached))
    reached = Math.max(reached, to)
  }
  return total
}

test('every moment of the root is on its critical path exactly once', () => {
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    const { columns } = buildTrace(generated(500, { seed }), 'otlp', true).trace
    let reached = columns.start[0] ?? 0
    columns.criticalRow.forEach((row, at) => {
      expect(columns.criticalFrom[at]).toBeCloseTo(reached, 3)
      reached = columns.criticalTo[at] ?? 0
      expect(columns.criticalFrom[at]).toBeGreaterThanOrEqual((columns.start[row] ?? 0) - 1e-3)
    })
    expect(reached).toBeCloseTo((columns.start[0] ?? 0) + (columns.duration[0] ?? 0), 3)
  }
})
