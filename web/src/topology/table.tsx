/** The graph as a table, for those who see no canvas, and for those who sort. */

import { useState } from 'preact/hooks'
import { duration } from '../language/format.ts'
import { rate } from '../language/numbers.ts'
import { Icon } from '../parts/icon.tsx'
import { hrefTo } from '../route.ts'
import { ErrorShare, NodeName } from './figures.tsx'
import type { Edge, Node } from './graph.ts'
import { say } from './messages.ts'
import { type Column, type Order, reordered, sorted } from './sort.ts'

const ROWS = 200
const COLUMNS: readonly Column[] = [
  'caller',
  'callee',
  'kind',
  'calls',
  'errors',
  'p50',
  'p95',
  'p99',
]
const NAMES: readonly Column[] = ['caller', 'callee', 'kind']

export function EdgeTable({
  edges,
  seconds,
  selected,
  onSelect,
}: {
  edges: readonly Edge[]
  seconds: number
  selected: string
  onSelect: (key: string) => void
}) {
  const [order, setOrder] = useState<Order>({ column: 'calls', isDescending: true })
  const [rows, setRows] = useState(ROWS)
  const end = (node: Node) => (
    <button type="button" class="plain link" onClick={() => onSelect(node.key)}>
      <NodeName node={node} />
    </button>
  )
  return (
    // What scrolls must be within the keyboard's reach.
    <div class="edge-table" tabIndex={0} role="region" aria-label={say().table}>
      <table>
        <thead>
          <tr>
            {COLUMNS.map((column) => (
              <Head
                key={column}
                column={column}
                order={order}
                onClick={() => setOrder(reordered(order, column))}
              />
            ))}
            <th>{say().example}</th>
          </tr>
        </thead>
        <tbody>
          {sorted(edges, order)
            .slice(0, rows)
            .map((edge) => (
              <tr
                key={edge.key}
                class={[edge.key, edge.caller.key].includes(selected) ? 'is-selected' : ''}
              >
                <td>{end(edge.caller)}</td>
                <td>{end(edge.callee)}</td>
                <td class="quiet">{say().kind(edge.kind)}</td>
                <td class="number">{rate(edge.calls / seconds)}</td>
                <td class="number">
                  <ErrorShare of={edge} />
                </td>
                <td class="number">{duration(edge.p50Nano)}</td>
                <td class="number">{duration(edge.p95Nano)}</td>
                <td class="number">{duration(edge.p99Nano)}</td>
                <td>
                  {edge.exemplarTraceId && (
                    <a class="example" href={hrefTo('trace', edge.exemplarTraceId)}>
                      <Icon name="trace" size={13} /> {edge.exemplarTraceId.slice(0, 8)}
                    </a>
                  )}
                </td>
              </tr>
            ))}
        </tbody>
      </table>
      {rows < edges.length && (
        <button type="button" class="more" onClick={() => setRows(edges.length)}>
          {say().allRows(edges.length)}
        </button>
      )}
    </div>
  )
}

function Head({ column, order, onClick }: { column: Column; order: Order; onClick: () => void }) {
  const isOrder = order.column === column
  const direction = order.isDescending ? 'descending' : 'ascending'
  return (
    <th class={NAMES.includes(column) ? '' : 'number'} aria-sort={isOrder ? direction : undefined}>
      <button type="button" class="plain link" onClick={onClick}>
        {say().column(column)}
        {isOrder && <Icon name={order.isDescending ? 'down' : 'up'} size={12} />}
      </button>
    </th>
  )
}
