/** Under an empty form: what failed, what is slow, who is there; or how to begin. */

import { useEffect } from 'preact/hooks'
import type { SearchAnswer, ServicesAnswer } from '../api/answers.ts'
import { question } from '../api/question.ts'
import { server } from '../api/server.ts'
import { useAnswer } from '../parts/answer.ts'
import { CopyButton } from '../parts/copy-button.tsx'
import { Failed } from '../parts/failed.tsx'
import { Service } from '../parts/service.tsx'
import { Empty, Loading } from '../parts/states.tsx'
import { hrefTo } from '../route.ts'
import { say } from './messages.ts'
import { Results } from './results.tsx'
import { sorted } from './sort.ts'

const LOOK_MILLISECONDS = 5_000
const SHOWN = 5

export function Home({ turn }: { turn: number }) {
  const errors = useAnswer(`errors ${turn}`, (signal) =>
    question<SearchAnswer>('v1/traces', { status: 'error', limit: String(SHOWN) }, signal),
  )
  const recent = useAnswer(`recent ${turn}`, (signal) =>
    question<SearchAnswer>(
      'v1/traces',
      { start: (Date.now() / 1e3 - 900).toFixed(3), limit: '100' },
      signal,
    ),
  )
  const slowest = recent.answer && sorted(recent.answer.traces, 'longest').slice(0, SHOWN)
  return (
    <div class="home">
      <section>
        <h2>{say().recentErrors}</h2>
        {errors.failure && <Failed failure={errors.failure} again={errors.again} />}
        {!errors.answer && !errors.failure && <Loading rows={3} />}
        {errors.answer &&
          (errors.answer.traces.length ? (
            <Results traces={errors.answer.traces} />
          ) : (
            <p class="quiet">{say().noErrors}</p>
          ))}
      </section>
      <section>
        <h2>{say().slowest}</h2>
        {!slowest && !recent.failure && <Loading rows={3} />}
        {slowest &&
          (slowest.length ? <Results traces={slowest} /> : <p class="quiet">{say().noSlowest}</p>)}
      </section>
    </div>
  )
}

export function ServiceLinks({ services }: { services: ServicesAnswer }) {
  return (
    <section class="service-links">
      <h2>{say().services}</h2>
      <ul>
        {services.services.slice(0, 60).map((name) => (
          <li key={name}>
            <a href={hrefTo('statistics', '', { service: name })} title={say().statisticsOf(name)}>
              <Service name={name} />
            </a>
          </li>
        ))}
      </ul>
    </section>
  )
}

/** Nothing is stored at all: how to send. */
export function Welcome({ again }: { again: () => void }) {
  const base = server().base.replace(/\/$/, '')
  const isDeployed = !/^https?:\/\/(127\.|localhost|\[::1\])/.test(base)
  useEffect(() => {
    const timer = setInterval(again, LOOK_MILLISECONDS)
    return () => clearInterval(timer)
  }, [])
  return (
    <Empty title={say().welcome}>
      <p>{say().welcomeHint}</p>
      <Command
        text={`OTEL_EXPORTER_OTLP_ENDPOINT=${base}\nOTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`}
      />
      {isDeployed && <p>{say().welcomeToken}</p>}
      {isDeployed && <Command text="OTEL_EXPORTER_OTLP_HEADERS=x-api-key=TOKEN" />}
      <p>{say().welcomeDemo}</p>
      <Command text="make demo" />
      <p class="quiet">{say().welcomeNext}</p>
    </Empty>
  )
}

function Command({ text }: { text: string }) {
  return (
    <div class="command">
      <pre>{text}</pre>
      <CopyButton text={text} label={say().copy} />
    </div>
  )
}
