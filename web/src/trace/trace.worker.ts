/** The trace worker: fetches, computes and answers, as `protocol.ts` says. One trace at a time. */

import { ask, COLUMNS_TYPE, type Server } from '../api/ask.ts'
import { AskError, failureOf, isAbort } from '../api/failure.ts'
import { type ColumnsAnswer, columnsAnswer, rowsOf } from './model/columns.ts'
import type { OtlpDocument } from './model/details.ts'
import type { Opened } from './model/file.ts'
import type { Haystack } from './model/find.ts'
import { joined, type Rows } from './model/rows.ts'
import type { Connection, Source } from './model/source.ts'
import { type Built, buildTrace } from './model/tree.ts'
import type { Ask, GroupBy, SpanGroup, Told, Trace } from './protocol.ts'

declare const self: DedicatedWorkerGlobalScope

// What the first rows do without is loaded when it is first wanted.
const files = () => import('./model/file.ts')
const finding = () => import('./model/find.ts')
const sources = () => import('./model/source.ts')
const counting = () => import('./model/statistics.ts')

/** Between the first and the last page, so long at least from one picture of the trace to the next. */
const TOLD_MILLISECONDS_MIN = 1_000

interface Current {
  built: Built
  rows: Rows
  source: () => Promise<Source>
  haystack?: Haystack
}

/** A promise that is settled from outside. */
interface Milestone {
  promise: Promise<void>
  resolve: () => void
  reject: (reason: unknown) => void
}

/** What is being opened, or is open. */
interface Session {
  controller: AbortController
  current?: Current
  /** When there is something to ask about; and when all of it is here. */
  first: Milestone
  whole: Milestone
}

let session = newSession()
let newestFind: { id: number; text: string } | undefined

self.addEventListener('message', ({ data: question }: MessageEvent<Ask>) => {
  answer(question).catch((error: unknown) => {
    if (!isAbort(error)) tell({ kind: 'failure', id: question.id, failure: failureOf(error) })
  })
})

async function answer(question: Ask): Promise<void> {
  const { id, kind } = question
  switch (kind) {
    case 'open':
      return inSession((own) => openTrace(own, id, question.server, question.traceId))
    case 'openFile':
      return inSession((own) => openFile(own, id, question.file))
    case 'find':
      newestFind = question
      return answerFind(id, question.text)
    case 'details': {
      const { built, source } = await opened()
      const details = await (await source()).details(built.source[question.row] ?? -1)
      return tell({ kind, id, details })
    }
    case 'logs': {
      const { built, rows, source } = await whole()
      return tell({ kind, id, entries: await (await source()).logs(treeRowOf(built, rows)) })
    }
    case 'statistics':
      return tell({ kind, id, groups: await groupsOf(question.groupBy) })
    case 'attributeKeys': {
      const { source } = await whole()
      const attributes = await (await source()).attributes()
      return tell({ kind, id, keys: attributes.allKeys() })
    }
    case 'linkedFrom': {
      const { source } = await opened()
      return tell({ kind, id, traces: await (await source()).linkedFrom() })
    }
    case 'download': {
      const { source } = await whole()
      return tell({ kind, id, ...(await (await source()).download()) })
    }
  }
}

function newSession(): Session {
  return { controller: new AbortController(), first: milestone(), whole: milestone() }
}

function milestone(): Milestone {
  let settle: Pick<Milestone, 'resolve' | 'reject'> = { resolve: () => {}, reject: () => {} }
  const promise = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject }
  })
  // Nobody may be waiting when it fails: that is told by other means.
  promise.catch(() => {})
  return { promise, ...settle }
}

/** End what is open, and begin anew. */
async function inSession(act: (own: Session) => Promise<void>): Promise<void> {
  session.controller.abort()
  session.first.reject(session.controller.signal.reason)
  session.whole.reject(session.controller.signal.reason)
  const own = newSession()
  session = own
  newestFind = undefined
  try {
    await act(own)
  } catch (error) {
    own.first.reject(error)
    own.whole.reject(error)
    throw error
  }
}

async function opened(): Promise<Current> {
  const own = session
  await own.first.promise
  if (!own.current) throw new AskError({ kind: 'not_found', message: 'no trace is open' })
  return own.current
}

async function whole(): Promise<Current> {
  await session.whole.promise
  return opened()
}

async function openTrace(own: Session, id: number, server: Server, traceId: string): Promise<void> {
  const { signal } = own.controller
  const path = `v1/traces/${encodeURIComponent(traceId)}`
  const pages: Rows[] = []
  const chunks: ColumnsAnswer['chunks'] = []
  let cursor: string | null = ''
  let nextTold = 0
  do {
    const found: ColumnsAnswer | OtlpDocument = await ask(
      server,
      path,
      { cursor },
      { signal, accept: COLUMNS_TYPE },
    )
    if ('resourceSpans' in found) return showDocument(own, id, server, found)
    const page = columnsAnswer(found)
    pages.push(rowsOf(page))
    chunks.push(...page.chunks)
    cursor = page.next
    const begun = performance.now()
    if (cursor && begun < nextTold) continue
    const rows = joined(pages)
    const built = buildTrace(rows, 'server', !cursor)
    const known = [...chunks]
    const source = once(async () =>
      (await sources()).sourceOfServer({ server, signal }, rows, known),
    )
    show(own, id, { built, rows, source })
    // Most of the time goes into fetching, however large the trace has become.
    nextTold = performance.now() + Math.max(TOLD_MILLISECONDS_MIN, 4 * (performance.now() - begun))
  } while (cursor)
  own.whole.resolve()
}

/** From a server that knows no columns. */
async function showDocument(
  own: Session,
  id: number,
  server: Server,
  document: OtlpDocument,
): Promise<void> {
  const text = JSON.stringify(document)
  const file = new Blob([text], { type: 'application/json' })
  const found = (await files()).readTrace(text)
  const { signal } = own.controller
  await showOpened(own, id, 'server', found, file, { server, signal })
}

async function openFile(own: Session, id: number, file: Blob): Promise<void> {
  const found = await (await files()).open(file)
  await showOpened(own, id, found.format, found, file)
}

async function showOpened(
  own: Session,
  id: number,
  origin: Trace['head']['source'],
  found: Opened,
  file: Blob,
  connection?: Connection,
): Promise<void> {
  const source = (await sources()).sourceOfDocument(found, file, connection)
  own.controller.signal.throwIfAborted()
  const built = buildTrace(found.rows, origin, true)
  if (found.otherTraceCount) built.trace.head.otherTraceCount = found.otherTraceCount
  show(own, id, { built, rows: found.rows, source: async () => source })
  own.whole.resolve()
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}

function show(own: Session, id: number, current: Current): void {
  own.current = current
  own.first.resolve()
  tellTrace(id, current.built.trace)
  // Rows have other numbers now.
  if (newestFind) {
    const { id: findId, text } = newestFind
    answerFind(findId, text).catch((error: unknown) => {
      if (!isAbort(error)) tell({ kind: 'failure', id: findId, failure: failureOf(error) })
    })
  }
}

/** First by what is here, then by attributes too; a newer question, or a newer picture of the trace, ends an older. */
async function answerFind(id: number, text: string): Promise<void> {
  const now = await opened()
  const isOld = () => id !== newestFind?.id || now !== session.current
  const { Haystack, wordsIn } = await finding()
  if (isOld()) return
  const words = wordsIn(text)
  now.haystack ??= new Haystack(now.rows)
  const { haystack, built } = now
  const tellFound = (isPartial: boolean) => {
    const hits = haystack.find(words)
    tell({ kind: 'find', id, rows: treeRows(built, hits), isPartial })
  }
  if (words.length === 0 || haystack.hasAttributes) return tellFound(false)
  tellFound(true)
  await session.whole.promise
  if (isOld()) return
  const attributes = await (await now.source()).attributes()
  if (isOld()) return
  haystack.addAttributes(attributes)
  tellFound(false)
}

async function groupsOf(groupBy: GroupBy): Promise<SpanGroup[]> {
  const { built, source } = groupBy.by === 'attribute' ? await whole() : await opened()
  const { columns, head } = built.trace
  const { statistics } = await counting()
  if (groupBy.by === 'name') {
    return statistics(columns, (row) => columns.name[row] ?? 0, head.names)
  }
  if (groupBy.by === 'service') {
    const names = head.services.map(({ name }) => name)
    return statistics(columns, (row) => columns.service[row] ?? 0, names)
  }
  const attributes = await (await source()).attributes()
  const places = attributes.placesOf(groupBy.key)
  return statistics(columns, (row) => places[built.source[row] ?? 0] ?? -1, attributes.values)
}

/** Rows of the tree, ascending, from marks on rows of the source. */
function treeRows({ source }: Built, marks: Uint8Array): Uint32Array {
  const rows = new Uint32Array(source.length)
  let count = 0
  source.forEach((from, row) => {
    if (marks[from]) rows[count++] = row
  })
  return rows.slice(0, count)
}

function treeRowOf(built: Built, rows: Rows): (row: number) => number {
  const found = new Int32Array(rows.count).fill(-1)
  built.source.forEach((from, row) => {
    found[from] = row
  })
  return (row) => found[row] ?? -1
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
