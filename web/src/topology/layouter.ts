/** Asks the worker for layouts, the newest question alone; what it cannot answer in time is laid out here, plainly. */

import { layoutOfParts } from './components.ts'
import { layered } from './layered.ts'
import type { Ask, Layout, Outline, Told } from './layout.ts'

const PATIENCE_MILLISECONDS = 5_000

export class Layouter {
  private worker: Worker | undefined
  private timer: ReturnType<typeof setTimeout> | undefined
  private newest = 0
  private isBusy = false

  /** `told` is not called for a question that a newer one overtook. */
  ask(outline: Outline, told: (layout: Layout, milliseconds: number) => void): void {
    const id = ++this.newest
    // A worker cannot be interrupted otherwise.
    if (this.isBusy) this.end()
    const begun = performance.now()
    const done = (layout: Layout) => {
      clearTimeout(this.timer)
      this.isBusy = false
      told(layout, performance.now() - begun)
    }
    const giveUp = () => {
      if (id !== this.newest) return
      this.end()
      done(layoutOfParts(outline, layered))
    }
    try {
      this.worker ??= new Worker(new URL('./layout.worker.ts', import.meta.url), { type: 'module' })
    } catch {
      giveUp()
      return
    }
    this.isBusy = true
    this.timer = setTimeout(giveUp, PATIENCE_MILLISECONDS)
    this.worker.onerror = giveUp
    this.worker.onmessage = ({ data }: MessageEvent<Told>) => {
      if (data.id === this.newest) done(data.layout)
    }
    this.worker.postMessage({ id, outline } satisfies Ask)
  }

  end(): void {
    clearTimeout(this.timer)
    this.worker?.terminate()
    this.worker = undefined
    this.isBusy = false
  }
}
