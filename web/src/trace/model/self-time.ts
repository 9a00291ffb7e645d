/** Self time: how long a span runs while none of its children does. */

import type { TraceColumns } from '../protocol.ts'

type Times = Pick<TraceColumns, 'count' | 'start' | 'duration' | 'subtree'>

export function selfTimes({ count, start, duration, subtree }: Times): Float64Array {
  const self = new Float64Array(count)
  for (let row = 0; row < count; row++) {
    const from = start[row] ?? 0
    const to = from + (duration[row] ?? 0)
    const end = row + (subtree[row] ?? 1)
    // Children come by start: what is covered grows to the right.
    let covered = 0
    let reached = from
    for (let child = row + 1; child < end; child += subtree[child] ?? 1) {
      const childStart = Math.max(reached, start[child] ?? 0)
      const childEnd = Math.min(to, (start[child] ?? 0) + (duration[child] ?? 0))
      if (childEnd > childStart) {
        covered += childEnd - childStart
        reached = childEnd
      }
    }
    self[row] = to - from - covered
  }
  return self
}
