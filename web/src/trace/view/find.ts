/** The text that is looked for in all spans, and the rows that have it. */

import { batch, signal } from '@preact/signals'

const WAIT_MILLISECONDS = 80
const NO_ROWS = new Uint32Array(0)

export class Find {
  readonly text = signal('')
  readonly hits = signal<Uint32Array>(NO_ROWS)
  readonly isFinding = signal(false)
  /** Ends the typing ahead of the field; undefined while there is none. */
  typed: (() => void) | undefined
  private waiting: ReturnType<typeof setTimeout> | undefined

  /** `ask` has a text looked for; its answers come to `take`. */
  constructor(private readonly ask: (text: string) => void) {}

  /** Look for a text, once nothing more of it was typed for a moment. */
  find(text: string): void {
    this.text.value = text
    clearTimeout(this.waiting)
    if (!text.trim()) {
      this.hits.value = NO_ROWS
      this.isFinding.value = false
      return
    }
    this.isFinding.value = true
    this.waiting = setTimeout(() => this.ask(text), WAIT_MILLISECONDS)
  }

  /** Take the rows that were found; more may come where they are a part. */
  take(rows: Uint32Array, isPartial: boolean): void {
    batch(() => {
      this.hits.value = rows
      this.isFinding.value = isPartial
    })
  }

  /** Go to the field; what is typed before that is there goes into it all the same. */
  focus(): void {
    const field = document.getElementById('find')
    if (field) {
      field.focus()
      return
    }
    const type = (event: KeyboardEvent) => {
      if (event.key.length > 1 || event.ctrlKey || event.metaKey) return
      event.preventDefault()
      event.stopPropagation()
      this.find(this.text.peek() + event.key)
    }
    this.typed?.()
    addEventListener('keydown', type, true)
    this.typed = () => {
      removeEventListener('keydown', type, true)
      this.typed = undefined
    }
  }

  close(): void {
    clearTimeout(this.waiting)
    this.typed?.()
  }
}
