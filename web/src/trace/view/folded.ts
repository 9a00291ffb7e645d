/**
 * What is folded, as the fragment says it: `3.1k.a` are numbers in base 36; after `!` stand those that are not.
 *
 * Numbers rather than span ids: a trace of the same spans has the same rows, and the fragment stays short.
 */

const WRITTEN_MAX = 200
const EXCEPT = '!'

/** '' if none is, or if neither those that are nor the others are few enough to be written. */
export function foldedText(
  count: number,
  isFoldable: (at: number) => boolean,
  isFolded: (at: number) => boolean,
): string {
  const folded: string[] = []
  const others: string[] = []
  for (let at = 0; at < count; at++) {
    if (!isFoldable(at)) continue
    const list = isFolded(at) ? folded : others
    if (list.length <= WRITTEN_MAX) list.push(at.toString(36))
    if (folded.length > WRITTEN_MAX && others.length > WRITTEN_MAX) return ''
  }
  if (folded.length === 0) return ''
  if (folded.length <= WRITTEN_MAX && folded.length <= others.length) return folded.join('.')
  if (others.length <= WRITTEN_MAX) return EXCEPT + others.join('.')
  return folded.length <= WRITTEN_MAX ? folded.join('.') : ''
}

export function foldedIn(
  text: string,
  count: number,
  isFoldable: (at: number) => boolean,
): Uint8Array {
  const isExcept = text.startsWith(EXCEPT)
  const marks = new Uint8Array(count)
  if (isExcept) for (let at = 0; at < count; at++) marks[at] = isFoldable(at) ? 1 : 0
  for (const part of text.slice(isExcept ? 1 : 0).split('.')) {
    const at = Number.parseInt(part, 36)
    if (at >= 0 && at < count && isFoldable(at)) marks[at] = isExcept ? 0 : 1
  }
  return marks
}
