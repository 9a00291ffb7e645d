/** `ask` of the page's own server. */

import { ask, type Query } from './ask.ts'
import { server } from './server.ts'

export function question<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return ask<T>(server(), path, query, { signal })
}
