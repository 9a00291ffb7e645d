/** Repeated siblings: five or more children of one span with the same service and name. */

import { Flag, type SiblingGroup, type TraceColumns } from '../protocol.ts'
import { grouped } from './grouped.ts'

const SIBLINGS_MIN = 5

export function siblingGroups(columns: TraceColumns): SiblingGroup[] {
  const groups: SiblingGroup[] = []
  for (let row = 0; row < columns.count; row++) {
    if ((columns.subtree[row] ?? 1) > SIBLINGS_MIN) groups.push(...groupsBelow(columns, row))
  }
  return groups
}

function groupsBelow(columns: TraceColumns, parent: number): SiblingGroup[] {
  const children: number[] = []
  const end = parent + (columns.subtree[parent] ?? 1)
  for (let child = parent + 1; child < end; child += columns.subtree[child] ?? 1) {
    children.push(child)
  }
  if (children.length < SIBLINGS_MIN) return []
  const byKind = grouped(
    children,
    (child) => (columns.name[child] ?? 0) * 65_536 + (columns.service[child] ?? 0),
  )
  return [...byKind.values()]
    .filter((rows) => rows.length >= SIBLINGS_MIN)
    .map((rows) => {
      const durations = rows.map((row) => columns.duration[row] ?? 0)
      return {
        parent,
        rows: Uint32Array.from(rows),
        errorCount: rows.filter((row) => (columns.flags[row] ?? 0) & Flag.ERROR).length,
        totalNano: durations.reduce((sum, each) => sum + each, 0),
        maxNano: durations.reduce((high, each) => Math.max(high, each), 0),
      }
    })
}
