/** The trace worker: see `protocol.ts`. */

import type { Ask } from './protocol.ts'

addEventListener('message', (event: MessageEvent<Ask>) => {
  void event
})
