/** What was clicked: a service with its callers and callees, or one edge. */

import type { Edge } from '../api/answers.ts'
import { duration, percent, rate } from '../language/format.ts'
import { Icon } from '../parts/icon.tsx'
import { rangeIn, rangeParameters } from '../parts/range.ts'
import { Service } from '../parts/service.tsx'
import { amend, hrefTo, route } from '../route.ts'
import type { Selected } from './canvas.ts'
import { errorShare, type Graph } from './graph.ts'
import { say } from './messages.ts'

export function Details({
  selected,
  graph,
  seconds,
  select,
}: {
  selected: Selected
  graph: Graph
  seconds: number
  select: (selected: Selected | undefined) => void
}) {
  const range = rangeParameters(rangeIn(route.value.parameters))
  return (
    <aside class="graph-panel">
      <button
        type="button"
        class="plain icon close"
        aria-label={say().close}
        onClick={() => select(undefined)}
      >
        <Icon name="close" />
      </button>
      {'node' in selected ? (
        <NodeDetails
          name={selected.node}
          graph={graph}
          seconds={seconds}
          range={range}
          select={select}
        />
      ) : (
        <EdgeDetails edge={selected.edge} seconds={seconds} range={range} />
      )}
    </aside>
  )
}

type RangeParameters = ReturnType<typeof rangeParameters>

function NodeDetails({
  name,
  graph,
  seconds,
  range,
  select,
}: {
  name: string
  graph: Graph
  seconds: number
  range: RangeParameters
  select: (selected: Selected) => void
}) {
  const node = graph.nodes.get(name)
  const isFocus = route.value.parameters['focus'] === name
  const list = (edges: Edge[], side: 'caller' | 'callee') => (
    <ul class="edge-list">
      {edges.map((edge) => (
        <li key={`${edge[side]} ${edge.kind}`}>
          <button type="button" class="plain" onClick={() => select({ edge })}>
            <Service name={edge[side]} />
            <span class="number quiet">
              {rate(edge.calls / seconds)} · p95 {duration(Number(edge.p95_nano))}
            </span>
            {edge.errors > 0 && (
              <span class="error-text">
                <Icon name="error" size={12} /> {percent(errorShare(edge))}
              </span>
            )}
          </button>
        </li>
      ))}
    </ul>
  )
  const callers = graph.edges.filter((edge) => edge.callee === name)
  const callees = graph.edges.filter((edge) => edge.caller === name)
  return (
    <>
      <h2>
        <Service name={name} />
      </h2>
      <p class="quiet">
        {say().nodeKind(node?.kind ?? 'service')}
        {node && node.calls > 0 && ` · ${rate(node.calls / seconds)}`}
        {node && node.errors > 0 && ` · ⊗ ${percent(errorShare(node))}`}
      </p>
      <div class="panel-buttons">
        {node?.kind === 'service' && (
          <a class="button" href={hrefTo('statistics', '', { service: name, ...range })}>
            <Icon name="statistics" /> {say().statistics}
          </a>
        )}
        {node?.kind === 'service' && (
          <a class="button" href={hrefTo('search', '', { service: name, ...range })}>
            <Icon name="search" /> {say().traces}
          </a>
        )}
        <button type="button" onClick={() => amend({ focus: isFocus ? '' : name })}>
          {isFocus ? say().unfocus : say().focusOn}
        </button>
      </div>
      {callers.length > 0 && <h3>{say().callers}</h3>}
      {list(callers, 'caller')}
      {callees.length > 0 && <h3>{say().callees}</h3>}
      {list(callees, 'callee')}
    </>
  )
}

function EdgeDetails({
  edge,
  seconds,
  range,
}: {
  edge: Edge
  seconds: number
  range: RangeParameters
}) {
  return (
    <>
      <h2>
        <Service name={edge.caller} /> → <Service name={edge.callee} />
      </h2>
      <p class="quiet">{say().kind(edge.kind)}</p>
      <dl class="edge-facts number">
        <dt>{say().rate}</dt>
        <dd>{rate(edge.calls / seconds)}</dd>
        <dt>{say().errors}</dt>
        <dd class={edge.errors > 0 ? 'error-text' : ''}>
          {edge.errors > 0 && <Icon name="error" size={13} />} {percent(errorShare(edge))}
        </dd>
        <dt>p50</dt>
        <dd>{duration(Number(edge.p50_nano))}</dd>
        <dt>p95</dt>
        <dd>{duration(Number(edge.p95_nano))}</dd>
        <dt>p99</dt>
        <dd>{duration(Number(edge.p99_nano))}</dd>
      </dl>
      <div class="panel-buttons">
        {edge.exemplar_trace_id && (
          <a class="button" href={hrefTo('trace', edge.exemplar_trace_id)}>
            <Icon name="trace" /> {say().exemplar}
          </a>
        )}
        <a class="button" href={hrefTo('search', '', { service: edge.caller, ...range })}>
          <Icon name="search" /> {say().traces}
        </a>
      </div>
    </>
  )
}
