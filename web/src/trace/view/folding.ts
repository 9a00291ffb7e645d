/** Which spans' children are folded away, and which groups of siblings are open. */

import { type ReadonlySignal, signal } from '@preact/signals'
import type { Parameters } from '../../route.ts'
import type { Trace } from '../protocol.ts'
import { foldedIn, foldedText } from './folded.ts'
import { idOf } from './span-ids.ts'
import { changeLevel, collapseAll, reveal } from './visible.ts'

export class Folding {
  /** 1 for each row whose children are folded away. */
  collapsed: Uint8Array = new Uint8Array(0)
  openGroups = new Set<number>()
  /** Another number after each change of the two. */
  readonly shape = signal(0)

  constructor(private readonly trace: ReadonlySignal<Trace | undefined>) {}

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

  /** Open (1) or close (-1) one level more. */
  level(by: 1 | -1): void {
    this.reshape((trace) => changeLevel(trace, this.collapsed, by))
  }

  /** Open what hides a row. */
  reveal(row: number): void {
    this.reshape((trace) => reveal(trace, row, this.collapsed, this.openGroups))
  }

  /** Fold the spans of a trace, of which more has arrived, as those of the one before it were folded. */
  follow(before: Trace | undefined, trace: Trace): void {
    const folds = before && foldsOf(before, this.collapsed, this.openGroups)
    this.collapsed = new Uint8Array(trace.columns.count)
    this.openGroups = new Set()
    if (folds) applyFolds(trace, folds, this.collapsed, this.openGroups)
    this.shape.value++
  }

  /** Fold what an address says. */
  fromAddress({ columns, head }: Trace, said: Parameters): void {
    const hasChildren = (row: number) => (columns.subtree[row] ?? 1) > 1
    this.collapsed = foldedIn(said['closed'] ?? '', columns.count, hasChildren)
    const open = foldedIn(said['groups'] ?? '', head.groups.length, () => true)
    this.openGroups = new Set([...head.groups.keys()].filter((group) => open[group]))
    this.shape.value++
  }

  /** What an address says of what is folded. */
  toAddress({ columns, head }: Trace): { closed: string; groups: string } {
    return {
      closed: foldedText(
        columns.count,
        (row) => (columns.subtree[row] ?? 1) > 1,
        (row) => this.collapsed[row] === 1,
      ),
      groups: foldedText(
        head.groups.length,
        () => true,
        (group) => this.openGroups.has(group),
      ),
    }
  }

  private reshape(change: (trace: Trace) => void): void {
    const trace = this.trace.peek()
    if (!trace) return
    change(trace)
    this.shape.value++
  }
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
