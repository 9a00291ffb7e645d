import { expect, test } from 'vitest'
import { AskError } from '../../api/failure.ts'
import { generated, pageOf } from '../samples/generate.ts'
import { columnsAnswer, rowsOf } from './columns.ts'
import { joined, type Rows } from './rows.ts'
import { buildTrace } from './tree.ts'

/** Some rows of a trace, as if they were another page. */
function part(rows: Rows, from: number, to: number): Rows {
  const isIn = (row: number) => row >= from && row < to
  const events = [...rows.events.row.keys()].filter((at) => isIn(rows.events.row[at] ?? -1))
  return {
    ...rows,
    count: to - from,
    spanId: rows.spanId.slice(8 * from, 8 * to),
    parentId: rows.parentId.slice(8 * from, 8 * to),
    start: rows.start.slice(from, to),
    duration: rows.duration.slice(from, to),
    name: rows.name.slice(from, to),
    statusMessage: rows.statusMessage.slice(from, to),
    scope: rows.scope.slice(from, to),
    kind: rows.kind.slice(from, to),
    flags: rows.flags.slice(from, to),
    events: {
      row: Int32Array.from(events, (at) => (rows.events.row[at] ?? 0) - from),
      time: Float64Array.from(events, (at) => rows.events.time[at] ?? 0),
      name: Uint32Array.from(events, (at) => rows.events.name[at] ?? 0),
      flags: Uint8Array.from(events, (at) => rows.events.flags[at] ?? 0),
    },
  }
}

/** A page counts from its own earliest start. */
function rebased(rows: Rows, nano: number): Rows {
  return {
    ...rows,
    startUnixNano: rows.startUnixNano - BigInt(nano),
    start: rows.start.map((time) => time + nano),
    events: { ...rows.events, time: rows.events.time.map((time) => time + nano) },
  }
}

test('a page reads back as the rows that it was made of', () => {
  const rows = generated(400)
  const { strings, scopes, ...columns } = rowsOf(pageOf(rows))
  const { strings: givenStrings, scopes: givenScopes, ...given } = rows
  expect(columns).toEqual(given)
  expect(strings.slice(0, givenStrings.length)).toEqual(givenStrings)
  expect(scopes).toEqual(givenScopes)
})

test('a parent on another page is found', () => {
  const rows = generated(400)
  const pages = [part(rows, 0, 150), rebased(part(rows, 150, 400), 1_000)].map((each) =>
    rowsOf(pageOf(each)),
  )
  const [one, several] = [rows, joined(pages)].map((each) => buildTrace(each, 'server', true))
  expect(several?.trace).toEqual(one?.trace)
})

test('a span that is on two pages is one', () => {
  const rows = generated(50)
  const { columns } = buildTrace(joined([rows, part(rows, 10, 30)]), 'server', true).trace
  expect(columns.count).toBe(50)
})

test('an answer that is none is refused', () => {
  expect(() => columnsAnswer({ version: 2, columns: {}, strings: [] })).toThrow(AskError)
  expect(() => columnsAnswer(null)).toThrow(AskError)
})
