/** The graph as a table. */

import { useState } from 'preact/hooks'
import type { Edge } from '../api/answers.ts'
import { duration, percent, rate } from '../language/format.ts'
import { Icon } from '../parts/icon.tsx'
import { Service } from '../parts/service.tsx'
import { hrefTo } from '../route.ts'
import { errorShare } from './graph.ts'
import { say } from './messages.ts'

type Column = 'calls' | 'errors' | 'p50' | 'p95' | 'p99'
const VALUES: Readonly<Record<Column, (edge: Edge) => number>> = {
  calls: (edge) => edge.calls,
  errors: errorShare,
  p50: (edge) => Number(edge.p50_nano),
  p95: (edge) => Number(edge.p95_nano),
  p99: (edge) => Number(edge.p99_nano),
}

export function EdgeTable({
  edges,
  seconds,
  range,
}: {
  edges: Edge[]
  seconds: number
  range: Record<string, string | undefined>
}) {
  const [column, setColumn] = useState<Column>('calls')
  const sorted = [...edges].sort((a, b) => VALUES[column](b) - VALUES[column](a))
  const head = (each: Column, title: string) => (
    <th class="number" aria-sort={column === each ? 'descending' : 'none'}>
      <button type="button" class="plain link" onClick={() => setColumn(each)}>
        {title} {column === each && '▾'}
      </button>
    </th>
  )
  return (
    <div class="edge-table" tabIndex={0} role="region" aria-label={say().table}>
      <table>
        <thead>
          <tr>
            <th>{say().caller}</th>
            <th>{say().callee}</th>
            <th>{say().kindHead}</th>
            {head('calls', say().rate)}
            {head('errors', say().errors)}
            {head('p50', 'p50')}
            {head('p95', 'p95')}
            {head('p99', 'p99')}
          </tr>
        </thead>
        <tbody>
          {sorted.map((edge) => (
            <tr key={`${edge.caller} ${edge.callee} ${edge.kind}`}>
              <td>
                <a href={hrefTo('statistics', '', { service: edge.caller, ...range })}>
                  <Service name={edge.caller} />
                </a>
              </td>
              <td>
                <Service name={edge.callee} />
              </td>
              <td class="quiet">{say().kind(edge.kind)}</td>
              <td class="number">{rate(edge.calls / seconds)}</td>
              <td class="number">
                {edge.errors > 0 ? (
                  <span class="error-text">
                    <Icon name="error" size={12} /> {percent(errorShare(edge))}
                  </span>
                ) : (
                  percent(0)
                )}
              </td>
              <td class="number">{duration(Number(edge.p50_nano))}</td>
              <td class="number">{duration(Number(edge.p95_nano))}</td>
              <td class="number">{duration(Number(edge.p99_nano))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
