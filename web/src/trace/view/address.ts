/** The address's fragment: it follows what the view shows, and the view follows it. */

import { batch, effect, type Signal, untracked } from '@preact/signals'
import { durationParameter, parseDuration } from '../../language/format.ts'
import { amend, type Parameters, type Route, route } from '../../route.ts'
import type { Trace } from '../protocol.ts'
import type { Find } from './find.ts'
import type { Folding } from './folding.ts'
import type { Selection } from './selection.ts'
import { idOf, rowOf } from './span-ids.ts'
import type { Filters } from './visible.ts'
import type { Zoom } from './zoom.ts'

export type Tab = 'timeline' | 'logs' | 'statistics'

const TABS: readonly Tab[] = ['timeline', 'logs', 'statistics']

/** What of a view stands in its address. */
export interface Addressed {
  readonly trace: Signal<Trace | undefined>
  readonly tab: Signal<Tab>
  readonly filters: Signal<Filters>
  readonly showsCritical: Signal<boolean>
  readonly adjustsClocks: Signal<boolean>
  readonly showsClock: Signal<boolean>
  readonly zoom: Zoom
  readonly folding: Folding
  readonly selection: Selection
  readonly find: Find
}

export class Address {
  /** What the fragment said and the trace has not answered yet. */
  private pending: Parameters | undefined
  private own: Route | undefined
  private readonly stops: (() => void)[]

  constructor(
    private readonly subject: string,
    private readonly view: Addressed,
  ) {
    this.stops = [
      effect(() => {
        const now = route.value
        untracked(() => this.read(now))
      }),
      effect(() => this.write()),
    ]
  }

  close(): void {
    for (const stop of this.stops) stop()
  }

  /** Rows have their numbers only once all of the trace is here; a span may be found before. */
  answerPending(trace: Trace): void {
    const said = this.pending
    if (!said) return
    const { folding, selection } = this.view
    if (trace.head.isComplete) {
      folding.fromAddress(trace, said)
      if (selection.row.peek() >= 0) folding.reveal(selection.row.peek())
      this.pending = undefined
    }
    const row = said['span'] ? rowOf(trace, said['span']) : -1
    if (row >= 0) {
      if (this.pending) this.pending = { ...said, span: '' }
      selection.select(row)
      selection.bring(row, true)
    }
  }

  /** The fragment changed: by this view itself, or by a link, the history, a hand. */
  private read(now: Route): void {
    if (now === this.own || now.view !== 'trace' || now.subject !== this.subject) return
    const { parameters } = now
    const { view } = this
    this.own = now
    batch(() => {
      view.tab.value = TABS.find((tab) => tab === parameters['tab']) ?? 'timeline'
      view.showsCritical.value = parameters['critical'] !== '0'
      view.adjustsClocks.value = parameters['clocks'] === 'adjusted'
      view.showsClock.value = parameters['times'] === 'clock'
      view.filters.value = {
        services: list(parameters['services']),
        hidden: list(parameters['hidden']),
        onlyErrors: parameters['errors'] === '1',
        onlyCritical: parameters['only'] === 'critical',
        minNano: parseDuration(parameters['min'] ?? '') ?? 0,
      }
      const [from = Number.NaN, to = Number.NaN] = (parameters['z'] ?? '').split('-').map(Number)
      view.zoom.value.value = to > from ? [from, to] : undefined
      this.pending = parameters
      const trace = view.trace.peek()
      if (trace) this.answerPending(trace)
      const text = parameters['find'] ?? ''
      if (trace && text !== view.find.text.peek()) view.find.find(text)
      else view.find.text.value = text
    })
  }

  private write(): void {
    const { view } = this
    void view.folding.shape.value
    const trace = view.trace.value
    const zoom = view.zoom.value.value
    const filters = view.filters.value
    const changes: Record<string, string> = {
      tab: view.tab.value === 'timeline' ? '' : view.tab.value,
      find: view.find.text.value,
      critical: view.showsCritical.value ? '' : '0',
      clocks: view.adjustsClocks.value ? 'adjusted' : '',
      times: view.showsClock.value ? 'clock' : '',
      services: filters.services.join('\n'),
      hidden: filters.hidden.join('\n'),
      errors: filters.onlyErrors ? '1' : '',
      only: filters.onlyCritical ? 'critical' : '',
      min: filters.minNano ? durationParameter(filters.minNano) : '',
      z: zoom ? `${Math.round(zoom[0])}-${Math.round(zoom[1])}` : '',
    }
    const row = view.selection.row.value
    // Until all of the trace is there, what the fragment says of it stands.
    if (!trace || this.pending) return
    Object.assign(changes, { span: idOf(trace, row) }, view.folding.toAddress(trace))
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

function list(text: string | undefined): string[] {
  return text ? text.split('\n') : []
}
