/** What the trace view shows, as signals; the fragment follows it, and it follows the fragment. */

import { batch, computed, effect, signal, untracked } from '@preact/signals'
import type { Failure } from '../../api/failure.ts'
import { durationParameter, parseDuration } from '../../language/format.ts'
import { amend, type Parameters, type Route, route } from '../../route.ts'
import { remember, rememberedText } from '../../settings/remembered.ts'
import { spanIdOf } from '../model/tree.ts'
import { Flag, type Trace } from '../protocol.ts'
import { foldedIn, foldedText } from './folded.ts'
import { Session } from './session.ts'
import {
  changeLevel,
  collapseAll,
  type Entry,
  type Filters,
  isFiltering,
  type List,
  listOf,
  matching,
  NO_FILTERS,
  placeOf,
  reveal,
} from './visible.ts'

export type Tab = 'timeline' | 'logs' | 'statistics'

const TABS: readonly Tab[] = ['timeline', 'logs', 'statistics']
const FIND_MILLISECONDS = 80
const EMPTY_LIST: List = { entries: new Int32Array(0), places: new Int32Array(0) }
const NO_ROWS = new Uint32Array(0)

export class TraceStore {
  readonly trace = signal<Trace | undefined>(undefined)
  readonly failure = signal<Failure | undefined>(undefined)
  /** The selected row; -1 for none. */
  readonly selected = signal(-1)
  /** The selected group of siblings; -1 for none. Never both. */
  readonly selectedGroup = signal(-1)
  /** From and to, in nanoseconds after the start; the whole trace if undefined. */
  readonly zoom = signal<readonly [number, number] | undefined>(undefined)
  readonly tab = signal<Tab>('timeline')
  readonly filters = signal<Filters>(NO_FILTERS)
  readonly showsCritical = signal(true)
  readonly adjustsClocks = signal(false)
  /** Whether the axis tells the time of day, not the time after the start. */
  readonly showsClock = signal(false)
  readonly showsOverview = signal(rememberedText('overview') !== 'closed')
  readonly showsPanel = signal(false)
  readonly findText = signal('')
  readonly hits = signal<Uint32Array>(NO_ROWS)
  readonly isFinding = signal(false)
  /** Asks the waterfall to bring a place of the list into sight; a new object each time. */
  readonly wanted = signal<{ place: number; centres: boolean } | undefined>(undefined)
  /** First and last row in sight. */
  readonly sight = signal<readonly [number, number]>([0, 0])
  /** How wide the bars' side of the waterfall is. */
  readonly barsWidth = signal(600)
  /** How many rows fit; the waterfall says. */
  pageSize: () => number = () => 20
  collapsed: Uint8Array = new Uint8Array(0)
  openGroups = new Set<number>()
  private readonly shape = signal(0)

  readonly marks = computed(() => {
    const trace = this.trace.value
    const filters = this.filters.value
    return trace && isFiltering(filters) ? matching(trace, filters) : undefined
  })
  readonly list = computed<List>(() => {
    void this.shape.value
    const trace = this.trace.value
    return trace ? listOf(trace, this.collapsed, this.openGroups, this.marks.value) : EMPTY_LIST
  })
  readonly range = computed<readonly [number, number]>(
    () => this.zoom.value ?? [0, Math.max(1, this.trace.value?.head.durationNano ?? 1)],
  )

  readonly session: Session

  /** What the fragment said and the trace has not answered yet. */
  private pending: Parameters | undefined
  private own: Route | undefined
  private finding: ReturnType<typeof setTimeout> | undefined
  private readonly stops: (() => void)[]
  /** Ends the typing ahead of the field; undefined while there is none. */
  typed: (() => void) | undefined

  constructor(private readonly subject: string) {
    this.session = new Session(subject, {
      trace: (trace) => this.take(trace),
      failure: (failure) => {
        this.failure.value = failure
      },
      find: (rows, isPartial) => {
        batch(() => {
          this.hits.value = rows
          this.isFinding.value = isPartial
        })
      },
      findFailed: () => {
        this.isFinding.value = false
      },
    })
    this.stops = [
      effect(() => {
        const now = route.value
        untracked(() => this.follow(now))
      }),
      effect(() => this.writeFragment()),
    ]
  }

  close(): void {
    for (const stop of this.stops) stop()
    clearTimeout(this.finding)
    this.typed?.()
    this.session.close()
  }

  toggle(row: number): void {
    this.reshape(() => {
      this.collapsed[row] = this.collapsed[row] ? 0 : 1
    })
  }

  toggleGroup(group: number): void {
    this.reshape(() => {
      if (!this.openGroups.delete(group)) this.openGroups.add(group)
    })
  }

  expandAll(): void {
    this.reshape((trace) => {
      this.openGroups = new Set(trace.head.groups.keys())
      this.collapsed.fill(0)
    })
  }

  collapseAll(): void {
    this.reshape((trace) => {
      this.openGroups = new Set()
      this.collapsed = collapseAll(trace)
    })
  }

  level(by: 1 | -1): void {
    this.reshape((trace) => changeLevel(trace, this.collapsed, by))
  }

  select(row: number, { brings = false, opens = true } = {}): void {
    batch(() => {
      this.selected.value = row
      this.selectedGroup.value = -1
      if (opens) this.showsPanel.value = true
      if (brings) this.bring(row)
    })
  }

  selectEntry(entry: Entry): void {
    batch(() => {
      this.selected.value = Math.max(-1, entry)
      this.selectedGroup.value = entry < 0 ? ~entry : -1
    })
  }

  /** The place in the list of what is selected; -1 for none. */
  place(): number {
    const trace = this.trace.peek()
    const group = trace?.head.groups[this.selectedGroup.peek()]
    const row = group?.rows[0] ?? this.selected.peek()
    if (!trace || row < 0) return -1
    const list = this.list.peek()
    const place = placeOf(list, trace.columns, row)
    return group && list.entries[place] === row ? place - 1 : place
  }

  /** Up or down the list. */
  move(by: number): void {
    const { entries } = this.list.peek()
    if (entries.length === 0) return
    const place = Math.max(0, Math.min(entries.length - 1, this.place() + by))
    batch(() => {
      this.selectEntry(entries[place] ?? 0)
      this.wanted.value = { place, centres: false }
    })
  }

  /** Close what is selected, or go to what it hangs below. */
  fold(): void {
    const trace = this.trace.peek()
    const row = this.selected.peek()
    const group = this.selectedGroup.peek()
    if (!trace) return
    const { columns, head } = trace
    const isOpen = row >= 0 && (columns.subtree[row] ?? 1) > 1 && !this.collapsed[row]
    const parent = group >= 0 ? head.groups[group]?.parent : columns.parent[row]
    if (group >= 0 && this.openGroups.has(group)) this.toggleGroup(group)
    else if (isOpen) this.toggle(row)
    else if (parent !== undefined && parent >= 0)
      this.select(parent, { brings: true, opens: false })
  }

  /** Open what is selected, or go to what is next. */
  unfold(): void {
    const row = this.selected.peek()
    const group = this.selectedGroup.peek()
    if (group >= 0 && !this.openGroups.has(group)) this.toggleGroup(group)
    else if (row >= 0 && this.collapsed[row]) this.toggle(row)
    else this.move(1)
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

  /** Centre a span's time; if it is there already, or the whole trace shows, fit it. */
  zoomToRow(row: number): void {
    const columns = this.trace.peek()?.columns
    if (!columns || row < 0) return
    const shift = this.adjustsClocks.peek() ? (columns.shift[row] ?? 0) : 0
    const length = columns.duration[row] ?? 0
    const middle = (columns.start[row] ?? 0) + shift + length / 2
    const [from, to] = this.range.peek()
    const isCentred = Math.abs((from + to) / 2 - middle) < (to - from) / 100
    const fits = isCentred || !this.zoom.peek() || length > to - from
    const half = fits ? length * 0.55 : (to - from) / 2
    this.setZoom(middle - half, middle + half)
  }

  find(text: string): void {
    this.findText.value = text
    clearTimeout(this.finding)
    if (!text.trim()) {
      this.hits.value = NO_ROWS
      this.isFinding.value = false
      return
    }
    this.isFinding.value = true
    this.finding = setTimeout(() => this.session.find(text), FIND_MILLISECONDS)
  }

  /** To the field for it; what is typed before that is there goes into it all the same. */
  focusFind(): void {
    const field = document.getElementById('find')
    if (field) {
      field.focus()
      return
    }
    const type = (event: KeyboardEvent) => {
      if (event.key.length > 1 || event.ctrlKey || event.metaKey) return
      event.preventDefault()
      event.stopPropagation()
      this.find(this.findText.peek() + event.key)
    }
    this.typed?.()
    addEventListener('keydown', type, true)
    this.typed = () => {
      removeEventListener('keydown', type, true)
      this.typed = undefined
    }
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

  stepErrors(by: 1 | -1): void {
    const trace = this.trace.peek()
    if (trace) this.step(errorRows(trace), by)
  }

  /** To the span of the next section of the critical path. */
  nextCritical(): void {
    const columns = this.trace.peek()?.columns
    if (!columns || columns.criticalRow.length === 0) return
    const at = columns.criticalRow.indexOf(this.selected.peek())
    const row = columns.criticalRow[(at + 1) % columns.criticalRow.length] ?? 0
    this.select(row, { brings: true, opens: false })
  }

  toggleOverview(): void {
    this.showsOverview.value = !this.showsOverview.peek()
    remember('overview', this.showsOverview.peek() ? 'open' : 'closed')
  }

  /** Close the innermost thing. */
  dismiss(): void {
    if (this.showsPanel.peek()) this.showsPanel.value = false
    else if (this.findText.peek()) this.find('')
    else {
      this.selected.value = -1
      this.selectedGroup.value = -1
    }
  }

  private reshape(change: (trace: Trace) => void): void {
    const trace = this.trace.peek()
    if (!trace) return
    change(trace)
    this.shape.value++
  }

  /** Open what hides a row, and scroll to it. */
  private bring(row: number, centres = false): void {
    this.reshape((trace) => reveal(trace, row, this.collapsed, this.openGroups))
    const trace = this.trace.peek()
    if (trace) this.wanted.value = { place: placeOf(this.list.peek(), trace.columns, row), centres }
  }

  private take(trace: Trace): void {
    const before = this.trace.peek()
    batch(() => {
      const folds = before && foldsOf(before, this.collapsed, this.openGroups)
      const selectedId = before ? idOf(before, this.selected.peek()) : ''
      this.collapsed = new Uint8Array(trace.columns.count)
      this.openGroups = new Set()
      if (folds) applyFolds(trace, folds, this.collapsed, this.openGroups)
      this.trace.value = trace
      this.failure.value = undefined
      this.selectedGroup.value = -1
      this.selected.value = selectedId ? rowOf(trace, selectedId) : -1
      this.shape.value++
      this.answerPending(trace)
    })
    if (!before && this.findText.peek()) this.session.find(this.findText.peek())
  }

  /** The fragment changed: by this view itself, or by a link, the history, a hand. */
  private follow(now: Route): void {
    if (now === this.own || now.view !== 'trace' || now.subject !== this.subject) return
    const { parameters } = now
    this.own = now
    batch(() => {
      this.tab.value = TABS.find((tab) => tab === parameters['tab']) ?? 'timeline'
      this.showsCritical.value = parameters['critical'] !== '0'
      this.adjustsClocks.value = parameters['clocks'] === 'adjusted'
      this.showsClock.value = parameters['times'] === 'clock'
      this.filters.value = {
        services: list(parameters['services']),
        hidden: list(parameters['hidden']),
        onlyErrors: parameters['errors'] === '1',
        onlyCritical: parameters['only'] === 'critical',
        minNano: parseDuration(parameters['min'] ?? '') ?? 0,
      }
      const [from = Number.NaN, to = Number.NaN] = (parameters['z'] ?? '').split('-').map(Number)
      this.zoom.value = to > from ? [from, to] : undefined
      this.pending = parameters
      const trace = this.trace.peek()
      if (trace) this.answerPending(trace)
      const find = parameters['find'] ?? ''
      if (trace && find !== this.findText.peek()) this.find(find)
      else this.findText.value = find
    })
  }

  /** Rows have their numbers only once all of the trace is here; a span may be found before. */
  private answerPending(trace: Trace): void {
    const said = this.pending
    if (!said) return
    if (trace.head.isComplete) {
      const { columns, head } = trace
      const hasChildren = (row: number) => (columns.subtree[row] ?? 1) > 1
      this.collapsed = foldedIn(said['closed'] ?? '', columns.count, hasChildren)
      const open = foldedIn(said['groups'] ?? '', head.groups.length, () => true)
      this.openGroups = new Set([...head.groups.keys()].filter((group) => open[group]))
      if (this.selected.peek() >= 0)
        reveal(trace, this.selected.peek(), this.collapsed, this.openGroups)
      this.shape.value++
      this.pending = undefined
    }
    const row = said['span'] ? rowOf(trace, said['span']) : -1
    if (row >= 0) {
      if (this.pending) this.pending = { ...said, span: '' }
      this.select(row)
      this.bring(row, true)
    }
  }

  private writeFragment(): void {
    void this.shape.value
    const trace = this.trace.value
    const zoom = this.zoom.value
    const filters = this.filters.value
    const changes: Record<string, string> = {
      tab: this.tab.value === 'timeline' ? '' : this.tab.value,
      find: this.findText.value,
      critical: this.showsCritical.value ? '' : '0',
      clocks: this.adjustsClocks.value ? 'adjusted' : '',
      times: this.showsClock.value ? 'clock' : '',
      services: filters.services.join('\n'),
      hidden: filters.hidden.join('\n'),
      errors: filters.onlyErrors ? '1' : '',
      only: filters.onlyCritical ? 'critical' : '',
      min: filters.minNano ? durationParameter(filters.minNano) : '',
      z: zoom ? `${Math.round(zoom[0])}-${Math.round(zoom[1])}` : '',
    }
    const row = this.selected.value
    // Until all of the trace is there, what the fragment says of it stands.
    if (!trace || this.pending) return
    const { columns, head } = trace
    changes['span'] = idOf(trace, row)
    changes['closed'] = foldedText(
      columns.count,
      (at) => (columns.subtree[at] ?? 1) > 1,
      (at) => this.collapsed[at] === 1,
    )
    changes['groups'] = foldedText(
      head.groups.length,
      () => true,
      (group) => this.openGroups.has(group),
    )
    const now = route.peek()
    if (now.view !== 'trace' || now.subject !== this.subject) return
    untracked(() =>
      batch(() => {
        amend(changes)
        this.own = route.peek()
      }),
    )
  }
}

export function errorRows({ columns }: Trace): number[] {
  const rows: number[] = []
  columns.flags.forEach((flags, row) => {
    if (flags & Flag.ERROR) rows.push(row)
  })
  return rows
}

function list(text: string | undefined): string[] {
  return text ? text.split('\n') : []
}

function idOf({ columns }: Trace, row: number): string {
  return row >= 0 && row < columns.count ? spanIdOf(columns, row) : ''
}

function rowOf({ columns }: Trace, spanId: string): number {
  const digits = spanId.padStart(16, '0')
  const wanted = Array.from({ length: 8 }, (_, at) =>
    Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16),
  )
  const { spanId: bytes, count } = columns
  for (let row = 0; row < count; row++) {
    let at = 0
    while (at < 8 && bytes[8 * row + at] === wanted[at]) at++
    if (at === 8) return row
  }
  return -1
}

/** What is folded, by span id: rows have other numbers once more of the trace has arrived. */
interface Folds {
  collapsed: ReadonlySet<string>
  open: ReadonlySet<string>
}

function foldsOf(trace: Trace, collapsed: Uint8Array, openGroups: ReadonlySet<number>): Folds {
  const closed = new Set<string>()
  collapsed.forEach((isCollapsed, row) => {
    if (isCollapsed) closed.add(idOf(trace, row))
  })
  const firsts = [...openGroups].map((group) => trace.head.groups[group]?.rows[0] ?? -1)
  return { collapsed: closed, open: new Set(firsts.map((row) => idOf(trace, row))) }
}

function applyFolds(
  trace: Trace,
  folds: Folds,
  collapsed: Uint8Array,
  openGroups: Set<number>,
): void {
  if (folds.collapsed.size > 0) {
    for (let row = 0; row < trace.columns.count; row++) {
      if (folds.collapsed.has(idOf(trace, row))) collapsed[row] = 1
    }
  }
  if (folds.open.size === 0) return
  trace.head.groups.forEach(({ rows }, group) => {
    if (rows.some((row) => folds.open.has(idOf(trace, row)))) openGroups.add(group)
  })
}
