/** The graph on a canvas: moved and zoomed by the pointer, drawn only where it is seen. */

import type { Edge } from '../api/answers.ts'
import { duration, percent, rate } from '../language/format.ts'
import { type Colours, colourOf } from '../theme/tokens.ts'
import { edgeWidth, errorShare, type Graph, type NodeKind } from './graph.ts'
import { type Curve, distance, isIn, type Layout, type Placed } from './layout.ts'

export const NODE_HEIGHT = 40
const REACH_PIXELS = 8
const ZOOM_MIN = 0.05
const ZOOM_MAX = 3
const LABEL_ZOOM_MIN = 0.75
const TEXT_ZOOM_MIN = 0.28
const ARROW = 8

export interface CanvasShown {
  graph: Graph
  layout: Layout
  seconds: number
  selected: Selected | undefined
  /** A name to mark. */
  marked: string
  colours: Colours
}

export type Selected = { node: string } | { edge: Edge }

const MARKS: Readonly<Record<NodeKind, string>> = {
  service: '',
  database: '⛁',
  queue: '☰',
  external: '↗',
}

export function nodeWidth(name: string): number {
  return Math.min(280, 56 + name.length * 8)
}

export class GraphCanvas {
  private shown: CanvasShown | undefined
  private scale = 1
  private offset = { x: 0, y: 0 }
  private isFitted = false
  private drag: { x: number; y: number; moved: boolean } | undefined
  private over: Selected | undefined
  private edges = new Map<string, Edge>()
  private most = 1
  private readonly observer = new ResizeObserver(() => this.resize())

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly select: (selected: Selected | undefined) => void,
  ) {
    this.observer.observe(canvas)
    canvas.addEventListener('pointerdown', this.press)
    canvas.addEventListener('pointermove', this.move)
    canvas.addEventListener('pointerup', this.release)
    canvas.addEventListener('wheel', this.wheel, { passive: false })
  }

  close(): void {
    this.observer.disconnect()
  }

  show(shown: CanvasShown): void {
    const isOther = shown.layout !== this.shown?.layout
    this.shown = shown
    this.edges = new Map(shown.graph.edges.map((edge) => [`${edge.caller}\n${edge.callee}`, edge]))
    this.most = shown.graph.edges.reduce((high, edge) => Math.max(high, edge.calls), 1)
    if (isOther) this.isFitted = false
    this.resize()
  }

  fit(): void {
    const { layout } = this.shown ?? {}
    if (!layout) return
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight]
    this.scale = Math.max(
      ZOOM_MIN,
      Math.min(
        1.15,
        (width - 30) / Math.max(1, layout.width),
        (height - 30) / Math.max(1, layout.height),
      ),
    )
    this.offset = {
      x: (width - layout.width * this.scale) / 2,
      y: (height - layout.height * this.scale) / 2,
    }
    this.isFitted = true
    this.draw()
  }

  zoomBy(factor: number, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2): void {
    const next = Math.max(ZOOM_MIN, Math.min(ZOOM_MAX, this.scale * factor))
    this.offset = {
      x: x - ((x - this.offset.x) * next) / this.scale,
      y: y - ((y - this.offset.y) * next) / this.scale,
    }
    this.scale = next
    this.draw()
  }

  pan(x: number, y: number): void {
    this.offset = { x: this.offset.x + x, y: this.offset.y + y }
    this.draw()
  }

  centre(name: string): void {
    const node = this.shown?.layout.nodes.find((each) => each.name === name)
    if (!node) return
    this.scale = Math.max(this.scale, 0.8)
    this.offset = {
      x: this.canvas.clientWidth / 2 - node.x * this.scale,
      y: this.canvas.clientHeight / 2 - node.y * this.scale,
    }
    this.draw()
  }

  private readonly press = (event: PointerEvent) => {
    this.canvas.setPointerCapture(event.pointerId)
    this.drag = { x: event.offsetX, y: event.offsetY, moved: false }
  }

  private readonly move = (event: PointerEvent) => {
    const { drag } = this
    if (!drag) {
      const over = this.at(event.offsetX, event.offsetY)
      this.canvas.style.cursor = over ? 'pointer' : 'grab'
      if (!isSame(over, this.over)) {
        this.over = over
        this.draw()
      }
      return
    }
    const [x, y] = [event.offsetX - drag.x, event.offsetY - drag.y]
    if (!drag.moved && Math.hypot(x, y) < 4) return
    this.drag = { x: event.offsetX, y: event.offsetY, moved: true }
    this.pan(x, y)
  }

  private readonly release = (event: PointerEvent) => {
    const { drag } = this
    this.drag = undefined
    if (drag && !drag.moved) this.select(this.at(event.offsetX, event.offsetY))
  }

  private readonly wheel = (event: WheelEvent) => {
    event.preventDefault()
    this.zoomBy(1.0015 ** -event.deltaY, event.offsetX, event.offsetY)
  }

  private at(x: number, y: number): Selected | undefined {
    const { layout } = this.shown ?? {}
    if (!layout) return undefined
    const [gx, gy] = [(x - this.offset.x) / this.scale, (y - this.offset.y) / this.scale]
    const node = layout.nodes.find((each) => isIn(each, gx, gy))
    if (node) return { node: node.name }
    const reach = REACH_PIXELS / this.scale
    let best: { curve: Curve; distance: number } | undefined
    for (const curve of layout.curves) {
      const found = distance(curve, gx, gy)
      if (found <= Math.min(reach, best?.distance ?? reach)) best = { curve, distance: found }
    }
    const edge = best && this.edges.get(`${best.curve.from}\n${best.curve.to}`)
    return edge && { edge }
  }

  private resize(): void {
    if (!this.canvas.clientWidth || !this.shown) return
    if (this.isFitted) this.draw()
    else this.fit()
  }

  private draw(): void {
    const { shown, canvas } = this
    const ratio = devicePixelRatio || 1
    const [width, height] = [canvas.clientWidth, canvas.clientHeight]
    if (
      canvas.width !== Math.round(width * ratio) ||
      canvas.height !== Math.round(height * ratio)
    ) {
      canvas.width = Math.round(width * ratio)
      canvas.height = Math.round(height * ratio)
    }
    const context = canvas.getContext('2d', { alpha: false })
    if (!context || !shown) return
    const { colours } = shown
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    context.fillStyle = colours.paper
    context.fillRect(0, 0, width, height)
    context.translate(this.offset.x, this.offset.y)
    context.scale(this.scale, this.scale)
    const view = {
      left: -this.offset.x / this.scale,
      top: -this.offset.y / this.scale,
      right: (width - this.offset.x) / this.scale,
      bottom: (height - this.offset.y) / this.scale,
    }
    for (const curve of shown.layout.curves)
      if (isCurveSeen(curve, view)) this.drawCurve(context, shown, curve)
    for (const node of shown.layout.nodes) {
      const isSeen =
        node.x + node.width > view.left &&
        node.x - node.width < view.right &&
        node.y + 40 > view.top &&
        node.y - 40 < view.bottom
      if (isSeen) this.drawNode(context, shown, node)
    }
  }

  private isLit(curve: Curve): boolean | undefined {
    const lit = this.over ?? this.shown?.selected
    if (!lit) return undefined
    if ('node' in lit) return curve.from === lit.node || curve.to === lit.node
    return curve.from === lit.edge.caller && curve.to === lit.edge.callee
  }

  private drawCurve(
    context: CanvasRenderingContext2D,
    { colours, seconds }: CanvasShown,
    curve: Curve,
  ): void {
    const edge = this.edges.get(`${curve.from}\n${curve.to}`)
    const [first] = curve.points
    if (!edge || !first) return
    const lit = this.isLit(curve)
    const share = errorShare(edge)
    context.globalAlpha = lit === false ? 0.25 : 1
    context.strokeStyle = share > 0 ? colours.error : lit ? colours.accent : colours['line-strong']
    context.fillStyle = context.strokeStyle
    context.lineWidth = edgeWidth(edge.calls, this.most)
    context.setLineDash(edge.kind === 'messaging' ? [8, 5] : [])
    context.beginPath()
    context.moveTo(first.x, first.y)
    const { points } = curve
    for (let at = 1; at < points.length - 1; at++) {
      const [point, next] = [points[at], points[at + 1]]
      if (!point || !next) continue
      const isLast = at === points.length - 2
      context.quadraticCurveTo(
        point.x,
        point.y,
        isLast ? next.x : (point.x + next.x) / 2,
        isLast ? next.y : (point.y + next.y) / 2,
      )
    }
    const last = points[points.length - 1]
    const before = points[points.length - 2]
    if (points.length === 2 && last) context.lineTo(last.x, last.y)
    context.stroke()
    context.setLineDash([])
    if (last && before) arrow(context, before, last, ARROW + context.lineWidth)
    if (this.scale >= LABEL_ZOOM_MIN || lit)
      this.drawLabel(context, colours, curve, edge, seconds, lit === true)
    context.globalAlpha = 1
  }

  private drawLabel(
    context: CanvasRenderingContext2D,
    colours: Colours,
    { points }: Curve,
    edge: Edge,
    seconds: number,
    isLit: boolean,
  ): void {
    const middle = points[Math.floor(points.length / 2)]
    if (!middle) return
    const share = errorShare(edge)
    const parts = [
      share > 0 ? `⊗ ${percent(share)}` : '',
      duration(Number(edge.p95_nano)),
      isLit ? rate(edge.calls / seconds) : '',
    ]
    const text = parts.filter(Boolean).join(' · ')
    const size = Math.min(16, 11 / Math.min(1, this.scale))
    context.font = `${size}px ${colours.font}`
    context.textAlign = 'center'
    context.textBaseline = 'middle'
    const width = context.measureText(text).width + 8
    context.fillStyle = colours.paper
    context.fillRect(middle.x - width / 2, middle.y - size * 0.75, width, size * 1.5)
    context.fillStyle = share > 0 ? colours.error : colours['text-quiet']
    context.fillText(text, middle.x, middle.y)
  }

  private drawNode(
    context: CanvasRenderingContext2D,
    { graph, colours, selected, marked, seconds }: CanvasShown,
    node: Placed,
  ): void {
    const found = graph.nodes.get(node.name)
    if (!found) return
    const isSelected = selected && 'node' in selected && selected.node === node.name
    const lit = this.over && 'node' in this.over && this.over.node === node.name
    const [left, top] = [node.x - node.width / 2, node.y - node.height / 2]
    const share = errorShare(found)
    context.beginPath()
    context.roundRect(
      left,
      top,
      node.width,
      node.height,
      found.kind === 'service' ? 8 : found.kind === 'database' ? 20 : 2,
    )
    context.fillStyle = isSelected
      ? colours['paper-selected']
      : node.name === marked
        ? colours.mark
        : lit
          ? colours['paper-hover']
          : colours['paper-raised']
    context.fill()
    context.lineWidth = isSelected ? 2.5 : 1.5
    context.strokeStyle = isSelected
      ? colours.accent
      : share > 0
        ? colours.error
        : colours['line-strong']
    context.stroke()
    if (this.scale < TEXT_ZOOM_MIN) return
    context.fillStyle = colours.services[colourOf(node.name)] ?? colours.accent
    context.fillRect(left + 10, top + 9, 10, 10)
    context.textAlign = 'left'
    context.textBaseline = 'middle'
    context.fillStyle = colours.text
    context.font = `600 13px ${colours.font}`
    const room = node.width - 34
    context.fillText(
      fitted(context, `${MARKS[found.kind]} ${node.name}`.trim(), room),
      left + 26,
      top + 14,
    )
    context.font = `11px ${colours.font}`
    context.fillStyle = share > 0 ? colours.error : colours['text-quiet']
    const text = found.calls
      ? `${rate(found.calls / seconds)}${share > 0 ? ` ⊗ ${percent(share)}` : ''}`
      : ''
    context.fillText(fitted(context, text, room), left + 26, top + 29)
  }
}

const widths = new Map<string, string>()

/** The text, cut to a width; measured once. */
function fitted(context: CanvasRenderingContext2D, text: string, width: number): string {
  const key = `${context.font} ${width} ${text}`
  const known = widths.get(key)
  if (known !== undefined) return known
  let found = text.slice(0, 60)
  while (found.length > 1 && context.measureText(found).width > width)
    found = `${found.slice(0, -2)}…`
  if (widths.size > 5_000) widths.clear()
  widths.set(key, found)
  return found
}

function arrow(
  context: CanvasRenderingContext2D,
  from: { x: number; y: number },
  to: { x: number; y: number },
  size: number,
): void {
  const angle = Math.atan2(to.y - from.y, to.x - from.x)
  context.beginPath()
  context.moveTo(to.x, to.y)
  context.lineTo(to.x - size * Math.cos(angle - 0.4), to.y - size * Math.sin(angle - 0.4))
  context.lineTo(to.x - size * Math.cos(angle + 0.4), to.y - size * Math.sin(angle + 0.4))
  context.closePath()
  context.fill()
}

function isCurveSeen(
  { points }: Curve,
  view: { left: number; top: number; right: number; bottom: number },
): boolean {
  const xs = points.map((point) => point.x)
  const ys = points.map((point) => point.y)
  return (
    Math.max(...xs) > view.left &&
    Math.min(...xs) < view.right &&
    Math.max(...ys) > view.top - 20 &&
    Math.min(...ys) < view.bottom + 20
  )
}

function isSame(one: Selected | undefined, other: Selected | undefined): boolean {
  if (!one || !other) return one === other
  if ('node' in one) return 'node' in other && one.node === other.node
  return 'edge' in other && one.edge === other.edge
}
