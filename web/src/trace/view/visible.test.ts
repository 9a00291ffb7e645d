import { expect, test } from 'vitest'
import { RowWriter } from '../model/row-writer.ts'
import { buildTrace } from '../model/tree.ts'
import type { Trace } from '../protocol.ts'
import { generated } from '../samples/generate.ts'
import { derivedFrom } from './derived.ts'
import {
  changeLevel,
  collapseAll,
  listOf,
  MATCH,
  matching,
  NO_FILTERS,
  placeOf,
  reveal,
} from './visible.ts'

/** `a` over six queries, the third over `x`, and `b` over `c`. */
function shop(): Trace {
  const writer = new RowWriter()
  const add = (id: number, parent: number, name: string, start: number, service = 'shop') =>
    writer.add({
      spanId: id.toString(16).padStart(16, '0'),
      parentSpanId: parent ? parent.toString(16).padStart(16, '0') : '',
      name,
      statusMessage: '',
      startUnixNano: 1_000n + BigInt(start),
      durationNano: 100 - start,
      scope: writer.scope({ service, name: '', version: '' }),
      kind: 1,
      flags: 0,
      events: [],
      links: [],
    })
  add(1, 0, 'a', 0)
  for (let query = 0; query < 6; query++) add(10 + query, 1, 'query', 10 + 2 * query)
  add(20, 12, 'x', 15, 'other')
  // Between two of the queries.
  add(2, 1, 'b', 13)
  add(3, 2, 'c', 14)
  return buildTrace(writer.rows('01'), 'otlp', true).trace
}

function names(trace: Trace, entries: Int32Array): string[] {
  const { head, columns } = trace
  return [...entries].map((entry) =>
    entry < 0
      ? `${head.groups[~entry]?.rows.length} ×`
      : (head.names[columns.name[entry] ?? 0] ?? ''),
  )
}

const row = ({ head, columns }: Trace, name: string) =>
  columns.name.indexOf(head.names.indexOf(name))

test('repeated siblings are one row until they are opened, and then stand together below it', () => {
  const trace = shop()
  const collapsed = new Uint8Array(trace.columns.count)
  const closed = listOf(trace, collapsed, new Set(), undefined)
  expect(names(trace, closed.entries)).toEqual(['a', '6 ×', 'b', 'c'])
  const open = listOf(trace, collapsed, new Set([0]), undefined)
  const query = 'query'
  const members = [query, query, 'x', query, query, query, query]
  const shown = names(trace, open.entries)
  expect(shown.slice(0, 2)).toEqual(['a', '6 ×'])
  expect(shown.slice(2, -2).sort()).toEqual(members.sort())
  expect(shown.slice(-2)).toEqual(['b', 'c'])
})

test('a place is found for what shows, and for what is hidden the place of what hides it', () => {
  const trace = shop()
  const collapsed = new Uint8Array(trace.columns.count)
  collapsed[row(trace, 'b')] = 1
  const list = listOf(trace, collapsed, new Set(), undefined)
  expect(names(trace, list.entries)).toEqual(['a', '6 ×', 'b'])
  expect(placeOf(list, trace.columns, row(trace, 'c'))).toBe(2)
  expect(placeOf(list, trace.columns, row(trace, 'x'))).toBe(1)
})

test('what is revealed shows', () => {
  const trace = shop()
  const collapsed = collapseAll(trace)
  const groups = new Set<number>()
  reveal(trace, row(trace, 'x'), collapsed, groups)
  const list = listOf(trace, collapsed, groups, undefined)
  const place = placeOf(list, trace.columns, row(trace, 'x'))
  expect(list.entries[place]).toBe(row(trace, 'x'))
})

test('a filter keeps what leads to a match', () => {
  const trace = shop()
  const marks = matching(trace, { ...NO_FILTERS, services: ['other'] })
  const list = listOf(trace, new Uint8Array(trace.columns.count), new Set(), marks)
  expect(names(trace, list.entries)).toEqual(['a', 'query', 'x'])
  expect(marks[row(trace, 'x')]).toBe(MATCH)
})

test('a level is closed from the deepest and opened from the highest, and only rows with children are', () => {
  const trace = shop()
  const { columns } = trace
  const collapsed = new Uint8Array(columns.count)
  changeLevel(trace, collapsed, -1)
  expect([...collapsed].filter(Boolean)).toHaveLength(2)
  changeLevel(trace, collapsed, -1)
  expect(listOf(trace, collapsed, new Set(), undefined).entries).toHaveLength(1)
  changeLevel(trace, collapsed, 1)
  expect(collapsed[0]).toBe(0)
})

test.each([1, 2, 3])('open to the last, every row shows exactly once (seed %d)', (seed) => {
  const { trace } = buildTrace(generated(3_000, { seed }), 'otlp', true)
  const all = new Set(trace.head.groups.keys())
  const { entries, places } = listOf(trace, new Uint8Array(trace.columns.count), all, undefined)
  const rows = [...entries].filter((entry) => entry >= 0)
  expect(new Set(rows).size).toBe(trace.columns.count)
  expect(rows).toHaveLength(trace.columns.count)
  expect(rows.every((each) => entries[places[each] ?? -1] === each)).toBe(true)
})

test('what the drawing needs of a row is that of the tree', () => {
  const trace = shop()
  const { children, subtreeEnd, levels } = derivedFrom(trace)
  expect(children[0]).toBe(7)
  expect(subtreeEnd[0]).toBe(100)
  expect(levels[row(trace, 'x')]).toBe((trace.columns.depth[row(trace, 'x')] ?? 0) + 1)
})
