import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { SourceRow, TreeRow } from '../row-numbers.ts'
import { generated, pageOf } from '../samples/generate.ts'
import { rowsOf } from './columns.ts'
import type { OtlpSpan } from './details.ts'
import { hexOf, type Rows } from './rows.ts'
import { type Source, sourceOfServer } from './source.ts'

const CHUNK_SPANS = 25
let http: HttpServer | undefined

afterEach(() => {
  http?.close()
})

interface Asked {
  chunks: string[]
  spanIds: string[]
  isColumns: boolean
}

/** A server of one trace: pages of all, or OTLP of some chunks and spans; so many chunks at once. */
async function served(rows: Rows, chunksMax = 100): Promise<{ source: Source; asked: Asked[] }> {
  const asked: Asked[] = []
  const attributesOf = (row: number) => [{ key: 'row', value: { intValue: String(row) } }]
  const page = pageOf(rows, CHUNK_SPANS, attributesOf)
  http = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '', 'http://any')
    const chunks = searchParams.getAll('chunk')
    const spanIds = searchParams.getAll('span_id')
    const isColumns = request.headers.accept !== 'application/json'
    asked.push({ chunks, spanIds, isColumns })
    const spans = spansOf(rows).filter(
      ({ spanId = '' }, row) =>
        chunks.includes(`chunk-${Math.floor(row / CHUNK_SPANS)}`) &&
        (spanIds.length === 0 || spanIds.includes(spanId)),
    )
    response.statusCode = chunks.length > chunksMax ? 413 : spans.length || isColumns ? 200 : 404
    response.end(
      JSON.stringify(isColumns ? page : { resourceSpans: [{ scopeSpans: [{ spans }] }] }),
    )
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => http?.once('listening', resolve))
  const base = `http://127.0.0.1:${(http.address() as AddressInfo).port}/`
  const connection = { server: { base, token: '' }, signal: new AbortController().signal }
  return { source: sourceOfServer(connection, rowsOf(page), page.chunks), asked }
}

function spansOf(rows: Rows): OtlpSpan[] {
  return Array.from({ length: rows.count }, (_, row) => ({
    spanId: hexOf(rows.spanId, row, 8),
    name: rows.strings[rows.name[row] ?? 0] ?? '',
    kind: rows.kind[row] ?? 0,
    startTimeUnixNano: String(rows.startUnixNano + BigInt(rows.start[row] ?? 0)),
    events: [...rows.events.row.keys()]
      .filter((at) => rows.events.row[at] === row)
      .map((at) => ({
        timeUnixNano: String(rows.startUnixNano + BigInt(rows.events.time[at] ?? 0)),
        name: 'exception',
        attributes: [
          { key: 'exception.stacktrace', value: { stringValue: 'at line 1\nat line 2' } },
          { key: 'row', value: { intValue: String(row) } },
          { key: 'exception.message', value: { stringValue: 'the tide\nwas out' } },
          { key: 'exception.type', value: { stringValue: 'Error' } },
        ],
      })),
  }))
}

test('details are asked for by chunk and span, once', async () => {
  const rows = generated(100)
  const { source, asked } = await served(rows)
  const details = await source.details(60 as SourceRow)
  expect(await source.details(60 as SourceRow)).toBe(details)
  expect(asked).toEqual([{ chunks: ['chunk-2'], spanIds: [details.spanId], isColumns: false }])
  expect(details.spanId).toBe(hexOf(rows.spanId, 60, 8))
})

test('attributes go to the rows of their chunk', async () => {
  const { source } = await served(generated(100))
  const attributes = await source.attributes()
  const places = attributes.placesOf('row')
  expect([...places].map((place) => attributes.values[place])).toEqual(
    [...places.keys()].map(String),
  )
})

test('logs are by time, each with a line of text, and only spans that have any are asked for', async () => {
  const rows = generated(100, { eventShare: 0.2 })
  const { source, asked } = await served(rows)
  const entries = await source.logs((row: number) => row as TreeRow)
  const times = entries.map(({ timeUnixNano }) => BigInt(timeUnixNano))
  expect(entries).toHaveLength(rows.events.row.length)
  expect(times).toEqual(times.toSorted((a, b) => (a < b ? -1 : 1)))
  for (const { row, text, isException } of entries) {
    expect([text, isException]).toEqual([`Error: the tide was out  row=${row}`, true])
  }
  expect(asked.flatMap(({ spanIds }) => spanIds)).toHaveLength(entries.length)
})

test('a download holds every span, in as many answers as it takes', async () => {
  const rows = generated(100)
  const { source, asked } = await served(rows, 2)
  const { blob, fileName } = await source.download()
  const { resourceSpans } = JSON.parse(await blob.text()) as {
    resourceSpans: { scopeSpans: { spans: OtlpSpan[] }[] }[]
  }
  const found = resourceSpans.flatMap((each) => each.scopeSpans.flatMap(({ spans }) => spans))
  expect(found.map(({ spanId }) => spanId)).toEqual(spansOf(rows).map(({ spanId }) => spanId))
  expect(asked.map(({ chunks }) => chunks.length)).toEqual([4, 2, 2])
  expect(fileName).toBe(`${rows.traceId}.json`)
})
