/** The server that this page came from, with the token of the settings. */

import { token } from '../settings/state.ts'
import type { Server } from './ask.ts'

export function server(): Server {
  return { base: document.baseURI.replace(/[^/]*([?#].*)?$/, ''), token: token.value }
}
