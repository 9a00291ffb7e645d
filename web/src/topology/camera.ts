/** Which part of the picture the canvas shows: moving, zooming about a point, fitting. */

/** The point of the picture at the canvas's left top, and pixels per unit. */
export interface Camera {
  x: number
  y: number
  zoom: number
}

export interface Point {
  x: number
  y: number
}

export interface Size {
  width: number
  height: number
}

export interface Bounds {
  left: number
  top: number
  right: number
  bottom: number
}

const ZOOM_MIN = 0.02
const ZOOM_MAX = 3
/** What fits is not blown up. */
const FIT_ZOOM_MAX = 1.1
const PADDING = 28

export function toScreen(camera: Camera, { x, y }: Point): Point {
  return { x: (x - camera.x) * camera.zoom, y: (y - camera.y) * camera.zoom }
}

export function toPicture(camera: Camera, { x, y }: Point): Point {
  return { x: camera.x + x / camera.zoom, y: camera.y + y / camera.zoom }
}

/** By pixels: a positive `dx` shows what is further right. */
export function moved(camera: Camera, dx: number, dy: number): Camera {
  return { ...camera, x: camera.x + dx / camera.zoom, y: camera.y + dy / camera.zoom }
}

/** What is under `at`, a point of the canvas, stays there. */
export function zoomed(camera: Camera, factor: number, at: Point): Camera {
  const zoom = Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, camera.zoom * factor))
  const fixed = toPicture(camera, at)
  return { x: fixed.x - at.x / zoom, y: fixed.y - at.y / zoom, zoom }
}

/** All of `bounds`, in the middle. */
export function fitted(bounds: Bounds, size: Size): Camera {
  const width = Math.max(1, bounds.right - bounds.left)
  const height = Math.max(1, bounds.bottom - bounds.top)
  const zoom = Math.min(
    FIT_ZOOM_MAX,
    Math.max(
      ZOOM_MIN,
      Math.min((size.width - 2 * PADDING) / width, (size.height - 2 * PADDING) / height),
    ),
  )
  const middle = { x: (bounds.left + bounds.right) / 2, y: (bounds.top + bounds.bottom) / 2 }
  return centred({ x: 0, y: 0, zoom }, middle, size)
}

export function centred(camera: Camera, point: Point, size: Size): Camera {
  return {
    ...camera,
    x: point.x - size.width / 2 / camera.zoom,
    y: point.y - size.height / 2 / camera.zoom,
  }
}

/** Moved no further than needed for `bounds` to be in view. */
export function revealing(camera: Camera, bounds: Bounds, size: Size): Camera {
  const shift = (from: number, to: number, low: number, high: number) =>
    from < low ? from - low : to > high ? Math.min(to - high, from - low) : 0
  const margin = PADDING / camera.zoom
  const right = camera.x + size.width / camera.zoom
  const bottom = camera.y + size.height / camera.zoom
  return {
    ...camera,
    x: camera.x + shift(bounds.left, bounds.right, camera.x + margin, right - margin),
    y: camera.y + shift(bounds.top, bounds.bottom, camera.y + margin, bottom - margin),
  }
}

/** `x,y,zoom` as the address has it. */
export function cameraText({ x, y, zoom }: Camera): string {
  return [Math.round(x), Math.round(y), Number(zoom.toPrecision(3))].join()
}

export function cameraIn(text: string | undefined): Camera | undefined {
  const [x = Number.NaN, y = Number.NaN, zoom = Number.NaN] = (text ?? '').split(',').map(Number)
  const isCamera = Number.isFinite(x + y) && zoom >= ZOOM_MIN && zoom <= ZOOM_MAX
  return isCamera ? { x, y, zoom } : undefined
}
