/** Traces in lines. */

import type { TraceSummary } from '../api/answers.ts'
import { ago, duration, moment, zone } from '../language/format.ts'
import { Icon } from '../parts/icon.tsx'
import { Service } from '../parts/service.tsx'
import { hrefTo } from '../route.ts'
import { say } from './messages.ts'

const BADGES_MAX = 8

export function Results({
  traces,
  fresh,
}: {
  traces: readonly TraceSummary[]
  fresh?: ReadonlySet<string>
}) {
  const longest = Math.max(1, ...traces.map((trace) => Number(trace.duration_nano)))
  return (
    <ol class="results">
      {traces.map((trace) => (
        <Line
          key={trace.trace_id}
          trace={trace}
          longest={longest}
          isFresh={fresh?.has(trace.trace_id) ?? false}
        />
      ))}
    </ol>
  )
}

function Line({
  trace,
  longest,
  isFresh,
}: {
  trace: TraceSummary
  longest: number
  isFresh: boolean
}) {
  const nano = Number(trace.duration_nano)
  const shown = trace.services.slice(0, BADGES_MAX)
  return (
    <li class={isFresh ? 'result is-fresh' : 'result'}>
      <a class="result-title" href={hrefTo('trace', trace.trace_id)}>
        <Service name={trace.root_service} /> <bdi class="result-name">{trace.root_span_name}</bdi>
      </a>
      <span class="result-duration number">
        <i
          style={{ width: `${Math.max(1, (nano / longest) * 100)}%` }}
          data-error={trace.error_count > 0}
        />
        <span>{duration(nano)}</span>
      </span>
      <span class="result-time number" title={`${moment(trace.start_time_unix_nano)} ${zone()}`}>
        {isFresh && <strong>{say().fresh} </strong>}
        {ago(trace.start_time_unix_nano)}
      </span>
      <span class="result-counts number">
        {say().spanCount(trace.span_count)}
        {trace.error_count > 0 && (
          <span class="error-text">
            {' '}
            <Icon name="error" size={13} /> {say().errorCount(trace.error_count)}
          </span>
        )}
      </span>
      <span class="result-services">
        {shown.map((name) => (
          <Service key={name} name={name}>
            <span class="quiet number">{trace.service_span_counts?.[name]}</span>
            {trace.service_error_counts?.[name] ? (
              <span class="error-text">
                <Icon name="error" size={12} />
              </span>
            ) : null}
          </Service>
        ))}
        {trace.services.length > shown.length && (
          <span class="quiet">+{trace.services.length - shown.length}</span>
        )}
      </span>
    </li>
  )
}
