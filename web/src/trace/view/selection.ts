/** Which span or group of siblings is selected, and how the keys move from one to the next. */

import { batch, type ReadonlySignal, type Signal, signal } from '@preact/signals'
import { Flag, type Trace } from '../protocol.ts'
import type { TreeRow } from '../row-numbers.ts'
import type { Folding } from './folding.ts'
import { type Entry, type List, placeOf } from './visible.ts'

export class Selection {
  /** The selected row; -1 for none. */
  readonly row = signal(-1 as TreeRow)
  /** The selected group of siblings; -1 for none. Never both. */
  readonly group = signal(-1)
  /** Asks the waterfall to bring a place of the list into sight; a new object each time. */
  readonly wanted = signal<{ place: number; centres: boolean } | undefined>(undefined)

  constructor(
    private readonly trace: ReadonlySignal<Trace | undefined>,
    private readonly list: ReadonlySignal<List>,
    private readonly folding: Folding,
    private readonly showsPanel: Signal<boolean>,
  ) {}

  clear(): void {
    this.row.value = -1 as TreeRow
    this.group.value = -1
  }

  select(row: number, { brings = false, opens = true } = {}): void {
    batch(() => {
      this.row.value = row as TreeRow
      this.group.value = -1
      if (opens) this.showsPanel.value = true
      if (brings) this.bring(row)
    })
  }

  selectEntry(entry: Entry): void {
    batch(() => {
      this.row.value = Math.max(-1, entry) as TreeRow
      this.group.value = entry < 0 ? ~entry : -1
    })
  }

  /** Open what hides a row, and scroll to it. */
  bring(row: number, centres = false): void {
    this.folding.reveal(row)
    const trace = this.trace.peek()
    if (trace) this.wanted.value = { place: placeOf(this.list.peek(), trace.columns, row), centres }
  }

  /** Go up or down the list. */
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
    const row = this.row.peek()
    const group = this.group.peek()
    if (!trace) return
    const { columns, head } = trace
    const isOpen = row >= 0 && (columns.subtree[row] ?? 1) > 1 && !this.folding.collapsed[row]
    const parent = group >= 0 ? head.groups[group]?.parent : columns.parent[row]
    if (group >= 0 && this.folding.openGroups.has(group)) this.folding.toggleGroup(group)
    else if (isOpen) this.folding.toggle(row)
    else if (parent !== undefined && parent >= 0)
      this.select(parent, { brings: true, opens: false })
  }

  /** Open what is selected, or go to what is next. */
  unfold(): void {
    const row = this.row.peek()
    const group = this.group.peek()
    if (group >= 0 && !this.folding.openGroups.has(group)) this.folding.toggleGroup(group)
    else if (row >= 0 && this.folding.collapsed[row]) this.folding.toggle(row)
    else this.move(1)
  }

  /** Go to the next (1) or previous (-1) of ascending rows, around the ends. */
  step(rows: ArrayLike<number>, by: 1 | -1): void {
    if (rows.length === 0) return
    const now = this.row.peek()
    let at = 0
    while (at < rows.length && (rows[at] ?? 0) < now + (by > 0 ? 1 : 0)) at++
    const next = by > 0 ? at % rows.length : (at - 1 + rows.length) % rows.length
    this.select(rows[next] ?? 0, { brings: true, opens: false })
  }

  stepErrors(by: 1 | -1): void {
    const trace = this.trace.peek()
    if (trace) this.step(errorRows(trace), by)
  }

  /** Go to the span of the next section of the critical path. */
  nextCritical(): void {
    const columns = this.trace.peek()?.columns
    if (!columns || columns.criticalRow.length === 0) return
    const at = columns.criticalRow.indexOf(this.row.peek())
    const row = columns.criticalRow[(at + 1) % columns.criticalRow.length] ?? 0
    this.select(row, { brings: true, opens: false })
  }

  /** The place in the list of what is selected; -1 for none. */
  private place(): number {
    const trace = this.trace.peek()
    const group = trace?.head.groups[this.group.peek()]
    const row = group?.rows[0] ?? this.row.peek()
    if (!trace || row < 0) return -1
    const list = this.list.peek()
    const place = placeOf(list, trace.columns, row)
    return group && list.entries[place] === row ? place - 1 : place
  }
}

function errorRows({ columns }: Trace): number[] {
  const rows: number[] = []
  columns.flags.forEach((flags, row) => {
    if (flags & Flag.ERROR) rows.push(row)
  })
  return rows
}
