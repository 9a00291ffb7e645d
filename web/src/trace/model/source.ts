/** Where a trace's details come from: the server, chunk by chunk, or a document that is here as a whole. */

import type { SearchAnswer } from '../../api/answers.ts'
import { ask, COLUMNS_TYPE, type Query, type Server } from '../../api/ask.ts'
import { AskError, failureOf } from '../../api/failure.ts'
import type { LogEntry, SpanDetails } from '../protocol.ts'
import type { SourceRow, TreeRow } from '../row-numbers.ts'
import { Attributes, addPage } from './attributes.ts'
import { type AttributeColumns, type ColumnsAnswer, columnsAnswer } from './columns.ts'
import { detailsOf, nano, type OtlpDocument, type Placed, spansIn } from './details.ts'
import type { Opened } from './file.ts'
import { grouped } from './grouped.ts'
import { emptyLogs, fillLog, type LogPlace, logPlaces } from './logs.ts'
import { hexOf, type Rows } from './rows.ts'
import { objects } from './value.ts'

type Linking = { traceId: string; service: string; name: string; startUnixNano: string }[]

export interface Source {
  details(row: SourceRow): Promise<SpanDetails>
  /** Of every span; fetched once. */
  attributes(): Promise<Attributes>
  /** The earliest; `treeRow` is -1 for a row that the tree leaves out. */
  logs(treeRow: (row: SourceRow) => TreeRow): Promise<LogEntry[]>
  linkedFrom(): Promise<Linking>
  download(): Promise<{ blob: Blob; fileName: string }>
}

export interface Connection {
  server: Server
  signal: AbortSignal
}

const DETAILS_KEPT = 200
const LINKED_MAX = '50'
const QUESTIONS_AT_ONCE = 3
/** What a question may name. */
const SPAN_IDS_MAX = 100
const CHUNKS_MAX = 100
/** Spans of a chunk above which it is fetched as a whole. */
const SINGLE_SPANS_MAX = 300
const DOWNLOAD_SPANS = 10_000
const JSON_TYPE = { type: 'application/json' }

export function sourceOfServer(
  { server, signal }: Connection,
  rows: Rows,
  chunks: ColumnsAnswer['chunks'],
): Source {
  const { traceId } = rows
  const path = `v1/traces/${traceId}`
  const chunkOf = chunkOfRow(chunks)
  const details = new Map<SourceRow, SpanDetails>()
  let attributes: Promise<Attributes> | undefined

  /** What is still there of some chunks, in as many answers as it takes. */
  const documents = async (query: {
    chunk: string[]
    span_id?: string[]
  }): Promise<OtlpDocument[]> => {
    try {
      return [await ask<OtlpDocument>(server, path, query, { signal })]
    } catch (error) {
      const { kind } = failureOf(error)
      if (kind === 'not_found') return []
      if (kind !== 'too_large' || query.chunk.length < 2) throw error
      const middle = query.chunk.length >> 1
      const [first, second] = [query.chunk.slice(0, middle), query.chunk.slice(middle)]
      return [
        ...(await documents({ ...query, chunk: first })),
        ...(await documents({ ...query, chunk: second })),
      ]
    }
  }
  const fetched = async (row: SourceRow): Promise<SpanDetails> => {
    const spanId = hexOf(rows.spanId, row, 8)
    const found = await documents({ chunk: [chunkOf(row)], span_id: [spanId] })
    const placed = found.flatMap(spansIn).find((each) => isRow(rows, row, each))
    if (placed) return detailsOf(placed)
    throw new AskError({ kind: 'not_found', message: `span ${spanId} is not stored any more` })
  }
  return {
    async details(row) {
      const found = details.get(row) ?? (await fetched(row))
      // The last used is the last to go.
      details.delete(row)
      details.set(row, found)
      const [oldest] = details.keys()
      if (details.size > DETAILS_KEPT && oldest !== undefined) details.delete(oldest)
      return found
    },
    attributes() {
      attributes ??= fetchAttributes({ server, signal }, path, rows.count, chunks)
      attributes.catch(() => {
        attributes = undefined
      })
      return attributes
    },
    async logs(treeRow) {
      const places = logPlaces(rows, treeRow)
      const entries = emptyLogs(rows, places, treeRow)
      const byId = grouped(entries.keys(), (at) => spanIdOf(rows, places[at]))
      const questions = logQuestions(rows, places, chunkOf)
      await inParallel(questions, async (question) => {
        for (const placed of (await documents(question)).flatMap(spansIn)) {
          for (const at of byId.get(placed.span.spanId ?? '') ?? []) {
            const [entry, place] = [entries[at], places[at]]
            if (entry && place && isRow(rows, place.row, placed)) fillLog(entry, place, placed.span)
          }
        }
      })
      return entries
    },
    async linkedFrom() {
      const start = String(Number(rows.startUnixNano / 1_000_000_000n) - 3_600)
      const query: Query = { link: traceId, start, limit: LINKED_MAX }
      const { traces } = await ask<SearchAnswer>(server, 'v1/traces', query, { signal })
      return traces.map((each) => ({
        traceId: each.trace_id,
        service: each.root_service,
        name: each.root_span_name,
        startUnixNano: each.start_time_unix_nano,
      }))
    },
    async download() {
      const batches = batchesOf(chunks)
      const texts = batches.map(() => '')
      await inParallel([...batches.keys()], async (at) => {
        const found = await documents({ chunk: batches[at] ?? [] })
        const resourceSpans = found.flatMap((each) => objects(each.resourceSpans))
        texts[at] = resourceSpans.map((each) => JSON.stringify(each)).join(',')
      })
      return {
        blob: new Blob([`{"resourceSpans":[${texts.filter(Boolean).join(',')}]}`], JSON_TYPE),
        fileName: `${traceId}.json`,
      }
    },
  }
}

/** Of a file, or of a server that answers OTLP only: then `connection` is there. */
export function sourceOfDocument(
  { rows, spans }: Opened,
  file: Blob,
  connection?: Connection,
): Source {
  let attributes: Attributes | undefined
  const fileName = 'name' in file && typeof file.name === 'string' ? file.name : ''
  return {
    async details(row) {
      const found = spans[row]
      if (!found) throw new AskError({ kind: 'not_found', message: `there is no span ${row}` })
      return detailsOf(found, found.original)
    },
    async attributes() {
      attributes ??= attributesOfSpans(spans)
      return attributes
    },
    async logs(treeRow) {
      const places = logPlaces(rows, treeRow)
      const entries = emptyLogs(rows, places, treeRow)
      places.forEach((place, at) => {
        const [entry, found] = [entries[at], spans[place.row]]
        if (entry && found) fillLog(entry, place, found.span)
      })
      return entries
    },
    linkedFrom: async () => (connection ? sourceOfServer(connection, rows, []).linkedFrom() : []),
    download: async () => ({ blob: file, fileName: fileName || `${rows.traceId}.json` }),
  }
}

/** Rows come chunk after chunk: which chunk a row is of. */
function chunkOfRow(chunks: ColumnsAnswer['chunks']): (row: SourceRow) => string {
  const ends: number[] = []
  for (const { span_count } of chunks) ends.push((ends[ends.length - 1] ?? 0) + span_count)
  return (row) => {
    let [low, high] = [0, ends.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (row < (ends[middle] ?? 0)) high = middle
      else low = middle + 1
    }
    return chunks[low]?.key ?? ''
  }
}

function spanIdOf(rows: Rows, place: LogPlace | undefined): string {
  return place ? hexOf(rows.spanId, place.row, 8) : ''
}

/** Spans may share an id: name, kind and start tell them apart. */
function isRow(rows: Rows, row: SourceRow, { span }: Placed): boolean {
  return (
    rows.strings[rows.name[row] ?? 0] === (span.name ?? '') &&
    rows.kind[row] === (span.kind ?? 0) &&
    Number(nano(span.startTimeUnixNano) - rows.startUnixNano) === rows.start[row]
  )
}

/** Page by page: only the server knows how many attributes one answer holds. */
async function fetchAttributes(
  { server, signal }: Connection,
  path: string,
  count: number,
  chunks: ColumnsAnswer['chunks'],
): Promise<Attributes> {
  const attributes = new Attributes(count)
  const firstRows = new Map<string, number>()
  let row = 0
  for (const { key, span_count } of chunks) {
    firstRows.set(key, row)
    row += span_count
  }
  let cursor: string | null = ''
  do {
    const query: Query = { cursor, attributes: 'true' }
    const page: ColumnsAnswer = columnsAnswer(
      await ask(server, path, query, { signal, accept: COLUMNS_TYPE }),
    )
    // Chunks may have come or gone since the spans were read.
    const rowOf = page.chunks.flatMap(({ key, span_count }) => {
      const first = firstRows.get(key)
      return Array.from({ length: span_count }, (_, at) => (first === undefined ? -1 : first + at))
    })
    if (hasAttributes(page)) addPage(attributes, page, (place) => rowOf[place] ?? -1)
    cursor = page.next
  } while (cursor)
  return attributes
}

function hasAttributes(
  page: ColumnsAnswer,
): page is ColumnsAnswer & { attributes: AttributeColumns } {
  return page.attributes !== undefined
}

function attributesOfSpans(spans: readonly Placed[]): Attributes {
  const attributes = new Attributes(spans.length)
  const placesOf = (list: Placed['span']['attributes']) =>
    Uint32Array.from(objects(list), (each) => attributes.distinct(each))
  const resources = new Map<object, number>()
  spans.forEach(({ span, resource }, row) => {
    let shared = resources.get(resource)
    if (shared === undefined) {
      shared = attributes.resource(placesOf(resource.attributes))
      resources.set(resource, shared)
    }
    attributes.set(row, placesOf(span.attributes), shared)
  })
  return attributes
}

interface ChunkQuestion {
  chunk: string[]
  span_id?: string[]
}

/** Only the spans with events where they are few; a chunk as a whole where they are many. */
function logQuestions(
  rows: Rows,
  places: readonly LogPlace[],
  chunkOf: (row: SourceRow) => string,
): ChunkQuestion[] {
  const byChunk = grouped(new Set(places.map(({ row }) => row)), chunkOf)
  return [...byChunk].flatMap(([key, own]): ChunkQuestion[] => {
    if (own.length > SINGLE_SPANS_MAX) return [{ chunk: [key] }]
    const ids = [...new Set(own.map((row) => hexOf(rows.spanId, row, 8)))]
    return Array.from({ length: Math.ceil(ids.length / SPAN_IDS_MAX) }, (_, at) => ({
      chunk: [key],
      span_id: ids.slice(at * SPAN_IDS_MAX, (at + 1) * SPAN_IDS_MAX),
    }))
  })
}

/** Keys of chunks that may be asked for together. */
function batchesOf(chunks: ColumnsAnswer['chunks']): string[][] {
  const batches: string[][] = []
  let [batch, spans]: [string[], number] = [[], 0]
  for (const { key, span_count } of chunks) {
    if (batch.length && (spans + span_count > DOWNLOAD_SPANS || batch.length === CHUNKS_MAX)) {
      batches.push(batch)
      ;[batch, spans] = [[], 0]
    }
    batch.push(key)
    spans += span_count
  }
  return batch.length ? [...batches, batch] : batches
}

async function inParallel<T>(list: readonly T[], act: (each: T) => Promise<void>): Promise<void> {
  const waiting = list.values()
  const work = async () => {
    for (const each of waiting) await act(each)
  }
  await Promise.all(Array.from({ length: QUESTIONS_AT_ONCE }, work))
}
