/** The operations of a service: each a span name and a kind. */

import type { Figures, Series, StatisticsAnswer } from '../api/answers.ts'
import { duration } from '../language/format.ts'
import { number, percent, rate } from '../language/numbers.ts'
import { ErrorShare } from './errors.tsx'
import { say } from './messages.ts'
import { orderIn, shareOfErrors, sharesOfTime, sorted } from './series.ts'
import { SortHead } from './sortable.tsx'

const OPERATIONS_MAX = 200

export function Operations({
  answer: { series, other, folded },
  sort,
  chosen,
  choose,
}: {
  answer: StatisticsAnswer
  /** Of the address. */
  sort: string | undefined
  chosen: Series | undefined
  choose: (series: Series | undefined) => void
}) {
  const order = orderIn(sort, 'time')
  const shares = sharesOfTime(series)
  const values: Record<string, (each: Series) => number | string> = {
    name: (each) => each.span_name,
    kind: (each) => say().kinds(each.kind),
    calls: (each) => each.total.calls,
    errors: (each) => shareOfErrors(each.total),
    p50: (each) => Number(each.total.p50_nano),
    p95: (each) => Number(each.total.p95_nano),
    p99: (each) => Number(each.total.p99_nano),
    time: (each) => shares.get(each) ?? 0,
  }
  const shown = sorted(series, order, values[order.column] ?? (() => 0)).slice(0, OPERATIONS_MAX)
  return (
    <section class="operations">
      <h2>{say().operations}</h2>
      <div class="wide-table">
        <table>
          <thead>
            <tr>
              <SortHead column="name" order={order} isText>
                {say().operation}
              </SortHead>
              <SortHead column="kind" order={order} isText>
                {say().kind}
              </SortHead>
              <SortHead column="calls" order={order}>
                {say().callCount}
              </SortHead>
              <th class="number">{say().rate}</th>
              <SortHead column="errors" order={order}>
                {say().errorShare}
              </SortHead>
              {(['p50', 'p95', 'p99'] as const).map((each) => (
                <SortHead key={each} column={each} order={order}>
                  {each}
                </SortHead>
              ))}
              <SortHead column="time" order={order} title={say().timeShareHint}>
                {say().timeShare}
              </SortHead>
            </tr>
          </thead>
          <tbody>
            {shown.map((each) => (
              <tr key={`${each.span_name} ${each.kind}`} data-chosen={each === chosen}>
                <td>
                  <button
                    type="button"
                    class="plain link"
                    aria-pressed={each === chosen}
                    onClick={() => choose(each === chosen ? undefined : each)}
                  >
                    <bdi>{each.span_name.slice(0, 200)}</bdi>
                  </button>
                </td>
                <td class="quiet">{say().kinds(each.kind)}</td>
                <Cells figures={each.total} />
                <td class="number">
                  <span class="time-share">
                    <i style={{ width: `${(shares.get(each) ?? 0) * 100}%` }} />
                  </span>{' '}
                  <span class="time-share-text">{percent(shares.get(each) ?? 0)}</span>
                </td>
              </tr>
            ))}
            {other && (
              <tr>
                <td>
                  <em>{say().other}</em>
                </td>
                <td />
                <Cells figures={other} />
                <td />
              </tr>
            )}
          </tbody>
        </table>
      </div>
      {series.length > shown.length && (
        <p class="quiet">{say().ofOperations(shown.length, series.length)}</p>
      )}
      {folded.renamed_calls > 0 && <p class="quiet">{say().renamed(folded.renamed_calls)}</p>}
      {folded.other_calls > 0 && <p class="quiet">{say().inOther(folded.other_calls)}</p>}
    </section>
  )
}

function Cells({ figures }: { figures: Figures }) {
  return (
    <>
      <td class="number">{number(figures.calls)}</td>
      <td class="number">{rate(figures.rate)}</td>
      <td class="number">
        <ErrorShare share={shareOfErrors(figures)} />
      </td>
      <td class="number">{duration(Number(figures.p50_nano))}</td>
      <td class="number">{duration(Number(figures.p95_nano))}</td>
      <td class="number">{duration(Number(figures.p99_nano))}</td>
    </>
  )
}
