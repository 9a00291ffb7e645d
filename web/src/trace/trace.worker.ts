/** The trace worker: fetches, computes and answers, as `protocol.ts` says. One trace at a time. */

import { ask, COLUMNS_TYPE, type Server } from '../api/ask.ts'
import { AskError, failureOf, isAbort } from '../api/failure.ts'
import type { Attributes } from './model/attributes.ts'
import { type ColumnsAnswer, rowsOf } from './model/columns.ts'
import { open } from './model/file.ts'
import { find, type Haystack, haystackOf, type Searched } from './model/find.ts'
import { joined, type Rows } from './model/rows.ts'
import { type Source, sourceOfFile, sourceOfServer } from './model/source.ts'
import { statistics } from './model/statistics.ts'
import { type Built, buildTrace } from './model/tree.ts'
import type { Ask, Told, Trace } from './protocol.ts'

declare const self: DedicatedWorkerGlobalScope

interface Current {
  built: Built
  rows: Rows
  source: Source
  haystack?: Haystack
}

let current: Current | undefined
let opening = new AbortController()
let newestFind = 0

self.addEventListener('message', (event: MessageEvent<Ask>) => {
  const question = event.data
  answer(question).catch((error: unknown) => {
    if (!isAbort(error)) tell({ kind: 'failure', id: question.id, failure: failureOf(error) })
  })
})

async function answer(question: Ask): Promise<void> {
  const { id } = question
  switch (question.kind) {
    case 'open':
      return openTrace(id, question.server, question.traceId)
    case 'openFile':
      return openFile(id, question.file)
    case 'find':
      return answerFind(id, question.text)
    case 'details': {
      const { built, source } = opened()
      const details = await source.details(built.source[question.row] ?? 0)
      return tell({ kind: 'details', id, details })
    }
    case 'logs': {
      const { built, source } = opened()
      return tell({ kind: 'logs', id, entries: await source.logs(rowOfSource(built)) })
    }
    case 'statistics': {
      const { built, source } = opened()
      const { trace } = built
      const { columns, head } = trace
      const { groupBy } = question
      if (groupBy.by === 'service') {
        return tell({
          kind: 'statistics',
          id,
          groups: statistics(trace, (row) => head.services[columns.service[row] ?? 0]?.name ?? ''),
        })
      }
      if (groupBy.by === 'name') {
        return tell({
          kind: 'statistics',
          id,
          groups: statistics(trace, (row) => head.names[columns.name[row] ?? 0] ?? ''),
        })
      }
      const attributes = await source.attributes()
      const groups = statistics(
        trace,
        (row) => attributes.value(built.source[row] ?? 0, groupBy.key) ?? '',
      )
      return tell({ kind: 'statistics', id, groups })
    }
    case 'attributeKeys': {
      const attributes = await opened().source.attributes()
      return tell({ kind: 'attributeKeys', id, keys: attributes.allKeys() })
    }
    case 'linkedFrom':
      return tell({ kind: 'linkedFrom', id, traces: await opened().source.linkedFrom() })
    case 'download': {
      const { blob, fileName } = await opened().source.download()
      return tell({ kind: 'download', id, blob, fileName })
    }
  }
}

function opened(): Current {
  if (!current) throw new AskError({ kind: 'not_found', message: 'no trace is open' })
  return current
}

async function openTrace(id: number, server: Server, traceId: string): Promise<void> {
  opening.abort()
  opening = new AbortController()
  const { signal } = opening
  const path = `v1/traces/${encodeURIComponent(traceId)}`
  const pages: { rows: Rows; answer: ColumnsAnswer }[] = []
  let cursor: string | null | undefined
  do {
    const page: ColumnsAnswer = await ask(
      server,
      path,
      { cursor: cursor ?? undefined },
      { signal, accept: COLUMNS_TYPE },
    )
    pages.push({ rows: rowsOf(page), answer: page })
    cursor = page.next
    if (pages.length === 1 || !cursor) {
      const rows = joined(pages.map((each) => each.rows))
      const built = buildTrace(rows, 'server', !cursor)
      const chunks = pages.flatMap((each) => each.answer.chunks)
      current = { built, rows, source: sourceOfServer(server, path, rows, built, chunks) }
      tellTrace(id, built.trace)
    }
  } while (cursor)
}

async function openFile(id: number, file: Blob): Promise<void> {
  opening.abort()
  const found = await open(file)
  const built = buildTrace(found.rows, found.format, true)
  current = { built, rows: found.rows, source: sourceOfFile(found, file) }
  tellTrace(id, built.trace)
}

async function answerFind(id: number, text: string): Promise<void> {
  newestFind = id
  const now = opened()
  const { built, rows, source } = now
  now.haystack ??= haystackOf(
    built.trace,
    built.source.map((from) => rows.statusMessage[from] ?? 0),
    rows.strings,
  )
  const ready = source.readyAttributes()
  const rowsFound = find(built.trace, now.haystack, ready && withRows(ready, built), text)
  tell({ kind: 'find', id, rows: rowsFound, isPartial: !ready })
  if (ready) return
  const attributes = await source.attributes()
  if (id !== newestFind || now !== current) return
  tell({
    kind: 'find',
    id,
    rows: find(built.trace, now.haystack, withRows(attributes, built), text),
    isPartial: false,
  })
}

/** Attributes by the trace's rows, where the source has them by its own. */
function withRows(attributes: Attributes, built: Built): Searched {
  return {
    texts: attributes.texts,
    has: (row: number, wanted: Uint8Array) => attributes.has(built.source[row] ?? 0, wanted),
  }
}

function rowOfSource(built: Built): (source: number) => number {
  const rows = new Int32Array(
    built.source.reduce((high, each) => Math.max(high, each), 0) + 1,
  ).fill(-1)
  built.source.forEach((from, row) => {
    rows[from] = row
  })
  return (source) => rows[source] ?? -1
}

function tellTrace(id: number, trace: Trace): void {
  // Copies go to the page: the worker goes on computing with its own.
  const columns = Object.fromEntries(
    Object.entries(trace.columns).map(([name, value]) => [
      name,
      typeof value === 'number' ? value : value.slice(),
    ]),
  ) as unknown as Trace['columns']
  const buffers = Object.values(columns).flatMap((value) =>
    typeof value === 'number' ? [] : [value.buffer as ArrayBuffer],
  )
  self.postMessage(
    { kind: 'trace', id, trace: { head: trace.head, columns } } satisfies Told,
    buffers,
  )
}

function tell(told: Told): void {
  self.postMessage(told)
}
