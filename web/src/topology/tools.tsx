/** What narrows the graph, in one bar. */

import { useState } from 'preact/hooks'
import { rounded } from '../language/numbers.ts'
import { Combobox } from '../parts/combobox.tsx'
import { Icon } from '../parts/icon.tsx'
import { TimeRange } from '../parts/time-range.tsx'
import { NodeName } from './figures.tsx'
import { CALL_KINDS, type CallKind, type Graph, type Node } from './graph.ts'
import { say } from './messages.ts'
import { DIRECTIONS, type Direction, type Shown } from './narrow.ts'
import { DEPTHS, HIDE_PERCENTS, hideStep, type View } from './query.ts'

export interface ToolsProps {
  view: View
  graph: Graph | undefined
  shown: Shown | undefined
  change: (changes: Partial<View>) => void
  /** What is typed marks the nodes that it may mean. */
  onFind: (keys: ReadonlySet<string> | undefined) => void
  onLook: (key: string) => void
  isLive: boolean
  setLive: (isLive: boolean) => void
  again: () => void
}

export function Tools({ view, graph, shown, change, isLive, setLive, again, ...find }: ToolsProps) {
  const focus = graph?.nodes.find((node) => node.key === view.focus)
  return (
    <div class="topology-tools">
      <div class="tabs" role="group" aria-label={say().views}>
        {(['graph', 'table'] as const).map((tab) => (
          <button
            key={tab}
            type="button"
            aria-pressed={view.tab === tab}
            onClick={() => change({ tab })}
          >
            {say()[tab]}
          </button>
        ))}
      </div>
      <Find nodes={graph?.nodes ?? []} {...find} />
      {view.focus && <Focus view={view} node={focus} change={change} />}
      <Hide view={view} graph={graph} shown={shown} change={change} />
      <Kinds view={view} change={change} />
      <div class="topology-range">
        <TimeRange value={view.range} onChange={(range) => change({ range })} />
        <button
          type="button"
          aria-pressed={isLive}
          title={say().liveHint}
          onClick={() => setLive(!isLive)}
        >
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
    </div>
  )
}

function Find({
  nodes,
  onFind,
  onLook,
}: { nodes: readonly Node[] } & Pick<ToolsProps, 'onFind' | 'onLook'>) {
  const [text, setText] = useState('')
  // A service comes before what only has its name.
  const byName = new Map(
    [...nodes]
      .sort((one, other) => Number(one.kind === 'service') - Number(other.kind === 'service'))
      .map((node) => [node.name, node]),
  )
  const options = [...byName.values()]
    .sort((one, other) => one.name.localeCompare(other.name))
    .map(({ name }) => ({ value: name }))
  const type = (typed: string) => {
    setText(typed)
    const wanted = typed.trim().toLowerCase()
    const found = nodes.filter(({ name }) => name.toLowerCase().includes(wanted))
    onFind(wanted ? new Set(found.map(({ key }) => key)) : undefined)
  }
  return (
    <div class="topology-find">
      <Combobox
        label={say().find}
        value={text}
        options={options}
        onChange={type}
        onCommit={(value) => {
          const node = byName.get(value)
          if (node) onLook(node.key)
          type('')
        }}
      />
    </div>
  )
}

type Part = Pick<ToolsProps, 'view' | 'change'>

function Focus({ view, node, change }: Part & { node: Node | undefined }) {
  const names = { both: say().both, callers: say().callersOnly, callees: say().calleesOnly }
  return (
    <div class="topology-focus" role="group" aria-label={say().focused}>
      <button
        type="button"
        class="chip"
        title={say().unfocus}
        onClick={() => change({ focus: '' })}
      >
        <Icon name="filter" size={13} /> {node ? <NodeName node={node} /> : <bdi>{view.focus}</bdi>}{' '}
        <Icon name="close" size={12} />
      </button>
      <label>
        <span>{say().depth(view.depth)}</span>
        <input
          type="range"
          min={DEPTHS[0]}
          max={DEPTHS.at(-1)}
          value={view.depth}
          onInput={(event) => change({ depth: Number(event.currentTarget.value) })}
        />
      </label>
      <label>
        <span>{say().direction}</span>
        <select
          value={view.direction}
          onChange={(event) => change({ direction: event.currentTarget.value as Direction })}
        >
          {DIRECTIONS.map((each) => (
            <option key={each} value={each}>
              {names[each]}
            </option>
          ))}
        </select>
      </label>
    </div>
  )
}

function Hide({ view, graph, shown, change }: Part & Pick<ToolsProps, 'graph' | 'shown'>) {
  const percent = view.hidePercent ?? (shown?.isOverview ? smallestShown(graph, shown) : 0)
  const text = percent > 0 ? say().ofAll(`${rounded(percent)}%`) : say().hideNothing
  return (
    <label class="topology-hide">
      <span>
        {say().hide} <span class="value">{text}</span>
      </span>
      <input
        type="range"
        min="0"
        max={HIDE_PERCENTS.length - 1}
        value={hideStep(percent)}
        aria-valuetext={text}
        onInput={(event) =>
          change({ hidePercent: HIDE_PERCENTS[Number(event.currentTarget.value)] ?? 0 })
        }
      />
    </label>
  )
}

/** What the view chose to hide, said in the slider's unit. */
function smallestShown(graph: Graph | undefined, shown: Shown): number {
  const all = graph?.edges.reduce((sum, { calls }) => sum + calls, 0) ?? 0
  return all > 0 ? (100 * (shown.edges.at(-1)?.calls ?? 0)) / all : 0
}

function Kinds({ view, change }: Part) {
  const toggle = (kind: CallKind) => {
    const kinds = new Set(view.kinds)
    // Without any kind there is nothing to see: then all are.
    if (!kinds.delete(kind)) kinds.add(kind)
    change({ kinds: kinds.size > 0 ? kinds : new Set(CALL_KINDS) })
  }
  return (
    <fieldset class="kinds">
      <legend class="label">{say().kinds}</legend>
      {CALL_KINDS.map((kind) => (
        <label key={kind} class="row">
          <input type="checkbox" checked={view.kinds.has(kind)} onChange={() => toggle(kind)} />
          {say().kind(kind)}
        </label>
      ))}
      <label class="row">
        <input
          type="checkbox"
          checked={view.onlyErrors}
          onChange={(event) => change({ onlyErrors: event.currentTarget.checked })}
        />
        <Icon name="error" size={13} /> {say().onlyErrors}
      </label>
    </fieldset>
  )
}
