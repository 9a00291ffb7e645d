/**
 * The list of spans: names as rows of the page, bars on a canvas, both in a stage that stays where it is while a tall
 * spacer scrolls behind it. Only what is in sight exists; whatever the scroll position, it is drawn before the frame is.
 */

import { drawBars } from './bars.ts'
import { element, NameRows } from './name-rows.ts'
import { LEFT_PIXELS, RIGHT_PIXELS, Scale } from './scale.ts'
import { ROW_PIXELS, type Shown } from './shown.ts'
import { type Entry, firstRow } from './visible.ts'

/** Browsers stop at some ten million; beyond, a pixel of the scroll bar is more than a pixel of the list. */
const SPACER_PIXELS_MAX = 8_000_000
const ZOOM_PER_PIXEL = 0.002
const ZOOM_PIXELS_MAX = 150

export interface Actions {
  select: (row: number) => void
  selectGroup: (group: number) => void
  toggle: (row: number) => void
  toggleGroup: (group: number) => void
  zoomTo: (row: number) => void
  zoomBy: (factor: number, about: number) => void
  pan: (share: number) => void
  /** Another part of the list is in sight: its first and last row. */
  seen: (first: number, last: number) => void
  resized: (barsWidth: number) => void
}

export class Waterfall {
  private readonly spacer = element('div', 'spacer')
  private readonly stage = element('div', 'stage')
  private readonly names = new NameRows()
  private readonly canvas = document.createElement('canvas')
  private readonly observer = new ResizeObserver(() => this.resize())
  private shown: Shown | undefined
  private height = 0
  private width = 0

  constructor(
    readonly scroller: HTMLElement,
    private readonly actions: Actions,
  ) {
    this.canvas.setAttribute('aria-hidden', 'true')
    this.stage.append(this.names.element, this.canvas)
    this.spacer.append(this.stage)
    scroller.replaceChildren(this.spacer)
    scroller.addEventListener('scroll', this.draw, { passive: true })
    scroller.addEventListener('wheel', this.onWheel, { passive: false })
    this.stage.addEventListener('click', this.onClick)
    this.canvas.addEventListener('dblclick', (event) => {
      const entry = this.entryAt(event.clientY)
      if (entry !== undefined && entry >= 0) this.actions.zoomTo(entry)
    })
    this.resize()
    this.observer.observe(scroller)
    this.observer.observe(this.canvas)
  }

  close(): void {
    this.observer.disconnect()
    this.scroller.removeEventListener('scroll', this.draw)
    this.scroller.removeEventListener('wheel', this.onWheel)
  }

  show(shown: Shown): void {
    const before = this.shown?.entries.length
    this.shown = shown
    if (before !== shown.entries.length) {
      const height = Math.max(1, shown.entries.length * ROW_PIXELS)
      this.spacer.style.height = `${Math.min(SPACER_PIXELS_MAX, height)}px`
      this.scroller.setAttribute('aria-rowcount', String(shown.entries.length))
    }
    this.draw()
  }

  /** Bring a place of the list into sight: at all, or to the middle. */
  scrollTo(place: number, centres: boolean): void {
    if (place < 0) return
    const top = place * ROW_PIXELS
    const now = this.top()
    const isSeen = top >= now && top + ROW_PIXELS <= now + this.height
    if (isSeen && !centres) return
    const isFar = centres || top < now - this.height || top > now + 2 * this.height
    const wanted = isFar
      ? top - (this.height - ROW_PIXELS) / 2
      : top < now
        ? top
        : top + ROW_PIXELS - this.height
    this.scroller.scrollTop = wanted / this.ratio()
    this.draw()
  }

  /** How many rows fit. */
  pageSize(): number {
    return Math.max(1, Math.floor(this.height / ROW_PIXELS) - 1)
  }

  private readonly onWheel = (event: WheelEvent) => {
    const isZoom = event.ctrlKey || event.metaKey
    if (!isZoom && !event.shiftKey) return
    event.preventDefault()
    // Wheels tell lines, or pixels by the hundred; pads and pinches a few pixels, many times.
    const delta = (event.deltaY || event.deltaX) * (event.deltaMode === 0 ? 1 : 40)
    const pixels = Math.max(-ZOOM_PIXELS_MAX, Math.min(ZOOM_PIXELS_MAX, delta))
    if (!isZoom) {
      this.actions.pan((pixels / 100) * 0.1)
      return
    }
    const left = this.canvas.getBoundingClientRect().left + LEFT_PIXELS
    const about = (event.clientX - left) / Math.max(1, this.width - LEFT_PIXELS - RIGHT_PIXELS)
    this.actions.zoomBy(
      Math.exp(pixels * ZOOM_PER_PIXEL * (Math.abs(pixels) < 20 ? 4 : 1)),
      Math.min(1, Math.max(0, about)),
    )
  }

  private readonly onClick = (event: MouseEvent) => {
    const entry = this.entryAt(event.clientY)
    if (entry === undefined) return
    // Who selects the text of a name does not mean the row.
    if (getSelection()?.type === 'Range') return
    const isTwisty = (event.target as HTMLElement).closest('button') !== null
    if (entry >= 0 && isTwisty) this.actions.toggle(entry)
    else if (entry >= 0) this.actions.select(entry)
    else {
      this.actions.selectGroup(~entry)
      this.actions.toggleGroup(~entry)
    }
  }

  private entryAt(clientY: number): Entry | undefined {
    const y = clientY - this.stage.getBoundingClientRect().top + this.top()
    return this.shown?.entries[Math.floor(y / ROW_PIXELS)]
  }

  private ratio(): number {
    const whole = (this.shown?.entries.length ?? 0) * ROW_PIXELS
    if (whole <= SPACER_PIXELS_MAX) return 1
    return (whole - this.height) / (SPACER_PIXELS_MAX - this.height)
  }

  private top(): number {
    return this.scroller.scrollTop * this.ratio()
  }

  private resize(): void {
    this.height = this.scroller.clientHeight
    this.stage.style.height = `${this.height}px`
    this.width = this.canvas.clientWidth
    this.actions.resized(this.width)
    this.draw()
  }

  private readonly draw = () => {
    const { shown, height } = this
    if (!shown || !height || !this.width) return
    const last = Math.max(0, shown.entries.length * ROW_PIXELS - height)
    const top = Math.min(this.top(), last)
    const first = Math.floor(top / ROW_PIXELS)
    const offset = first * ROW_PIXELS - top
    const count = Math.min(Math.ceil((height - offset) / ROW_PIXELS), shown.entries.length - first)
    const active = this.names.draw(shown, first, count, offset)
    if (active) this.scroller.setAttribute('aria-activedescendant', active)
    else this.scroller.removeAttribute('aria-activedescendant')
    const context = this.prepared()
    const scale = new Scale(shown.range[0], shown.range[1], this.width)
    if (context) drawBars(context, shown, scale, height, first, count, offset)
    const { head } = shown.trace
    this.actions.seen(
      firstRow(head, shown.entries[first] ?? 0),
      firstRow(head, shown.entries[first + count - 1] ?? 0),
    )
  }

  private prepared(): CanvasRenderingContext2D | null {
    const ratio = devicePixelRatio || 1
    const [wide, high] = [Math.round(this.width * ratio), Math.round(this.height * ratio)]
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      this.canvas.width = wide
      this.canvas.height = high
    }
    const context = this.canvas.getContext('2d', { alpha: false })
    context?.setTransform(ratio, 0, 0, ratio, 0, 0)
    return context
  }
}
