/** Texts on a canvas: how wide they are, and shortened where there is no room. */

const TEXTS_MAX = 20_000
const widths = new Map<string, number>()
const shorter = new Map<string, string>()

export function widthOf(context: CanvasRenderingContext2D, text: string): number {
  return kept(widths, `${context.font}\n${text}`, () => context.measureText(text).width)
}

/** As much of it as there is room for. */
export function shortened(context: CanvasRenderingContext2D, text: string, room: number): string {
  if (widthOf(context, text) <= room) return text
  const pixels = Math.floor(room)
  return kept(shorter, `${context.font}\n${pixels}\n${text}`, () => {
    const letters = [...text.slice(0, 200)]
    let [low, high] = [0, letters.length - 1]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (context.measureText(withoutMiddle(letters, middle)).width <= pixels) low = middle
      else high = middle - 1
    }
    return withoutMiddle(letters, low)
  })
}

/** Names that begin alike differ at the end. */
function withoutMiddle(letters: readonly string[], count: number): string {
  const head = Math.ceil(count / 2)
  const tail = letters.slice(letters.length - (count - head))
  return `${letters.slice(0, head).join('')}…${tail.join('')}`
}

function kept<T>(cache: Map<string, T>, key: string, found: () => T): T {
  const known = cache.get(key)
  if (known !== undefined) return known
  if (cache.size >= TEXTS_MAX) cache.clear()
  const value = found()
  cache.set(key, value)
  return value
}
