/** A canvas of the width it is given, on which one drags; what is chosen is laid over it. */

import { useEffect, useRef, useState } from 'preact/hooks'

export const HEIGHT = 190
/** What lies around the plot, in pixels: all charts have the same, so that their times stand below each other. */
export const LEFT = 66
export const RIGHT = 22
export const BOTTOM = 24
export const TOP = 8

export interface Box {
  left: number
  top: number
  width: number
  height: number
}

/** In pixels of the canvas. */
export type Rectangle = Box

export function Canvas({
  label,
  drawKey,
  draw,
  rectangles,
  onMove,
  onDrag,
}: {
  label: string
  /** Names everything that `draw` depends on but the size. */
  drawKey: readonly unknown[]
  draw: (context: CanvasRenderingContext2D, box: Box) => void
  /** What is laid over it: of what is chosen, of what the pointer is on. */
  rectangles: (box: Box) => { kind: 'chosen' | 'over'; at: Rectangle }[]
  /** Pixels of the canvas; undefined when the pointer has left. */
  onMove: (place: [number, number] | undefined, box: Box) => void
  /** Two corners; the same for a click. */
  onDrag: (from: [number, number], to: [number, number], box: Box) => void
}) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const [width, setWidth] = useState(0)
  const [drag, setDrag] = useState<{ from: [number, number]; to: [number, number] }>()
  useEffect(() => {
    const element = canvas.current
    if (!element) return
    const observer = new ResizeObserver(([entry]) =>
      setWidth(Math.round(entry?.contentRect.width ?? 0)),
    )
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  const box: Box = {
    left: LEFT,
    top: TOP,
    width: Math.max(1, width - LEFT - RIGHT),
    height: HEIGHT - TOP - BOTTOM,
  }
  useEffect(() => {
    const element = canvas.current
    const context = element?.getContext('2d')
    if (!element || !context || !width) return
    const ratio = devicePixelRatio || 1
    element.width = Math.round(width * ratio)
    element.height = Math.round(HEIGHT * ratio)
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    draw(context, box)
  }, [width, ...drawKey])
  const placeOf = (event: PointerEvent): [number, number] => [
    Math.min(box.left + box.width, Math.max(box.left, event.offsetX)),
    Math.min(box.top + box.height, Math.max(box.top, event.offsetY)),
  ]
  const laid = rectangles(box).map(({ kind, at }) => ({ kind: kind as string, at }))
  if (drag) laid.push({ kind: 'chosen', at: rectangleOf(drag.from, drag.to) })
  return (
    <div class="canvas">
      <canvas
        ref={canvas}
        role="img"
        aria-label={label}
        style={{ height: `${HEIGHT}px` }}
        onPointerDown={(event) => {
          if (event.button !== 0) return
          event.currentTarget.setPointerCapture(event.pointerId)
          setDrag({ from: placeOf(event), to: placeOf(event) })
        }}
        onPointerMove={(event) => {
          onMove(placeOf(event), box)
          if (drag) setDrag({ from: drag.from, to: placeOf(event) })
        }}
        onPointerLeave={() => onMove(undefined, box)}
        onPointerCancel={() => setDrag(undefined)}
        onPointerUp={(event) => {
          setDrag(undefined)
          if (drag) onDrag(drag.from, placeOf(event), box)
        }}
      />
      {width > 0 &&
        laid.map(({ kind, at }, index) => (
          <i
            key={`${kind} ${index}`}
            class={`laid ${kind}`}
            style={{
              left: `${at.left}px`,
              top: `${at.top}px`,
              width: `${at.width}px`,
              height: `${at.height}px`,
            }}
          />
        ))}
    </div>
  )
}

export function rectangleOf(one: [number, number], other: [number, number]): Rectangle {
  return {
    left: Math.min(one[0], other[0]),
    top: Math.min(one[1], other[1]),
    width: Math.abs(one[0] - other[0]),
    height: Math.abs(one[1] - other[1]),
  }
}
