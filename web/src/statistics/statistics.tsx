/** How services do: requests, errors and latency over time, and from there to the traces. */

import { useEffect, useState } from 'preact/hooks'
import type { ServicesAnswer } from '../api/answers.ts'
import { question } from '../api/question.ts'
import { zone } from '../language/format.ts'
import { useAnswer } from '../parts/answer.ts'
import { Failed } from '../parts/failed.tsx'
import { Icon } from '../parts/icon.tsx'
import { useKeys } from '../parts/keys.ts'
import { rangeIn, rangeParameters, secondsOf } from '../parts/range.ts'
import { Empty } from '../parts/states.tsx'
import { TimeRange } from '../parts/time-range.tsx'
import { amend, hrefTo, navigate, route } from '../route.ts'
import { brushParameters, spanText } from './brush.ts'
import { say } from './messages.ts'
import { OneService } from './one-service.tsx'
import { Overview } from './overview.tsx'
import './statistics.css'

const LIVE_MILLISECONDS = 15_000

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
  const isRelative = range.kind === 'last'
  useEffect(() => {
    if (!isLive || !isRelative) return
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') again()
    }, LIVE_MILLISECONDS)
    return () => clearInterval(timer)
  }, [isLive, isRelative])
  useKeys({
    title: () => say().title,
    keys: [
      { keys: ['r'], label: () => say().keyAgain, act: again },
      { keys: ['l'], label: () => say().live, act: () => setLive(!isLive) },
      {
        keys: ['Escape'],
        label: () => say().clear,
        act: () => amend(brushParameters(undefined)),
      },
    ],
  })
  const { start, end } = secondsOf(range)
  const known = services.answer?.services ?? []
  const choices = service && !known.includes(service) ? [service, ...known] : known
  return (
    <div class="statistics">
      <div class="statistics-tools">
        <div class="statistics-title">
          <h1>
            <bdi>{service || say().allServices}</bdi>
          </h1>
          {!service && (
            <p class="quiet">
              {spanText(start, end)} {zone()}
            </p>
          )}
        </div>
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
            {choices.map((each) => (
              <option key={each} value={each}>
                {each.slice(0, 80)}
              </option>
            ))}
          </select>
        </label>
        <TimeRange value={range} onChange={(next) => amend(rangeParameters(next))} />
        <button
          type="button"
          aria-pressed={isLive && isRelative}
          disabled={!isRelative}
          title={isRelative ? say().liveHint : say().livePast}
          onClick={() => setLive(!isLive)}
        >
          <Icon name={isLive && isRelative ? 'pause' : 'play'} /> {say().live}
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
      {services.failure && !service && <Failed failure={services.failure} again={services.again} />}
      {!service && services.answer && known.length === 0 && (
        <Empty title={say().nobody}>
          <a href={hrefTo('search')}>{say().searchLink}</a>
        </Empty>
      )}
      {!service && known.length > 0 && (
        <Overview range={range} turn={turn} sort={parameters['sort']} />
      )}
      {service && <OneService key={service} service={service} turn={turn} again={again} />}
    </div>
  )
}
