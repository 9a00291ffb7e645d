/** Which operations fail most. */

import type { Series } from '../api/answers.ts'
import { number, percent } from '../language/numbers.ts'
import { Icon } from '../parts/icon.tsx'
import { say } from './messages.ts'
import { shareOfErrors } from './series.ts'

const OPERATIONS_MAX = 5

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
      {failing.length === 0 && (
        <p class="no-errors quiet">
          <Icon name="check" /> {say().noErrors}
        </p>
      )}
      <ul class="error-bars">
        {failing.slice(0, OPERATIONS_MAX).map((each) => (
          <li key={`${each.span_name} ${each.kind}`}>
            <button type="button" class="plain" onClick={() => onChoose(each)}>
              <span class="error-name">
                <Icon name="error" size={13} /> <bdi>{each.span_name}</bdi>{' '}
                <span class="quiet">{say().kinds(each.kind)}</span>
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
      {failing.length > OPERATIONS_MAX && (
        <p class="quiet">{say().moreFail(failing.length - OPERATIONS_MAX)}</p>
      )}
    </section>
  )
}

export function ErrorShare({ share }: { share: number }) {
  if (share === 0) return <>{percent(0)}</>
  return (
    <span class="error-text">
      <Icon name="error" size={12} /> {percent(share)}
    </span>
  )
}
