/** All services in a table, each with its requests over time. */

import type { ServicesAnswer, StatisticsAnswer } from '../api/answers.ts'
import { question } from '../api/server.ts'
import { duration, percent, rate } from '../language/format.ts'
import { useAnswer } from '../parts/answer.ts'
import { Icon } from '../parts/icon.tsx'
import { Service } from '../parts/service.tsx'
import { Loading } from '../parts/states.tsx'
import { hrefTo } from '../route.ts'
import { say } from './messages.ts'
import { columnsOf, shareOfErrors } from './series.ts'

const SERVICES_MAX = 40
const AT_ONCE = 4

export function Overview({
  services,
  range,
  start,
  end,
}: {
  services: ServicesAnswer
  /** Of the address. */
  range: Record<string, string | undefined>
  start: number
  end: number
}) {
  const names = services.services.slice(0, SERVICES_MAX)
  const asked = useAnswer(
    `${names.join()} ${JSON.stringify(range)} ${range['last'] ? '' : start}`,
    (signal) =>
      inTurns(names, (name) =>
        question<StatisticsAnswer>(
          `v1/services/${encodeURIComponent(name)}/statistics`,
          { start: start.toFixed(0), end: end.toFixed(0) },
          signal,
        ),
      ),
  )
  if (!asked.answer) return <Loading rows={names.length} />
  return (
    <table class="overview-table">
      <thead>
        <tr>
          <th>{say().service}</th>
          <th class="number">{say().rate}</th>
          <th class="number">{say().errorShare}</th>
          <th class="number">p50</th>
          <th class="number">p95</th>
          <th class="number">p99</th>
          <th>{say().trend}</th>
        </tr>
      </thead>
      <tbody>
        {asked.answer.map((answer) => (
          <tr key={answer.service}>
            <td>
              <a href={hrefTo('statistics', '', { service: answer.service, ...range })}>
                <Service name={answer.service} />
              </a>
            </td>
            <td class="number">{rate(answer.total.rate)}</td>
            <td class="number">
              <ErrorShare share={shareOfErrors(answer.total)} />
            </td>
            <td class="number">
              {answer.total.calls ? duration(Number(answer.total.p50_nano)) : '–'}
            </td>
            <td class="number">
              {answer.total.calls ? duration(Number(answer.total.p95_nano)) : '–'}
            </td>
            <td class="number">
              {answer.total.calls ? duration(Number(answer.total.p99_nano)) : '–'}
            </td>
            <td>
              <Sparkline values={columnsOf(answer, answer.total_points).rate} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
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

function Sparkline({ values }: { values: number[] }) {
  const most = Math.max(...values, 1e-12)
  const step = 140 / Math.max(1, values.length - 1)
  const points = values.map(
    (value, at) => `${(at * step).toFixed(1)},${(23 - (value / most) * 21).toFixed(1)}`,
  )
  return (
    <svg class="sparkline" width="140" height="24" viewBox="0 0 140 24" aria-hidden="true">
      <polyline points={points.join(' ')} fill="none" stroke="currentColor" stroke-width="1.5" />
    </svg>
  )
}

/** A few questions at once, so that forty services do not keep everything else waiting. */
async function inTurns<T, R>(list: readonly T[], ask: (each: T) => Promise<R>): Promise<R[]> {
  const found: R[] = []
  let next = 0
  const worker = async () => {
    while (next < list.length) {
      const at = next++
      found[at] = await ask(list[at] as T)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return found
}
