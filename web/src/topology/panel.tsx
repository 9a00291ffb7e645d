/** What was chosen in the graph: a node with its callers and callees, or an edge. */

import { duration } from '../language/format.ts'
import { number, rate } from '../language/numbers.ts'
import { Icon } from '../parts/icon.tsx'
import { type Range, rangeParameters } from '../parts/range.ts'
import { hrefTo } from '../route.ts'
import { ErrorShare, NodeName } from './figures.tsx'
import type { Edge, Graph, Node, Sum } from './graph.ts'
import { say } from './messages.ts'

/** Of a hub, the busiest: the table has all. */
const LISTED_MAX = 60

export interface PanelProps {
  graph: Graph
  range: Range
  /** The node in focus, if any. */
  focus: string
  onFocus: (key: string) => void
  onSelect: (key: string) => void
}

export function Panel({ selected, ...props }: PanelProps & { selected: Node | Edge }) {
  return (
    <aside class="graph-panel" aria-label={say().details}>
      <button
        type="button"
        class="plain icon close"
        aria-label={say().close}
        title={`${say().close} (Esc)`}
        onClick={() => props.onSelect('')}
      >
        <Icon name="close" />
      </button>
      {'name' in selected ? (
        <NodePanel node={selected} {...props} />
      ) : (
        <EdgePanel edge={selected} {...props} />
      )}
    </aside>
  )
}

function NodePanel({ node, graph, range, focus, onFocus, onSelect }: PanelProps & { node: Node }) {
  const isService = node.kind === 'service'
  const isFocus = focus === node.key
  const parameters = { service: node.name, ...rangeParameters(range) }
  const callers = graph.edges.filter(({ callee }) => callee.key === node.key)
  const callees = graph.edges.filter(({ caller }) => caller.key === node.key)
  return (
    <>
      <h2>
        <NodeName node={node} />
      </h2>
      <p class="quiet">{say().nodeKind(node.kind)}</p>
      <div class="panel-buttons">
        {isService && (
          <a class="button" href={hrefTo('statistics', '', parameters)}>
            <Icon name="statistics" /> {say().statistics}
          </a>
        )}
        {isService && (
          <a class="button" href={hrefTo('search', '', parameters)}>
            <Icon name="search" /> {say().traces}
          </a>
        )}
        <button type="button" onClick={() => onFocus(isFocus ? '' : node.key)}>
          <Icon name={isFocus ? 'reset' : 'filter'} /> {isFocus ? say().unfocus : say().focus}
        </button>
      </div>
      <dl class="facts">
        <Sums title={say().incoming} sum={node.incoming} seconds={graph.seconds} />
        {isService && <Sums title={say().outgoing} sum={node.outgoing} seconds={graph.seconds} />}
      </dl>
      <Calls title={say().callers} edges={callers} end="caller" {...{ graph, onSelect }} />
      {isService && (
        <Calls title={say().callees} edges={callees} end="callee" {...{ graph, onSelect }} />
      )}
    </>
  )
}

function Sums({ title, sum, seconds }: { title: string; sum: Sum; seconds: number }) {
  return (
    <div>
      <dt>{title}</dt>
      <dd class="number">
        {sum.calls === 0 ? (
          <span class="quiet">{say().none}</span>
        ) : (
          <>
            {rate(sum.calls / seconds)} · {say().callCount(sum.calls)} · <ErrorShare of={sum} />
          </>
        )}
      </dd>
    </div>
  )
}

function Calls({
  title,
  edges,
  end,
  graph,
  onSelect,
}: {
  title: string
  edges: readonly Edge[]
  end: 'caller' | 'callee'
  graph: Graph
  onSelect: (key: string) => void
}) {
  if (edges.length === 0) return null
  return (
    <>
      <h3>
        {title} <span class="quiet">{number(edges.length)}</span>
      </h3>
      <table class="calls">
        <thead>
          <tr>
            <th>{say()[end]}</th>
            <th class="number">{say().rate}</th>
            <th class="number">{say().errors}</th>
            <th class="number">p50</th>
            <th class="number">p95</th>
            <th class="number">p99</th>
          </tr>
        </thead>
        <tbody>
          {edges.slice(0, LISTED_MAX).map((edge) => (
            <tr key={edge.key}>
              <td>
                <button
                  type="button"
                  class="plain link"
                  title={`${edge[end].name} · ${say().kind(edge.kind)}`}
                  onClick={() => onSelect(edge.key)}
                >
                  <NodeName node={edge[end]} />
                </button>
              </td>
              <td class="number">{rate(edge.calls / graph.seconds)}</td>
              <td class="number">
                <ErrorShare of={edge} />
              </td>
              <td class="number">{duration(edge.p50Nano)}</td>
              <td class="number">{duration(edge.p95Nano)}</td>
              <td class="number">{duration(edge.p99Nano)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {edges.length > LISTED_MAX && (
        <p class="quiet">{say().moreInTable(edges.length - LISTED_MAX)}</p>
      )}
    </>
  )
}

function EdgePanel({ edge, graph, range, onSelect }: PanelProps & { edge: Edge }) {
  // Of a callee that sends no spans, only its callers' traces tell.
  const { name } = edge.callee.kind === 'service' ? edge.callee : edge.caller
  const parameters = { service: name, ...rangeParameters(range) }
  const end = (node: Node) => (
    <button type="button" class="plain link" onClick={() => onSelect(node.key)}>
      <NodeName node={node} />
    </button>
  )
  return (
    <>
      <h2 class="edge-title">
        {end(edge.caller)} → {end(edge.callee)}
      </h2>
      <p class="quiet">{say().kind(edge.kind)}</p>
      <div class="panel-buttons">
        {edge.exemplarTraceId && (
          <a class="button" href={hrefTo('trace', edge.exemplarTraceId)}>
            <Icon name="trace" /> {say().exemplar}
          </a>
        )}
        <a class="button" href={hrefTo('search', '', parameters)}>
          <Icon name="search" /> {say().tracesOf(name)}
        </a>
        {edge.errors > 0 && (
          <a class="button" href={hrefTo('search', '', { ...parameters, status: 'error' })}>
            <Icon name="error" /> {say().failedTraces}
          </a>
        )}
      </div>
      <dl class="facts number">
        <div>
          <dt>{say().rate}</dt>
          <dd>
            {rate(edge.calls / graph.seconds)} · {say().callCount(edge.calls)}
          </dd>
        </div>
        <div>
          <dt>{say().errors}</dt>
          <dd>
            <ErrorShare of={edge} />
            {edge.errors > 0 && ` · ${number(edge.errors)}`}
          </dd>
        </div>
        {(['p50', 'p95', 'p99'] as const).map((quantile) => (
          <div key={quantile}>
            <dt>{quantile}</dt>
            <dd>{duration(edge[`${quantile}Nano`])}</dd>
          </div>
        ))}
      </dl>
    </>
  )
}
