/** What is read of a file, whatever its format. */

import type { Placed } from './details.ts'

/** A span as OTLP has it, and as it was in the file. */
export interface Read extends Placed {
  original: unknown
}
