import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { generated } from '../samples/generate.ts'
import { criticalPath } from './critical-path.ts'
import { RowWriter } from './row-writer.ts'
import { hexOf } from './rows.ts'
import { buildTrace } from './tree.ts'

interface Golden {
  name: string
  spans: { id: string; parent: string | null; service: string; start: number; duration: number }[]
  path: { id: string; from: number; to: number }[]
}

const golden = JSON.parse(
  readFileSync(new URL('../../../../tests/golden/critical_path.json', import.meta.url), 'utf8'),
) as Golden[]

/** Ids of the golden cases are words: as many letters as fit. */
function hexOfWord(word: string | null): string {
  return [...(word ?? '')].map((letter) => letter.charCodeAt(0).toString(16)).join('')
}

function wordOfHex(hex: string): string {
  return (hex.match(/../g) ?? [])
    .map((byte) => String.fromCharCode(Number.parseInt(byte, 16)))
    .join('')
    .replaceAll('\0', '')
}

test.each(golden)('$name', ({ spans, path }) => {
  const writer = new RowWriter()
  for (const { id, parent, service, start, duration } of spans) {
    writer.add({
      spanId: hexOfWord(id),
      parentSpanId: hexOfWord(parent),
      name: id,
      statusMessage: '',
      startUnixNano: 1_000n + BigInt(start),
      durationNano: duration,
      scope: writer.scope({ service, name: '', version: '' }),
      kind: 1,
      flags: 0,
      events: [],
      links: [],
    })
  }
  const { columns, head } = buildTrace(writer.rows('01'), 'otlp', true).trace
  const first = Math.min(...spans.map(({ start }) => start))
  const found = [...columns.criticalRow].map((row, at) => ({
    id: wordOfHex(hexOf(columns.spanId, row, 8)),
    from: (columns.criticalFrom[at] ?? 0) + first,
    to: (columns.criticalTo[at] ?? 0) + first,
  }))
  expect(found).toEqual(path)
  expect(head.criticalPathMissing === undefined).toBe(path.length > 0)
  const total = path.reduce((sum, { from, to }) => sum + to - from, 0)
  expect(head.services.reduce((sum, each) => sum + each.criticalNano, 0)).toBe(total)
})

interface Span {
  row: number
  from: number
  to: number
  children: Span[]
}

/** The rule said with objects: what a span was doing up to a moment, latest first. */
function sectionsUpTo(span: Span, moment: number): [number, number, number][] {
  const child = span.children
    .map((each) => ({
      ...each,
      from: Math.max(each.from, span.from),
      to: Math.min(each.to, span.to),
    }))
    .filter((each) => each.to > each.from && each.to <= moment)
    .sort((a, b) => b.to - a.to || a.row - b.row)[0]
  if (!child) return [[span.row, span.from, moment]]
  return [
    [span.row, child.to, moment],
    ...sectionsUpTo(child, child.to),
    ...sectionsUpTo(span, child.from),
  ]
}

test('the path of a generated trace is the one that the rule says with objects', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const { columns } = buildTrace(generated(60, { seed, reach: 6 }), 'otlp', true).trace
    const spans = Array.from({ length: columns.count }, (_, row): Span => {
      const from = columns.start[row] ?? 0
      return { row, from, to: from + (columns.duration[row] ?? 0), children: [] }
    })
    spans.forEach((span) => {
      spans[columns.parent[span.row] ?? -1]?.children.push(span)
    })
    const [root] = spans
    if (!root) throw new Error('no span')
    const wanted = sectionsUpTo(root, root.to)
      .filter(([, from, to]) => to > from)
      .reverse()
    const { row, from, to } = criticalPath(columns)
    expect([...row].map((each, at) => [each, from[at], to[at]])).toEqual(wanted)
  }
})
