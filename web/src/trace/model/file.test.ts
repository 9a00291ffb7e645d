import { describe, expect, test } from 'vitest'
import { failureOf } from '../../api/failure.ts'
import { Flag } from '../protocol.ts'
import type { SourceRow } from '../row-numbers.ts'
import { open, readTrace } from './file.ts'
import { sourceOfDocument } from './source.ts'
import { buildTrace } from './tree.ts'

const SPAN = {
  traceId: '5b8efff798038103d269b633813fc60c',
  spanId: 'eee19b7ec3c1b174',
  name: 'by hand',
  startTimeUnixNano: '1000',
  endTimeUnixNano: '9000',
}

function otlp(spans: unknown, member = 'resourceSpans') {
  return { [member]: [{ scopeSpans: [{ spans }] }] }
}

function shown(document: unknown) {
  const text = typeof document === 'string' ? document : JSON.stringify(document)
  const found = readTrace(text)
  const { trace, source } = buildTrace(found.rows, found.format, true)
  const from = sourceOfDocument(found, new Blob([text]))
  return {
    ...found,
    ...trace,
    details: (row: number) => from.details((source[row] ?? -1) as SourceRow),
  }
}

describe('OTLP', () => {
  test.each([
    ['as it is written', otlp([SPAN])],
    ['of Tempo', otlp([SPAN], 'batches')],
    ['in a list', [otlp([SPAN])]],
    ['in an answer of Jaeger', { result: otlp([SPAN]) }],
    ['in an answer of Tempo', { trace: otlp([SPAN]) }],
    [
      'before 0.15',
      {
        resourceSpans: [
          { instrumentationLibrarySpans: [{ instrumentationLibrary: {}, spans: [SPAN] }] },
        ],
      },
    ],
    ['a document a line', `${JSON.stringify(otlp([SPAN]))}\n${JSON.stringify(otlp([]))}\n`],
  ])('%s is read', async (_, document) => {
    const { format, columns, details } = shown(document)
    expect([format, columns.count]).toEqual(['otlp', 1])
    expect(await details(0)).toMatchObject({ name: 'by hand', spanId: SPAN.spanId })
  })

  test('with ids in base64 and names for numbers is the same trace', async () => {
    const { columns, head, details } = shown(
      otlp([
        { ...SPAN, traceId: 'W47/95gDgQPSabYzgT/GDA==', spanId: '7uGbfsPBsXQ=' },
        {
          ...SPAN,
          traceId: 'W47/95gDgQPSabYzgT/GDA==',
          spanId: 'AAAAAAAAAAE=',
          parentSpanId: '7uGbfsPBsXQ=',
          kind: 'SPAN_KIND_SERVER',
          status: { code: 'STATUS_CODE_ERROR' },
        },
      ]),
    )
    expect([head.traceId, ...columns.parent]).toEqual([SPAN.traceId, -1, 0])
    const flags = Flag.ERROR | Flag.ENTRY
    expect((columns.flags[1] ?? 0) & flags).toBe(flags)
    expect(await details(1)).toMatchObject({ parentSpanId: SPAN.spanId, kind: 2, statusCode: 2 })
  })

  test('gives typed attributes by key, and integers exactly', async () => {
    const attributes = [
      { key: 'z', value: { intValue: '9007199254740993' } },
      { key: '__proto__', value: { stringValue: '\ud800' } },
      { key: 'map', value: { kvlistValue: { values: [{ key: '__proto__', value: {} }] } } },
      { key: 'list', value: { arrayValue: { values: [{ intValue: 7 }, { boolValue: false }] } } },
      { key: 'odd', value: { stringValue: { not: 'a string' } } },
      { key: 'none' },
      null,
    ]
    const { details } = shown(otlp([{ ...SPAN, attributes }]))
    const { attributes: found } = await details(0)
    expect(found.map(({ key, type, value }) => [key, type, JSON.stringify(value)])).toEqual([
      ['__proto__', 'string', '"\\ud800"'],
      ['list', 'array', '[7,false]'],
      ['map', 'kvlist', '{"__proto__":null}'],
      ['none', 'empty', 'null'],
      ['odd', 'empty', 'null'],
      ['z', 'int', '"9007199254740993"'],
    ])
  })

  test('keeps times that are numbers exact', async () => {
    const text = JSON.stringify(otlp([SPAN])).replace('"1000"', '1795412663309932379')
    expect((await shown(text).details(0)).startUnixNano).toBe('1795412663309932379')
  })

  test('shows a value that is nested too deep as far as anybody reads', async () => {
    const value = `${'{"arrayValue":{"values":['.repeat(20_000)}${']}}'.repeat(20_000)}`
    const span = JSON.stringify({ ...SPAN, attributes: [{ key: 'deep', value: 0 }] })
    const { details } = shown(
      `{"resourceSpans":[{"scopeSpans":[{"spans":[${span.replace(':0}', `:${value}}`)}]}]}]}`,
    )
    expect((await details(0)).attributes).toHaveLength(1)
  })

  test.each([
    { odd: null },
    { odd: {} },
    { odd: { ...SPAN, attributes: [null], events: [null], links: [7] } },
  ])('is read though there is something odd in it: %j', ({ odd }) => {
    const { columns } = shown(otlp([SPAN, odd]))
    expect(columns.count).toBeGreaterThan(0)
  })
})

describe('Jaeger', () => {
  const trace = {
    traceID: '1f',
    processes: { p1: { serviceName: 'shop', tags: [{ key: 'host', type: 'string', value: 'h' }] } },
    spans: [
      {
        traceID: '1f',
        spanID: 'a',
        processID: 'p1',
        operationName: 'GET',
        startTime: 5,
        duration: 9,
      },
      {
        traceID: '1f',
        spanID: 'b',
        processID: 'p1',
        operationName: 'charge',
        references: [
          { refType: 'FOLLOWS_FROM', traceID: '2f', spanID: 'c' },
          { refType: 'CHILD_OF', traceID: '1f', spanID: 'a' },
        ],
        startTime: 6,
        duration: 3,
        tags: [
          { key: 'error', type: 'bool', value: true },
          { key: 'n', type: 'int64', value: 7 },
          { key: 'span.kind', type: 'string', value: 'client' },
        ],
        logs: [{ timestamp: 7, fields: [{ key: 'event', type: 'string', value: 'retry' }] }],
        warnings: ['clock skew'],
      },
    ],
  }

  test.each([
    ['an answer of its API', { data: [trace] }],
    ['one trace', trace],
  ])('%s is read, with references, logs, tags and warnings', async (_, document) => {
    const { format, columns, head, details } = shown(document)
    expect([format, ...columns.parent]).toEqual(['jaeger', -1, 0])
    expect([head.startUnixNano, columns.start[1], columns.duration[1]]).toEqual([
      '5000',
      1000,
      3000,
    ])
    const found = await details(1)
    expect(found).toMatchObject({
      spanId: '000000000000000b',
      service: 'shop',
      kind: 3,
      statusCode: 2,
      resource: [{ key: 'host' }, { key: 'service.name' }],
      events: [{ name: 'retry', timeUnixNano: '7000' }],
      links: [{ traceId: '0000000000000000000000000000002f', spanId: '000000000000000c' }],
    })
    expect(found.attributes).toContainEqual({ key: 'n', type: 'int', value: 7 })
    expect(found.attributes).toContainEqual({
      key: 'jaeger.warnings',
      type: 'array',
      value: ['clock skew'],
    })
    expect(JSON.parse(found.raw)).toEqual(trace.spans[1])
  })

  test('what follows from a span hangs below it', () => {
    const [first, second] = trace.spans
    const references = [{ refType: 'FOLLOWS_FROM', traceID: '1f', spanID: 'a' }]
    const { columns } = shown({ ...trace, spans: [first, { ...second, references }] })
    expect([...columns.parent]).toEqual([-1, 0])
  })
})

describe('Zipkin', () => {
  const spans = [
    {
      traceId: '1f',
      id: 'a',
      kind: 'CLIENT',
      name: 'get',
      timestamp: 50,
      duration: 10,
      localEndpoint: { serviceName: 'shop' },
      remoteEndpoint: { ipv4: '10.0.0.1', port: 80 },
      tags: { error: 'refused' },
      annotations: [{ timestamp: 51, value: 'wire' }],
    },
    {
      traceId: '1f',
      id: 'a',
      kind: 'SERVER',
      shared: true,
      localEndpoint: { serviceName: 'cart' },
    },
    {
      traceId: '1f',
      id: 'b',
      parentId: 'a',
      timestamp: 52,
      localEndpoint: { serviceName: 'cart' },
    },
  ]

  test.each([
    ['a list of spans', spans],
    ['a list of traces', [spans]],
  ])('%s is read, with both halves of a call', async (_, document) => {
    const { format, columns, head, details } = shown(document)
    expect([format, ...columns.parent]).toEqual(['zipkin', -1, 0, 1])
    // A server's half without a time of its own begins with its client's.
    expect([columns.start[1], head.duplicateIdCount]).toEqual([0, 0])
    expect(await details(0)).toMatchObject({
      statusCode: 2,
      statusMessage: 'refused',
      events: [{ name: 'wire', timeUnixNano: '51000' }],
    })
  })
})

test('of several traces in a file, the one with the most spans is shown', () => {
  const other = { ...SPAN, traceId: '01' }
  const { head, otherTraceCount } = shown(otlp([other, SPAN, { ...SPAN, spanId: '01' }]))
  expect([head.traceId, otherTraceCount]).toEqual([SPAN.traceId, 1])
})

async function failure(content: BlobPart): Promise<string> {
  const outcome = await open(new Blob([content])).catch(failureOf)
  return 'kind' in outcome ? `${outcome.kind}: ${outcome.message}` : 'read'
}

test.each([
  ['', 'it is empty'],
  ['<html>', "Unexpected token '<'"],
  [JSON.stringify(otlp([SPAN])).slice(0, 90), 'of 90 characters'],
  ['{"hello":1,"world":2}', 'an object with hello, world'],
  ['5', 'JSON of 5'],
  ['[]', 'an empty list'],
  ['{"data":[]}', 'an object with data'],
  ['{"resourceSpans":[]}', 'an object with resourceSpans'],
])('of a wrong file %j it says what it found', async (content, message) => {
  const told = await failure(content)
  expect(told).toMatch(/^file: /)
  expect(told).toContain(message)
})

async function zipped(content: Blob): Promise<Uint8Array<ArrayBuffer>> {
  return new Response(content.stream().pipeThrough(new CompressionStream('gzip'))).bytes()
}

test('a compressed file is read, and a damaged one is named so', async () => {
  const file = await zipped(new Blob([JSON.stringify(otlp([SPAN]))]))
  expect(await failure(file)).toBe('read')
  expect(await failure(file.slice(0, 60))).toContain('damaged')
})

test('a small file that unpacks to more than the limit is refused', async () => {
  const megabyte = ' '.repeat(1 << 20)
  const file = await zipped(new Blob(Array.from({ length: 200 }, () => megabyte)))
  expect(await failure(file)).toContain('more than 200000000 bytes')
}, 20_000)
