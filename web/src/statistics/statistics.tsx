/** How a service does: requests, errors and latency over time, and from there to the traces. */

import { useEffect, useState } from 'preact/hooks'
import type {
  Figures,
  SearchAnswer,
  Series,
  ServicesAnswer,
  StatisticsAnswer,
  TraceSummary,
} from '../api/answers.ts'
import { question } from '../api/server.ts'
import {
  duration,
  durationParameter,
  number,
  percent,
  rate,
  shortMoment,
  zone,
} from '../language/format.ts'
import { useAnswer } from '../parts/answer.ts'
import { Icon } from '../parts/icon.tsx'
import { useKeys } from '../parts/keys.ts'
import { rangeIn, rangeParameters, secondsOf } from '../parts/range.ts'
import { Empty, Failed, Loading } from '../parts/states.tsx'
import { TimeRange } from '../parts/time-range.tsx'
import { amend, hrefTo, navigate, route } from '../route.ts'
import { Distribution, ErrorsByOperation } from './bars.tsx'
import { Chart, type Exemplar } from './chart.tsx'
import { type Chosen, Heat } from './heat.tsx'
import { say } from './messages.ts'
import { ErrorShare, Overview } from './overview.tsx'
import { bucketsOf, columnsOf, heatMapOf, shareOfErrors, weight } from './series.ts'
import './statistics.css'

const LIVE_MILLISECONDS = 15_000
const HEAT_ROWS = 24
const WIDER_NANO = [6, 24, 7 * 24].map((hours) => hours * 3_600e9)

interface Brush {
  from: number
  to: number
  low?: number
  high?: number
}

export default function StatisticsView() {
  const { parameters } = route.value
  const service = parameters['service'] ?? ''
  const range = rangeIn(parameters)
  const [turn, setTurn] = useState(0)
  const [isLive, setLive] = useState(false)
  const again = () => setTurn((before) => before + 1)
  const services = useAnswer('services', (signal) =>
    question<ServicesAnswer>('v1/services', {}, signal),
  )
  useEffect(() => {
    if (!isLive) return
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') again()
    }, LIVE_MILLISECONDS)
    return () => clearInterval(timer)
  }, [isLive])
  useKeys({
    title: () => say().keys,
    keys: [{ keys: ['r'], label: () => say().keyAgain, act: again }],
  })
  const { start, end } = secondsOf(range)
  return (
    <div class="statistics">
      <div class="statistics-tools">
        <h1>{service || say().title}</h1>
        <label>
          <span>{say().service}</span>
          <select
            value={service}
            onChange={(event) =>
              navigate('statistics', '', {
                ...rangeParameters(range),
                service: event.currentTarget.value,
              })
            }
          >
            <option value="">{say().all}</option>
            {[
              ...new Set([...(services.answer?.services ?? []), ...(service ? [service] : [])]),
            ].map((each) => (
              <option key={each} value={each}>
                {each.slice(0, 80)}
              </option>
            ))}
          </select>
        </label>
        <TimeRange value={range} onChange={(next) => amend(rangeParameters(next))} />
        <button type="button" aria-pressed={isLive} onClick={() => setLive(!isLive)}>
          <Icon name={isLive ? 'pause' : 'play'} /> {say().live}
        </button>
        <button
          type="button"
          class="icon"
          aria-label={say().keyAgain}
          title={`${say().keyAgain} (r)`}
          onClick={again}
        >
          <Icon name="reload" />
        </button>
      </div>
      {services.failure && <Failed failure={services.failure} again={services.again} />}
      {services.answer?.services.length === 0 && (
        <Empty title={say().nobody}>
          <a href={hrefTo('search')}>{say().searchLink}</a>
        </Empty>
      )}
      {!service && services.answer && services.answer.services.length > 0 && (
        <Overview
          key={turn}
          services={services.answer}
          range={rangeParameters(range)}
          start={start}
          end={end}
        />
      )}
      {service && <OneService key={service} service={service} turn={turn} again={again} />}
    </div>
  )
}

function OneService({
  service,
  turn,
  again,
}: {
  service: string
  turn: number
  again: () => void
}) {
  const { parameters } = route.value
  const range = rangeIn(parameters)
  const spanName = parameters['span_name'] ?? ''
  const kind = parameters['kind'] ?? ''
  const [brush, setBrush] = useState<Brush>()
  const path = `v1/services/${encodeURIComponent(service)}/statistics`
  const asked = useAnswer(`${JSON.stringify(range)} ${turn}`, (signal) => {
    const { start, end } = secondsOf(range)
    return question<StatisticsAnswer>(
      path,
      { start: start.toFixed(0), end: end.toFixed(0) },
      signal,
    )
  })
  const answer = asked.answer
  const chosen = answer?.series.find(
    (each) => each.span_name === spanName && (!kind || each.kind === kind),
  )
  const figures = chosen ? chosen.total : answer?.total
  const exemplars = useExemplars(service, spanName, figures, answer)
  if (asked.failure && !answer) return <Failed failure={asked.failure} again={again} />
  if (!answer || !figures) return <Loading rows={10} />
  if (answer.series.length === 0) return <Nothing service={service} />
  const points = chosen ? chosen.points : answer.total_points
  const columns = columnsOf(answer, points)
  const choose = (series: Series | undefined) =>
    amend({ span_name: series?.span_name, kind: series?.kind })
  const onBrush = (from: number, to: number) => setBrush({ from, to })
  const span = {
    start: Number(answer.start_time_unix_nano) / 1e9,
    end: Number(answer.end_time_unix_nano) / 1e9,
  }
  return (
    <>
      {asked.failure && <Failed failure={asked.failure} again={again} />}
      {answer.warnings.map((warning) => (
        <p key={warning} class="notice">
          <Icon name="warning" size={14} /> {warning}
        </p>
      ))}
      <p class="scope-line">
        {chosen ? (
          <>
            <strong>
              <bdi>{chosen.span_name}</bdi>
            </strong>{' '}
            <span class="quiet">{say().kinds(chosen.kind)}</span>{' '}
            <button type="button" onClick={() => choose(undefined)}>
              <Icon name="close" size={12} /> {say().clearOperation}
            </button>
          </>
        ) : (
          <span class="quiet">{say().allOperations}</span>
        )}
        <span class="quiet">
          {' '}
          {shortMoment(span.start)} – {shortMoment(span.end)} {zone()} · {say().brushHint}
        </span>
      </p>
      <Tiles figures={figures} />
      {brush && (
        <BrushBar
          brush={brush}
          service={service}
          spanName={chosen?.span_name ?? ''}
          clear={() => setBrush(undefined)}
        />
      )}
      <div class="charts">
        <Chart
          title={say().rate}
          seconds={columns.seconds}
          lines={[{ name: say().rate, values: columns.rate, colour: 'accent', fill: true }]}
          format={rate}
          onBrush={onBrush}
        />
        <Chart
          title={say().errors}
          seconds={columns.seconds}
          lines={[
            { name: say().errorShare, values: columns.errorShare, colour: 'error', fill: true },
          ]}
          format={percent}
          onBrush={onBrush}
        />
        <Chart
          title={say().latency}
          seconds={columns.seconds}
          lines={[
            { name: 'p50', values: columns.p50, colour: 'ok' },
            { name: 'p95', values: columns.p95, colour: 'accent', dash: [6, 3] },
            { name: 'p99', values: columns.p99, colour: 'warning', dash: [2, 2] },
          ]}
          format={duration}
          isLogarithmic
          exemplars={exemplars}
          onBrush={onBrush}
        />
        <Heat
          map={heatMapOf(answer, points, HEAT_ROWS)}
          seconds={columns.seconds}
          stepSeconds={Number(answer.step_nano) / 1e9}
          onChoose={(found: Chosen) => setBrush(found)}
        />
        <Distribution
          buckets={bucketsOf(figures.histogram)}
          onChoose={(low, high) => setBrush({ from: span.start, to: span.end, low, high })}
        />
        <ErrorsByOperation series={answer.series} onChoose={choose} />
      </div>
      {exemplars.length > 0 && <p class="quiet">{say().exemplars}</p>}
      <Operations series={answer.series} chosen={chosen} choose={choose} />
      {answer.other && <p class="quiet">{say().others(answer.other.calls)}</p>}
    </>
  )
}

function Tiles({ figures }: { figures: Figures }) {
  const latency = (nano: string) => (figures.calls ? duration(Number(nano)) : '–')
  return (
    <dl class="tiles">
      {(
        [
          [say().rate, rate(figures.rate)],
          [say().calls, number(figures.calls)],
          ['p50', latency(figures.p50_nano)],
          ['p95', latency(figures.p95_nano)],
          ['p99', latency(figures.p99_nano)],
        ] as const
      ).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="number">{value}</dd>
        </div>
      ))}
      <div>
        <dt>{say().errorShare}</dt>
        <dd class="number">
          <ErrorShare share={shareOfErrors(figures)} />
        </dd>
      </div>
    </dl>
  )
}

function BrushBar({
  brush,
  service,
  spanName,
  clear,
}: {
  brush: Brush
  service: string
  spanName: string
  clear: () => void
}) {
  const { from, to, low, high } = brush
  const range = { start: from.toFixed(0), end: to.toFixed(0) }
  const durations = {
    min: low ? durationParameter(Math.round(low)) : undefined,
    max: high ? durationParameter(Math.round(high)) : undefined,
  }
  return (
    <div class="brush" role="status">
      <strong>{say().brushed(shortMoment(from), shortMoment(to))}</strong>
      {low !== undefined && high !== undefined && (
        <span>{say().ofDurations(duration(low), duration(high))}</span>
      )}
      <a
        class="button"
        href={hrefTo('search', '', { service, span_name: spanName, ...range, ...durations })}
      >
        <Icon name="search" /> {say().showTraces}
      </a>
      <button
        type="button"
        onClick={() => {
          amend({ ...range, last: undefined })
          clear()
        }}
      >
        {say().zoom}
      </button>
      <button type="button" onClick={clear}>
        {say().clear}
      </button>
    </div>
  )
}

type Column = 'calls' | 'errors' | 'p50' | 'p95' | 'p99' | 'weight'
const VALUES: Readonly<Record<Column, (series: Series) => number>> = {
  calls: ({ total }) => total.calls,
  errors: ({ total }) => shareOfErrors(total),
  p50: ({ total }) => Number(total.p50_nano),
  p95: ({ total }) => Number(total.p95_nano),
  p99: ({ total }) => Number(total.p99_nano),
  weight,
}
const OPERATIONS_MAX = 200

function Operations({
  series,
  chosen,
  choose,
}: {
  series: readonly Series[]
  chosen: Series | undefined
  choose: (series: Series) => void
}) {
  const [column, setColumn] = useState<Column>('weight')
  const shown = [...series]
    .sort((a, b) => VALUES[column](b) - VALUES[column](a))
    .slice(0, OPERATIONS_MAX)
  const head = (each: Column, title: string) => (
    <th class="number" aria-sort={column === each ? 'descending' : 'none'}>
      <button type="button" class="plain link" onClick={() => setColumn(each)}>
        {title} {column === each && '▾'}
      </button>
    </th>
  )
  return (
    <section class="operations">
      <h2>{say().operations}</h2>
      <table>
        <thead>
          <tr>
            <th>{say().operation}</th>
            <th>{say().kind}</th>
            {head('calls', say().rate)}
            {head('errors', say().errorShare)}
            {head('p50', 'p50')}
            {head('p95', 'p95')}
            {head('p99', 'p99')}
          </tr>
        </thead>
        <tbody>
          {shown.map((each) => (
            <tr key={`${each.span_name} ${each.kind}`} aria-selected={each === chosen}>
              <td>
                <button type="button" class="plain link" onClick={() => choose(each)}>
                  <bdi>{each.span_name.slice(0, 200)}</bdi>
                </button>
              </td>
              <td class="quiet">{say().kinds(each.kind)}</td>
              <td class="number">{rate(each.total.rate)}</td>
              <td class="number">
                <ErrorShare share={shareOfErrors(each.total)} />
              </td>
              <td class="number">{duration(Number(each.total.p50_nano))}</td>
              <td class="number">{duration(Number(each.total.p95_nano))}</td>
              <td class="number">{duration(Number(each.total.p99_nano))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

const SLOW = 20
const FAILED = 10

/** Single traces for the latency chart: slow ones and failed ones. */
function useExemplars(
  service: string,
  spanName: string,
  figures: Figures | undefined,
  answer: StatisticsAnswer | undefined,
): Exemplar[] {
  const isThere = answer !== undefined && figures !== undefined && figures.calls > 0
  const start = isThere ? Number(answer.start_time_unix_nano) / 1e9 : 0
  const end = isThere ? Number(answer.end_time_unix_nano) / 1e9 : 0
  const asked = useAnswer(
    isThere ? `${service} ${spanName} ${start} ${end}` : undefined,
    async (signal) => {
      const query = { service, span_name: spanName, start: start.toFixed(0), end: end.toFixed(0) }
      const slow = durationParameter(Number(figures?.p95_nano ?? 0)) ?? ''
      const [slowest, failed] = await Promise.all([
        question<SearchAnswer>(
          'v1/traces',
          { ...query, min_duration: slow, limit: String(SLOW) },
          signal,
        ),
        question<SearchAnswer>(
          'v1/traces',
          { ...query, status: 'error', limit: String(FAILED) },
          signal,
        ),
      ])
      const failedIds = new Set(failed.traces.map((trace) => trace.trace_id))
      return [
        ...slowest.traces
          .filter((trace) => !failedIds.has(trace.trace_id))
          .map((trace) => exemplar(trace, false)),
        ...failed.traces.map((trace) => exemplar(trace, true)),
      ]
    },
  )
  return asked.answer ?? []
}

function exemplar(trace: TraceSummary, isError: boolean): Exemplar {
  return {
    seconds: Number(trace.start_time_unix_nano) / 1e9,
    value: Math.max(1, Number(trace.duration_nano)),
    isError,
    title: `${isError ? say().failed : say().slow}: ${trace.root_service} ${trace.root_span_name.slice(0, 60)}, ${duration(Number(trace.duration_nano))}`,
    open: () => navigate('trace', trace.trace_id),
  }
}

function Nothing({ service }: { service: string }) {
  return (
    <Empty title={say().nothing}>
      <p>{say().nothingHint}</p>
      <ul>
        {WIDER_NANO.map((nano) => (
          <li key={nano}>
            <a
              href={hrefTo('statistics', '', {
                service,
                ...rangeParameters({ kind: 'last', nano }),
              })}
            >
              {say().widen(duration(nano))}
            </a>
          </li>
        ))}
        <li>
          <a href={hrefTo('search', '', { service })}>{say().searchLink}</a>
        </li>
      </ul>
    </Empty>
  )
}
