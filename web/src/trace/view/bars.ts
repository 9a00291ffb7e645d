/** The bars of the rows in sight, on a canvas. */

import { duration as durationText } from '../../language/format.ts'
import { type Colours, colourOf } from '../../theme/tokens.ts'
import { Flag } from '../protocol.ts'
import type { Scale } from './scale.ts'
import { ROW_PIXELS, type Shown } from './shown.ts'
import { ANCESTOR, type Entry, firstRow } from './visible.ts'

export const TICK_APART_PIXELS = 110
const BAR_TOP = 6
const BAR_HEIGHT = 12
const BAR_PIXELS_MIN = 1.5
/** What children cover of a bar: their own bars say more of it. */
const COVERED_ALPHA = 0.45
const LABEL_GAP = 5
const LABEL_FONT_PIXELS = 11.5
const ICON_PIXELS = 11
/** Beyond so many children or siblings a bar is drawn whole: nobody sees the difference, and a frame is short. */
const PARTS_MAX = 5_000

export function drawBars(
  context: CanvasRenderingContext2D,
  shown: Shown,
  scale: Scale,
  height: number,
  first: number,
  count: number,
  offset: number,
): void {
  const { colours } = shown
  context.fillStyle = colours.paper
  context.fillRect(0, 0, scale.width, height)
  context.textBaseline = 'middle'
  context.font = `${LABEL_FONT_PIXELS}px ${colours.font}`
  for (let at = 0; at < count; at++) {
    if (shown.entries[first + at] !== shown.selected) continue
    context.fillStyle = colours['paper-selected']
    context.fillRect(0, offset + at * ROW_PIXELS, scale.width, ROW_PIXELS)
  }
  context.fillStyle = colours.line
  for (const tick of scale.ticks(TICK_APART_PIXELS))
    context.fillRect(Math.round(scale.x(tick)), 0, 1, height)
  for (let at = 0; at < count; at++) {
    const entry = shown.entries[first + at]
    if (entry === undefined) continue
    const isDim = shown.marks?.[firstRow(shown.trace.head, entry)] === ANCESTOR
    new Bar(context, shown, scale, entry, offset + at * ROW_PIXELS, isDim ? 0.4 : 1).draw()
  }
}

class Bar {
  private readonly row: number
  private readonly rows: Uint32Array | undefined
  private readonly shift: number
  private readonly colour: string
  private readonly start: number
  private readonly end: number

  constructor(
    private readonly context: CanvasRenderingContext2D,
    private readonly shown: Shown,
    private readonly scale: Scale,
    entry: Entry,
    private readonly top: number,
    private readonly alpha: number,
  ) {
    const { head, columns } = shown.trace
    this.row = firstRow(head, entry)
    this.rows = entry < 0 ? head.groups[~entry]?.rows : undefined
    this.shift = shown.adjustsClocks ? (columns.shift[this.row] ?? 0) : 0
    const service = head.services[columns.service[this.row] ?? 0]?.name ?? ''
    this.colour = shown.colours.services[colourOf(service)] ?? shown.colours.accent
    this.start = (columns.start[this.row] ?? 0) + this.shift
    this.end = this.rows ? this.groupEnd(this.rows) : this.start + (columns.duration[this.row] ?? 0)
  }

  draw(): void {
    const { columns, head } = this.shown.trace
    const { scale } = this
    const left = scale.x(this.start)
    const right = Math.max(scale.x(this.end), left + BAR_PIXELS_MIN)
    const group = this.rows && head.groups[columns.group[this.row] ?? -1]
    const flags = columns.flags[this.row] ?? 0
    const isError = group ? group.errorCount > 0 : (flags & Flag.ERROR) !== 0
    this.context.globalAlpha = this.alpha
    if (this.rows) this.drawSiblings(this.rows)
    else this.drawSpan(left, right)
    if (isError) this.drawErrorEdge(left, right)
    if (!this.rows) {
      if (this.shown.showsCritical && flags & Flag.CRITICAL) this.drawCritical()
      if (flags & Flag.HAS_EVENTS) this.drawEvents()
    }
    const text = group
      ? this.shown.texts.groupTimes(durationText(group.totalNano), durationText(group.maxNano))
      : durationText(columns.duration[this.row] ?? 0)
    this.drawLabel(text, isError, left, right)
    this.context.globalAlpha = 1
  }

  private groupEnd(rows: Uint32Array): number {
    const { start, duration } = this.shown.trace.columns
    let end = 0
    for (const row of rows) end = Math.max(end, (start[row] ?? 0) + (duration[row] ?? 0))
    return end + this.shift
  }

  /** The span, fainter where its children are busy: what is strong is its self time. */
  private drawSpan(left: number, right: number): void {
    const { columns } = this.shown.trace
    const { children, subtreeEnd } = this.shown.derived
    this.context.fillStyle = this.colour
    const outlives = this.scale.x((subtreeEnd[this.row] ?? 0) + this.shift)
    if (outlives > right + 1) this.fillX(right, outlives, BAR_TOP + BAR_HEIGHT / 2 - 0.75, 1.5)
    const count = children[this.row] ?? 0
    if (count === 0 || count > PARTS_MAX || right - left < 3) {
      this.fillX(left, right, BAR_TOP, BAR_HEIGHT)
      return
    }
    // The ticks behind must not shine through.
    this.context.fillStyle = this.shown.colours.paper
    this.fillX(left, right, BAR_TOP, BAR_HEIGHT)
    this.context.fillStyle = this.colour
    this.context.globalAlpha = this.alpha * COVERED_ALPHA
    this.fillX(left, right, BAR_TOP, BAR_HEIGHT)
    this.context.globalAlpha = this.alpha
    let free = this.start
    const last = this.row + (columns.subtree[this.row] ?? 1)
    for (let child = this.row + 1; child < last; child += columns.subtree[child] ?? 1) {
      const start = (columns.start[child] ?? 0) + this.shift
      if (start > this.end) break
      if (start > free) this.fillX(this.scale.x(free), this.scale.x(start), BAR_TOP, BAR_HEIGHT)
      free = Math.max(free, start + (columns.duration[child] ?? 0))
    }
    if (free < this.end) this.fillX(this.scale.x(free), right, BAR_TOP, BAR_HEIGHT)
  }

  /** Each of them where it is, behind one another. */
  private drawSiblings(rows: Uint32Array): void {
    const { start, duration } = this.shown.trace.columns
    this.context.fillStyle = this.colour
    if (rows.length > PARTS_MAX) {
      this.fillX(this.scale.x(this.start), this.scale.x(this.end), BAR_TOP, BAR_HEIGHT)
      return
    }
    for (const row of rows) {
      const left = this.scale.x((start[row] ?? 0) + this.shift)
      const right = this.scale.x((start[row] ?? 0) + (duration[row] ?? 0) + this.shift)
      // A gap between what follows directly on one another: they are several.
      this.fillX(left, Math.max(left + BAR_PIXELS_MIN, right - 1), BAR_TOP, BAR_HEIGHT)
    }
  }

  private drawErrorEdge(left: number, right: number): void {
    this.context.fillStyle = this.shown.colours.error
    this.fillX(left, left + 3, BAR_TOP - 1, BAR_HEIGHT + 2)
    this.fillX(left, right, BAR_TOP - 1, 1.5)
    this.fillX(left, right, BAR_TOP + BAR_HEIGHT - 0.5, 1.5)
  }

  private drawCritical(): void {
    const { criticalFrom, criticalTo } = this.shown.trace.columns
    const { criticalFirst, criticalNext } = this.shown.derived
    this.context.fillStyle = this.shown.colours.critical
    for (let at = criticalFirst[this.row] ?? -1; at >= 0; at = criticalNext[at] ?? -1) {
      const left = this.scale.x((criticalFrom[at] ?? 0) + this.shift)
      const right = this.scale.x((criticalTo[at] ?? 0) + this.shift)
      this.fillX(left, Math.max(left + 1, right), BAR_TOP + BAR_HEIGHT / 2 - 1.5, 3)
    }
  }

  private drawEvents(): void {
    const { eventFrom, eventTime, eventFlags } = this.shown.trace.columns
    const { colours } = this.shown
    for (let at = eventFrom[this.row] ?? 0; at < (eventFrom[this.row + 1] ?? 0); at++) {
      const x = this.scale.x((eventTime[at] ?? 0) + this.shift)
      if (x < 0 || x > this.scale.width) continue
      const isException = eventFlags[at] === 1
      this.context.fillStyle = colours.paper
      this.context.fillRect(x - 1.5, this.top + 3, 3, ROW_PIXELS - 6)
      this.context.fillStyle = isException ? colours.error : colours.text
      this.context.fillRect(x - 0.5, this.top + 3, 1, ROW_PIXELS - 6)
      // A diamond, or a small square: an exception is told by its form too.
      this.context.beginPath()
      const size = isException ? 3.5 : 1.5
      this.context.moveTo(x, this.top + 4 - size)
      this.context.lineTo(x + size, this.top + 4)
      this.context.lineTo(x, this.top + 4 + size)
      this.context.lineTo(x - size, this.top + 4)
      this.context.fill()
    }
  }

  /** Right of the bar if there is room, else left, else inside; of what is out of sight, at the edge. */
  private drawLabel(text: string, isError: boolean, left: number, right: number): void {
    const { context, scale, shown } = this
    const textWidth = context.measureText(text).width
    const width = textWidth + (isError ? ICON_PIXELS + 3 : 0)
    const draw = (x: number, colour: string) => {
      if (isError) drawErrorIcon(context, shown.colours, x, this.top + ROW_PIXELS / 2)
      context.fillStyle = colour
      context.fillText(text, x + width - textWidth, this.top + ROW_PIXELS / 2 + 0.5)
    }
    const colour = isError ? shown.colours.error : shown.colours['text-quiet']
    if (right < 0) {
      this.drawArrow('←', LABEL_GAP)
      draw(LABEL_GAP + 14, colour)
    } else if (left > scale.width) {
      this.drawArrow('→', scale.width - LABEL_GAP - 12)
      draw(scale.width - LABEL_GAP - 16 - width, colour)
    } else if (right + LABEL_GAP + width < scale.width) {
      this.clearBehind(right + LABEL_GAP, width)
      draw(right + LABEL_GAP, colour)
    } else if (left - LABEL_GAP - width > 0) draw(left - LABEL_GAP - width, colour)
    else {
      const x = Math.min(right, scale.width) - LABEL_GAP - 4 - width
      context.fillStyle = shown.colours.paper
      context.beginPath()
      context.roundRect(x - 4, this.top + BAR_TOP - 2, width + 8, BAR_HEIGHT + 4, 3)
      context.fill()
      draw(x, isError ? shown.colours.error : shown.colours.text)
    }
  }

  /** The line to what outlives a span would run through its label. */
  private clearBehind(x: number, width: number): void {
    const { shown } = this
    const outlives = this.scale.x((shown.derived.subtreeEnd[this.row] ?? 0) + this.shift)
    if (this.rows || outlives < x) return
    const isSelected = this.row === shown.selected
    this.context.fillStyle = isSelected ? shown.colours['paper-selected'] : shown.colours.paper
    this.fillX(x - 2, x + width + 2, BAR_TOP + BAR_HEIGHT / 2 - 1.5, 3)
  }

  private drawArrow(arrow: string, x: number): void {
    this.context.fillStyle = this.shown.colours['text-quiet']
    this.context.fillText(arrow, x, this.top + ROW_PIXELS / 2)
  }

  /** A rectangle, cut to what is in sight: canvases tire of coordinates in the millions. */
  private fillX(left: number, right: number, y: number, height: number): void {
    const from = Math.max(-4, left)
    const to = Math.min(this.scale.width + 4, right)
    if (to > from) this.context.fillRect(from, this.top + y, to - from, height)
  }
}

function drawErrorIcon(
  context: CanvasRenderingContext2D,
  colours: Colours,
  x: number,
  middle: number,
): void {
  const radius = ICON_PIXELS / 2
  context.fillStyle = colours.error
  context.beginPath()
  context.arc(x + radius, middle, radius, 0, 2 * Math.PI)
  context.fill()
  context.fillStyle = colours.paper
  context.fillRect(x + radius - 0.75, middle - 3.25, 1.5, 4)
  context.fillRect(x + radius - 0.75, middle + 1.75, 1.5, 1.5)
}
