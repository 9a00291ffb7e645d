/** The order of the table's rows. */

import { type Edge, errorShare } from './graph.ts'

export type Column = 'caller' | 'callee' | 'kind' | 'calls' | 'errors' | 'p50' | 'p95' | 'p99'

export interface Order {
  column: Column
  isDescending: boolean
}

const VALUES: Readonly<Record<Column, (edge: Edge) => string | number>> = {
  caller: ({ caller }) => caller.name,
  callee: ({ callee }) => callee.name,
  kind: ({ kind }) => kind,
  calls: ({ calls }) => calls,
  errors: errorShare,
  p50: ({ p50Nano }) => p50Nano,
  p95: ({ p95Nano }) => p95Nano,
  p99: ({ p99Nano }) => p99Nano,
}

/** Equal ones stay in the order in which they came. */
export function sorted(edges: readonly Edge[], { column, isDescending }: Order): Edge[] {
  const value = VALUES[column]
  const sign = isDescending ? -1 : 1
  return edges.toSorted((one, other) => sign * compared(value(one), value(other)))
}

function compared(one: string | number, other: string | number): number {
  if (typeof one === 'string') return one.localeCompare(String(other))
  return one - Number(other)
}

/** What another click on a column does: figures begin with the largest, names with the first. */
export function reordered(order: Order, column: Column): Order {
  if (order.column === column) return { column, isDescending: !order.isDescending }
  return { column, isDescending: !['caller', 'callee', 'kind'].includes(column) }
}
