/** Sorting many numbers at once: comparing two at a time takes a third of the time of building a trace. */

const BITS = 16
const DIGITS = 2 ** BITS

/** Places of `keys` by rising key, equal keys in their own order. Keys are whole, and at least 0. A radix sort. */
export function orderOf(keys: Float64Array): Uint32Array {
  let order = Uint32Array.from(keys.keys())
  let sorted = new Uint32Array(keys.length)
  const highest = keys.reduce((high, key) => Math.max(high, key), 0)
  for (let unit = 1; unit <= highest; unit *= DIGITS) {
    const next = new Uint32Array(DIGITS + 1)
    const digits = keys.map((key) => Math.floor(key / unit) % DIGITS)
    for (const digit of digits) next[digit + 1] = (next[digit + 1] ?? 0) + 1
    for (let at = 1; at < next.length; at++) next[at] = (next[at] ?? 0) + (next[at - 1] ?? 0)
    for (let at = 0; at < order.length; at++) {
      const place = order[at] ?? 0
      const digit = digits[place] ?? 0
      const to = next[digit] ?? 0
      sorted[to] = place
      next[digit] = to + 1
    }
    ;[order, sorted] = [sorted, order]
  }
  return order
}
