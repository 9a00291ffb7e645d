/** Questions to the API: one function, for the page and for workers alike (a worker is told base and token). */

import { AskError, type Failure, type FailureKind } from './failure.ts'

export const COLUMNS_TYPE = 'application/vnd.clew.columns+json'
const TIMEOUT_MILLISECONDS = 35_000

export interface Server {
  /** The slash-terminated URL that paths such as `v1/traces` are below. */
  base: string
  /** Empty for none. */
  token: string
}

export type Query = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * The JSON that `GET base + path` answers. Raises AskError; an AbortError when `signal` says so.
 *
 * Empty and undefined parameters are left out; an array is a repeated parameter.
 */
export async function ask<T>(
  server: Server,
  path: string,
  query: Query = {},
  options: { signal?: AbortSignal | undefined; accept?: string } = {},
): Promise<T> {
  const url = new URL(path, server.base)
  for (const [name, value] of Object.entries(query)) {
    for (const each of typeof value === 'string' ? [value] : (value ?? [])) {
      if (each) url.searchParams.append(name, each)
    }
  }
  const headers: Record<string, string> = { Accept: options.accept ?? 'application/json' }
  if (server.token) headers.Authorization = `Bearer ${server.token}`
  const timeout = AbortSignal.timeout(TIMEOUT_MILLISECONDS)
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout
  let response: Response
  let text: string
  try {
    response = await fetch(url, { headers, signal })
    text = await response.text()
  } catch (error) {
    if (options.signal?.aborted) throw error
    throw new AskError({ kind: 'away', message: error instanceof Error ? error.message : '' })
  }
  if (!response.ok) throw new AskError(failureIn(response, text))
  try {
    return JSON.parse(text) as T
  } catch {
    throw new AskError({ kind: 'broken', message: text.slice(0, 200), status: response.status })
  }
}

const KINDS: Readonly<Record<number, FailureKind>> = {
  400: 'invalid',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  413: 'too_large',
  429: 'busy',
  502: 'away',
  503: 'busy',
  504: 'away',
}

function failureIn(response: Response, text: string): Failure {
  const failure: Failure = {
    kind: KINDS[response.status] ?? 'broken',
    message: text.slice(0, 200),
    status: response.status,
  }
  const retryAfter = Number(response.headers.get('Retry-After'))
  if (retryAfter > 0) failure.retryAfterSeconds = retryAfter
  try {
    const { error } = JSON.parse(text) as {
      error?: { message?: string; parameter?: string | null }
    }
    if (error?.message) failure.message = error.message
    if (error?.parameter) failure.parameter = error.parameter
  } catch {
    // A gateway's own page: its text stands.
  }
  return failure
}
