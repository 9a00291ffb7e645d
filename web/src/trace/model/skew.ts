/**
 * Clock skew: a child of another service that lies outside its parent was timed by another clock.
 *
 * It is shown as it was sent; this says by how much to move it, with all below it of the same service, if somebody asks
 * for that: to begin with its parent if it is longer, else to lie in its middle. The same rule as Jaeger's.
 */

import type { TraceColumns } from '../protocol.ts'

type Times = Pick<TraceColumns, 'count' | 'start' | 'duration' | 'parent' | 'service' | 'kind'>

const PRODUCER = 4
const CONSUMER = 5

export function clockShifts({
  count,
  start,
  duration,
  parent,
  service,
  kind,
}: Times): Float64Array {
  const shifts = new Float64Array(count)
  for (let row = 0; row < count; row++) {
    const above = parent[row] ?? -1
    if (above < 0) continue
    if (service[row] === service[above]) {
      shifts[row] = shifts[above] ?? 0
      continue
    }
    const parentStart = (start[above] ?? 0) + (shifts[above] ?? 0)
    const parentDuration = duration[above] ?? 0
    const own = duration[row] ?? 0
    const inherited = (start[row] ?? 0) + (shifts[above] ?? 0)
    const isWithin = (at: number) => at >= parentStart && at + own <= parentStart + parentDuration
    // A message may wait in its queue long after it was sent.
    const isMessage = kind[row] === CONSUMER || kind[above] === PRODUCER
    // What only outlives its parent, as asynchronous work does, began at a moment that both agree on.
    const isLater = (at: number) =>
      at >= parentStart && (isMessage || at <= parentStart + parentDuration)
    if (isWithin(start[row] ?? 0) || isLater(start[row] ?? 0)) shifts[row] = 0
    else if (isLater(inherited)) shifts[row] = shifts[above] ?? 0
    else {
      const wanted = own >= parentDuration ? parentStart : parentStart + (parentDuration - own) / 2
      shifts[row] = wanted - (start[row] ?? 0)
    }
  }
  return shifts
}
