/** Who calls whom: a directed graph, and the same as a table. */

import type { ComponentChildren } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { EdgesAnswer, ServicesAnswer } from '../api/answers.ts'
import { question } from '../api/question.ts'
import { duration } from '../language/format.ts'
import { useAnswer } from '../parts/answer.ts'
import { Failed } from '../parts/failed.tsx'
import { Icon } from '../parts/icon.tsx'
import { useKeys } from '../parts/keys.ts'
import { rangeParameters, secondsOf } from '../parts/range.ts'
import { Empty, Loading } from '../parts/states.tsx'
import { amend, hrefTo, route } from '../route.ts'
import { GraphCanvas } from './canvas.tsx'
import { CALL_KINDS, type Graph, graphFrom } from './graph.ts'
import { type Drafted, draft, type Layout } from './layout.ts'
import { Layouter } from './layouter.ts'
import { say } from './messages.ts'
import { narrow, type Shown } from './narrow.ts'
import { Panel } from './panel.tsx'
import { parametersOf, type View, viewIn } from './query.ts'
import { type Scene, sceneOf } from './scene.ts'
import { EdgeTable } from './table.tsx'
import { Tools } from './tools.tsx'
import './topology.css'

const LIVE_MILLISECONDS = 15_000
const WIDER_NANO = [6, 24, 7 * 24].map((hours) => hours * 3_600e9)
const UNFILTERED = {
  focus: '',
  hidePercent: 0,
  kinds: new Set(CALL_KINDS),
  onlyErrors: false,
} as const satisfies Partial<View>

interface Answer {
  edges: EdgesAnswer
  services: readonly string[]
}

export default function TopologyView() {
  const { parameters } = route.value
  const view = viewIn(parameters)
  const [turn, setTurn] = useState(0)
  const [isLive, setLive] = useState(false)
  const [found, setFound] = useState<ReadonlySet<string>>()
  const [wanted, setWanted] = useState<{ key: string }>()
  const again = () => setTurn((before) => before + 1)
  useLive(isLive, again)
  const rangeKey = JSON.stringify(view.range)
  const asked = useAnswer(`${rangeKey} ${turn}`, (signal) => askFor(view, signal))
  const { answer } = asked
  const graph = useMemo(() => answer && graphFrom(answer.edges, answer.services), [answer])
  const narrowKey = JSON.stringify([...fitParts(view)])
  const shown = useMemo(
    () => graph && narrow(graph, { ...view, focus: nodeIn(graph, view.focus) }),
    [graph, narrowKey],
  )
  const picture = useScene(shown)
  const change = (changes: Partial<View>) =>
    amend({ ...parametersOf({ ...view, ...changes }), camera: undefined })
  const select = (selected: string) => amend({ selected })
  const selected = graph && selectedIn(graph, view.selected)
  useViewKeys({
    again,
    toggleLive: () => setLive(!isLive),
    toggleTab: () => change({ tab: view.tab === 'graph' ? 'table' : 'graph' }),
    close: () => (view.selected ? select('') : change({ focus: '' })),
  })
  const look = (key: string) => {
    // What is hidden now is shown with its neighbours.
    if (picture?.scene.nodeOf.has(key)) setWanted({ key })
    else change({ focus: key })
    select(key)
  }
  return (
    <div class="topology">
      <h1 class="visually-hidden">{say().title}</h1>
      <Tools
        view={view}
        graph={graph}
        shown={shown}
        change={change}
        onFind={setFound}
        onLook={look}
        isLive={isLive}
        setLive={setLive}
        again={again}
      />
      {asked.failure && <Failed failure={asked.failure} again={again} />}
      {!graph && !asked.failure && <Loading rows={10} />}
      {graph && shown && graph.edges.length > 0 && (
        <Notices {...{ graph, shown, view }} answer={answer?.edges} change={change} />
      )}
      {graph && graph.edges.length === 0 && <Nothing />}
      {shown && graph && graph.edges.length > 0 && shown.edges.length === 0 && (
        <Filtered reset={() => change(UNFILTERED)} />
      )}
      {graph && shown && shown.edges.length > 0 && (
        <div class="topology-body" aria-busy={asked.isWaiting}>
          {view.tab === 'table' ? (
            <EdgeTable
              edges={shown.edges}
              seconds={graph.seconds}
              selected={view.selected}
              onSelect={select}
            />
          ) : picture ? (
            <GraphCanvas
              graph={graph}
              shown={picture.shown}
              scene={picture.scene}
              fitKey={narrowKey}
              selected={view.selected}
              found={found}
              wanted={wanted}
              camera={parameters['camera']}
              onCamera={(camera) => amend({ camera })}
              onSelect={select}
            />
          ) : (
            <Skeleton />
          )}
          {selected && (
            <Panel
              selected={selected}
              graph={graph}
              range={view.range}
              focus={view.focus}
              onFocus={(focus) => change({ focus })}
              onSelect={select}
            />
          )}
        </div>
      )}
    </div>
  )
}

function Filtered({ reset }: { reset: () => void }) {
  return (
    <Empty title={say().filtered}>
      <p>{say().filteredHint}</p>
      <button type="button" onClick={reset}>
        {say().reset}
      </button>
    </Empty>
  )
}

async function askFor(view: View, signal: AbortSignal): Promise<Answer> {
  const { start, end } = secondsOf(view.range)
  const range = { start: start.toFixed(0), end: end.toFixed(0) }
  const [edges, { services }] = await Promise.all([
    question<EdgesAnswer>('v1/edges', range, signal),
    // Without it, what is called and calls nobody may pass for a queue or a stranger.
    question<ServicesAnswer>('v1/services', range, signal).catch(() => ({ services: [] })),
  ])
  return { edges, services }
}

/** All that decides what is in the picture, but for new figures. */
function fitParts(view: View): unknown[] {
  const { focus, depth, direction, hidePercent, kinds, onlyErrors, range } = view
  return [focus, depth, direction, hidePercent, [...kinds], onlyErrors, range]
}

function nodeIn(graph: Graph, key: string) {
  return graph.nodes.find((node) => node.key === key)
}

function selectedIn(graph: Graph, key: string) {
  return key ? (nodeIn(graph, key) ?? graph.edges.find((edge) => edge.key === key)) : undefined
}

/** Laid out anew only for other nodes or edges: figures that change move nothing. The last picture stays meanwhile. */
function useScene(shown: Shown | undefined): { shown: Shown; scene: Scene } | undefined {
  const [laid, setLaid] = useState<{ drafted: Drafted; layout: Layout }>()
  const [layouter] = useState(() => new Layouter())
  const last = useRef<{ shown: Shown; scene: Scene } | undefined>(undefined)
  const drafted = useMemo(() => shown && draft(shown), [shown])
  useEffect(() => () => layouter.end(), [])
  useEffect(() => {
    if (!drafted || drafted.outline.nodeCount === 0 || drafted.key === laid?.drafted.key) return
    layouter.ask(drafted.outline, (layout, milliseconds) => {
      // For `make bench-ui`.
      performance.measure('clew:topology-layout', {
        duration: milliseconds,
        end: performance.now(),
      })
      setLaid({ drafted, layout })
    })
  }, [drafted?.key])
  return useMemo(() => {
    if (shown && laid && drafted?.key === laid.drafted.key) {
      last.current = { shown, scene: sceneOf(shown, laid.drafted, laid.layout) }
    }
    return last.current
  }, [shown, laid])
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

function useViewKeys(acts: {
  again: () => void
  toggleLive: () => void
  toggleTab: () => void
  close: () => void
}): void {
  useKeys({
    title: () => say().keys,
    keys: [
      {
        keys: ['/'],
        label: () => say().keyFind,
        act: () => document.querySelector<HTMLInputElement>('.topology-find input')?.focus(),
      },
      { keys: ['t'], label: () => say().keyTabs, act: acts.toggleTab },
      { keys: ['r'], label: () => say().again.replace(/ \(.*/, ''), act: acts.again },
      { keys: ['l'], label: () => say().live, act: acts.toggleLive },
      { keys: ['Escape'], label: () => say().keyClose, act: acts.close },
    ],
  })
}

function Notices({
  graph,
  shown,
  view,
  answer,
  change,
}: {
  graph: Graph
  shown: Shown
  view: View
  answer: EdgesAnswer | undefined
  change: (changes: Partial<View>) => void
}) {
  const isNarrowed = shown.edges.length < graph.edges.length
  return (
    <p class="topology-line">
      <span role="status">
        {say().shown(shown.edges.length, graph.edges.length)} ·{' '}
        {say().shownNodes(shown.nodes.length)}
      </span>
      {isNarrowed && (
        <button type="button" class="plain link" onClick={() => change(UNFILTERED)}>
          {say().showAll}
        </button>
      )}
      {shown.isOverview && <span class="quiet">{say().overview}</span>}
      {answer?.other && <Notice>{say().others(answer.other.calls)}</Notice>}
      {answer?.warnings.map((warning) => (
        <Notice key={warning}>{warning}</Notice>
      ))}
      {view.tab === 'graph' && (
        <span class="legend quiet">
          {say().legend} ·{' '}
          <span class="warning-text">
            <Icon name="warning" size={12} /> {say().someErrors}
          </span>{' '}
          ·{' '}
          <span class="error-text">
            <Icon name="error" size={12} /> {say().manyErrors}
          </span>
        </span>
      )}
    </p>
  )
}

function Notice({ children }: { children: ComponentChildren }) {
  return (
    <span class="warning-text">
      <Icon name="warning" size={13} /> {children}
    </span>
  )
}

/** Where the graph will be. */
function Skeleton() {
  return (
    <div class="graph-main">
      <Loading rows={6} />
    </div>
  )
}

function Nothing() {
  return (
    <Empty title={say().nothing}>
      <p>{say().nothingNeeds}</p>
      <p>{say().nothingWhen}</p>
      <div class="state-actions">
        {WIDER_NANO.map((nano) => (
          <a
            key={nano}
            class="button"
            href={hrefTo('topology', '', rangeParameters({ kind: 'last', nano }))}
          >
            <Icon name="clock" /> {say().widen(duration(nano))}
          </a>
        ))}
        <a class="button" href={hrefTo('search')}>
          <Icon name="search" /> {say().search}
        </a>
      </div>
    </Empty>
  )
}
