/** The trace worker: fetches, computes and answers, as `protocol.ts` says. One trace at a time. */

import { ask, COLUMNS_TYPE, type Server } from '../api/ask.ts'
import { AskError, failureOf, isAbort } from '../api/failure.ts'
import { type ColumnsAnswer, columnsAnswer, rowsOf } from './model/columns.ts'
import type { OtlpDocument } from './model/details.ts'
import type { Opened } from './model/file.ts'
import { joined, type Rows } from './model/rows.ts'
import type { Connection } from './model/source.ts'
import { buildTrace } from './model/tree.ts'
import type { Ask, Told, Trace } from './protocol.ts'
import type { Current, Questions } from './questions.ts'

declare const self: DedicatedWorkerGlobalScope

// What the first rows do without is loaded when it is first wanted.
const files = () => import('./model/file.ts')
const sources = () => import('./model/source.ts')

/** Between the first and the last page, so long at least from one picture of the trace to the next. */
const TOLD_MILLISECONDS_MIN = 1_000

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
/** Loaded with the first question about the trace that is open. */
let questions: Promise<Questions> | undefined

self.addEventListener('message', ({ data: question }: MessageEvent<Ask>) => {
  answer(question).catch((error: unknown) => {
    if (!isAbort(error)) tell({ kind: 'failure', id: question.id, failure: failureOf(error) })
  })
})

async function answer(question: Ask): Promise<void> {
  const { id, kind } = question
  if (kind === 'open')
    return inSession((own) => openTrace(own, id, question.server, question.traceId))
  if (kind === 'openFile') return inSession((own) => openFile(own, id, question.file))
  questions ??= import('./questions.ts').then(
    ({ Questions }) => new Questions({ opened, whole, isNow, tell }),
  )
  questions.catch(() => {
    questions = undefined
  })
  return (await questions).answer(question)
}

/** Tell them, where they are loaded; who asked learns if they cannot be. */
function tellQuestions(act: (about: Questions) => void): void {
  questions?.then(act, () => {})
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
  tellQuestions((about) => about.forget())
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

function isNow(current: Current): boolean {
  return current === session.current
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
  tellQuestions((about) => about.findAgain())
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
