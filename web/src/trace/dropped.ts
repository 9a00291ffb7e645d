/** The file that was dropped on the page last: shown at `#/trace/file`, gone with the tab. */

import { signal } from '@preact/signals'

export const droppedFile = signal<File | undefined>(undefined)

/** What stands in the address in place of a trace id. */
export const FILE = 'file'
