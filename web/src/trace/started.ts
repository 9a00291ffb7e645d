/** The trace in the address is asked for while the view's own code is still on its way. */

import { server } from '../api/server.ts'
import type { Route } from '../route.ts'
import { FILE } from './dropped.ts'
import type { Ask, Told } from './protocol.ts'

export interface Started {
  worker: Worker
  question: Extract<Ask, { kind: 'open' }>
  /** What it has told so far; who takes it over listens from then on. */
  told: Told[]
}

let started: Started | undefined

export function newWorker(): Worker {
  return new Worker(new URL('./trace.worker.ts', import.meta.url), { type: 'module' })
}

export function startTrace({ view, subject }: Route): void {
  if (view !== 'trace' || !subject || subject === FILE) return
  const worker = newWorker()
  const question = { kind: 'open', id: 1, server: server(), traceId: subject } as const
  const told: Told[] = []
  worker.onmessage = ({ data }: MessageEvent<Told>) => told.push(data)
  worker.postMessage(question)
  started = { worker, question, told }
}

/** Once; undefined if something else was started. */
export function takeStarted(traceId: string): Started | undefined {
  const found = started
  started = undefined
  if (found?.question.traceId === traceId) return found
  found?.worker.terminate()
  return undefined
}
