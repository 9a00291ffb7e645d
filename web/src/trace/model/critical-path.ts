/**
 * The critical path: at each moment, the span that the whole was waiting for.
 *
 * From the root's end backwards: the child that ended last before this moment was waited for; where there is none, the
 * span itself was at work; at its start, go on in its parent. Children count as far as they lie within their parent.
 * As Jaeger UI's (CriticalPath/index.tsx), but that a child which ends exactly where the next begins was waited for, too:
 * clocks of milliseconds let many touch. tests/golden/critical_path.json has cases.
 */

import { Flag, type TraceColumns } from '../protocol.ts'

type Times = Pick<TraceColumns, 'count' | 'start' | 'duration' | 'subtree' | 'flags'>

export interface Path {
  /** In time order. */
  row: Uint32Array
  from: Float64Array
  to: Float64Array
  missing?: 'several_roots' | 'no_duration'
}

const NONE = { row: new Uint32Array(0), from: new Float64Array(0), to: new Float64Array(0) }

export function criticalPath(columns: Times): Path {
  const root = onlyRoot(columns)
  if (root < 0) return { ...NONE, missing: 'several_roots' }
  if (!columns.duration[root]) return { ...NONE, missing: 'no_duration' }
  const sections = walk(columns, root).reverse()
  return {
    row: Uint32Array.from(sections, ([row]) => row),
    from: Float64Array.from(sections, ([, from]) => from),
    to: Float64Array.from(sections, ([, , to]) => to),
  }
}

/** The one root, or the one that names no absent parent; -1 if there are several. */
function onlyRoot({ count, subtree, flags }: Times): number {
  const roots: number[] = []
  for (let row = 0; row < count; row += subtree[row] ?? 1) roots.push(row)
  if (roots.length === 1) return roots[0] ?? -1
  const whole = roots.filter((row) => !((flags[row] ?? 0) & (Flag.MISSING_PARENT | Flag.CYCLE)))
  return whole.length === 1 ? (whole[0] ?? -1) : -1
}

type Section = [row: number, from: number, to: number]

interface Visit {
  row: number
  from: number
  /** Children by falling end, within the parent; the next one to look at. */
  children: Uint32Array
  ends: Float64Array
  next: number
}

function walk(columns: Times, root: number): Section[] {
  const sections: Section[] = []
  const start = columns.start[root] ?? 0
  const stack = [visit(columns, root, start, start + (columns.duration[root] ?? 0))]
  let bound = start + (columns.duration[root] ?? 0)
  const add = (row: number, from: number, to: number) => {
    if (to > from) sections.push([row, from, to])
  }
  while (stack.length) {
    const at = stack[stack.length - 1] as Visit
    while (at.next < at.children.length && (at.ends[at.next] ?? 0) > bound) at.next++
    const child = at.children[at.next]
    if (child === undefined) {
      add(at.row, at.from, bound)
      bound = Math.min(bound, at.from)
      stack.pop()
      continue
    }
    const end = at.ends[at.next] ?? 0
    at.next++
    add(at.row, end, bound)
    bound = end
    stack.push(visit(columns, child, Math.max(at.from, columns.start[child] ?? 0), end))
  }
  return sections
}

function visit({ start, duration, subtree }: Times, row: number, from: number, to: number): Visit {
  const found: [child: number, end: number][] = []
  const last = row + (subtree[row] ?? 1)
  for (let child = row + 1; child < last; child += subtree[child] ?? 1) {
    const childStart = Math.max(from, start[child] ?? 0)
    const childEnd = Math.min(to, (start[child] ?? 0) + (duration[child] ?? 0))
    if (childEnd > childStart) found.push([child, childEnd])
  }
  found.sort((a, b) => b[1] - a[1] || a[0] - b[0])
  return {
    row,
    from,
    children: Uint32Array.from(found, ([child]) => child),
    ends: Float64Array.from(found, ([, end]) => end),
    next: 0,
  }
}
