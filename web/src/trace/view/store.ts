/** What the trace view shows, as signals; the fragment follows it, and it begins as the fragment says. */

import { batch, computed, effect, signal } from '@preact/signals'
import type { Failure } from '../../api/failure.ts'
import { durationParameter, parseDuration } from '../../language/format.ts'
import { amend, type Parameters, route } from '../../route.ts'
import { spanIdOf } from '../model/tree.ts'
import type { Trace } from '../protocol.ts'
import { Session } from './session.ts'
import {
  changeLevel,
  collapseAll,
  entriesOf,
  type Filters,
  isFiltering,
  matching,
  NO_FILTERS,
  reveal,
} from './visible.ts'

export type Tab = 'timeline' | 'logs' | 'statistics'

const COLLAPSED_WRITTEN_MAX = 150
const FIND_MILLISECONDS = 80

export class TraceStore {
  readonly trace = signal<Trace | undefined>(undefined)
  readonly failure = signal<Failure | undefined>(undefined)
  readonly isWaiting = signal(true)
  readonly selected = signal(-1)
  /** From and to, in nanoseconds after the start; the whole trace if undefined. */
  readonly zoom = signal<readonly [number, number] | undefined>(undefined)
  readonly tab = signal<Tab>('timeline')
  readonly filters = signal<Filters>(NO_FILTERS)
  readonly showsCritical = signal(true)
  readonly adjustsClocks = signal(false)
  readonly showsPanel = signal(false)
  readonly findText = signal('')
  readonly hits = signal<Uint32Array>(new Uint32Array(0))
  readonly isFinding = signal(false)
  /** Asks the waterfall to bring a row into sight; a new object each time. */
  readonly wanted = signal<{ row: number; centres: boolean } | undefined>(undefined)
  /** First and last place in sight, as shares of the list. */
  readonly sight = signal<readonly [number, number]>([0, 1])
  /** How many rows fit; the waterfall says. */
  pageSize: () => number = () => 20
  collapsed = new Uint8Array(0)
  readonly openGroups = new Set<number>()
  private readonly shape = signal(0)

  readonly marks = computed(() => {
    const trace = this.trace.value
    return trace && isFiltering(this.filters.value)
      ? matching(trace, this.filters.value)
      : undefined
  })
  readonly entries = computed(() => {
    void this.shape.value
    const trace = this.trace.value
    return trace
      ? entriesOf(trace, this.collapsed, this.openGroups, this.marks.value)
      : new Int32Array(0)
  })
  readonly range = computed<readonly [number, number]>(() => {
    const whole = Math.max(1, this.trace.value?.head.durationNano ?? 1)
    return this.zoom.value ?? [0, whole]
  })

  readonly session = new Session({
    trace: (trace) => this.take(trace),
    failure: (failure) => {
      this.failure.value = failure
      this.isWaiting.value = false
    },
    find: (rows, isPartial) => {
      this.hits.value = rows
      this.isFinding.value = isPartial
    },
  })

  private initial: Parameters | undefined
  private finding: ReturnType<typeof setTimeout> | undefined
  private readonly stop: () => void

  constructor() {
    this.initial = route.peek().parameters
    this.tab.value =
      (['logs', 'statistics'] as const).find((tab) => tab === this.initial?.['tab']) ?? 'timeline'
    this.findText.value = this.initial['find'] ?? ''
    this.showsCritical.value = this.initial['critical'] !== '0'
    this.adjustsClocks.value = this.initial['clocks'] === 'adjusted'
    this.filters.value = {
      services: list(this.initial['services']),
      hidden: list(this.initial['hidden']),
      onlyErrors: this.initial['errors'] === '1',
      onlyCritical: this.initial['only'] === 'critical',
      minNano: parseDuration(this.initial['min'] ?? '') ?? 0,
    }
    this.stop = effect(() => this.writeFragment())
  }

  close(): void {
    this.stop()
    clearTimeout(this.finding)
    this.session.close()
  }

  /** What is shown was folded or unfolded. */
  reshape(change: (collapsed: Uint8Array) => void): void {
    change(this.collapsed)
    this.shape.value++
  }

  toggle(row: number): void {
    this.reshape((collapsed) => {
      collapsed[row] = collapsed[row] ? 0 : 1
    })
  }

  toggleGroup(group: number): void {
    if (!this.openGroups.delete(group)) this.openGroups.add(group)
    this.shape.value++
  }

  expandAll(): void {
    this.trace.peek()?.head.groups.forEach((_, group) => {
      this.openGroups.add(group)
    })
    this.reshape((collapsed) => collapsed.fill(0))
  }

  collapseAll(): void {
    const trace = this.trace.peek()
    if (trace) this.reshape((collapsed) => collapsed.set(collapseAll(trace)))
  }

  level(by: 1 | -1): void {
    const trace = this.trace.peek()
    if (trace) this.reshape((collapsed) => changeLevel(trace, collapsed, by))
  }

  select(row: number, { brings = false, opens = true } = {}): void {
    batch(() => {
      this.selected.value = row
      if (opens) this.showsPanel.value = true
      if (brings) this.bring(row, false)
    })
  }

  /** Open what hides a row, and scroll to it. */
  bring(row: number, centres: boolean): void {
    const trace = this.trace.peek()
    if (!trace) return
    this.reshape((collapsed) => reveal(trace, row, collapsed, this.openGroups))
    this.wanted.value = { row, centres }
  }

  setZoom(from: number, to: number): void {
    const whole = Math.max(1, this.trace.peek()?.head.durationNano ?? 1)
    const width = Math.min(whole, Math.max(to - from, Math.max(1, whole / 1e7)))
    const start = Math.max(0, Math.min(from, whole - width))
    this.zoom.value = start <= 0 && width >= whole ? undefined : [start, start + width]
  }

  /** About a place of the view: 0 its left edge, 1 its right. */
  zoomBy(factor: number, about = 0.5): void {
    const [from, to] = this.range.peek()
    const middle = from + (to - from) * about
    this.setZoom(middle - (middle - from) * factor, middle + (to - middle) * factor)
  }

  pan(share: number): void {
    const [from, to] = this.range.peek()
    const by = (to - from) * share
    this.setZoom(from + by, to + by)
  }

  /** Centre a span's time; if it is there already, fit it. */
  zoomToRow(row: number): void {
    const columns = this.trace.peek()?.columns
    if (!columns || row < 0) return
    const shift = this.adjustsClocks.peek() ? (columns.shift[row] ?? 0) : 0
    const start = (columns.start[row] ?? 0) + shift
    const length = columns.duration[row] ?? 0
    const [from, to] = this.range.peek()
    const middle = start + length / 2
    const isCentred = Math.abs((from + to) / 2 - middle) < (to - from) / 100
    const half = isCentred || length > to - from ? length * 0.55 : (to - from) / 2
    if (isCentred || from > 0 || to < (this.trace.peek()?.head.durationNano ?? 0))
      this.setZoom(middle - half, middle + half)
    else this.setZoom(middle - length * 0.55, middle + length * 0.55)
  }

  find(text: string): void {
    this.findText.value = text
    clearTimeout(this.finding)
    if (!text.trim()) {
      this.hits.value = new Uint32Array(0)
      this.isFinding.value = false
      return
    }
    this.isFinding.value = true
    this.finding = setTimeout(() => this.session.find(text), FIND_MILLISECONDS)
  }

  /** To the next (1) or previous (-1) of ascending rows, around the ends. */
  step(rows: ArrayLike<number>, by: 1 | -1): void {
    if (rows.length === 0) return
    const now = this.selected.peek()
    let at = 0
    while (at < rows.length && (rows[at] ?? 0) < now + (by > 0 ? 1 : 0)) at++
    const next = by > 0 ? at % rows.length : (at - 1 + rows.length) % rows.length
    this.select(rows[next] ?? 0, { brings: true, opens: false })
  }

  private take(trace: Trace): void {
    const isFirst = this.trace.peek() === undefined
    batch(() => {
      const selectedId = this.selectedId() || (this.initial?.['span'] ?? '')
      this.collapsed = new Uint8Array(trace.columns.count)
      this.trace.value = trace
      this.failure.value = undefined
      this.isWaiting.value = !trace.head.isComplete
      this.selected.value = selectedId ? rowOf(trace, selectedId) : -1
      if (isFirst) this.applyInitial(trace)
      this.shape.value++
    })
    if (this.findText.peek()) this.session.find(this.findText.peek())
    if (trace.head.isComplete) this.initial = undefined
  }

  private applyInitial(trace: Trace): void {
    const [from, to] = (this.initial?.['z'] ?? '').split('-').map(Number)
    if (from !== undefined && to !== undefined && to > from) this.setZoom(from, to)
    for (const text of (this.initial?.['closed'] ?? '').split('.')) {
      const row = Number.parseInt(text, 36)
      if (row >= 0 && row < trace.columns.count) this.collapsed[row] = 1
    }
    const row = this.selected.peek()
    if (row >= 0) {
      reveal(trace, row, this.collapsed, this.openGroups)
      this.showsPanel.value = true
      this.wanted.value = { row, centres: true }
    }
  }

  private selectedId(): string {
    const trace = this.trace.peek()
    const row = this.selected.peek()
    return trace && row >= 0 ? spanIdOf(trace.columns, row) : ''
  }

  private writeFragment(): void {
    void this.shape.value
    const trace = this.trace.value
    const row = this.selected.value
    const zoom = this.zoom.value
    const filters = this.filters.value
    const closed: string[] = []
    if (trace) {
      for (let at = 0; at < this.collapsed.length && closed.length <= COLLAPSED_WRITTEN_MAX; at++) {
        if (this.collapsed[at]) closed.push(at.toString(36))
      }
    }
    const changes = {
      tab: this.tab.value === 'timeline' ? '' : this.tab.value,
      find: this.findText.value,
      critical: this.showsCritical.value ? '' : '0',
      clocks: this.adjustsClocks.value ? 'adjusted' : '',
      services: filters.services.join('\n'),
      hidden: filters.hidden.join('\n'),
      errors: filters.onlyErrors ? '1' : '',
      only: filters.onlyCritical ? 'critical' : '',
      min: filters.minNano ? durationParameter(filters.minNano) : '',
    }
    // Until the trace is there, what the fragment says of it stands.
    if (!trace) return
    amend({
      ...changes,
      span: row >= 0 ? spanIdOf(trace.columns, row) : '',
      z: zoom ? `${Math.round(zoom[0])}-${Math.round(zoom[1])}` : '',
      closed: closed.length <= COLLAPSED_WRITTEN_MAX ? closed.join('.') : '',
    })
  }
}

function list(text: string | undefined): string[] {
  return text ? text.split('\n') : []
}

function rowOf(trace: Trace, spanId: string): number {
  const digits = spanId.padStart(16, '0')
  const wanted = Array.from({ length: 8 }, (_, at) =>
    Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16),
  )
  const { spanId: bytes, count } = trace.columns
  for (let row = 0; row < count; row++) {
    let at = 0
    while (at < 8 && bytes[8 * row + at] === wanted[at]) at++
    if (at === 8) return row
  }
  return -1
}
