/** The spans of the trace in groups. */

import { useState } from 'preact/hooks'
import { duration } from '../../language/format.ts'
import { number, percent } from '../../language/numbers.ts'
import { useAnswer } from '../../parts/answer.ts'
import { Combobox } from '../../parts/combobox.tsx'
import { Failed } from '../../parts/failed.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Service } from '../../parts/service.tsx'
import { Loading } from '../../parts/states.tsx'
import type { GroupBy, SpanGroup, Trace } from '../protocol.ts'
import { say } from './panel-messages.ts'
import type { TraceStore } from './store.ts'
import { NO_FILTERS } from './visible.ts'
import './panel.css'

type Column = 'count' | 'errorCount' | 'totalNano' | 'selfNano' | 'p95Nano' | 'maxNano'

const COLUMNS: readonly [Column, () => string][] = [
  ['count', () => say().count],
  ['errorCount', () => say().errorCount],
  ['totalNano', () => say().total],
  ['selfNano', () => say().self],
  ['p95Nano', () => say().p95],
  ['maxNano', () => say().max],
]
const SHOWN_MAX = 500

export function TraceStatistics({ store, trace }: { store: TraceStore; trace: Trace }) {
  const [by, setBy] = useState<GroupBy['by']>('name')
  const [key, setKey] = useState('')
  const [column, setColumn] = useState<Column>('selfNano')
  const groupBy: GroupBy = by === 'attribute' ? { by, key } : { by }
  const isAsked = by !== 'attribute' || key !== ''
  const asked = useAnswer(
    isAsked ? `${trace.head.traceId} ${trace.head.isComplete} ${by} ${key}` : undefined,
    async () => (await store.session.ask<'statistics'>({ kind: 'statistics', groupBy })).groups,
  )
  const keys = useAnswer(
    by === 'attribute' ? trace.head.traceId : undefined,
    async () => (await store.session.ask<'attributeKeys'>({ kind: 'attributeKeys' })).keys,
  )
  const groups = [...(asked.answer ?? [])].sort((a, b) => b[column] - a[column])
  const show = (group: SpanGroup) => {
    store.tab.value = 'timeline'
    if (by === 'service') store.filters.value = { ...NO_FILTERS, services: [group.key] }
    store.selection.select(group.longestRow, { brings: true })
  }
  return (
    <div class="table-view" tabIndex={0} role="region" aria-label={say().statistics}>
      <div class="table-tools">
        <label>
          <span>{say().groupBy}</span>
          <select
            value={by}
            onChange={(event) => setBy(event.currentTarget.value as GroupBy['by'])}
          >
            <option value="name">{say().name}</option>
            <option value="service">{say().serviceWord}</option>
            <option value="attribute">{say().attribute}</option>
          </select>
        </label>
        {by === 'attribute' && (
          <Combobox
            label={say().attribute}
            value={key}
            options={(keys.answer ?? []).map((value) => ({ value }))}
            onChange={setKey}
          />
        )}
      </div>
      {asked.failure && <Failed failure={asked.failure} again={asked.again} />}
      {isAsked && !asked.answer && !asked.failure && <Loading />}
      {asked.answer && (
        <GroupTable
          groups={groups}
          by={by}
          title={by === 'service' ? say().serviceWord : by === 'name' ? say().name : key}
          column={column}
          sortBy={setColumn}
          show={show}
        />
      )}
    </div>
  )
}

function GroupTable({
  groups,
  by,
  title,
  column,
  sortBy,
  show,
}: {
  groups: readonly SpanGroup[]
  by: GroupBy['by']
  title: string
  column: Column
  sortBy: (column: Column) => void
  show: (group: SpanGroup) => void
}) {
  const self = groups.reduce((sum, each) => sum + each.selfNano, 0) || 1
  return (
    <table>
      <thead>
        <tr>
          <th>{title}</th>
          {COLUMNS.map(([each, heading]) => (
            <th key={each} class="number" aria-sort={column === each ? 'descending' : 'none'}>
              <button type="button" class="plain link" onClick={() => sortBy(each)}>
                {heading()} {column === each && '▾'}
              </button>
            </th>
          ))}
          <th>{say().shareOfSelf}</th>
        </tr>
      </thead>
      <tbody>
        {groups.slice(0, SHOWN_MAX).map((group) => (
          <GroupRow key={group.key} group={group} by={by} self={self} show={show} />
        ))}
      </tbody>
    </table>
  )
}

function GroupRow({
  group,
  by,
  self,
  show,
}: {
  group: SpanGroup
  by: GroupBy['by']
  /** Of all groups together, in nanoseconds. */
  self: number
  show: (group: SpanGroup) => void
}) {
  return (
    <tr>
      <td>
        <button type="button" class="plain link" onClick={() => show(group)}>
          {by === 'service' ? <Service name={group.key} /> : <bdi>{group.key || say().absent}</bdi>}
        </button>
      </td>
      <td class="number">{number(group.count)}</td>
      <td class="number">
        {group.errorCount > 0 ? (
          <span class="error-text">
            <Icon name="error" size={12} /> {number(group.errorCount)}
          </span>
        ) : (
          0
        )}
      </td>
      <td class="number">{duration(group.totalNano)}</td>
      <td class="number">{duration(group.selfNano)}</td>
      <td class="number">{duration(group.p95Nano)}</td>
      <td class="number">{duration(group.maxNano)}</td>
      <td>
        <span class="share">
          <i style={{ width: `${(group.selfNano / self) * 100}%` }} />
          <span class="number">{percent(group.selfNano / self)}</span>
        </span>
      </td>
    </tr>
  )
}
