/** The graph on a canvas: what of it is in view, as small or as large as it is. */

import { PATHS } from '../parts/icon.tsx'
import type { Colours } from '../theme/tokens.ts'
import { type Bounds, type Camera, type Point, type Size, toPicture, toScreen } from './camera.ts'
import type { Node, NodeKind } from './graph.ts'
import { NODE_HEIGHT, NODE_WIDTH } from './layout.ts'
import { type ErrorLevel, LEVEL_ICONS } from './scale.ts'
import { boxOf, overlap, type PlacedEdge, type PlacedNode, type Scene } from './scene.ts'
import { shortened, widthOf } from './texts.ts'

/** What is written and how, worked out once for many drawings. */
export interface NodeLook {
  /** Of the service colours. */
  colour: number
  level: ErrorLevel
  rate: string
  errors: string
}

export interface EdgeLook {
  width: number
  level: ErrorLevel
  label: string
}

export interface Looks {
  nodes: ReadonlyMap<string, NodeLook>
  edges: ReadonlyMap<string, EdgeLook>
}

/** Keys of nodes and edges. Where something is lit, all else is dim. */
export interface Marks {
  lit: ReadonlySet<string> | undefined
  selected: string
  /** Where the keyboard is. */
  current: string
}

export interface Drawing {
  scene: Scene
  looks: Looks
  marks: Marks
  camera: Camera
  size: Size
  colours: Colours
}

const TWO_LINES_ZOOM_MIN = 0.7
const NAME_ZOOM_MIN = 0.3
const LABEL_ZOOM_MIN = 0.8
const MARK_ZOOM_MIN = 0.38
const ARROW_ZOOM_MIN = 0.15
const LIT_LABELS_MAX = 40
/** So far away that names do not fit into nodes, those of the busiest stand beside them. */
const LANDMARKS_MAX = 40
const DIM = 0.2
/** Of more edges than these all but the busiest are hairlines, which cost half as much. */
const CROWD_EDGES_MIN = 400
const CROWD_WIDTH_MIN = 4.5
const ICONS: Readonly<Partial<Record<NodeKind, keyof typeof PATHS>>> = {
  database: 'database',
  queue: 'queue',
  external: 'external',
}

export function draw(context: CanvasRenderingContext2D, drawing: Drawing, ratio: number): void {
  const { scene, camera, size } = drawing
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  context.clearRect(0, 0, size.width, size.height)
  context.textBaseline = 'middle'
  context.lineJoin = 'round'
  const view = viewOf(camera, size)
  const edges = scene.edges.filter(({ bounds }) => overlap(bounds, view))
  const nodes = scene.nodes.filter((placed) => overlap(boxOf(placed), view))
  drawEdges(context, drawing, edges, ratio)
  for (const placed of nodes) drawNode(context, drawing, placed)
  context.globalAlpha = 1
  if (camera.zoom < NAME_ZOOM_MIN) drawLandmarks(context, drawing, nodes)
  drawLabels(context, drawing, edges)
}

function viewOf(camera: Camera, { width, height }: Size): Bounds {
  const end = toPicture(camera, { x: width, y: height })
  return { left: camera.x, top: camera.y, right: end.x, bottom: end.y }
}

function isDim({ marks }: Drawing, key: string): boolean {
  return marks.lit !== undefined && !marks.lit.has(key)
}

interface EdgeGroup {
  edges: PlacedEdge[]
  level: ErrorLevel
  /** In units of the picture. */
  width: number
  isDim: boolean
  isMessage: boolean
}

/** Lines of one look are one path: a stroke costs more than a curve. */
function drawEdges(
  context: CanvasRenderingContext2D,
  drawing: Drawing,
  edges: readonly PlacedEdge[],
  ratio: number,
): void {
  const { camera, colours, looks } = drawing
  const { zoom } = camera
  const pixels = Math.min(1.15, Math.max(0.3, zoom))
  const isCrowded = edges.length > CROWD_EDGES_MIN
  const groups = new Map<string, EdgeGroup>()
  for (const placed of edges) {
    const look = looks.edges.get(placed.edge.key)
    if (!look) continue
    const dim = isDim(drawing, placed.edge.key)
    const isHair = isCrowded && look.width < CROWD_WIDTH_MIN
    const width = isHair ? 1 / ratio : look.width * pixels
    const isMessage = placed.edge.kind === 'messaging'
    const name = `${dim ? 0 : 1} ${look.level} ${width} ${isMessage}`
    const group = groups.get(name) ?? {
      edges: [],
      level: look.level,
      width: width / zoom,
      isDim: dim,
      isMessage,
    }
    group.edges.push(placed)
    groups.set(name, group)
  }
  const scale = ratio * zoom
  context.setTransform(scale, 0, 0, scale, -camera.x * scale, -camera.y * scale)
  // The dim ones below, those with errors above.
  for (const [, group] of [...groups].sort(([one], [other]) => (one < other ? -1 : 1))) {
    const { level, width, isMessage } = group
    context.globalAlpha = group.isDim ? DIM : 1
    context.strokeStyle = levelColour(level, colours)
    context.fillStyle = context.strokeStyle
    context.lineWidth = width
    context.setLineDash(isMessage ? [3 * width + 4, 2 * width + 3] : [])
    const arrow = zoom < ARROW_ZOOM_MIN ? 0 : (5 * pixels) / zoom + 1.2 * width
    context.beginPath()
    for (const { points } of group.edges) traceCurve(context, points, arrow)
    context.stroke()
    context.setLineDash([])
    if (arrow === 0) continue
    context.beginPath()
    for (const { points } of group.edges) traceArrow(context, points, arrow)
    context.fill()
  }
  context.globalAlpha = 1
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
}

function traceCurve(context: CanvasRenderingContext2D, points: Float64Array, arrow: number): void {
  const last = points.length - 2
  context.moveTo(points[0] ?? 0, points[1] ?? 0)
  for (let at = 0; at < last; at += 2) {
    const [x1 = 0, y1 = 0, end = 0, y2 = 0] = points.subarray(at, at + 4)
    const x2 = at + 2 === last ? end - Math.sign(end - x1) * arrow * 0.8 : end
    context.bezierCurveTo((x1 + x2) / 2, y1, (x1 + x2) / 2, y2, x2, y2)
  }
}

function traceArrow(context: CanvasRenderingContext2D, points: Float64Array, arrow: number): void {
  const [before = 0, , x = 0, y = 0] = points.subarray(-4)
  const base = x - Math.sign(x - before) * arrow
  context.moveTo(x, y)
  context.lineTo(base, y - arrow * 0.45)
  context.lineTo(base, y + arrow * 0.45)
}

function levelColour(level: ErrorLevel, colours: Colours): string {
  return level === 'none' ? colours['line-strong'] : colours[level === 'some' ? 'warning' : 'error']
}

function drawNode(context: CanvasRenderingContext2D, drawing: Drawing, placed: PlacedNode): void {
  const { camera, colours, looks, marks } = drawing
  const { node } = placed
  const look = looks.nodes.get(node.key)
  if (!look) return
  const { zoom } = camera
  const { left, top } = boxOf(placed)
  const { x, y } = toScreen(camera, { x: left, y: top })
  const [width, height] = [NODE_WIDTH * zoom, NODE_HEIGHT * zoom]
  const isSelected = marks.selected === node.key
  const colour = colours.services[look.colour] ?? colours.accent
  context.globalAlpha = isDim(drawing, node.key) ? DIM : 1
  traceShape(context, node.kind, x, y, width, height)
  context.fillStyle = isSelected ? colours['paper-selected'] : colours['paper-raised']
  if (zoom < NAME_ZOOM_MIN && node.kind === 'service') context.fillStyle = colour
  context.fill()
  context.strokeStyle =
    look.level === 'none'
      ? isSelected
        ? colours.accent
        : colours['line-strong']
      : levelColour(look.level, colours)
  context.lineWidth = isSelected || look.level === 'many' ? 2 : 1
  context.setLineDash(node.kind === 'external' ? [5, 3] : [])
  context.stroke()
  context.setLineDash([])
  if (marks.current === node.key) drawRing(context, x, y, width, height, colours)
  if (zoom >= NAME_ZOOM_MIN) drawTexts(context, drawing, node, look, { x, y })
}

function drawRing(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  width: number,
  height: number,
  colours: Colours,
): void {
  context.beginPath()
  context.roundRect(x - 5, y - 5, width + 10, height + 10, 10)
  context.strokeStyle = colours.focus
  context.lineWidth = 2.5
  context.stroke()
}

/** Each kind has a shape of its own: a box, a drum, a pipe, a box of dashes. */
function traceShape(
  context: CanvasRenderingContext2D,
  kind: NodeKind,
  x: number,
  y: number,
  width: number,
  height: number,
): void {
  context.beginPath()
  if (kind === 'database') {
    const lid = height * 0.09
    context.moveTo(x, y + lid)
    context.ellipse(x + width / 2, y + lid, width / 2, lid, 0, Math.PI, 0)
    context.lineTo(x + width, y + height - lid)
    context.ellipse(x + width / 2, y + height - lid, width / 2, lid, 0, 0, Math.PI)
    context.closePath()
    context.moveTo(x + width, y + lid)
    context.ellipse(x + width / 2, y + lid, width / 2, lid, 0, 0, Math.PI)
  } else {
    const radius = kind === 'queue' ? height / 2 : kind === 'external' ? 0 : height * 0.18
    context.roundRect(x, y, width, height, radius)
  }
}

function drawTexts(
  context: CanvasRenderingContext2D,
  { camera: { zoom }, colours }: Drawing,
  { name, kind }: Node,
  look: NodeLook,
  { x, y }: Point,
): void {
  const hasTwo = zoom >= TWO_LINES_ZOOM_MIN
  const middle = y + (NODE_HEIGHT / 2) * zoom + (kind === 'database' ? 3 * zoom : 0)
  const size = half(hasTwo ? Math.max(12, 13 * zoom) : Math.max(9.5, 14 * zoom))
  const inset = (kind === 'queue' ? 14 : 9) * zoom
  const mark = Math.max(9, 13 * zoom)
  const icon = ICONS[kind]
  if (icon) {
    drawIcon(context, icon, x + inset, middle - mark / 2, mark, colours['text-quiet'])
  } else {
    const side = mark * 0.8
    context.beginPath()
    context.roundRect(x + inset, middle - side / 2, side, side, 2)
    context.fillStyle = colours.services[look.colour] ?? colours.accent
    context.fill()
  }
  const left = x + inset + mark + 5 * zoom
  const room = x + NODE_WIDTH * zoom - inset / 2 - left
  context.textAlign = 'left'
  context.fillStyle = colours.text
  context.font = `600 ${size}px ${colours.font}`
  const nameY = hasTwo ? middle - 8 * zoom : middle
  context.fillText(shortened(context, name, room), left, nameY)
  if (!hasTwo) return
  const small = half(Math.max(10.5, 11 * zoom))
  context.font = `${small}px ${colours.font}`
  context.fillStyle = colours['text-quiet']
  const second = middle + 9 * zoom
  context.fillText(look.rate, left, second)
  if (look.level === 'none') return
  const after = left + widthOf(context, look.rate) + 8 * zoom
  const colour = levelColour(look.level, colours)
  drawIcon(context, LEVEL_ICONS[look.level], after, second - small / 2 - 0.5, small, colour)
  context.fillStyle = colour
  const end = after + small + 3 + widthOf(context, look.errors)
  if (end < left + room) context.fillText(look.errors, after + small + 3, second)
}

/** Sizes of which there are few, so that measured widths can be kept. */
function half(pixels: number): number {
  return Math.round(pixels * 2) / 2
}

function drawLandmarks(
  context: CanvasRenderingContext2D,
  drawing: Drawing,
  nodes: readonly PlacedNode[],
): void {
  const { camera, colours, marks } = drawing
  const taken: Bounds[] = []
  const lit = nodes.filter(({ node }) => marks.lit?.has(node.key) || marks.current === node.key)
  const candidates = lit.length > 0 ? lit : nodes
  context.font = `600 11px ${colours.font}`
  context.textAlign = 'center'
  for (const placed of candidates.slice(0, LANDMARKS_MAX * 4)) {
    const { x, y } = toScreen(camera, placed)
    const text = shortened(context, placed.node.name, 130)
    const width = widthOf(context, text)
    const box = { left: x - width / 2 - 3, top: y - 8, right: x + width / 2 + 3, bottom: y + 8 }
    if (taken.some((each) => overlap(each, box))) continue
    drawPill(context, box, colours)
    context.fillStyle = colours.text
    context.fillText(text, x, y)
    if (taken.push(box) >= LANDMARKS_MAX) return
  }
}

/** p95, and icons of errors and messages: at the middle of an edge, where there is room. */
function drawLabels(
  context: CanvasRenderingContext2D,
  drawing: Drawing,
  edges: readonly PlacedEdge[],
): void {
  const { camera, colours, looks, marks, size } = drawing
  const taken: Bounds[] = []
  const isLit = ({ edge }: PlacedEdge) => marks.lit?.has(edge.key) ?? false
  const isChosen = edges.filter(isLit).length <= LIT_LABELS_MAX
  context.font = `11px ${colours.font}`
  context.textAlign = 'left'
  for (const placed of edges) {
    const look = looks.edges.get(placed.edge.key)
    if (!look || isDim(drawing, placed.edge.key)) continue
    const hasText = camera.zoom >= LABEL_ZOOM_MIN || (isLit(placed) && isChosen)
    const icons = [
      placed.edge.kind === 'messaging' ? ('queue' as const) : undefined,
      LEVEL_ICONS[look.level],
    ].filter((icon) => icon !== undefined)
    if (!hasText && (camera.zoom < MARK_ZOOM_MIN || icons.length === 0)) continue
    const text = hasText ? look.label : ''
    const { x, y } = toScreen(camera, placed.middle)
    const width = (text ? widthOf(context, text) : 0) + icons.length * 14 + 6
    const box = { left: x - width / 2, top: y - 8, right: x + width / 2, bottom: y + 8 }
    if (!overlap(box, { left: 0, top: 0, right: size.width, bottom: size.height })) continue
    if (taken.some((each) => overlap(each, box))) continue
    taken.push(box)
    drawPill(context, box, colours)
    let left = box.left + 3
    for (const icon of icons) {
      const colour = icon === 'queue' ? colours['text-quiet'] : levelColour(look.level, colours)
      drawIcon(context, icon, left, y - 6, 12, colour)
      left += 14
    }
    context.fillStyle = look.level === 'none' ? colours.text : levelColour(look.level, colours)
    context.fillText(text, left, y)
  }
}

function drawPill(context: CanvasRenderingContext2D, box: Bounds, colours: Colours): void {
  context.globalAlpha = 0.9
  context.beginPath()
  context.roundRect(box.left, box.top, box.right - box.left, box.bottom - box.top, 4)
  context.fillStyle = colours.paper
  context.fill()
  context.globalAlpha = 1
}

const icons = new Map<string, Path2D>()

function drawIcon(
  context: CanvasRenderingContext2D,
  name: keyof typeof PATHS,
  x: number,
  y: number,
  size: number,
  colour: string,
): void {
  const path = icons.get(name) ?? new Path2D(PATHS[name])
  icons.set(name, path)
  const scale = size / 16
  context.save()
  context.translate(x, y)
  context.scale(scale, scale)
  context.strokeStyle = colour
  context.lineWidth = 1.5
  context.lineCap = 'round'
  context.stroke(path)
  context.restore()
}
