/** The charts and the operations of a service, or of one operation. */

import { useMemo } from 'preact/hooks'
import type { Series, StatisticsAnswer } from '../api/answers.ts'
import { question } from '../api/question.ts'
import { duration, durationParameter, zone } from '../language/format.ts'
import { percent, rate, rounded } from '../language/numbers.ts'
import { useAnswer } from '../parts/answer.ts'
import { Failed } from '../parts/failed.tsx'
import { Icon } from '../parts/icon.tsx'
import { rangeIn, secondsOf } from '../parts/range.ts'
import { Loading } from '../parts/states.tsx'
import { amend, hrefTo, navigate, route } from '../route.ts'
import { durationAxis, linearAxis } from './axis.ts'
import {
  atLeast,
  type Brush,
  brushIn,
  brushParameters,
  searchOf,
  snapped,
  spanText,
} from './brush.ts'
import { Chart } from './chart.tsx'
import { Distribution } from './distribution.tsx'
import { ErrorsByOperation } from './errors.tsx'
import { useExemplars } from './exemplars.ts'
import { Heat } from './heat.tsx'
import { heatMapOf } from './heat-map.ts'
import { joined } from './histogram.ts'
import { say } from './messages.ts'
import { Nothing } from './nothing.tsx'
import { Operations } from './operations.tsx'
import { columnsOf, halvesOf, pointsOf, stepsOf } from './series.ts'
import { Tiles } from './tiles.tsx'

const HEAT_ROWS_MAX = 28
const BARS_MAX = 40

export function OneService({
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
  const asked = useAnswer(`${JSON.stringify(range)} ${turn}`, (signal) => {
    const { start, end } = secondsOf(range)
    return question<StatisticsAnswer>(
      `v1/services/${encodeURIComponent(service)}/statistics`,
      { start: start.toFixed(0), end: end.toFixed(0) },
      signal,
    )
  })
  const { answer, failure } = asked
  const chosen = answer?.series.find(
    (each) => each.span_name === spanName && (!kind || each.kind === kind),
  )
  const figures = chosen?.total ?? answer?.total
  const p95Nano = figures?.calls ? Number(figures.p95_nano) : undefined
  const exemplars = useExemplars(service, chosen?.span_name ?? '', p95Nano, answer)
  if (failure && !answer) return <Failed failure={failure} again={again} />
  if (!answer) return <Loading rows={10} />
  if (answer.series.length === 0) return <Nothing service={service} />
  const choose = (series: Series | undefined) =>
    navigate('statistics', '', {
      ...parameters,
      span_name: series?.span_name,
      kind: series?.kind,
    })
  return (
    <div class={asked.isWaiting ? 'waiting' : ''}>
      {failure && <Failed failure={failure} again={again} />}
      {answer.warnings.map((warning) => (
        <p key={warning} class="statistics-notice">
          <Icon name="warning" size={14} /> {warning}
        </p>
      ))}
      <p class="scope-line">
        {chosen ? (
          <>
            <strong>
              <bdi>{chosen.span_name.slice(0, 200)}</bdi>
            </strong>
            <span class="quiet">{say().kinds(chosen.kind)}</span>
            <button type="button" onClick={() => choose(undefined)}>
              <Icon name="close" size={12} /> {say().clearOperation}
            </button>
          </>
        ) : (
          <span>{say().allOperations}</span>
        )}
        <span class="quiet">
          {spanText(
            Number(answer.start_time_unix_nano) / 1e9,
            Number(answer.end_time_unix_nano) / 1e9,
          )}{' '}
          {zone()}
        </span>
        <span class="quiet">{say().step(duration(Number(answer.step_nano)))}</span>
      </p>
      {spanName && !chosen && (
        <p class="statistics-notice">
          <Icon name="warning" size={14} /> {say().operationAway(spanName.slice(0, 200))}
        </p>
      )}
      <Charts
        answer={answer}
        chosen={chosen}
        brush={brushIn(parameters)}
        exemplars={exemplars}
        choose={choose}
      />
      <Operations answer={answer} sort={parameters['sort']} chosen={chosen} choose={choose} />
    </div>
  )
}

function Charts({
  answer,
  chosen,
  brush: asAddressed,
  exemplars,
  choose,
}: {
  answer: StatisticsAnswer
  chosen: Series | undefined
  brush: Brush | undefined
  exemplars: ReturnType<typeof useExemplars>
  choose: (series: Series) => void
}) {
  const { service } = answer
  const spanName = chosen?.span_name ?? ''
  const figures = chosen?.total ?? answer.total
  const { steps, columns, map, halves, buckets, axes } = useCharted(answer, chosen, exemplars)
  const brush =
    asAddressed && asAddressed.to > steps.start && asAddressed.from < steps.end
      ? asAddressed
      : undefined
  const onBrush = (next: Brush) => amend(brushParameters(snapped(next, steps)))
  /** The search for a step's traces. */
  const searchOfStep =
    (more: (step: number) => Record<string, string | undefined>) => (step: number) => {
      const from = steps.seconds[step] ?? steps.start
      return { ...searchOf({ from, to: from + steps.width }, service, spanName), ...more(step) }
    }
  const shared = { steps, brush, onBrush }
  const own = { ...shared, service, spanName }
  return (
    <>
      <Tiles figures={figures} halves={halves} />
      <div class="brush-place" data-chosen={brush !== undefined} role="status">
        {brush ? (
          <BrushBar brush={brush} service={service} spanName={spanName} />
        ) : (
          <p class="quiet">
            {say().brushHint} {exemplars.length > 0 && say().exemplars}
          </p>
        )}
      </div>
      <div class="charts">
        <Chart
          {...shared}
          title={say().rate}
          lines={[{ name: say().rate, values: columns.rate, colour: 'accent', isFilled: true }]}
          axis={axes.rate.axis}
          format={axes.rate.format}
          searchOfStep={searchOfStep(() => ({}))}
        />
        <Chart
          {...shared}
          title={say().errors}
          lines={[
            { name: say().errorShare, values: columns.errorShare, colour: 'error', isFilled: true },
          ]}
          axis={axes.errors}
          format={percent}
          searchOfStep={searchOfStep(() => ({ status: 'error' }))}
        />
        <Chart
          {...shared}
          title={say().latency}
          lines={[
            { name: 'p50', values: columns.p50, colour: 'ok' },
            { name: 'p95', values: columns.p95, colour: 'accent', dash: 'dashed' },
            { name: 'p99', values: columns.p99, colour: 'warning', dash: 'dotted' },
          ]}
          axis={axes.latency}
          format={duration}
          exemplars={exemplars}
          searchOfStep={searchOfStep((step) => ({
            min: durationParameter(atLeast(columns.p95[step] ?? 1)),
          }))}
        />
        <Heat {...own} map={map} />
        <Distribution {...own} buckets={buckets} />
        <ErrorsByOperation series={answer.series} onChoose={choose} />
      </div>
    </>
  )
}

/** What the charts of an answer draw: columns of points, and axes that hold them. */
function useCharted(
  answer: StatisticsAnswer,
  chosen: Series | undefined,
  exemplars: ReturnType<typeof useExemplars>,
) {
  const charted = useMemo(() => {
    const now = Date.now() / 1e3
    const steps = stepsOf(answer)
    const points = pointsOf(steps, chosen?.points ?? answer.total_points)
    const figures = chosen?.total ?? answer.total
    return {
      steps,
      columns: columnsOf(steps, points, now),
      map: heatMapOf(points, HEAT_ROWS_MAX),
      halves: halvesOf(steps, points, now),
      buckets: joined([figures.histogram], BARS_MAX),
    }
  }, [answer, chosen])
  const { columns } = charted
  const axes = useMemo(
    () => ({
      rate: rateAxis(columns.rate),
      errors: linearAxis(Math.max(0.01, highest(columns.errorShare))),
      latency: durationAxis([
        ...columns.p50,
        ...columns.p99,
        ...exemplars.map((each) => each.nano ?? null),
      ]),
    }),
    [columns, exemplars],
  )
  return { ...charted, axes }
}

function highest(values: readonly (number | null)[]): number {
  return values.reduce<number>((high, each) => Math.max(high, each ?? 0), 0)
}

/** One unit for the whole axis: a second, or a minute where calls are few. */
function rateAxis(values: readonly (number | null)[]) {
  const high = highest(values)
  const isFew = high < 1
  return {
    axis: linearAxis(high, isFew ? 1 / 60 : 1),
    format: isFew ? (perSecond: number) => `${rounded(perSecond * 60)}/min` : rate,
  }
}

function BrushBar({
  brush,
  service,
  spanName,
}: {
  brush: Brush
  service: string
  spanName: string
}) {
  const { from, to, low, high } = brush
  const clear = () => amend(brushParameters(undefined))
  const zoom = () =>
    navigate('statistics', '', {
      ...route.value.parameters,
      ...brushParameters(undefined),
      last: undefined,
      start: String(from),
      end: String(to),
    })
  return (
    <div class="brush">
      <span>
        {say().tracesOf} <strong>{spanText(from, to)}</strong>
      </span>
      {(low || high) && (
        <span>{say().ofDurations(duration(low ?? 0), high ? duration(high) : '∞')}</span>
      )}
      <a class="button primary" href={hrefTo('search', '', searchOf(brush, service, spanName))}>
        <Icon name="search" /> {say().showTraces}
      </a>
      <button type="button" onClick={zoom}>
        <Icon name="plus" /> {say().zoom}
      </button>
      <button type="button" title="Esc" onClick={clear}>
        <Icon name="close" /> {say().clear}
      </button>
    </div>
  )
}
