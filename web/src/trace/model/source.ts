/** Where a trace's details come from: the server, chunk by chunk, or the file that was dropped. */

import type { SearchAnswer } from '../../api/answers.ts'
import { ask, COLUMNS_TYPE, type Server } from '../../api/ask.ts'
import { AskError } from '../../api/failure.ts'
import type { Attribute, LogEntry, SpanDetails } from '../protocol.ts'
import { Attributes, addColumns } from './attributes.ts'
import { bytesOf, type ColumnsAnswer } from './columns.ts'
import { detailsOf, nano, type OtlpDocument, type Placed, spansIn } from './details.ts'
import type { Opened } from './file.ts'
import { hexOf, type Rows } from './rows.ts'
import type { Built } from './tree.ts'
import { attributesOf, attributeText, textOf } from './value.ts'

type Linking = { traceId: string; service: string; name: string; startUnixNano: string }[]

/** Rows here are the source's own, not the tree's. */
export interface Source {
  details(row: number): Promise<SpanDetails>
  /** Of every span; fetched once. */
  attributes(): Promise<Attributes>
  /** Those that have been fetched; undefined if they have not. */
  readyAttributes(): Attributes | undefined
  logs(treeRow: (row: number) => number): Promise<LogEntry[]>
  linkedFrom(): Promise<Linking>
  download(): Promise<{ blob: Blob; fileName: string }>
}

const CHUNKS_PER_QUESTION = 20
const DETAILS_KEPT = 200
const LOGS_MAX = 20_000
const LINKED_MAX = '50'

export function sourceOfServer(
  server: Server,
  path: string,
  rows: Rows,
  built: Built,
  chunks: ColumnsAnswer['chunks'],
): Source {
  const keyOf = chunkOfRow(chunks)
  const details = new Map<number, SpanDetails>()
  let attributes: Attributes | undefined
  let fetching: Promise<Attributes> | undefined
  const document = (query: Record<string, string | string[]>) =>
    ask<OtlpDocument>(server, path, query)
  const { traceId } = rows
  return {
    async details(row) {
      const known = details.get(row)
      if (known) return known
      const spanId = hexOf(rows.spanId, row, 8)
      const found = spansIn(await document({ chunk: keyOf(row), span_id: spanId }))
      const placed = found.find((each) => isRow(rows, row, each)) ?? found[0]
      if (!placed)
        throw new AskError({ kind: 'not_found', message: `span ${spanId} is not stored any more` })
      const made = detailsOf(placed)
      details.set(row, made)
      const [oldest] = details.keys()
      if (details.size > DETAILS_KEPT && oldest !== undefined) details.delete(oldest)
      return made
    },
    attributes() {
      fetching ??= fetchAttributes(server, path, rows.count, chunks).then(
        (found) => {
          attributes = found
          return found
        },
        (error: unknown) => {
          fetching = undefined
          throw error
        },
      )
      return fetching
    },
    readyAttributes: () => attributes,
    async logs(treeRow) {
      const keys = [...new Set(Array.from(rows.events.row, keyOf))]
      const entries: LogEntry[] = []
      const places = new Map<string, number[]>()
      built.source.forEach((from) => {
        const id = hexOf(rows.spanId, from, 8)
        const found = places.get(id)
        if (found) found.push(from)
        else places.set(id, [from])
      })
      for (const chunk of batches(keys, CHUNKS_PER_QUESTION)) {
        if (entries.length >= LOGS_MAX) break
        for (const placed of spansIn(await document({ chunk }))) {
          const from = places
            .get(placed.span.spanId ?? '')
            ?.find((each) => isRow(rows, each, placed))
          if (from !== undefined) entries.push(...logsOf(placed, treeRow(from)))
        }
      }
      return inTime(entries)
    },
    async linkedFrom() {
      const start = String(Number(rows.startUnixNano / 1_000_000_000n) - 3_600)
      const answer = await ask<SearchAnswer>(server, 'v1/traces', {
        link: traceId,
        start,
        limit: LINKED_MAX,
      })
      return answer.traces.map((each) => ({
        traceId: each.trace_id,
        service: each.root_service,
        name: each.root_span_name,
        startUnixNano: each.start_time_unix_nano,
      }))
    },
    async download() {
      const parts: string[] = []
      for (const chunk of batches(
        chunks.map(({ key }) => key),
        CHUNKS_PER_QUESTION,
      )) {
        const found = await document({ chunk })
        parts.push(...(found.resourceSpans ?? []).map((each) => JSON.stringify(each)))
      }
      return {
        blob: new Blob([`{"resourceSpans":[${parts.join(',')}]}`], JSON_TYPE),
        fileName: `${traceId}.json`,
      }
    },
  }
}

const JSON_TYPE = { type: 'application/json' }

export function sourceOfFile(opened: Opened, file: Blob): Source {
  let attributes: Attributes | undefined
  const placedAt = (row: number): Placed =>
    opened.spans[row] ?? { span: {}, resource: {}, scope: {} }
  return {
    details: async (row) => detailsOf(placedAt(row), opened.originals[row]),
    async attributes() {
      attributes ??= attributesOfSpans(opened.spans)
      return attributes
    },
    readyAttributes: () => attributes,
    logs: async (treeRow) =>
      inTime(opened.spans.flatMap((placed, row) => logsOf(placed, treeRow(row)))),
    linkedFrom: async () => [],
    download: async () => ({ blob: file, fileName: `${opened.rows.traceId}.json` }),
  }
}

/** Rows come chunk after chunk: which chunk a row is of. */
function chunkOfRow(chunks: ColumnsAnswer['chunks']): (row: number) => string {
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

/** Spans may share an id: name, kind and start tell them apart. */
function isRow(rows: Rows, row: number, { span }: Placed): boolean {
  return (
    rows.strings[rows.name[row] ?? 0] === (span.name ?? '') &&
    rows.kind[row] === (span.kind ?? 0) &&
    Number(nano(span.startTimeUnixNano) - rows.startUnixNano) === rows.start[row]
  )
}

async function fetchAttributes(
  server: Server,
  path: string,
  count: number,
  chunks: ColumnsAnswer['chunks'],
): Promise<Attributes> {
  const attributes = new Attributes(count)
  let first = 0
  for (const batch of batches(chunks, CHUNKS_PER_QUESTION)) {
    const query = { chunk: batch.map(({ key }) => key), attributes: 'true' }
    const page = await ask<ColumnsAnswer>(server, path, query, { accept: COLUMNS_TYPE })
    const from = first
    const scopes = new Uint32Array(bytesOf(page.columns.scope).buffer)
    if (page.attributes) addColumns(attributes, page.attributes, scopes, (place) => from + place)
    first += batch.reduce((sum, { span_count }) => sum + span_count, 0)
  }
  return attributes
}

function attributesOfSpans(spans: readonly Placed[]): Attributes {
  const attributes = new Attributes(spans.length)
  spans.forEach(({ span, resource }, row) => {
    const all = [...(span.attributes ?? []), ...(resource.attributes ?? [])]
    attributes.set(
      row,
      Uint32Array.from(all, ({ key, value }) => attributes.distinct(key, textOf(value))),
    )
  })
  return attributes
}

function logsOf({ span }: Placed, row: number): LogEntry[] {
  if (row < 0) return []
  return (span.events ?? []).map((event) => {
    const attributes = attributesOf(event.attributes)
    return {
      row,
      timeUnixNano: String(nano(event.timeUnixNano)),
      name: event.name ?? '',
      isException:
        event.name === 'exception' || attributes.some(({ key }) => key === 'exception.type'),
      text: lineOf(attributes),
    }
  })
}

const FIRST_KEYS = ['exception.type', 'exception.message', 'message', 'body']

function lineOf(attributes: readonly Attribute[]): string {
  const first = FIRST_KEYS.flatMap((key) => attributes.filter((each) => each.key === key))
  const rest = attributes.filter(
    (each) => !FIRST_KEYS.includes(each.key) && each.key !== 'exception.stacktrace',
  )
  return [
    first.map(({ value }) => attributeText(value)).join(': '),
    ...rest.map(({ key, value }) => `${key}=${attributeText(value)}`),
  ]
    .filter(Boolean)
    .join('  ')
}

function inTime(entries: LogEntry[]): LogEntry[] {
  return entries
    .sort((a, b) => (BigInt(a.timeUnixNano) < BigInt(b.timeUnixNano) ? -1 : 1))
    .slice(0, LOGS_MAX)
}

function batches<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, at) =>
    list.slice(at * size, (at + 1) * size),
  )
}
