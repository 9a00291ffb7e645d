/** Which part of the trace's time the timeline shows. */

import { computed, type ReadonlySignal, signal } from '@preact/signals'
import type { Trace } from '../protocol.ts'

export class Zoom {
  /** From and to, in nanoseconds after the start; the whole trace if undefined. */
  readonly value = signal<readonly [number, number] | undefined>(undefined)
  /** The same; where the whole trace shows, its beginning and end. */
  readonly range: ReadonlySignal<readonly [number, number]>

  constructor(
    private readonly trace: ReadonlySignal<Trace | undefined>,
    private readonly adjustsClocks: ReadonlySignal<boolean>,
  ) {
    this.range = computed(() => this.value.value ?? [0, wholeOf(trace.value)])
  }

  /** Show the whole trace. */
  reset(): void {
    this.value.value = undefined
  }

  set(from: number, to: number): void {
    const whole = wholeOf(this.trace.peek())
    const width = Math.min(whole, Math.max(to - from, Math.max(1, whole / 1e7)))
    const start = Math.max(0, Math.min(from, whole - width))
    this.value.value = start <= 0 && width >= whole ? undefined : [start, start + width]
  }

  /** Zoom about a place of the view: 0 is its left edge, 1 its right. */
  by(factor: number, about = 0.5): void {
    const [from, to] = this.range.peek()
    const middle = from + (to - from) * about
    this.set(middle - (middle - from) * factor, middle + (to - middle) * factor)
  }

  /** Move by a share of what shows. */
  pan(share: number): void {
    const [from, to] = this.range.peek()
    const by = (to - from) * share
    this.set(from + by, to + by)
  }

  /** Centre a span's time; if it is there already, or the whole trace shows, fit it. */
  toRow(row: number): void {
    const columns = this.trace.peek()?.columns
    if (!columns || row < 0) return
    const shift = this.adjustsClocks.peek() ? (columns.shift[row] ?? 0) : 0
    const length = columns.duration[row] ?? 0
    const middle = (columns.start[row] ?? 0) + shift + length / 2
    const [from, to] = this.range.peek()
    const isCentred = Math.abs((from + to) / 2 - middle) < (to - from) / 100
    const fits = isCentred || !this.value.peek() || length > to - from
    const half = fits ? length * 0.55 : (to - from) / 2
    this.set(middle - half, middle + half)
  }
}

function wholeOf(trace: Trace | undefined): number {
  return Math.max(1, trace?.head.durationNano ?? 1)
}
