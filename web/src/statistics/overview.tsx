/** All services in a table, each with its requests over time. */

import { useEffect, useState } from 'preact/hooks'
import type { ServicesAnswer, StatisticsAnswer } from '../api/answers.ts'
import { type Failure, failureOf, isAbort } from '../api/failure.ts'
import { question } from '../api/question.ts'
import { duration } from '../language/format.ts'
import { rate } from '../language/numbers.ts'
import { useAnswer } from '../parts/answer.ts'
import { Failed, titleOf } from '../parts/failed.tsx'
import { Icon } from '../parts/icon.tsx'
import { type Range, rangeParameters, secondsOf } from '../parts/range.ts'
import { Service } from '../parts/service.tsx'
import { Loading } from '../parts/states.tsx'
import { hrefTo } from '../route.ts'
import { ErrorShare } from './errors.tsx'
import { say } from './messages.ts'
import { Nothing } from './nothing.tsx'
import { columnsOf, orderIn, pointsOf, shareOfErrors, sorted, stepsOf } from './series.ts'
import { SortHead } from './sortable.tsx'
import { inTurns } from './turns.ts'

const SERVICES_MAX = 30
const AT_ONCE = 4

type Found = ReadonlyMap<string, StatisticsAnswer | Failure>

const NONE: Found = new Map()

export function Overview({
  range,
  turn,
  sort,
}: {
  range: Range
  turn: number
  /** Of the address. */
  sort: string | undefined
}) {
  const key = `${JSON.stringify(range)} ${turn}`
  const services = useAnswer(key, (signal) =>
    question<ServicesAnswer>('v1/services', bounds(range), signal),
  )
  const all = services.answer?.services ?? []
  const names = all.slice(0, SERVICES_MAX)
  const found = useEach(names, key, range)
  if (!services.answer) {
    if (services.failure) return <Failed failure={services.failure} again={services.again} />
    return <Loading rows={8} />
  }
  if (all.length === 0) return <Nothing service="" />
  const order = orderIn(sort, 'name.asc')
  const value = (name: string): number | string => {
    const answer = found.get(name)
    if (order.column === 'name') return name
    if (!answer || 'kind' in answer) return -1
    const { total } = answer
    if (order.column === 'rate') return total.rate
    if (order.column === 'errors') return shareOfErrors(total)
    return Number(total[`${order.column as 'p50' | 'p95' | 'p99'}_nano`] ?? 0)
  }
  return (
    <>
      {services.failure && <Failed failure={services.failure} again={services.again} />}
      <div class="wide-table">
        <table class="overview-table">
          <thead>
            <tr>
              <SortHead column="name" order={order} isText>
                {say().service}
              </SortHead>
              <SortHead column="rate" order={order}>
                {say().rate}
              </SortHead>
              <SortHead column="errors" order={order}>
                {say().errorShare}
              </SortHead>
              {(['p50', 'p95', 'p99'] as const).map((each) => (
                <SortHead key={each} column={each} order={order}>
                  {each}
                </SortHead>
              ))}
              <th class="trend">{say().trend}</th>
            </tr>
          </thead>
          <tbody>
            {sorted(names, order, value).map((name) => (
              <tr key={name}>
                <td>
                  <a href={hrefTo('statistics', '', { service: name, ...rangeParameters(range) })}>
                    <Service name={name} />
                  </a>
                </td>
                <Row answer={found.get(name)} />
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {all.length > names.length && (
        <p class="quiet">{say().ofServices(names.length, all.length)}</p>
      )}
    </>
  )
}

function bounds(range: Range): { start: string; end: string } {
  const { start, end } = secondsOf(range)
  return { start: start.toFixed(0), end: end.toFixed(0) }
}

/** The statistics of each, as they come; what is there of the same range stays until then, and when asking fails. */
function useEach(names: readonly string[], key: string, range: Range): Found {
  const of = JSON.stringify(range)
  const [state, setState] = useState<{ of: string; found: Found }>({ of, found: NONE })
  useEffect(() => {
    const controller = new AbortController()
    const keep = (name: string, answer: StatisticsAnswer | Failure) =>
      setState((before) => {
        const found = before.of === of ? before.found : NONE
        const isWorse = 'kind' in answer && found.has(name)
        return isWorse ? before : { of, found: new Map(found).set(name, answer) }
      })
    inTurns(names, AT_ONCE, async (name) => {
      const answer = await question<StatisticsAnswer>(
        `v1/services/${encodeURIComponent(name)}/statistics`,
        bounds(range),
        controller.signal,
      ).catch((error: unknown) => {
        if (controller.signal.aborted || isAbort(error)) throw error
        return failureOf(error)
      })
      keep(name, answer)
    }).catch(() => {
      // The view was left, or something newer was asked.
    })
    return () => controller.abort()
  }, [names.join('\n'), key])
  return state.of === of ? state.found : NONE
}

function Row({ answer }: { answer: StatisticsAnswer | Failure | undefined }) {
  if (!answer) {
    return (
      <td colSpan={6}>
        <div class="loading-row" />
      </td>
    )
  }
  if ('kind' in answer) {
    return (
      <td colSpan={6}>
        <span class="error-text">
          <Icon name="error" size={12} /> {titleOf(answer.kind)}
        </span>
      </td>
    )
  }
  const { total } = answer
  const latency = (nano: string) => (total.calls ? duration(Number(nano)) : '–')
  const steps = stepsOf(answer)
  const { rate: rates } = columnsOf(steps, pointsOf(steps, answer.total_points), Date.now() / 1e3)
  return (
    <>
      <td class="number">{rate(total.rate)}</td>
      <td class="number">{total.calls ? <ErrorShare share={shareOfErrors(total)} /> : '–'}</td>
      <td class="number">{latency(total.p50_nano)}</td>
      <td class="number">{latency(total.p95_nano)}</td>
      <td class="number">{latency(total.p99_nano)}</td>
      <td class="trend">
        <Sparkline values={rates.filter((each) => each !== null)} />
      </td>
    </>
  )
}

const WIDTH = 160
const HEIGHT = 24

function Sparkline({ values }: { values: number[] }) {
  const most = values.reduce((high, each) => Math.max(high, each), 1e-12)
  const step = WIDTH / Math.max(1, values.length - 1)
  const points = values.map(
    (value, at) => `${(at * step).toFixed(1)},${(HEIGHT - 2 - (value / most) * 20).toFixed(1)}`,
  )
  const floor = `${WIDTH},${HEIGHT - 1} 0,${HEIGHT - 1}`
  return (
    <svg
      class="sparkline"
      width={WIDTH}
      height={HEIGHT}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      aria-hidden="true"
    >
      <polygon points={`${points.join(' ')} ${floor}`} />
      <polyline points={points.join(' ')} fill="none" stroke="currentColor" stroke-width="1.5" />
    </svg>
  )
}
