/**
 * The list of spans: names as rows of the page, bars on a canvas, both in a stage that stays where it is while a tall
 * spacer scrolls behind it. Only what is in sight exists; whatever the scroll position, it is drawn before the frame is.
 */

import { duration as durationText } from '../../language/format.ts'
import { type Colours, colourOf } from '../../theme/tokens.ts'
import { Flag, type Trace } from '../protocol.ts'
import { ticks } from './scale.ts'
import { ANCESTOR, type Entry, firstRow } from './visible.ts'

export const ROW_PIXELS = 24
/** Browsers stop at some ten million; beyond, a pixel of the scroll bar is more than a pixel of the list. */
const SPACER_PIXELS_MAX = 8_000_000
const BAR_PIXELS_MIN = 1.5
const INDENT_PIXELS = 12
const INDENT_LEVELS_MAX = 40
const LABEL_GAP = 5

export interface Shown {
  trace: Trace
  entries: Int32Array
  collapsed: Uint8Array
  range: readonly [number, number]
  selected: number
  hits: Uint32Array
  marks: Uint8Array | undefined
  showsCritical: boolean
  adjustsClocks: boolean
  colours: Colours
  texts: Texts
}

/** What the rows say, in the reader's language. */
export interface Texts {
  expand: string
  collapse: string
  error: string
  errorBelow: string
  missingParent: string
  group: (count: number, name: string) => string
  found: (count: number) => string
}

export interface Actions {
  select: (row: number) => void
  toggle: (row: number) => void
  toggleGroup: (group: number) => void
  zoomTo: (row: number) => void
  zoomBy: (factor: number, about: number) => void
  pan: (share: number) => void
  scrolled: () => void
}

interface RowElements {
  row: HTMLElement
  name: HTMLElement
  twisty: HTMLButtonElement
  swatch: HTMLElement
  service: HTMLElement
  label: HTMLElement
  badge: HTMLElement
  duration: HTMLElement
  shownEntry: number | undefined
}

export class Waterfall {
  private readonly spacer = element('div', 'spacer')
  private readonly stage = element('div', 'stage')
  private readonly names = element('div', 'names')
  private readonly canvas = document.createElement('canvas')
  private readonly pool: RowElements[] = []
  private readonly observer = new ResizeObserver(() => this.resize())
  private shown: Shown | undefined
  private hitSet = new Set<number>()
  private sections: Sections = { first: new Int32Array(0), next: new Int32Array(0) }
  private height = 0
  private width = 0

  constructor(
    readonly scroller: HTMLElement,
    private readonly actions: Actions,
  ) {
    this.canvas.setAttribute('aria-hidden', 'true')
    this.stage.append(this.names, this.canvas)
    scroller.replaceChildren(this.spacer)
    this.spacer.append(this.stage)
    scroller.addEventListener('scroll', this.onScroll, { passive: true })
    scroller.addEventListener('wheel', this.onWheel, { passive: false })
    this.stage.addEventListener('click', this.onClick)
    this.canvas.addEventListener('dblclick', (event) => {
      const entry = this.entryAt(event.clientY)
      if (entry !== undefined && entry >= 0) this.actions.zoomTo(entry)
    })
    this.observer.observe(scroller)
  }

  close(): void {
    this.observer.disconnect()
    this.scroller.removeEventListener('scroll', this.onScroll)
    this.scroller.removeEventListener('wheel', this.onWheel)
  }

  show(shown: Shown): void {
    const before = this.shown
    this.shown = shown
    if (before?.hits !== shown.hits) this.hitSet = new Set(shown.hits)
    if (before?.trace !== shown.trace) this.sections = sectionsOf(shown.trace)
    if (before?.texts !== shown.texts || before?.trace !== shown.trace) {
      for (const each of this.pool) each.shownEntry = undefined
    }
    const height = Math.max(1, shown.entries.length * ROW_PIXELS)
    this.spacer.style.height = `${Math.min(SPACER_PIXELS_MAX, height)}px`
    this.scroller.setAttribute('aria-rowcount', String(shown.entries.length))
    this.draw()
  }

  /** Bring a place of the list into sight: at all, or to the middle. */
  scrollTo(place: number, centres: boolean): void {
    if (place < 0) return
    const top = place * ROW_PIXELS
    const now = this.top()
    const isSeen = top >= now && top + ROW_PIXELS <= now + this.height
    if (isSeen && !centres) return
    const wanted =
      centres || top < now - this.height || top > now + 2 * this.height
        ? top - (this.height - ROW_PIXELS) / 2
        : top < now
          ? top
          : top + ROW_PIXELS - this.height
    this.scroller.scrollTop = wanted / this.ratio()
    this.draw()
  }

  /** First and last place in sight, as shares of the list. */
  sight(): [number, number] {
    const whole = Math.max(1, (this.shown?.entries.length ?? 0) * ROW_PIXELS)
    return [this.top() / whole, Math.min(1, (this.top() + this.height) / whole)]
  }

  /** How many rows fit. */
  pageSize(): number {
    return Math.max(1, Math.floor(this.height / ROW_PIXELS) - 1)
  }

  private readonly onScroll = () => {
    this.draw()
    this.actions.scrolled()
  }

  private readonly onWheel = (event: WheelEvent) => {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault()
      const box = this.canvas.getBoundingClientRect()
      const about = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width))
      this.actions.zoomBy(1.2 ** Math.sign(event.deltaY), about)
    } else if (event.shiftKey) {
      event.preventDefault()
      this.actions.pan(Math.sign(event.deltaY || event.deltaX) * 0.1)
    }
  }

  private readonly onClick = (event: MouseEvent) => {
    const entry = this.entryAt(event.clientY)
    if (entry === undefined || !this.shown) return
    const isTwisty = (event.target as HTMLElement).closest('button') !== null
    if (entry < 0) this.actions.toggleGroup(~entry)
    else if (isTwisty) this.actions.toggle(entry)
    else this.actions.select(entry)
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
    // The axis above ends where the bars do.
    const bar = this.scroller.offsetWidth - this.scroller.clientWidth
    this.scroller.parentElement?.style.setProperty('--scrollbar', `${bar}px`)
    this.draw()
  }

  private draw(): void {
    const { shown } = this
    if (!shown || !this.height) return
    const first = Math.floor(this.top() / ROW_PIXELS)
    const offset = first * ROW_PIXELS - this.top()
    const count = Math.min(
      Math.ceil((this.height - offset) / ROW_PIXELS),
      shown.entries.length - first,
    )
    this.drawNames(shown, first, count, offset)
    this.drawBars(shown, first, count, offset)
  }

  private drawNames(shown: Shown, first: number, count: number, offset: number): void {
    while (this.pool.length < count) this.pool.push(this.newRow())
    // A row keeps the entry whose place is the same modulo the pool's size: scrolling by one changes one row.
    const size = this.pool.length
    const used = new Uint8Array(size)
    for (let at = 0; at < count; at++) {
      const place = first + at
      const elements = this.pool[place % size]
      const entry = shown.entries[place]
      if (!elements || entry === undefined) continue
      used[place % size] = 1
      elements.row.style.transform = `translateY(${offset + at * ROW_PIXELS}px)`
      this.fillRow(elements, shown, entry, place)
    }
    this.pool.forEach(({ row }, at) => {
      row.hidden = !used[at]
    })
    const active = this.pool.find((each) => !each.row.hidden && each.shownEntry === shown.selected)
    if (active) this.scroller.setAttribute('aria-activedescendant', active.row.id)
    else this.scroller.removeAttribute('aria-activedescendant')
  }

  private newRow(): RowElements {
    const row = element('div', 'span-row')
    row.id = `span-row-${this.pool.length}`
    row.setAttribute('role', 'row')
    const name = element('div', 'span-name')
    name.setAttribute('role', 'gridcell')
    const twisty = document.createElement('button')
    twisty.type = 'button'
    twisty.className = 'twisty'
    twisty.tabIndex = -1
    const swatch = element('i', 'swatch')
    const service = element('bdi', 'span-service')
    const label = element('bdi', 'span-label')
    const badge = element('span', 'span-badge')
    const duration = element('div', 'visually-hidden')
    duration.setAttribute('role', 'gridcell')
    name.append(twisty, swatch, service, label, badge)
    row.append(name, duration)
    this.names.append(row)
    return { row, name, twisty, swatch, service, label, badge, duration, shownEntry: undefined }
  }

  private fillRow(elements: RowElements, shown: Shown, entry: Entry, place: number): void {
    const { trace, texts, marks } = shown
    const { head, columns } = trace
    const group = entry < 0 ? head.groups[~entry] : undefined
    const row = firstRow(head, entry)
    const flags = columns.flags[row] ?? 0
    const isOpen = entry >= 0 && !shown.collapsed[row]
    const hasChildren = group !== undefined || (columns.subtree[row] ?? 1) > 1
    if (elements.shownEntry !== entry) {
      elements.shownEntry = entry
      const service = head.services[columns.service[row] ?? 0]?.name ?? ''
      const name = head.names[columns.name[row] ?? 0] ?? ''
      elements.name.style.paddingInlineStart = `${6 + Math.min(columns.depth[row] ?? 0, INDENT_LEVELS_MAX) * INDENT_PIXELS}px`
      elements.swatch.dataset.colour = String(colourOf(service))
      elements.service.textContent = clipped(service)
      elements.label.textContent = group
        ? texts.group(group.rows.length, clipped(name))
        : clipped(name)
      elements.row.title = `${clipped(service)}: ${clipped(name)}`
      elements.row.setAttribute('aria-level', String((columns.depth[row] ?? 0) + 1))
      const length = durationText(group ? group.totalNano : (columns.duration[row] ?? 0))
      elements.duration.textContent = flags & Flag.ERROR ? `${length}, ${texts.error}` : length
      elements.twisty.hidden = !hasChildren
    }
    elements.row.setAttribute('aria-rowindex', String(place + 1))
    if (hasChildren) {
      elements.twisty.textContent = isOpen ? '▾' : '▸'
      elements.twisty.setAttribute('aria-label', isOpen ? texts.collapse : texts.expand)
      elements.row.setAttribute('aria-expanded', String(isOpen))
    } else {
      elements.row.removeAttribute('aria-expanded')
    }
    const isSelected = entry >= 0 && row === shown.selected
    elements.row.setAttribute('aria-selected', String(isSelected))
    elements.row.classList.toggle('is-found', this.hitSet.has(row) && entry >= 0)
    elements.row.classList.toggle('is-dim', marks?.[row] === ANCESTOR)
    this.fillBadge(elements, shown, entry, isOpen)
  }

  private fillBadge(elements: RowElements, shown: Shown, entry: Entry, isOpen: boolean): void {
    const { trace, texts } = shown
    const { columns, head } = trace
    const row = firstRow(head, entry)
    const flags = columns.flags[row] ?? 0
    const group = entry < 0 ? head.groups[~entry] : undefined
    const isHiding = !isOpen && (group !== undefined || (columns.subtree[row] ?? 1) > 1)
    const hidden = isHiding && shown.hits.length ? this.hitsBelow(shown, row, group?.rows) : 0
    const parts = [
      flags & Flag.MISSING_PARENT && entry >= 0 ? '⤴' : '',
      flags & Flag.HAS_LINKS && entry >= 0 ? '⛓' : '',
      hidden ? texts.found(hidden) : '',
    ]
    elements.badge.textContent = parts.filter(Boolean).join(' ')
    elements.badge.title = flags & Flag.MISSING_PARENT && entry >= 0 ? texts.missingParent : ''
    const own = group ? group.errorCount > 0 : (flags & Flag.ERROR) !== 0
    const below = isHiding && (flags & Flag.ERROR_BELOW) !== 0
    elements.label.classList.toggle('has-error', own)
    elements.row.dataset.error = own ? '⊗' : below ? '⊖' : ''
  }

  private hitsBelow({ hits, trace }: Shown, row: number, rows: Uint32Array | undefined): number {
    const last = rows?.[rows.length - 1] ?? row
    const end = last + (trace.columns.subtree[last] ?? 1)
    return lowerBound(hits, end) - lowerBound(hits, row + (rows ? 0 : 1))
  }

  private drawBars(shown: Shown, first: number, count: number, offset: number): void {
    const context = this.prepared()
    if (!context) return
    const { colours, range } = shown
    const [from, to] = range
    const scale = this.width / (to - from)
    const x = (nano: number) => (nano - from) * scale
    context.fillStyle = colours.paper
    context.fillRect(0, 0, this.width, this.height)
    context.fillStyle = colours.line
    for (const tick of ticks(from, to, this.width / 110))
      context.fillRect(Math.round(x(tick)), 0, 1, this.height)
    context.textBaseline = 'middle'
    for (let at = 0; at < count; at++) {
      const entry = shown.entries[first + at]
      if (entry === undefined) continue
      const top = offset + at * ROW_PIXELS
      if (entry >= 0 && entry === shown.selected) {
        context.fillStyle = colours['paper-selected']
        context.fillRect(0, top, this.width, ROW_PIXELS)
      }
      context.globalAlpha = shown.marks?.[firstRow(shown.trace.head, entry)] === ANCESTOR ? 0.4 : 1
      this.drawBar(context, shown, entry, top, x)
      context.globalAlpha = 1
    }
  }

  private drawBar(
    context: CanvasRenderingContext2D,
    shown: Shown,
    entry: Entry,
    top: number,
    x: (nano: number) => number,
  ): void {
    const { trace, colours } = shown
    const { columns, head } = trace
    const row = firstRow(head, entry)
    const shift = shown.adjustsClocks ? (columns.shift[row] ?? 0) : 0
    const group = entry < 0 ? head.groups[~entry] : undefined
    const start = (columns.start[row] ?? 0) + shift
    const end = group ? groupEnd(trace, group.rows) + shift : start + (columns.duration[row] ?? 0)
    const [left, right] = [x(start), Math.max(x(end), x(start) + BAR_PIXELS_MIN)]
    const flags = columns.flags[row] ?? 0
    const isError = group ? group.errorCount > 0 : (flags & Flag.ERROR) !== 0
    if (right >= 0 && left <= this.width) {
      const [shownLeft, shownRight] = [Math.max(-4, left), Math.min(this.width + 4, right)]
      const service = head.services[columns.service[row] ?? 0]?.name ?? ''
      context.fillStyle = colours.services[colourOf(service)] ?? colours.accent
      if (group) context.globalAlpha *= 0.55
      context.fillRect(shownLeft, top + 5, shownRight - shownLeft, ROW_PIXELS - 11)
      if (group) context.globalAlpha /= 0.55
      if (isError) {
        context.fillStyle = colours.error
        context.fillRect(shownLeft, top + ROW_PIXELS - 6, shownRight - shownLeft, 2)
        context.fillRect(shownLeft, top + 4, 2, ROW_PIXELS - 8)
      }
    }
    if (entry >= 0) {
      if (flags & Flag.OUTLIVES) this.drawOutliving(context, shown, row, top, x, shift)
      if (shown.showsCritical) this.drawCritical(context, shown, row, top, x, shift)
      this.drawEvents(context, shown, row, top, x, shift)
    }
    this.drawLabel(
      context,
      shown,
      group?.totalNano ?? columns.duration[row] ?? 0,
      isError,
      [left, right],
      top,
    )
  }

  /** From where the parent ended: work that it did not wait for, drawn hollow. */
  private drawOutliving(
    context: CanvasRenderingContext2D,
    { trace, colours }: Shown,
    row: number,
    top: number,
    x: (nano: number) => number,
    shift: number,
  ): void {
    const { columns } = trace
    const parent = columns.parent[row] ?? -1
    const end = (columns.start[row] ?? 0) + (columns.duration[row] ?? 0) + shift
    const parentEnd = Math.max(
      (columns.start[row] ?? 0) + shift,
      (columns.start[parent] ?? 0) + (columns.duration[parent] ?? 0),
    )
    const [left, right] = [Math.max(-4, x(parentEnd)), Math.min(this.width + 4, x(end))]
    if (right - left < 2) return
    context.fillStyle = colours.paper
    context.fillRect(left, top + 7, right - left - 1, ROW_PIXELS - 15)
  }

  private drawCritical(
    context: CanvasRenderingContext2D,
    { trace, colours }: Shown,
    row: number,
    top: number,
    x: (nano: number) => number,
    shift: number,
  ): void {
    const { columns } = trace
    if (!((columns.flags[row] ?? 0) & Flag.CRITICAL)) return
    context.fillStyle = colours.critical
    const { first, next } = this.sections
    for (let at = first[row] ?? -1; at >= 0; at = next[at] ?? -1) {
      const left = x((columns.criticalFrom[at] ?? 0) + shift)
      const right = Math.max(left + 1, x((columns.criticalTo[at] ?? 0) + shift))
      if (right < 0 || left > this.width) continue
      const clippedLeft = Math.max(0, left)
      context.fillRect(clippedLeft, top + 9.5, Math.min(this.width, right) - clippedLeft, 3)
    }
  }

  private drawEvents(
    context: CanvasRenderingContext2D,
    { trace, colours }: Shown,
    row: number,
    top: number,
    x: (nano: number) => number,
    shift: number,
  ): void {
    const { columns } = trace
    for (let at = columns.eventFrom[row] ?? 0; at < (columns.eventFrom[row + 1] ?? 0); at++) {
      const place = x((columns.eventTime[at] ?? 0) + shift)
      if (place < 0 || place > this.width) continue
      const isException = columns.eventFlags[at] === 1
      context.fillStyle = isException ? colours.error : colours.text
      context.fillRect(place - 0.5, top + 3, isException ? 2 : 1, ROW_PIXELS - 6)
    }
  }

  private drawLabel(
    context: CanvasRenderingContext2D,
    { colours }: Shown,
    nano: number,
    isError: boolean,
    [left, right]: readonly [number, number],
    top: number,
  ): void {
    const text = isError ? `⊗ ${durationText(nano)}` : durationText(nano)
    context.font = `11.5px ${colours.font}`
    const width = context.measureText(text).width
    context.fillStyle = isError ? colours.error : colours['text-quiet']
    const middle = top + ROW_PIXELS / 2
    if (right > this.width || left > this.width || right < 0) {
      // Beyond an edge: say at that edge how long it is.
      const place =
        left > this.width || right > this.width ? this.width - width - LABEL_GAP : LABEL_GAP
      if (left > this.width || right < 0)
        context.fillText(
          left > this.width ? `${text} →` : `← ${text}`,
          left > this.width ? place - 14 : place,
          middle,
        )
      else if (left > width + LABEL_GAP) context.fillText(text, left - width - LABEL_GAP, middle)
      else this.labelInside(context, colours, text, place, middle, width)
    } else if (right + width + LABEL_GAP < this.width)
      context.fillText(text, right + LABEL_GAP, middle)
    else if (left - width - LABEL_GAP > 0) context.fillText(text, left - width - LABEL_GAP, middle)
    else this.labelInside(context, colours, text, Math.max(left, 0) + LABEL_GAP, middle, width)
  }

  private labelInside(
    context: CanvasRenderingContext2D,
    colours: Colours,
    text: string,
    left: number,
    middle: number,
    width: number,
  ): void {
    context.fillStyle = colours.paper
    context.fillRect(left - 3, middle - 8, width + 6, 15)
    context.fillStyle = colours.text
    context.fillText(text, left, middle)
  }

  private prepared(): CanvasRenderingContext2D | null {
    this.width = Math.max(1, this.canvas.clientWidth)
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

function groupEnd({ columns }: Trace, rows: Uint32Array): number {
  let end = 0
  for (const row of rows)
    end = Math.max(end, (columns.start[row] ?? 0) + (columns.duration[row] ?? 0))
  return end
}

/** The sections of the critical path by row: the first of each, and which follows which. */
interface Sections {
  first: Int32Array
  next: Int32Array
}

function sectionsOf({ columns }: Trace): Sections {
  const first = new Int32Array(columns.count).fill(-1)
  const next = new Int32Array(columns.criticalRow.length).fill(-1)
  for (let at = columns.criticalRow.length - 1; at >= 0; at--) {
    const row = columns.criticalRow[at] ?? 0
    next[at] = first[row] ?? -1
    first[row] = at
  }
  return { first, next }
}

export function lowerBound(values: ArrayLike<number>, wanted: number): number {
  let [low, high] = [0, values.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((values[middle] ?? 0) < wanted) low = middle + 1
    else high = middle
  }
  return low
}

/** A name may have ten thousand characters; a row shows some hundred. */
function clipped(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}

function element(name: string, className: string): HTMLElement {
  const made = document.createElement(name)
  made.className = className
  return made
}
