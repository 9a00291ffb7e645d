/** What a pointer does on the graph: it hovers, clicks, pans and zooms. */

import { useEffect, useRef } from 'preact/hooks'
import type { Point } from './camera.ts'
import type { Hit } from './scene.ts'

/** A press that moves no further is a click. */
const CLICK_PIXELS = 4
const WHEEL_ZOOM = 0.0016
const WHEEL_LINE_PIXELS = 18

interface PointerActs {
  at: (point: Point) => Hit | undefined
  hover: (hit: Hit | undefined, at: Point) => void
  click: (hit: Hit | undefined) => void
  pan: (dx: number, dy: number) => void
  zoom: (factor: number, at: Point) => void
}

export function usePointer(canvas: { current: HTMLCanvasElement | null }, acts: PointerActs): void {
  const newest = useRef(acts)
  newest.current = acts
  useEffect(() => {
    const element = canvas.current
    if (!element) return
    let press: { from: Point; last: Point; isDrag: boolean } | undefined
    const down = (event: PointerEvent) => {
      if (event.button !== 0) return
      element.setPointerCapture(event.pointerId)
      const from = pointOf(event)
      press = { from, last: from, isDrag: false }
    }
    const over = (event: PointerEvent) => {
      const at = pointOf(event)
      if (!press) return newest.current.hover(newest.current.at(at), at)
      press.isDrag ||= Math.hypot(at.x - press.from.x, at.y - press.from.y) > CLICK_PIXELS
      if (press.isDrag) {
        newest.current.hover(undefined, at)
        newest.current.pan(at.x - press.last.x, at.y - press.last.y)
        press.last = at
      }
    }
    const up = (event: PointerEvent) => {
      if (press && !press.isDrag) newest.current.click(newest.current.at(pointOf(event)))
      press = undefined
    }
    const cancel = () => {
      press = undefined
    }
    const leave = () => newest.current.hover(undefined, { x: 0, y: 0 })
    const wheel = (event: WheelEvent) => {
      event.preventDefault()
      const pixels = event.deltaY * (event.deltaMode === 1 ? WHEEL_LINE_PIXELS : 1)
      // A pinch on a touchpad comes as small steps with the Control key.
      const speed = event.ctrlKey ? WHEEL_ZOOM * 5 : WHEEL_ZOOM
      newest.current.zoom(Math.exp(-pixels * speed), pointOf(event))
    }
    const listeners = {
      pointerdown: down,
      pointermove: over,
      pointerup: up,
      pointercancel: cancel,
      pointerleave: leave,
      wheel,
    }
    for (const [name, listener] of Object.entries(listeners)) {
      element.addEventListener(name, listener as EventListener, { passive: false })
    }
    return () => {
      for (const [name, listener] of Object.entries(listeners)) {
        element.removeEventListener(name, listener as EventListener)
      }
    }
  }, [])
}

function pointOf({ offsetX, offsetY }: MouseEvent): Point {
  return { x: offsetX, y: offsetY }
}
