/** The whole trace at a glance: every span a line, drawn once; the window, the hits and the crosshair over it. */

import { duration as durationText } from '../../language/format.ts'
import { type Colours, colourOf } from '../../theme/tokens.ts'
import { Flag, type Trace } from '../protocol.ts'
import { ticks } from './scale.ts'

const HANDLE_PIXELS = 6
const AXIS_PIXELS = 16
const DRAG_PIXELS_MIN = 3

export interface MapShown {
  trace: Trace
  range: readonly [number, number]
  hits: Uint32Array
  adjustsClocks: boolean
  colours: Colours
  /** First and last place in sight of the list, as shares. */
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
  private drawn = ''
  private pointer: number | undefined
  private drag: Drag | undefined

  constructor(
    private readonly place: HTMLElement,
    private readonly zoom: (from: number, to: number) => void,
    private readonly reset: () => void,
  ) {
    this.canvas.setAttribute('aria-hidden', 'true')
    place.replaceChildren(this.canvas)
    this.observer = new ResizeObserver(() => this.draw())
    this.observer.observe(place)
    this.canvas.addEventListener('pointerdown', (event) => this.press(event))
    this.canvas.addEventListener('pointermove', (event) => this.move(event))
    this.canvas.addEventListener('pointerup', (event) => this.release(event))
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
    this.shown = shown
    this.draw()
  }

  private press(event: PointerEvent): void {
    if (!this.shown) return
    this.canvas.setPointerCapture(event.pointerId)
    const at = event.offsetX
    const [left, right] = this.window()
    const isZoomed = right - left < this.place.clientWidth - 1
    const kind =
      isZoomed && Math.abs(at - left) < HANDLE_PIXELS
        ? 'left'
        : isZoomed && Math.abs(at - right) < HANDLE_PIXELS
          ? 'right'
          : isZoomed && at > left && at < right
            ? 'pan'
            : 'zoom'
    this.drag = { kind, from: at, range: this.shown.range }
  }

  private move(event: PointerEvent): void {
    this.pointer = event.offsetX
    const { drag, shown } = this
    if (drag && shown && drag.kind !== 'zoom') {
      const by = this.nano(event.offsetX) - this.nano(drag.from)
      const [from, to] = drag.range
      if (drag.kind === 'pan') this.zoom(from + by, to + by)
      else if (drag.kind === 'left') this.zoom(Math.min(from + by, to), to)
      else this.zoom(from, Math.max(to + by, from))
    }
    this.draw()
  }

  private release(event: PointerEvent): void {
    const { drag } = this
    this.drag = undefined
    if (drag?.kind === 'zoom' && Math.abs(event.offsetX - drag.from) >= DRAG_PIXELS_MIN) {
      const ends = [this.nano(drag.from), this.nano(event.offsetX)].sort((a, b) => a - b)
      this.zoom(ends[0] ?? 0, ends[1] ?? 0)
    }
    this.draw()
  }

  private whole(): number {
    return Math.max(1, this.shown?.trace.head.durationNano ?? 1)
  }

  private nano(x: number): number {
    return (x / Math.max(1, this.place.clientWidth)) * this.whole()
  }

  private window(): [number, number] {
    const [from, to] = this.shown?.range ?? [0, 1]
    const scale = this.place.clientWidth / this.whole()
    return [from * scale, to * scale]
  }

  private draw(): void {
    const { shown } = this
    const [width, height] = [this.place.clientWidth, this.place.clientHeight]
    if (!shown || !width || !height) return
    const ratio = devicePixelRatio || 1
    this.drawPicture(shown, width, height, ratio)
    if (this.canvas.width !== this.picture.width || this.canvas.height !== this.picture.height) {
      this.canvas.width = this.picture.width
      this.canvas.height = this.picture.height
    }
    const context = this.canvas.getContext('2d', { alpha: false })
    if (!context) return
    context.setTransform(1, 0, 0, 1, 0, 0)
    context.drawImage(this.picture, 0, 0)
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    this.drawOver(context, shown, width, height)
  }

  /** Only when something of it is another: a hundred thousand spans are not drawn with each move of the pointer. */
  private drawPicture(
    { trace, adjustsClocks, colours }: MapShown,
    width: number,
    height: number,
    ratio: number,
  ): void {
    const key = `${trace.head.traceId} ${trace.columns.count} ${width} ${height} ${ratio} ${adjustsClocks} ${colours.paper} ${colours.services[0]}`
    if (key === this.drawn) return
    this.drawn = key
    this.picture.width = Math.round(width * ratio)
    this.picture.height = Math.round(height * ratio)
    const context = this.picture.getContext('2d', { alpha: false })
    if (!context) return
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    context.fillStyle = colours['paper-raised']
    context.fillRect(0, 0, width, height)
    const { columns, head } = trace
    const scale = width / this.whole()
    const room = height - AXIS_PIXELS
    const thickness = Math.max(1, Math.min(4, room / columns.count))
    const fills = head.services.map(
      ({ name }) => colours.services[colourOf(name)] ?? colours.accent,
    )
    for (let row = 0; row < columns.count; row++) {
      const left =
        ((columns.start[row] ?? 0) + (adjustsClocks ? (columns.shift[row] ?? 0) : 0)) * scale
      const isError = ((columns.flags[row] ?? 0) & Flag.ERROR) !== 0
      context.fillStyle = isError
        ? colours.error
        : (fills[columns.service[row] ?? 0] ?? colours.accent)
      const wide = Math.max(1, (columns.duration[row] ?? 0) * scale)
      context.fillRect(
        left,
        AXIS_PIXELS + (room * row) / columns.count,
        wide,
        isError ? Math.max(2, thickness) : thickness,
      )
    }
    context.font = `11px ${colours.font}`
    context.textBaseline = 'middle'
    for (const tick of ticks(0, this.whole(), width / 120)) {
      context.fillStyle = colours.line
      context.fillRect(Math.round(tick * scale), 0, 1, height)
      context.fillStyle = colours['text-quiet']
      context.fillText(durationText(tick), tick * scale + 4, AXIS_PIXELS / 2)
    }
  }

  private drawOver(
    context: CanvasRenderingContext2D,
    shown: MapShown,
    width: number,
    height: number,
  ): void {
    const { colours, trace, hits, sight } = shown
    const [left, right] = this.window()
    context.fillStyle = colours.shade
    context.fillRect(0, 0, left, height)
    context.fillRect(right, 0, width - right, height)
    if (right - left < width - 1) {
      context.fillStyle = colours.accent
      context.fillRect(left - 1, 0, 2, height)
      context.fillRect(right - 1, 0, 2, height)
    }
    const room = height - AXIS_PIXELS
    context.fillStyle = colours.accent
    for (const row of hits)
      context.fillRect(width - 6, AXIS_PIXELS + (room * row) / trace.columns.count, 6, 1.5)
    context.fillStyle = colours['line-strong']
    context.fillRect(0, AXIS_PIXELS + room * sight[0], 3, Math.max(3, room * (sight[1] - sight[0])))
    if (this.drag?.kind === 'zoom' && this.pointer !== undefined) {
      context.fillStyle = colours.shade
      context.fillRect(
        Math.min(this.drag.from, this.pointer),
        0,
        Math.abs(this.pointer - this.drag.from),
        height,
      )
    }
    if (this.pointer !== undefined)
      this.drawCrosshair(context, colours, this.pointer, width, height)
  }

  private drawCrosshair(
    context: CanvasRenderingContext2D,
    colours: Colours,
    x: number,
    width: number,
    height: number,
  ): void {
    const text = durationText(this.nano(x))
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
