/** The canvas with the graph, and beside it, for the keyboard, a list of the same nodes. */

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { duration } from '../language/format.ts'
import { language } from '../language/language.ts'
import { percent, rate } from '../language/numbers.ts'
import { Icon } from '../parts/icon.tsx'
import { useKeys } from '../parts/keys.ts'
import { colours } from '../theme/tokens.ts'
import {
  type Camera,
  cameraIn,
  cameraText,
  centred,
  fitted,
  moved,
  type Point,
  revealing,
  type Size,
  toPicture,
  zoomed,
} from './camera.ts'
import { errorShare, type Graph, type Node, workOf } from './graph.ts'
import { looksOf, rateText } from './looks.ts'
import { say } from './messages.ts'
import type { Shown } from './narrow.ts'
import { draw } from './picture.ts'
import { usePointer } from './pointer.ts'
import { boxOf, type Hit, hitAt, neighbour, type Scene, type Step } from './scene.ts'

const ZOOM_STEP = 1.3
const PAN_PIXELS = 80
const REACH_PIXELS = 7
const ADDRESS_MILLISECONDS = 400
const PANEL_WIDTH = 480

export interface GraphProps {
  graph: Graph
  shown: Shown
  scene: Scene
  /** A change of it fits the picture anew; new figures, or a call more, leave it where it is. */
  fitKey: string
  /** A key of a node or an edge. */
  selected: string
  found: ReadonlySet<string> | undefined
  /** What to bring to the middle: a new object each time. */
  wanted: { key: string } | undefined
  /** As the address has it. */
  camera: string | undefined
  onCamera: (text: string | undefined) => void
  onSelect: (key: string) => void
}

export function GraphCanvas(props: GraphProps) {
  const { graph, shown, scene, fitKey, selected, found, wanted } = props
  const canvas = useRef<HTMLCanvasElement>(null)
  const [size, setSize] = useState<Size>({ width: 0, height: 0 })
  const [hover, setHover] = useState<{ hit: Hit; at: Point }>()
  const [current, setCurrent] = useState('')
  const palette = colours.value
  const tongue = language.value
  const looks = useMemo(() => looksOf(shown, graph), [shown, graph, tongue])
  const hovered = hover && keyOf(hover.hit)
  const lit = useMemo(
    () => litKeys(scene, hovered || current || selected) ?? found,
    [scene, hovered, current, selected, found],
  )
  const { camera, setCamera, fitAll } = useCamera(props, size)
  useEffect(() => {
    const element = canvas.current
    if (!element) return
    const observer = new ResizeObserver(([entry]) => {
      if (entry) setSize({ width: entry.contentRect.width, height: entry.contentRect.height })
    })
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  const redraw = useRef(() => {})
  redraw.current = () => {
    const context = canvas.current?.getContext('2d')
    if (!context || !canvas.current || size.width === 0) return
    const ratio = devicePixelRatio || 1
    const width = Math.round(size.width * ratio)
    const height = Math.round(size.height * ratio)
    if (canvas.current.width !== width) canvas.current.width = width
    if (canvas.current.height !== height) canvas.current.height = height
    const marks = { lit, selected, current }
    draw(context, { scene, looks, marks, camera: camera.current, size, colours: palette }, ratio)
    markDrawn()
  }
  const frame = useRef(0)
  const later = () => {
    cancelAnimationFrame(frame.current)
    frame.current = requestAnimationFrame(() => redraw.current())
  }
  const move = (next: Camera) => {
    setCamera(next)
    later()
  }
  useEffect(() => redraw.current(), [scene, looks, lit, selected, current, size, palette, fitKey])
  useEffect(() => () => cancelAnimationFrame(frame.current), [])
  useEffect(() => {
    const placed = wanted && scene.nodeOf.get(wanted.key)
    if (placed) move(centred(zoomedIn(camera.current, size), placed, size))
  }, [wanted])
  // The panel must not hide what it is about.
  useEffect(() => {
    const placed = scene.nodeOf.get(selected)
    const width = size.width > 2 * PANEL_WIDTH ? size.width - PANEL_WIDTH : size.width
    if (!placed || width === 0) return
    const next = revealing(camera.current, boxOf(placed), { ...size, width })
    if (cameraText(next) !== cameraText(camera.current)) move(next)
  }, [selected, size.width > 0])
  const middle = { x: size.width / 2, y: size.height / 2 }
  const zoomBy = (factor: number) => move(zoomed(camera.current, factor, middle))
  const refit = () => {
    fitAll()
    later()
  }
  useGraphKeys(zoomBy, refit, (x, y) => move(moved(camera.current, x * PAN_PIXELS, y * PAN_PIXELS)))
  usePointer(canvas, {
    at: (point) =>
      hitAt(scene, toPicture(camera.current, point), REACH_PIXELS / camera.current.zoom),
    hover: (hit, at) => setHover(hit && { hit, at }),
    click: (hit) => props.onSelect(hit ? keyOf(hit) : ''),
    pan: (dx, dy) => move(moved(camera.current, -dx, -dy)),
    zoom: (factor, at) => move(zoomed(camera.current, factor, at)),
  })
  const show = (node: Node | undefined) => {
    const placed = node && scene.nodeOf.get(node.key)
    setCurrent(node?.key ?? '')
    if (placed) move(revealing(camera.current, boxOf(placed), size))
  }
  return (
    <div class="graph-main">
      <canvas
        ref={canvas}
        role="img"
        aria-label={say().label(shown.nodes.length, shown.edges.length)}
        data-over={hover ? 'true' : undefined}
      />
      {hover && <Tooltip {...hover} graph={graph} size={size} />}
      <GraphButtons zoomBy={zoomBy} refit={refit} />
      <NodeList graph={graph} scene={scene} onCurrent={show} onOpen={props.onSelect} />
    </div>
  )
}

function GraphButtons({ zoomBy, refit }: { zoomBy: (factor: number) => void; refit: () => void }) {
  const buttons = [
    { icon: 'plus', label: say().zoomIn, key: '+', act: () => zoomBy(ZOOM_STEP) },
    { icon: 'minus', label: say().zoomOut, key: '−', act: () => zoomBy(1 / ZOOM_STEP) },
    { icon: 'reset', label: say().fit, key: '0', act: refit },
  ] as const
  return (
    <div class="graph-buttons">
      {buttons.map(({ icon, label, key, act }) => (
        <button
          key={icon}
          type="button"
          class="icon"
          aria-label={label}
          title={`${label} (${key})`}
          onClick={act}
        >
          <Icon name={icon} />
        </button>
      ))}
    </div>
  )
}

function keyOf(hit: Hit): string {
  return 'node' in hit ? hit.node.key : hit.edge.key
}

/** A node with its calls and who is at their other ends; an edge with its ends. */
function litKeys({ edges, nodeOf, edgeOf }: Scene, key: string): Set<string> | undefined {
  if (!nodeOf.has(key) && !edgeOf.has(key)) return undefined
  const found = new Set([key])
  for (const { edge } of edges) {
    if (edge.key !== key && edge.caller.key !== key && edge.callee.key !== key) continue
    for (const each of [edge, edge.caller, edge.callee]) found.add(each.key)
  }
  return found
}

/** Close enough to read a name. */
function zoomedIn(camera: Camera, size: Size): Camera {
  const middle = { x: size.width / 2, y: size.height / 2 }
  return camera.zoom < 0.7 ? zoomed(camera, 0.8 / camera.zoom, middle) : camera
}

let isDrawn = false

function markDrawn(): void {
  if (isDrawn) return
  isDrawn = true
  performance.mark('clew:topology-drawn')
}

/** The camera moves with the pointer, many times between two renderings: it is no state. */
function useCamera(props: GraphProps, size: Size) {
  const { scene, fitKey, selected, onCamera } = props
  const camera = useRef<Camera>({ x: 0, y: 0, zoom: 1 })
  const fittedFor = useRef<{ key: string; scene: Scene } | undefined>(undefined)
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  const setCamera = (next: Camera) => {
    camera.current = next
    clearTimeout(timer.current)
    timer.current = setTimeout(() => onCamera(cameraText(next)), ADDRESS_MILLISECONDS)
  }
  const fitAll = () => {
    camera.current = fitted(scene.bounds, size)
    clearTimeout(timer.current)
    onCamera(undefined)
  }
  useEffect(() => () => clearTimeout(timer.current), [])
  // Before anything is drawn with it.
  const before = fittedFor.current
  if (size.width > 0 && (before?.key !== fitKey || before.scene !== scene)) {
    const remembered = before ? undefined : cameraIn(props.camera)
    if (before?.key === fitKey)
      camera.current = following(before.scene, scene, selected, camera, size)
    else camera.current = remembered ?? fitted(scene.bounds, size)
    if (before && before.key !== fitKey) clearTimeout(timer.current)
    fittedFor.current = { key: fitKey, scene }
  }
  return { camera, setCamera, fitAll }
}

/** Where the picture was laid out anew, what is selected, or else what is nearest to the middle, stays in its place. */
function following(
  before: Scene,
  now: Scene,
  selected: string,
  { current }: { current: Camera },
  size: Size,
): Camera {
  const middle = toPicture(current, { x: size.width / 2, y: size.height / 2 })
  const away = ({ x, y }: Point) => Math.hypot(x - middle.x, y - middle.y)
  const kept = before.nodes.filter(({ node }) => now.nodeOf.has(node.key))
  const anchor =
    kept.find(({ node }) => node.key === selected) ??
    kept.sort((one, other) => away(one) - away(other))[0]
  const placed = anchor && now.nodeOf.get(anchor.node.key)
  if (!anchor || !placed) return fitted(now.bounds, size)
  return { ...current, x: current.x + placed.x - anchor.x, y: current.y + placed.y - anchor.y }
}

function useGraphKeys(
  zoomBy: (factor: number) => void,
  fit: () => void,
  pan: (x: number, y: number) => void,
): void {
  useKeys({
    title: () => say().keys,
    keys: [
      { keys: ['+', '='], label: () => say().zoomIn, act: () => zoomBy(ZOOM_STEP) },
      { keys: ['-', '−'], label: () => say().zoomOut, act: () => zoomBy(1 / ZOOM_STEP) },
      { keys: ['0'], label: () => say().fit, act: fit },
      {
        keys: ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'],
        label: () => say().keyPan,
        act: ({ key }) =>
          pan(
            Number(key === 'ArrowRight') - Number(key === 'ArrowLeft'),
            Number(key === 'ArrowDown') - Number(key === 'ArrowUp'),
          ),
      },
    ],
  })
}

const STEPS: Readonly<Record<string, Step>> = {
  ArrowRight: 'callee',
  ArrowLeft: 'caller',
  ArrowUp: 'above',
  ArrowDown: 'below',
}

/** Tab comes here, arrows go along calls, Enter opens; the canvas shows where one is. */
function NodeList({
  graph,
  scene,
  onCurrent,
  onOpen,
}: {
  graph: Graph
  scene: Scene
  onCurrent: (node: Node | undefined) => void
  onOpen: (key: string) => void
}) {
  const list = useRef<HTMLUListElement>(null)
  const nodes = useMemo(
    () => [...scene.nodes].sort((one, other) => one.x - other.x || one.y - other.y),
    [scene],
  )
  // Where the keyboard was last is where Tab comes back to.
  const [last, setLast] = useState('')
  const entry = scene.nodeOf.has(last) ? last : nodes[0]?.node.key
  const step = (event: KeyboardEvent, node: Node) => {
    const where = STEPS[event.key]
    if (!where || event.ctrlKey || event.altKey || event.metaKey) return
    event.preventDefault()
    const next = neighbour(scene, node, where)
    const at = nodes.findIndex((placed) => placed.node.key === next?.key)
    list.current?.querySelectorAll<HTMLElement>('button')[at]?.focus()
  }
  return (
    <ul ref={list} class="visually-hidden" aria-label={say().nodes}>
      {nodes.map(({ node }) => (
        <li key={node.key}>
          <button
            type="button"
            tabIndex={node.key === entry ? 0 : -1}
            onFocus={() => {
              setLast(node.key)
              onCurrent(node)
            }}
            onBlur={() => onCurrent(undefined)}
            onKeyDown={(event) => step(event, node)}
            onClick={() => onOpen(node.key)}
          >
            <bdi>{node.name}</bdi> {say().nodeKind(node.kind)}, {rateText(node, graph.seconds)}
            {workOf(node).errors > 0 && `, ${say().errors} ${percent(errorShare(workOf(node)))}`}
          </button>
        </li>
      ))}
    </ul>
  )
}

const TOOLTIP_WIDTH = 300
const TOOLTIP_HEIGHT = 80

function Tooltip({ hit, at, graph, size }: { hit: Hit; at: Point; graph: Graph; size: Size }) {
  const place = {
    left: `${Math.max(0, Math.min(at.x + 14, size.width - TOOLTIP_WIDTH))}px`,
    top: `${at.y > size.height - TOOLTIP_HEIGHT ? at.y - TOOLTIP_HEIGHT : at.y + 16}px`,
  }
  if ('node' in hit) {
    const { node } = hit
    const work = workOf(node)
    return (
      <div class="graph-tooltip" style={place}>
        <strong>
          <bdi>{node.name.slice(0, 200)}</bdi>
        </strong>{' '}
        <span class="quiet">{say().nodeKind(node.kind)}</span>
        <br />
        {rateText(node, graph.seconds)} · {say().errors} {percent(errorShare(work))}
      </div>
    )
  }
  const { edge } = hit
  return (
    <div class="graph-tooltip" style={place}>
      <strong>
        <bdi>{edge.caller.name.slice(0, 100)}</bdi> → <bdi>{edge.callee.name.slice(0, 100)}</bdi>
      </strong>{' '}
      <span class="quiet">{say().kind(edge.kind)}</span>
      <br />
      {rate(edge.calls / graph.seconds)} · {say().errors} {percent(errorShare(edge))} · p50{' '}
      {duration(edge.p50Nano)} · p95 {duration(edge.p95Nano)} · p99 {duration(edge.p99Nano)}
    </div>
  )
}
