/** What the trace view shows, as signals: the trace, and what is selected, folded, zoomed, found and filtered of it. */

import { batch, computed, signal } from '@preact/signals'
import type { Failure } from '../../api/failure.ts'
import { remember, rememberedText } from '../../settings/remembered.ts'
import type { Trace } from '../protocol.ts'
import type { TreeRow } from '../row-numbers.ts'
import { Address, type Addressed, type Tab } from './address.ts'
import { Find } from './find.ts'
import { Folding } from './folding.ts'
import { Selection } from './selection.ts'
import { Session } from './session.ts'
import { idOf, rowOf } from './span-ids.ts'
import { type Filters, isFiltering, type List, listOf, matching, NO_FILTERS } from './visible.ts'
import { Zoom } from './zoom.ts'

const EMPTY_LIST: List = { entries: new Int32Array(0), places: new Int32Array(0) }

export class TraceStore implements Addressed {
  readonly trace = signal<Trace | undefined>(undefined)
  readonly failure = signal<Failure | undefined>(undefined)
  readonly tab = signal<Tab>('timeline')
  readonly filters = signal<Filters>(NO_FILTERS)
  readonly showsCritical = signal(true)
  readonly adjustsClocks = signal(false)
  /** Whether the axis tells the time of day, not the time after the start. */
  readonly showsClock = signal(false)
  readonly showsOverview = signal(rememberedText('overview') !== 'closed')
  readonly showsPanel = signal(false)
  /** First and last row in sight. */
  readonly sight = signal<readonly [number, number]>([0, 0])
  /** How wide the bars' side of the waterfall is. */
  readonly barsWidth = signal(600)
  /** How many rows fit; the waterfall says. */
  pageSize: () => number = () => 20

  readonly session: Session
  readonly zoom = new Zoom(this.trace, this.adjustsClocks)
  readonly folding = new Folding(this.trace)
  readonly find = new Find((text) => this.session.find(text))
  readonly marks = computed(() => {
    const trace = this.trace.value
    const filters = this.filters.value
    return trace && isFiltering(filters) ? matching(trace, filters) : undefined
  })
  readonly list = computed<List>(() => {
    const { collapsed, openGroups, shape } = this.folding
    void shape.value
    const trace = this.trace.value
    return trace ? listOf(trace, collapsed, openGroups, this.marks.value) : EMPTY_LIST
  })
  readonly selection = new Selection(this.trace, this.list, this.folding, this.showsPanel)
  private readonly address: Address

  constructor(subject: string) {
    this.session = new Session(subject, {
      trace: (trace) => this.take(trace),
      failure: (failure) => {
        this.failure.value = failure
      },
      find: (rows, isPartial) => this.find.take(rows, isPartial),
      findFailed: () => {
        this.find.isFinding.value = false
      },
    })
    this.address = new Address(subject, this)
  }

  close(): void {
    this.address.close()
    this.find.close()
    this.session.close()
  }

  toggleOverview(): void {
    this.showsOverview.value = !this.showsOverview.peek()
    remember('overview', this.showsOverview.peek() ? 'open' : 'closed')
  }

  /** Close the innermost thing. */
  dismiss(): void {
    if (this.showsPanel.peek()) this.showsPanel.value = false
    else if (this.find.text.peek()) this.find.find('')
    else this.selection.clear()
  }

  private take(trace: Trace): void {
    const before = this.trace.peek()
    const { selection } = this
    batch(() => {
      const selectedId = before ? idOf(before, selection.row.peek()) : ''
      this.folding.follow(before, trace)
      this.trace.value = trace
      this.failure.value = undefined
      selection.group.value = -1
      selection.row.value = (selectedId ? rowOf(trace, selectedId) : -1) as TreeRow
      this.address.answerPending(trace)
    })
    if (!before && this.find.text.peek()) this.session.find(this.find.text.peek())
  }
}
