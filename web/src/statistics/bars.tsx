/** Bars: the distribution of durations, and errors by operation. */

import type { Series } from '../api/answers.ts'
import { duration, number, percent } from '../language/format.ts'
import { Icon } from '../parts/icon.tsx'
import { say } from './messages.ts'
import type { Bucket } from './series.ts'
import { boundsOf, merged, shareOfErrors } from './series.ts'

const BARS_MAX = 40

export function Distribution({
  buckets,
  onChoose,
}: {
  buckets: Bucket[]
  onChoose: (low: number, high: number) => void
}) {
  const bounds = boundsOf(buckets, BARS_MAX)
  const counts = merged(buckets, bounds)
  const most = Math.max(1, ...counts)
  return (
    <section class="chart">
      <h2>{say().distribution}</h2>
      <div class="bars">
        {counts.map((count, at) => {
          const [low, high] = [bounds[at] ?? 0, bounds[at + 1] ?? 0]
          const text = `${say().ofDurations(duration(low), duration(high))}: ${number(count)}`
          return (
            <button
              key={low}
              type="button"
              class="plain bar"
              title={text}
              aria-label={text}
              disabled={!count}
              onClick={() => onChoose(low, high)}
            >
              <i style={{ height: `${(count / most) * 100}%` }} />
            </button>
          )
        })}
      </div>
      <div class="bars-axis number quiet">
        {bounds.length > 0 && <span>{duration(bounds[0] ?? 0)}</span>}
        {bounds.length > 4 && <span>{duration(bounds[Math.floor(bounds.length / 2)] ?? 0)}</span>}
        {bounds.length > 0 && <span>{duration(bounds[bounds.length - 1] ?? 0)}</span>}
      </div>
    </section>
  )
}

const OPERATIONS_MAX = 8

export function ErrorsByOperation({
  series,
  onChoose,
}: {
  series: readonly Series[]
  onChoose: (series: Series) => void
}) {
  const failing = series
    .filter(({ total }) => total.errors > 0)
    .sort((a, b) => b.total.errors - a.total.errors)
  const most = failing[0]?.total.errors ?? 1
  return (
    <section class="chart">
      <h2>{say().errorsByOperation}</h2>
      {failing.length === 0 && <p class="quiet">{say().noErrors}</p>}
      <ul class="error-bars">
        {failing.slice(0, OPERATIONS_MAX).map((each) => (
          <li key={`${each.span_name} ${each.kind}`}>
            <button type="button" class="plain" onClick={() => onChoose(each)}>
              <span class="error-name">
                <Icon name="error" size={13} /> <bdi>{each.span_name}</bdi>
              </span>
              <span class="error-bar">
                <i style={{ width: `${(each.total.errors / most) * 100}%` }} />
                <span class="number">
                  {number(each.total.errors)} · {percent(shareOfErrors(each.total))}
                </span>
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  )
}
