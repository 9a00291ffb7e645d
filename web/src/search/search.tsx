/** Finding traces: a form, a plot, a list. */

import { useEffect, useRef, useState } from 'preact/hooks'
import type { SearchAnswer, ServicesAnswer, TraceSummary } from '../api/answers.ts'
import { question } from '../api/question.ts'
import { duration } from '../language/format.ts'
import { useAnswer } from '../parts/answer.ts'
import { Failed } from '../parts/failed.tsx'
import { Icon } from '../parts/icon.tsx'
import { useKeys } from '../parts/keys.ts'
import { secondsOf } from '../parts/range.ts'
import { Empty, Loading } from '../parts/states.tsx'
import { amend, hrefTo, route } from '../route.ts'
import { Form } from './form.tsx'
import { Home, ServiceLinks, Welcome } from './home.tsx'
import { say } from './messages.ts'
import { ScatterPlot } from './plot.tsx'
import {
  conditionsOf,
  hasConditions,
  parametersOf,
  questionOf,
  type Search,
  searchIn,
} from './query.ts'
import { Results } from './results.tsx'
import { joined, ORDERS, type Order, sorted } from './sort.ts'
import './search.css'

const LIVE_MILLISECONDS = 5_000
const WIDER_NANO = [6, 24, 7 * 24].map((hours) => hours * 3_600e9)

interface Page {
  key: string
  traces: TraceSummary[]
  next: string | null
  warnings: string[]
}

export default function SearchView() {
  const search = searchIn(route.value.parameters)
  const key = JSON.stringify(search)
  const [turn, setTurn] = useState(0)
  const [isLive, setLive] = useState(false)
  const [order, setOrder] = useState<Order>('newest')
  const [more, setMore] = useState<Page>()
  const [moreFails, setMoreFails] = useState(false)
  const known = useRef<{ key: string; ids: Set<string> }>({ key: '', ids: new Set() })
  const services = useAnswer(`services ${turn}`, (signal) =>
    question<ServicesAnswer>('v1/services', {}, signal),
  )
  const asked = useAnswer(`${key} ${turn}`, async (signal): Promise<Page> => {
    const answer = await question<SearchAnswer>('v1/traces', questionOf(search), signal)
    return { key, ...answer }
  })
  const again = () => setTurn((before) => before + 1)
  useLive(isLive && search.range.kind === 'last', again)
  const page = asked.answer
  const isCurrent = page?.key === key
  const appended = more && more.key === `${key} ${page?.next}` ? more : undefined
  const traces = page ? joined(page.traces, appended?.traces ?? []) : []
  const next = appended ? appended.next : page?.next
  const fresh = freshOf(known.current, key, page)
  const change = (changes: Partial<Search>) => amend(parametersOf({ ...search, ...changes }))
  useSearchKeys(again, () => setLive(!isLive))
  if (services.answer?.services.length === 0 && traces.length === 0 && !asked.isWaiting)
    return <Welcome again={again} />
  const loadMore = async () => {
    try {
      setMoreFails(false)
      const { start, end } = secondsOf(search.range)
      const answer = await question<SearchAnswer>('v1/traces', {
        ...questionOf(search),
        start: start.toFixed(3),
        end: end.toFixed(3),
        cursor: next ?? undefined,
      })
      setMore({
        key: `${key} ${page?.next}`,
        ...answer,
        traces: joined(appended?.traces ?? [], answer.traces),
      })
    } catch {
      setMoreFails(true)
    }
  }
  const { start, end } = secondsOf(search.range)
  // What a page leaves out began earlier: the plot shows the time of what there is.
  const oldest = Math.min(...traces.map((trace) => Number(trace.start_time_unix_nano) / 1e9))
  return (
    <div class="search">
      <h1 class="visually-hidden">{say().title}</h1>
      <Form
        search={search}
        wrong={asked.failure?.parameter}
        onChange={change}
        again={again}
        isLive={isLive}
        setLive={setLive}
      />
      {asked.failure && <Failed failure={asked.failure} again={again} />}
      {!hasConditions(search) && <Home turn={turn} />}
      {asked.isWaiting && !page && <Loading rows={8} />}
      {page && traces.length === 0 && !asked.failure && <Nothing search={search} />}
      {traces.length > 0 && (
        <section class={isCurrent ? '' : 'is-stale'} aria-busy={asked.isWaiting}>
          <div class="results-head">
            <h2>{hasConditions(search) ? say().found(traces.length, !next) : say().latest}</h2>
            <OrderSelect order={order} setOrder={setOrder} />
          </div>
          <ScatterPlot
            traces={traces}
            start={next ? Math.max(start, oldest - (end - oldest) * 0.03) : start}
            end={end}
            onNarrow={change}
          />
          {page?.warnings.map((warning) => (
            <p key={warning} class="notice">
              <Icon name="warning" size={14} /> {warning}
            </p>
          ))}
          <Results traces={sorted(traces, order)} fresh={fresh} />
          {next && (
            <button type="button" class="more" onClick={loadMore}>
              {moreFails && <Icon name="error" />} {say().more}
            </button>
          )}
        </section>
      )}
      {services.answer && <ServiceLinks services={services.answer} />}
    </div>
  )
}

function OrderSelect({ order, setOrder }: { order: Order; setOrder: (order: Order) => void }) {
  return (
    <label class="row">
      <span>{say().order}</span>
      <select value={order} onChange={(event) => setOrder(event.currentTarget.value as Order)}>
        {ORDERS.map((each) => (
          <option key={each} value={each}>
            {say()[each]}
          </option>
        ))}
      </select>
    </label>
  )
}

/** Ids that an earlier answer to the same question did not have. */
function freshOf(
  known: { key: string; ids: Set<string> },
  key: string,
  page: Page | undefined,
): ReadonlySet<string> {
  const ids = new Set(page?.traces.map((trace) => trace.trace_id))
  if (page?.key !== key) return new Set()
  if (known.key !== key) {
    Object.assign(known, { key, ids })
    return new Set()
  }
  const fresh = new Set([...ids].filter((id) => !known.ids.has(id)))
  setTimeout(() => Object.assign(known, { key, ids }), LIVE_MILLISECONDS)
  return fresh
}

function useLive(isOn: boolean, again: () => void): void {
  useEffect(() => {
    if (!isOn) return
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') again()
    }, LIVE_MILLISECONDS)
    return () => clearInterval(timer)
  }, [isOn])
}

function useSearchKeys(again: () => void, toggleLive: () => void): void {
  const move = (by: number) => {
    const links = [...document.querySelectorAll<HTMLAnchorElement>('.result-title')]
    const at = links.indexOf(document.activeElement as HTMLAnchorElement)
    links[Math.max(0, Math.min(links.length - 1, at + by))]?.focus()
  }
  useKeys({
    title: () => say().keys,
    keys: [
      {
        keys: ['/'],
        label: () => say().keyForm,
        act: () => document.querySelector<HTMLInputElement>('.search-form input')?.focus(),
      },
      { keys: ['j', 'ArrowDown'], label: () => say().keyNext, act: () => move(1) },
      { keys: ['k', 'ArrowUp'], label: () => say().keyPrevious, act: () => move(-1) },
      { keys: ['r'], label: () => say().keyAgain, act: again },
      { keys: ['l'], label: () => say().keyLive, act: toggleLive },
    ],
  })
}

function Nothing({ search }: { search: Search }) {
  return (
    <Empty title={say().nothing}>
      <p>{say().nothingHint}</p>
      <ul class="suggestions">
        {conditionsOf(search).map((each) => (
          <li key={each.condition + each.text}>
            <a href={hrefTo('search', '', parametersOf(each.search))}>
              <bdi>
                {say().without(
                  each.condition === 'onlyErrors' ? say().onlyErrors : each.text.slice(0, 80),
                )}
              </bdi>
            </a>
          </li>
        ))}
        {WIDER_NANO.map((nano) => (
          <li key={nano}>
            <a
              href={hrefTo(
                'search',
                '',
                parametersOf({ ...search, range: { kind: 'last', nano } }),
              )}
            >
              {say().widen(duration(nano))}
            </a>
          </li>
        ))}
      </ul>
    </Empty>
  )
}
