/** Everything of one span, beside the timeline. */

import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { duration, exactTime, moment, zone } from '../../language/format.ts'
import { percent } from '../../language/numbers.ts'
import { useAnswer } from '../../parts/answer.ts'
import { CopyButton } from '../../parts/copy-button.tsx'
import { Failed } from '../../parts/failed.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Service } from '../../parts/service.tsx'
import { Loading } from '../../parts/states.tsx'
import { hrefTo } from '../../route.ts'
import { hrefOf } from '../../settings/link-pattern.ts'
import { remember, rememberedText } from '../../settings/remembered.ts'
import { linkPatterns } from '../../settings/state.ts'
import { spanIdOf } from '../model/ids.ts'
import { attributeText } from '../model/value.ts'
import type { Attribute, SpanDetails, Trace } from '../protocol.ts'
import type { TreeRow } from '../row-numbers.ts'
import { AttributeRows } from './attributes.tsx'
import { say } from './panel-messages.ts'
import type { TraceStore } from './store.ts'
import './panel.css'

const SETTLED_MILLISECONDS = 60

export function Panel({ store, trace, row }: { store: TraceStore; trace: Trace; row: TreeRow }) {
  const asked = useAnswer(
    `${trace.head.traceId} ${row} ${trace.head.isComplete}`,
    async (signal) => {
      // Whoever runs through the rows does not want each one's.
      await new Promise((resolve) => setTimeout(resolve, SETTLED_MILLISECONDS))
      signal.throwIfAborted()
      const { details } = await store.session.ask<'details'>({ kind: 'details', row })
      return { row, details }
    },
  )
  const { columns, head } = trace
  const name = head.names[columns.name[row] ?? 0] ?? ''
  const service = head.services[columns.service[row] ?? 0]?.name ?? ''
  const details = asked.answer?.row === row ? asked.answer.details : undefined
  return (
    <aside class="panel" aria-label={say().panel}>
      <header>
        <div>
          <Service name={service} />
          <h2>
            <bdi>{name}</bdi>
          </h2>
        </div>
        <button
          type="button"
          class="plain icon"
          aria-label={say().closePanel}
          title={say().closePanel}
          onClick={() => {
            store.showsPanel.value = false
          }}
        >
          <Icon name="close" />
        </button>
      </header>
      <Timing trace={trace} row={row} details={details} />
      {asked.failure && !details && <Failed failure={asked.failure} again={asked.again} />}
      {!details && !asked.failure && <Loading rows={8} />}
      {details && <Sections store={store} trace={trace} details={details} />}
    </aside>
  )
}

function Timing({
  trace,
  row,
  details,
}: {
  trace: Trace
  row: number
  details: SpanDetails | undefined
}) {
  const { columns, head } = trace
  const [start, length, self] = [
    columns.start[row] ?? 0,
    columns.duration[row] ?? 0,
    columns.self[row] ?? 0,
  ]
  const unixNano = BigInt(head.startUnixNano) + BigInt(Math.round(start))
  const statusCode = details?.statusCode
  return (
    <dl class="facts">
      <dt>{say().duration}</dt>
      <dd class="number">
        {duration(length)}{' '}
        <span class="quiet">{say().ofTrace(percent(length / Math.max(1, head.durationNano)))}</span>
      </dd>
      <dt>{say().self}</dt>
      <dd class="number">
        {duration(self)} <span class="quiet">{length > 0 && percent(self / length)}</span>
      </dd>
      <dt>{say().start}</dt>
      <dd class="number">
        {start > 0 ? say().after(duration(start)) : say().atStart}
        <br />
        <span class="quiet">
          {moment(unixNano).split(',')[0]} {exactTime(unixNano)} {zone()}
        </span>
      </dd>
      <dt>{say().status}</dt>
      <dd>
        {statusCode === 2 && (
          <strong class="error-text">
            <Icon name="error" /> {say().error}
          </strong>
        )}
        {statusCode === 1 && say().ok}
        {statusCode === 0 && <span class="quiet">{say().unset}</span>}
        {details?.statusMessage && <div class="wrap">{details.statusMessage}</div>}
      </dd>
      <dt>{say().kind}</dt>
      <dd>{say().kinds(columns.kind[row] ?? 0)}</dd>
      <dt>{say().spanId}</dt>
      <dd class="mono">{spanIdOf(columns, row)}</dd>
    </dl>
  )
}

function Sections({
  store,
  trace,
  details,
}: {
  store: TraceStore
  trace: Trace
  details: SpanDetails
}) {
  const { traceId } = trace.head
  const linkedFrom = useAnswer(trace.head.source === 'server' ? traceId : undefined, async () => {
    const { traces } = await store.session.ask<'linkedFrom'>({ kind: 'linkedFrom' })
    return traces
  })
  return (
    <>
      <Elsewhere traceId={traceId} details={details} />
      <Attributes
        name="attributes"
        title={say().attributes}
        attributes={details.attributes}
        details={details}
      />
      {details.events.length > 0 && (
        <Section name="events" title={say().events} count={details.events.length}>
          <Events trace={trace} details={details} />
        </Section>
      )}
      {details.links.length > 0 && (
        <Section name="links" title={say().links} count={details.links.length}>
          <ul class="plain-list">
            {details.links.map((link) => (
              <li key={`${link.traceId}${link.spanId}`}>
                <a href={hrefTo('trace', link.traceId, { span: link.spanId })}>
                  <span class="mono">{link.traceId.slice(0, 16)}…</span> {say().openTrace}
                </a>
                <AttributeRows attributes={link.attributes} details={details} />
              </li>
            ))}
          </ul>
        </Section>
      )}
      {linkedFrom.answer && linkedFrom.answer.length > 0 && (
        <Section name="linkedFrom" title={say().linkedFrom} count={linkedFrom.answer.length}>
          <ul class="plain-list">
            {linkedFrom.answer.map((each) => (
              <li key={each.traceId}>
                <a href={hrefTo('trace', each.traceId)}>
                  <bdi>
                    {each.service}: {each.name}
                  </bdi>
                </a>{' '}
                <span class="quiet">{moment(each.startUnixNano)}</span>
              </li>
            ))}
          </ul>
        </Section>
      )}
      <Attributes
        name="resource"
        title={say().resource}
        attributes={details.resource}
        details={details}
      />
      {(details.scopeName || details.scope.length > 0) && (
        <Section name="scope" title={say().scope}>
          <p class="wrap">
            <bdi>{details.scopeName}</bdi> <span class="quiet">{details.scopeVersion}</span>
          </p>
          <AttributeRows attributes={details.scope} details={details} />
        </Section>
      )}
      {details.droppedCount > 0 && (
        <p class="notice-line">
          <Icon name="warning" /> {say().dropped(details.droppedCount)}
        </p>
      )}
      <Section name="raw" title={say().raw} isClosed>
        <CopyButton text={details.raw} label={say().copyValue} />
        <pre class="raw">{details.raw}</pre>
      </Section>
    </>
  )
}

function Section({
  name,
  title,
  count,
  isClosed = false,
  children,
}: {
  name: string
  title: string
  count?: number
  isClosed?: boolean
  children: ComponentChildren
}) {
  const key = `panel.${name}`
  const before = rememberedText(key)
  return (
    <details
      class="section"
      open={before === undefined ? !isClosed : before === 'open'}
      onToggle={(event) => remember(key, event.currentTarget.open ? 'open' : 'closed')}
    >
      <summary>
        {title} {count !== undefined && <span class="quiet number">{count}</span>}
      </summary>
      {children}
    </details>
  )
}

function Attributes({
  name,
  title,
  attributes,
  details,
}: {
  name: string
  title: string
  attributes: Attribute[]
  details: SpanDetails
}) {
  const [text, setText] = useState('')
  if (attributes.length === 0) return null
  const wanted = text.trim().toLowerCase()
  const shown = attributes.filter((each) =>
    `${each.key}=${attributeText(each.value)}`.toLowerCase().includes(wanted),
  )
  return (
    <Section name={name} title={title} count={attributes.length}>
      {attributes.length > 8 && (
        <input
          type="search"
          class="filter"
          placeholder={say().filter}
          aria-label={say().filter}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      )}
      <AttributeRows attributes={shown} details={details} />
    </Section>
  )
}

function Events({ trace, details }: { trace: Trace; details: SpanDetails }) {
  return (
    <ol class="plain-list events">
      {details.events.map((event, at) => (
        <li key={at}>
          <div>
            <span class="number quiet">
              {duration(Number(BigInt(event.timeUnixNano) - BigInt(trace.head.startUnixNano)))}
            </span>{' '}
            <strong>
              <bdi>{event.name}</bdi>
            </strong>
          </div>
          <AttributeRows attributes={event.attributes} details={details} />
        </li>
      ))}
    </ol>
  )
}

function Elsewhere({ traceId, details }: { traceId: string; details: SpanDetails }) {
  const own: Record<string, string> = {
    trace_id: traceId,
    span_id: details.spanId,
    service: details.service,
  }
  const values = (name: string) => {
    if (!name.startsWith('attribute:')) return own[name]
    const key = name.slice('attribute:'.length)
    const found = [...details.attributes, ...details.resource].find((each) => each.key === key)
    return found && attributeText(found.value)
  }
  const links = linkPatterns.value.flatMap((pattern) => {
    const href = hrefOf(pattern, values)
    return href ? [{ name: pattern.name, href }] : []
  })
  if (links.length === 0) return null
  return (
    <Section name="elsewhere" title={say().elsewhere}>
      <ul class="plain-list">
        {links.map((each) => (
          <li key={each.name}>
            <a href={each.href} target="_blank" rel="noreferrer noopener">
              {each.name} <Icon name="external" />
            </a>
          </li>
        ))}
      </ul>
    </Section>
  )
}
