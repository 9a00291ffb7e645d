/** The whole trace at a glance: every span a line, drawn once; the window, the hits and the crosshair over it. */

import { duration as durationText } from '../../language/format.ts'
import { type Colours, colourOf } from '../../theme/tokens.ts'
import { Flag, type Trace } from '../protocol.ts'
import { Scale, tickText } from './scale.ts'

const HANDLE_PIXELS = 6
const AXIS_PIXELS = 16
const DRAG_PIXELS_MIN = 3
const LINE_PIXELS_MAX = 4
const EDGE_PIXELS = 8

export interface MapShown {
  trace: Trace
  range: readonly [number, number]
  hits: Uint32Array
  adjustsClocks: boolean
  colours: Colours
  /** First and last row in sight of the list. */
  sight: readonly [number, number]
}

type Drag = {
  kind: 'zoom' | 'pan' | 'left' | 'right'
  from: number
  range: readonly [number, number]
}

export class Minimap {
  private readonly canvas = document.createElement('canvas')
  private readonly picture = document.createElement('canvas')
  private readonly observer: ResizeObserver
  private shown: MapShown | undefined
  private drawnOf: readonly unknown[] = []
  /** Where hits are: pixels from the top, each once. */
  private hitTops: number[] = []
  private pointer: number | undefined
  private drag: Drag | undefined
  private width = 0
  private height = 0

  constructor(
    private readonly place: HTMLElement,
    private readonly zoom: (from: number, to: number) => void,
    private readonly reset: () => void,
  ) {
    this.canvas.setAttribute('aria-hidden', 'true')
    place.replaceChildren(this.canvas)
    this.observer = new ResizeObserver(() => this.resize())
    this.observer.observe(place)
    this.resize()
    this.canvas.addEventListener('pointerdown', (event) => this.press(event))
    this.canvas.addEventListener('pointermove', (event) => this.move(event))
    this.canvas.addEventListener('pointerup', (event) => this.release(event))
    this.canvas.addEventListener('pointercancel', () => {
      this.drag = undefined
    })
    this.canvas.addEventListener('pointerleave', () => {
      this.pointer = undefined
      this.draw()
    })
    this.canvas.addEventListener('dblclick', this.reset)
  }

  close(): void {
    this.observer.disconnect()
  }

  show(shown: MapShown): void {
    const before = this.shown
    this.shown = shown
    if (before?.hits !== shown.hits || before.trace !== shown.trace) this.placeHits(shown)
    this.draw()
  }

  private resize(): void {
    this.width = this.place.clientWidth
    this.height = this.place.clientHeight
    if (this.shown) this.placeHits(this.shown)
    this.draw()
  }

  private placeHits({ hits, trace }: MapShown): void {
    const tops = new Set<number>()
    for (const row of hits) tops.add(Math.round(this.top(row, trace.columns.count)))
    this.hitTops = [...tops]
  }

  private top(row: number, count: number): number {
    const room = this.height - AXIS_PIXELS
    const line = Math.min(LINE_PIXELS_MAX, room / Math.max(1, count))
    return AXIS_PIXELS + row * line
  }

  private scale(): Scale {
    const whole = Math.max(1, this.shown?.trace.head.durationNano ?? 1)
    return new Scale(0, whole, this.width, EDGE_PIXELS, EDGE_PIXELS)
  }

  private press(event: PointerEvent): void {
    if (!this.shown) return
    this.canvas.setPointerCapture(event.pointerId)
    this.drag = { kind: this.kindAt(event.offsetX), from: event.offsetX, range: this.shown.range }
  }

  private kindAt(x: number): Drag['kind'] {
    if (!this.isZoomed()) return 'zoom'
    const [left, right] = this.window()
    if (Math.abs(x - left) < HANDLE_PIXELS) return 'left'
    if (Math.abs(x - right) < HANDLE_PIXELS) return 'right'
    return x > left && x < right ? 'pan' : 'zoom'
  }

  private move(event: PointerEvent): void {
    this.pointer = event.offsetX
    const { drag } = this
    if (drag && drag.kind !== 'zoom') {
      const scale = this.scale()
      const by = scale.nano(event.offsetX) - scale.nano(drag.from)
      const [from, to] = drag.range
      if (drag.kind === 'pan') this.zoom(from + by, to + by)
      else if (drag.kind === 'left') this.zoom(Math.max(0, Math.min(from + by, to)), to)
      else this.zoom(from, Math.max(to + by, from))
    }
    const kind = drag?.kind ?? this.kindAt(event.offsetX)
    this.canvas.style.cursor = kind === 'zoom' ? 'crosshair' : kind === 'pan' ? 'grab' : 'ew-resize'
    this.draw()
  }

  private release(event: PointerEvent): void {
    const { drag } = this
    this.drag = undefined
    if (drag?.kind === 'zoom' && Math.abs(event.offsetX - drag.from) >= DRAG_PIXELS_MIN) {
      const scale = this.scale()
      const [from, to] = [drag.from, event.offsetX].sort((a, b) => a - b)
      this.zoom(scale.nano(from ?? 0), scale.nano(to ?? 0))
    }
    this.draw()
  }

  private isZoomed(): boolean {
    const [from, to] = this.shown?.range ?? [0, 1]
    return from > 0 || to < (this.shown?.trace.head.durationNano ?? 1)
  }

  private window(): [number, number] {
    const [from, to] = this.shown?.range ?? [0, 1]
    const scale = this.scale()
    return [scale.x(from), scale.x(to)]
  }

  private draw(): void {
    const { shown, width, height } = this
    if (!shown || !width || !height) return
    const ratio = devicePixelRatio || 1
    this.drawPicture(shown, ratio)
    if (this.canvas.width !== this.picture.width || this.canvas.height !== this.picture.height) {
      this.canvas.width = this.picture.width
      this.canvas.height = this.picture.height
    }
    const context = this.canvas.getContext('2d', { alpha: false })
    if (!context) return
    context.setTransform(1, 0, 0, 1, 0, 0)
    context.drawImage(this.picture, 0, 0)
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    this.drawOver(context, shown)
  }

  /** Only when something of it is another: a hundred thousand spans are not drawn with each move of the pointer. */
  private drawPicture({ trace, adjustsClocks, colours }: MapShown, ratio: number): void {
    const { width, height } = this
    const drawnOf = [trace, width, height, ratio, adjustsClocks, colours]
    if (drawnOf.every((each, at) => each === this.drawnOf[at])) return
    this.drawnOf = drawnOf
    this.picture.width = Math.round(width * ratio)
    this.picture.height = Math.round(height * ratio)
    const context = this.picture.getContext('2d', { alpha: false, willReadFrequently: true })
    if (!context) return
    const scale = this.scale()
    const step = scale.step(110)
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    context.fillStyle = colours['paper-raised']
    context.fillRect(0, 0, width, height)
    context.fillStyle = colours.line
    const ticks = scale.ticks(110).filter((tick) => tick <= scale.to)
    for (const tick of ticks) context.fillRect(Math.round(scale.x(tick)), 0, 1, height)
    this.drawSpans(context, trace, adjustsClocks, colours, ratio)
    context.font = `11px ${colours.font}`
    context.textBaseline = 'middle'
    context.fillStyle = colours['text-quiet']
    for (const tick of ticks) {
      const text = tickText(tick, step, scale.to)
      const left = scale.x(tick) + 4
      if (left + context.measureText(text).width < width)
        context.fillText(text, left, AXIS_PIXELS / 2)
    }
  }

  /** By pixels rather than rectangles: a span is one `fill` of a line of bytes. Errors come last, over the others. */
  private drawSpans(
    context: CanvasRenderingContext2D,
    { columns, head }: Trace,
    adjustsClocks: boolean,
    colours: Colours,
    ratio: number,
  ): void {
    const { count } = columns
    const top = Math.round(AXIS_PIXELS * ratio)
    const [wide, high] = [this.picture.width, this.picture.height - top]
    if (count === 0 || high <= 0) return
    const palette = [
      ...head.services.map(({ name }) => colours.services[colourOf(name)] ?? colours.accent),
      colours.error,
    ]
    const error = palette.length
    // 0 is nothing; n the palette's colour n - 1.
    const marks = new Uint16Array(wide * high)
    const scale = this.scale()
    const line = Math.min(LINE_PIXELS_MAX * ratio, high / count)
    const thickness = Math.max(1, Math.round(line > 2 ? line - 1 : line))
    for (const isLast of [false, true]) {
      for (let row = 0; row < count; row++) {
        const isError = ((columns.flags[row] ?? 0) & Flag.ERROR) !== 0
        if (isError !== isLast) continue
        const start = (columns.start[row] ?? 0) + (adjustsClocks ? (columns.shift[row] ?? 0) : 0)
        const left = Math.max(0, Math.min(wide - 1, Math.round(scale.x(start) * ratio)))
        const end = Math.round(scale.x(start + (columns.duration[row] ?? 0)) * ratio)
        const right = Math.min(wide, Math.max(left + Math.ceil(ratio), end))
        const mark = isError ? error : (columns.service[row] ?? 0) + 1
        const first = Math.floor(row * line)
        for (let y = first; y < Math.min(high, first + thickness); y++)
          marks.fill(mark, y * wide + left, y * wide + right)
      }
    }
    drawMarks(context, marks, palette, top, wide, high)
  }

  private drawOver(context: CanvasRenderingContext2D, shown: MapShown): void {
    const { width, height } = this
    const { colours, trace, sight } = shown
    if (this.isZoomed()) {
      const [left, right] = this.window()
      context.fillStyle = colours.shade
      context.fillRect(0, 0, left, height)
      context.fillRect(right, 0, width - right, height)
      context.fillStyle = colours.accent
      context.fillRect(left - 1, 0, 2, height)
      context.fillRect(right - 1, 0, 2, height)
    }
    context.fillStyle = colours.accent
    for (const top of this.hitTops) context.fillRect(width - 6, top, 6, 2)
    const { count } = trace.columns
    if (sight[1] - sight[0] + 1 < count) {
      const top = this.top(sight[0], count)
      context.fillStyle = colours['line-strong']
      context.fillRect(0, top, 4, Math.max(4, this.top(sight[1] + 1, count) - top))
    }
    const { drag, pointer } = this
    if (pointer === undefined) return
    if (drag?.kind === 'zoom') {
      context.fillStyle = colours.shade
      context.fillRect(Math.min(drag.from, pointer), 0, Math.abs(pointer - drag.from), height)
    }
    this.drawCrosshair(context, colours, pointer, width, height)
  }

  private drawCrosshair(
    context: CanvasRenderingContext2D,
    colours: Colours,
    x: number,
    width: number,
    height: number,
  ): void {
    const text = durationText(Math.max(0, this.scale().nano(x)))
    context.font = `11px ${colours.font}`
    const wide = context.measureText(text).width + 8
    const at = x + wide > width ? x - wide : x
    context.fillStyle = colours.text
    context.fillRect(x, 0, 1, height)
    context.fillStyle = colours.paper
    context.fillRect(at, 0, wide, AXIS_PIXELS)
    context.fillStyle = colours.text
    context.fillText(text, at + 4, AXIS_PIXELS / 2)
  }
}

function drawMarks(
  context: CanvasRenderingContext2D,
  marks: Uint16Array,
  palette: readonly string[],
  top: number,
  wide: number,
  high: number,
): void {
  const image = context.getImageData(0, top, wide, high)
  const pixels = new Uint32Array(image.data.buffer)
  const colours = pixelsOf(palette)
  marks.forEach((mark, at) => {
    if (mark) pixels[at] = colours[mark - 1] ?? 0
  })
  context.putImageData(image, 0, top)
}

/** CSS colours as a canvas holds them. */
function pixelsOf(palette: readonly string[]): Uint32Array {
  const canvas = document.createElement('canvas')
  canvas.width = palette.length
  canvas.height = 1
  const context = canvas.getContext('2d', { willReadFrequently: true })
  if (!context) return new Uint32Array(palette.length)
  palette.forEach((colour, at) => {
    context.fillStyle = colour
    context.fillRect(at, 0, 1, 1)
  })
  return new Uint32Array(context.getImageData(0, 0, palette.length, 1).data.buffer)
}
