/** The names beside the bars: some forty rows of the page, used again and again as the list scrolls. */

import { duration as durationText } from '../../language/format.ts'
import { colourOf } from '../../theme/tokens.ts'
import { Flag } from '../protocol.ts'
import { includes, lowerBound } from './derived.ts'
import { clipped, ROW_PIXELS, type Shown } from './shown.ts'
import { ANCESTOR, type Entry, firstRow } from './visible.ts'

const INDENT_PIXELS = 12
/** Deeper than this, a level is a step of its own no more, or names would leave their column. */
const INDENT_LEVELS = 14
const INDENT_PIXELS_DEEP = 2
const INDENT_PIXELS_MAX = 230
const NAME_LEFT_PIXELS = 6

interface RowElements {
  row: HTMLElement
  name: HTMLElement
  twisty: HTMLButtonElement
  swatch: HTMLElement
  error: HTMLElement
  service: HTMLElement
  label: HTMLElement
  badge: HTMLElement
  duration: HTMLElement
  shown: Shown | undefined
  entry: Entry | undefined
}

export class NameRows {
  readonly element = element('div', 'names')
  private readonly pool: RowElements[] = []

  /** Show the entries from `first` on, the first of them `offset` pixels from the top; answers the selected row's id. */
  draw(shown: Shown, first: number, count: number, offset: number): string {
    while (this.pool.length < count) this.pool.push(this.newRow())
    // A row keeps the entry whose place is the same modulo the pool's size: scrolling by one changes one row.
    const size = this.pool.length
    let active = ''
    for (let at = 0; at < count; at++) {
      const place = first + at
      const elements = this.pool[place % size]
      const entry = shown.entries[place]
      if (!elements || entry === undefined) continue
      elements.row.style.transform = `translateY(${offset + at * ROW_PIXELS}px)`
      elements.row.setAttribute('aria-rowindex', String(place + 1))
      if (elements.shown !== shown || elements.entry !== entry) fill(elements, shown, entry)
      elements.row.hidden = false
      if (entry === shown.selected) active = elements.row.id
    }
    for (let at = count; at < size; at++) {
      const elements = this.pool[(first + at) % size]
      if (elements) elements.row.hidden = true
    }
    return active
  }

  private newRow(): RowElements {
    const row = element('div', 'span-row')
    row.id = `span-row-${this.pool.length}`
    row.setAttribute('role', 'row')
    const name = element('div', 'span-name')
    name.setAttribute('role', 'gridcell')
    const twisty = document.createElement('button')
    twisty.type = 'button'
    twisty.className = 'twisty number'
    twisty.tabIndex = -1
    const swatch = element('i', 'swatch')
    const error = element('i', 'error-mark')
    error.setAttribute('aria-hidden', 'true')
    const service = element('bdi', 'span-service')
    const label = element('bdi', 'span-label')
    const badge = element('span', 'span-badge')
    const duration = element('div', 'visually-hidden')
    duration.setAttribute('role', 'gridcell')
    name.append(twisty, swatch, error, service, label, badge)
    row.append(name, duration)
    this.element.append(row)
    return {
      row,
      name,
      twisty,
      swatch,
      error,
      service,
      label,
      badge,
      duration,
      shown: undefined,
      entry: undefined,
    }
  }
}

function fill(elements: RowElements, shown: Shown, entry: Entry): void {
  const { trace, texts, marks, openGroups } = shown
  const { head } = trace
  const group = entry < 0 ? head.groups[~entry] : undefined
  const row = firstRow(head, entry)
  const isOpen = group ? openGroups.has(~entry) : !shown.collapsed[row]
  const isSame =
    elements.entry === entry && elements.shown?.trace === trace && elements.shown.texts === texts
  elements.shown = shown
  elements.entry = entry
  if (!isSame) fillName(elements, shown, entry)
  const children = group ? group.rows.length : (shown.derived.children[row] ?? 0)
  if (children > 0) {
    const count = compact(children)
    elements.twisty.textContent = `${isOpen ? '▾' : '▸'}${count}`
    elements.twisty.setAttribute('aria-label', `${isOpen ? texts.collapse : texts.expand} ${count}`)
    elements.row.setAttribute('aria-expanded', String(isOpen))
  } else {
    elements.row.removeAttribute('aria-expanded')
  }
  elements.row.setAttribute('aria-selected', String(entry === shown.selected))
  elements.row.classList.toggle('is-found', entry >= 0 && includes(shown.hits, row))
  elements.row.classList.toggle('is-dim', marks?.[row] === ANCESTOR)
  fillMarks(elements, shown, entry, children > 0 && !isOpen)
}

function fillName(elements: RowElements, { trace, texts, derived }: Shown, entry: Entry): void {
  const { head, columns } = trace
  const group = entry < 0 ? head.groups[~entry] : undefined
  const row = firstRow(head, entry)
  const level = derived.levels[row] ?? 0
  const depth = group ? level - 1 : level
  const service = clipped(head.services[columns.service[row] ?? 0]?.name ?? '')
  const name = clipped(head.names[columns.name[row] ?? 0] ?? '')
  const indent = indentOf(depth)
  elements.name.style.paddingInlineStart = `${NAME_LEFT_PIXELS + indent}px`
  elements.name.style.setProperty(
    '--guides',
    `${Math.min(indent, INDENT_LEVELS * INDENT_PIXELS)}px`,
  )
  elements.swatch.dataset['colour'] = String(
    colourOf(head.services[columns.service[row] ?? 0]?.name ?? ''),
  )
  elements.service.textContent = service
  elements.label.textContent = group ? texts.group(group.rows.length, name) : name
  const length = group
    ? texts.groupTimes(durationText(group.totalNano), durationText(group.maxNano))
    : durationText(columns.duration[row] ?? 0)
  elements.row.title = `${service}: ${elements.label.textContent}\n${length}`
  elements.duration.textContent = length
  elements.row.setAttribute('aria-level', String(depth + 1))
  elements.row.classList.toggle('is-group', group !== undefined)
  elements.twisty.hidden = !group && (derived.children[row] ?? 0) === 0
}

function fillMarks(elements: RowElements, shown: Shown, entry: Entry, isHiding: boolean): void {
  const { trace, texts, hits } = shown
  const { columns, head } = trace
  const group = entry < 0 ? head.groups[~entry] : undefined
  const row = firstRow(head, entry)
  const flags = columns.flags[row] ?? 0
  const own = group ? group.errorCount > 0 : (flags & Flag.ERROR) !== 0
  const below = isHiding && (flags & Flag.ERROR_BELOW) !== 0
  elements.error.dataset['error'] = own ? 'own' : below ? 'below' : ''
  elements.error.title = own ? texts.error : below ? texts.errorBelow : ''
  elements.label.classList.toggle('has-error', own)
  const isOrphan = entry >= 0 && (flags & Flag.MISSING_PARENT) !== 0
  const hasLinks = entry >= 0 && (flags & Flag.HAS_LINKS) !== 0
  const found = isHiding && hits.length ? hitsBelow(shown, row, group?.rows) : 0
  const parts = [isOrphan && '⤴\uFE0E', hasLinks && '⇄', found > 0 && texts.found(found)]
  const said = [
    own && texts.error,
    below && texts.errorBelow,
    isOrphan && texts.missingParent,
    hasLinks && texts.hasLinks,
  ]
  elements.badge.textContent = parts.filter(Boolean).join(' ')
  elements.badge.title = said.filter(Boolean).join('\n')
  elements.badge.classList.toggle('has-hits', found > 0)
}

/** How many spans that were found are hidden below a row, or in a group of siblings. */
function hitsBelow({ hits, trace }: Shown, row: number, rows: Uint32Array | undefined): number {
  const { subtree } = trace.columns
  if (!rows) return lowerBound(hits, row + (subtree[row] ?? 1)) - lowerBound(hits, row + 1)
  return rows.reduce(
    (sum, member) =>
      sum + lowerBound(hits, member + (subtree[member] ?? 1)) - lowerBound(hits, member),
    0,
  )
}

function indentOf(depth: number): number {
  const shallow = Math.min(depth, INDENT_LEVELS)
  const indent = shallow * INDENT_PIXELS + (depth - shallow) * INDENT_PIXELS_DEEP
  return Math.min(INDENT_PIXELS_MAX, indent)
}

function compact(count: number): string {
  if (count < 1_000) return String(count)
  return count < 1e6 ? `${Math.floor(count / 1e3)}k` : `${Math.floor(count / 1e6)}M`
}

export function element(name: string, className: string): HTMLElement {
  const made = document.createElement(name)
  made.className = className
  return made
}
