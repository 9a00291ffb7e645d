/** OTLP's exponential histograms of durations: joined, coarsened, asked for quantiles. */

import type { Histogram } from '../api/answers.ts'

/** Counts by duration: number i holds what lies in (bound(i), bound(i + 1)]. */
export interface Buckets {
  /** 2^scale buckets for each doubling. */
  scale: number
  /** The first bucket's index; those that follow have the next. */
  first: number
  counts: number[]
}

/** A duration of nothing lies in (…, 1 ns]. */
const ZERO_INDEX = -1

/** Nanoseconds at which bucket i begins; of `counts.length`, at which the last ends. */
export function bound({ scale, first }: Buckets, i: number): number {
  return 2 ** ((first + i) / 2 ** scale)
}

/** All histograms as one of at most `most` buckets: neighbours join two by two, which keeps every bound exact. */
export function joined(histograms: readonly Histogram[], most: number): Buckets {
  const scale = Math.min(...histograms.map((each) => each.scale))
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const each of histograms) {
    for (const [index] of entries(each, scale)) {
      low = Math.min(low, index)
      high = Math.max(high, index)
    }
  }
  if (low > high) return { scale: 0, first: 0, counts: [] }
  let coarser = 0
  while ((high >> coarser) - (low >> coarser) >= most) coarser++
  const empty: Buckets = {
    scale: scale - coarser,
    first: low >> coarser,
    counts: new Array<number>((high >> coarser) - (low >> coarser) + 1).fill(0),
  }
  return { ...empty, counts: countsIn(empty, histograms) }
}

/** The histograms' counts in the buckets of another, which is no finer and no narrower. */
export function countsIn(
  { scale, first, counts }: Buckets,
  histograms: readonly Histogram[],
): number[] {
  const found = new Array<number>(counts.length).fill(0)
  for (const each of histograms) {
    for (const [index, count] of entries(each, scale)) {
      found[index - first] = (found[index - first] ?? 0) + count
    }
  }
  return found
}

/** Index at that scale, and count, of each bucket that has any. */
function* entries({ scale: own, zeroCount, positive }: Histogram, scale: number) {
  const shift = own - scale
  const zero = Number(zeroCount)
  if (zero > 0) yield [ZERO_INDEX, zero] as const
  for (const [at, text] of positive.bucketCounts.entries()) {
    const count = Number(text)
    if (count > 0) yield [(positive.offset + at) >> shift, count] as const
  }
}

/** Nanoseconds in the middle of the bucket in which the quantile lies; undefined without calls. */
export function quantile(buckets: Buckets, share: number): number | undefined {
  const wanted = share * sum(buckets.counts)
  let passed = 0
  for (const [i, count] of buckets.counts.entries()) {
    passed += count
    if (count > 0 && passed >= wanted) return middle(buckets, i)
  }
  return undefined
}

/** Nanoseconds of all calls together, about. */
export function total(buckets: Buckets): number {
  return buckets.counts.reduce((time, count, i) => time + count * middle(buckets, i), 0)
}

function middle(buckets: Buckets, i: number): number {
  return Math.sqrt(bound(buckets, i) * bound(buckets, i + 1))
}

export function sum(values: readonly number[]): number {
  return values.reduce((before, each) => before + each, 0)
}
