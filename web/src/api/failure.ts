/** Why a question was not answered, as a value that a page can explain. */

export type FailureKind =
  | 'away' // no connection, or no answer in time
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'invalid'
  | 'too_large'
  | 'busy' // 429 and 503: it passes
  | 'broken' // any other status, or an answer that is none
  | 'file' // a dropped file that is no trace

export interface Failure {
  kind: FailureKind
  /** The server's own words, or the browser's; English. */
  message: string
  status?: number
  /** The parameter that was wrong, for `invalid`. */
  parameter?: string
  retryAfterSeconds?: number
}

export class AskError extends Error {
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message)
    this.failure = failure
  }
}

/** The failure in whatever was thrown. */
export function failureOf(error: unknown): Failure {
  if (error instanceof AskError) return error.failure
  return { kind: 'broken', message: error instanceof Error ? error.message : String(error) }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError'
}
