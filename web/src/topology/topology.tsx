/** Who calls whom: a directed graph, and the same as a table. */

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Edge, EdgesAnswer } from '../api/answers.ts'
import { question } from '../api/server.ts'
import { duration, percent } from '../language/format.ts'
import { useAnswer } from '../parts/answer.ts'
import { Combobox } from '../parts/combobox.tsx'
import { Icon } from '../parts/icon.tsx'
import { useKeys } from '../parts/keys.ts'
import { rangeIn, rangeParameters, secondsOf } from '../parts/range.ts'
import { Empty, Failed, Loading } from '../parts/states.tsx'
import { TimeRange } from '../parts/time-range.tsx'
import { amend, hrefTo, route } from '../route.ts'
import { colours } from '../theme/tokens.ts'
import { GraphCanvas, NODE_HEIGHT, nodeWidth, type Selected } from './canvas.ts'
import {
  EDGE_KINDS,
  EDGES_AT_FIRST,
  type EdgeKind,
  type Graph,
  graphOf,
  shareFor,
  wantedEdges,
} from './graph.ts'
import type { Layout, LayoutTold } from './layout.ts'
import { say } from './messages.ts'
import { Details } from './panel.tsx'
import { EdgeTable } from './table.tsx'
import './topology.css'

const LIVE_MILLISECONDS = 15_000
const SHARES = [0, 0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25] as const
const WIDER_NANO = [6, 24, 7 * 24].map((hours) => hours * 3_600e9)

export default function TopologyView() {
  const { parameters } = route.value
  const range = rangeIn(parameters)
  const [turn, setTurn] = useState(0)
  const [isLive, setLive] = useState(false)
  const again = () => setTurn((before) => before + 1)
  useEffect(() => {
    if (!isLive) return
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') again()
    }, LIVE_MILLISECONDS)
    return () => clearInterval(timer)
  }, [isLive])
  const asked = useAnswer(`${JSON.stringify(range)} ${turn}`, (signal) => {
    const { start, end } = secondsOf(range)
    return question<EdgesAnswer>(
      'v1/edges',
      { start: start.toFixed(0), end: end.toFixed(0) },
      signal,
    )
  })
  const answer = asked.answer
  const focus = parameters['focus'] ?? ''
  const depth = Number(parameters['depth']) || 2
  const kinds = (parameters['kinds'] ?? '')
    .split('.')
    .filter((each): each is EdgeKind => EDGE_KINDS.includes(each as EdgeKind))
  const onlyErrors = parameters['errors'] === '1'
  const all = answer?.edges ?? []
  const least =
    parameters['hide'] === undefined
      ? shareFor(all, EDGES_AT_FIRST)
      : Number(parameters['hide']) || 0
  const edges = wantedEdges(all, { kinds, leastShare: focus ? 0 : least, onlyErrors, focus, depth })
  const tab = parameters['tab'] === 'table' ? 'table' : 'graph'
  const names = [...new Set(all.flatMap((edge) => [edge.caller, edge.callee]))].sort()
  const seconds = answer
    ? Math.max(
        1,
        Number(BigInt(answer.end_time_unix_nano) - BigInt(answer.start_time_unix_nano)) / 1e9,
      )
    : 1
  return (
    <div class="topology">
      <div class="topology-tools">
        <h1 class="visually-hidden">{say().title}</h1>
        <div class="tabs" role="tablist" aria-label={say().views}>
          {(['graph', 'table'] as const).map((each) => (
            <button
              key={each}
              type="button"
              role="tab"
              aria-selected={tab === each}
              onClick={() => amend({ tab: each === 'table' ? 'table' : '' })}
            >
              {say()[each]}
            </button>
          ))}
        </div>
        <FocusField focus={focus} names={names} />
        {focus && (
          <label>
            <span>
              {say().depth} {depth}
            </span>
            <input
              type="range"
              min="1"
              max="5"
              value={depth}
              onInput={(event) => amend({ depth: event.currentTarget.value })}
            />
          </label>
        )}
        {!focus && (
          <label>
            <span>{say().hide}</span>
            <select
              value={String(nearest(least))}
              onChange={(event) => amend({ hide: event.currentTarget.value })}
            >
              {SHARES.map((share) => (
                <option key={share} value={String(share)}>
                  {say().ofMost(percent(share))}
                </option>
              ))}
            </select>
          </label>
        )}
        <fieldset class="kinds">
          <legend class="label">{say().kinds}</legend>
          {EDGE_KINDS.map((kind) => (
            <label key={kind} class="row">
              <input
                type="checkbox"
                checked={kinds.length === 0 || kinds.includes(kind)}
                onChange={() => {
                  const now = kinds.length ? kinds : EDGE_KINDS
                  const next = now.includes(kind)
                    ? now.filter((each) => each !== kind)
                    : [...now, kind]
                  amend({ kinds: next.length === EDGE_KINDS.length ? '' : next.join('.') })
                }}
              />
              {say().kind(kind)}
            </label>
          ))}
          <label class="row">
            <input
              type="checkbox"
              checked={onlyErrors}
              onChange={(event) => amend({ errors: event.currentTarget.checked ? '1' : '' })}
            />
            <Icon name="error" size={13} /> {say().onlyErrors}
          </label>
        </fieldset>
        <TimeRange value={range} onChange={(next) => amend(rangeParameters(next))} />
        <button type="button" aria-pressed={isLive} onClick={() => setLive(!isLive)}>
          <Icon name={isLive ? 'pause' : 'play'} /> {say().live}
        </button>
        <button
          type="button"
          class="icon"
          aria-label={say().again}
          title={say().again}
          onClick={again}
        >
          <Icon name="reload" />
        </button>
      </div>
      {asked.failure && <Failed failure={asked.failure} again={again} />}
      {!answer && !asked.failure && <Loading rows={10} />}
      {answer && (
        <p class="topology-line quiet">
          {say().shown(edges.length, all.length)}{' '}
          {edges.length < all.length && (
            <button
              type="button"
              class="plain"
              onClick={() => amend({ hide: '0', focus: '', kinds: '', errors: '' })}
            >
              {say().showAll}
            </button>
          )}{' '}
          {say().legend} {answer.other && say().others(answer.other.calls)}{' '}
          {answer.warnings.join(' ')}
        </p>
      )}
      {answer && all.length === 0 && <Nothing />}
      {answer && all.length > 0 && edges.length === 0 && <Empty title={say().filtered} />}
      {edges.length > 0 && tab === 'table' && (
        <EdgeTable edges={edges} seconds={seconds} range={rangeParameters(range)} />
      )}
      {edges.length > 0 && tab === 'graph' && (
        <GraphView edges={edges} seconds={seconds} focus={focus} />
      )}
    </div>
  )
}

function FocusField({ focus, names }: { focus: string; names: string[] }) {
  const [typed, setTyped] = useState<string>()
  return (
    <Combobox
      label={say().focus}
      value={typed ?? focus}
      options={names.map((value) => ({ value }))}
      onChange={setTyped}
      onCommit={(value) => {
        setTyped(undefined)
        if (value === '' || names.includes(value)) amend({ focus: value })
      }}
    />
  )
}

function nearest(share: number): number {
  return SHARES.reduce(
    (best, each) => (Math.abs(each - share) < Math.abs(best - share) ? each : best),
    0 as number,
  )
}

function GraphView({ edges, seconds, focus }: { edges: Edge[]; seconds: number; focus: string }) {
  const place = useRef<HTMLCanvasElement>(null)
  const canvas = useRef<GraphCanvas | undefined>(undefined)
  const [selected, setSelected] = useState<Selected>()
  const graph = graphOf(edges)
  const layout = useLayout(graph)
  const palette = colours.value
  useEffect(() => {
    if (!place.current) return
    const made = new GraphCanvas(place.current, setSelected)
    canvas.current = made
    return () => made.close()
  }, [])
  useEffect(() => {
    if (!layout) return
    canvas.current?.show({ graph, layout, seconds, selected, marked: focus, colours: palette })
    performance.mark('clew:topology-drawn')
  })
  useGraphKeys(canvas)
  return (
    <div class="graph">
      <div class="graph-main">
        <canvas ref={place} role="img" aria-label={say().label(graph.nodes.size, edges.length)} />
        {!layout && <Loading rows={6} />}
        <div class="graph-buttons">
          <button
            type="button"
            class="icon"
            aria-label={say().zoomIn}
            title={say().zoomIn}
            onClick={() => canvas.current?.zoomBy(1.3)}
          >
            <Icon name="plus" />
          </button>
          <button
            type="button"
            class="icon"
            aria-label={say().zoomOut}
            title={say().zoomOut}
            onClick={() => canvas.current?.zoomBy(1 / 1.3)}
          >
            <Icon name="minus" />
          </button>
          <button
            type="button"
            class="icon"
            aria-label={say().fit}
            title={say().fit}
            onClick={() => canvas.current?.fit()}
          >
            <Icon name="reset" />
          </button>
        </div>
        <ul class="node-list" aria-label={say().nodes}>
          {[...graph.nodes.keys()].map((name) => (
            <li key={name}>
              <button
                type="button"
                onFocus={() => canvas.current?.centre(name)}
                onClick={() => setSelected({ node: name })}
              >
                <bdi>{name}</bdi>
              </button>
            </li>
          ))}
        </ul>
      </div>
      {selected && (
        <Details selected={selected} graph={graph} seconds={seconds} select={setSelected} />
      )}
    </div>
  )
}

/** Laid out anew only when there are other nodes or edges: figures that change move nothing. */
function useLayout(graph: Graph): Layout | undefined {
  const [layout, setLayout] = useState<Layout>()
  const worker = useMemo(
    () => new Worker(new URL('./layout.worker.ts', import.meta.url), { type: 'module' }),
    [],
  )
  const newest = useRef(0)
  const shape = [
    ...graph.nodes.keys(),
    ...graph.edges.map((edge) => `${edge.caller}>${edge.callee}`),
  ]
    .sort()
    .join('\n')
  useEffect(() => {
    worker.addEventListener('message', (event: MessageEvent<LayoutTold>) => {
      if (event.data.id === newest.current) setLayout(event.data.layout)
    })
    return () => worker.terminate()
  }, [worker])
  useEffect(() => {
    const pairs = new Map(
      graph.edges
        .filter((edge) => edge.caller !== edge.callee)
        .map((edge) => [`${edge.caller}\n${edge.callee}`, { from: edge.caller, to: edge.callee }]),
    )
    worker.postMessage({
      id: ++newest.current,
      nodes: [...graph.nodes.keys()].map((name) => ({
        name,
        width: nodeWidth(name),
        height: NODE_HEIGHT,
      })),
      edges: [...pairs.values()],
    })
  }, [shape, worker])
  return layout
}

const PAN_PIXELS = 60

function useGraphKeys(canvas: { current: GraphCanvas | undefined }): void {
  const pan = (x: number, y: number) => () => canvas.current?.pan(x * PAN_PIXELS, y * PAN_PIXELS)
  useKeys({
    title: () => say().keys,
    keys: [
      { keys: ['+', '='], label: () => say().zoomIn, act: () => canvas.current?.zoomBy(1.3) },
      { keys: ['-'], label: () => say().zoomOut, act: () => canvas.current?.zoomBy(1 / 1.3) },
      { keys: ['0'], label: () => say().fit, act: () => canvas.current?.fit() },
      { keys: ['ArrowLeft'], label: () => say().keyPan, act: pan(1, 0) },
      { keys: ['ArrowRight'], label: () => say().keyPan, act: pan(-1, 0) },
      { keys: ['ArrowUp'], label: () => say().keyPan, act: pan(0, 1) },
      { keys: ['ArrowDown'], label: () => say().keyPan, act: pan(0, -1) },
    ],
  })
}

function Nothing() {
  return (
    <Empty title={say().nothing}>
      <p>{say().nothingHint}</p>
      <ul>
        {WIDER_NANO.map((nano) => (
          <li key={nano}>
            <a href={hrefTo('topology', '', rangeParameters({ kind: 'last', nano }))}>
              {say().widen(duration(nano))}
            </a>
          </li>
        ))}
        <li>
          <a href={hrefTo('search')}>{say().search}</a>
        </li>
      </ul>
    </Empty>
  )
}
