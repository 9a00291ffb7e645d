/** The page's side of the trace worker: questions as promises, the trace as it comes. */

import { AskError, type Failure } from '../../api/failure.ts'
import type { Ask, Told, Trace } from '../protocol.ts'
import { newWorker, type Started, takeStarted } from '../started.ts'

type Without<T> = T extends { id: number } ? Omit<T, 'id'> : never
type Question = Without<Exclude<Ask, { kind: 'open' | 'openFile' | 'find' }>>
type Answer<K> = Extract<Told, { kind: K }>

export interface Listener {
  trace: (trace: Trace) => void
  failure: (failure: Failure) => void
  find: (rows: Uint32Array, isPartial: boolean) => void
  /** What was found so far is all there will be. */
  findFailed: () => void
}

export class Session {
  private readonly worker: Worker
  private readonly waiting = new Map<
    number,
    { resolve: (told: Told) => void; reject: (error: AskError) => void }
  >()
  private started: Started | undefined
  private newest = 0
  private opening = 0
  private finding = 0

  constructor(
    traceId: string,
    private readonly listener: Listener,
  ) {
    this.started = takeStarted(traceId)
    this.worker = this.started?.worker ?? newWorker()
    this.worker.addEventListener('error', (event) => {
      this.listener.failure({ kind: 'broken', message: event.message })
    })
  }

  open(question: Without<Extract<Ask, { kind: 'open' | 'openFile' }>>): void {
    const { started } = this
    this.started = undefined
    // Only now: what a started worker told before this is in its list, and would not be known to be the answer.
    this.worker.onmessage = ({ data }: MessageEvent<Told>) => this.hear(data)
    if (!started) {
      this.opening = this.send(question)
      return
    }
    this.newest = started.question.id
    this.opening = this.newest
    for (const told of started.told) this.hear(told)
  }

  find(text: string): void {
    this.finding = this.send({ kind: 'find', text })
  }

  /** The answer to a question about the trace that is open. Raises AskError. */
  ask<K extends Question['kind']>(question: Extract<Question, { kind: K }>): Promise<Answer<K>> {
    const id = this.send(question)
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (told: Told) => void, reject })
    })
  }

  close(): void {
    this.worker.terminate()
  }

  private send(question: Without<Ask>): number {
    const id = ++this.newest
    this.worker.postMessage({ ...question, id })
    return id
  }

  private hear(told: Told): void {
    if (told.kind === 'trace') {
      if (told.id === this.opening) this.listener.trace(told.trace)
      return
    }
    if (told.kind === 'find') {
      if (told.id === this.finding) this.listener.find(told.rows, told.isPartial)
      return
    }
    const waiting = this.waiting.get(told.id)
    this.waiting.delete(told.id)
    if (told.kind !== 'failure') waiting?.resolve(told)
    else if (waiting) waiting.reject(new AskError(told.failure))
    else if (told.id === this.opening) this.listener.failure(told.failure)
    else if (told.id === this.finding) this.listener.findFailed()
  }
}
