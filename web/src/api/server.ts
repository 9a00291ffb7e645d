/** The server that this page came from, with the token of the settings. */

import { token } from '../settings/state.ts'
import { ask, type Query, type Server } from './ask.ts'

export function server(): Server {
  return { base: document.baseURI.replace(/[^/]*([?#].*)?$/, ''), token: token.value }
}

/** `ask` of the page's own server. */
export function question<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return ask<T>(server(), path, query, { signal })
}
