/** All events of a trace in time order, each with a line of text. */

import type { Attribute, LogEntry } from '../protocol.ts'
import type { SourceRow, TreeRow } from '../row-numbers.ts'
import { nano, type OtlpSpan } from './details.ts'
import type { Rows } from './rows.ts'
import { attributesOf, attributeText, objects } from './value.ts'

/** More than anybody scrolls through; the earliest are kept. */
export const LOGS_MAX = 20_000
const LINE_CHARACTERS_MAX = 1_000

/** An event of `Rows`: the span's row, and which of its events it is. */
export interface LogPlace {
  row: SourceRow
  ordinal: number
  /** Index in `Rows.events`. */
  event: number
}

/** The earliest events of spans that the tree has, by time. */
export function logPlaces(rows: Rows, treeRow: (row: SourceRow) => TreeRow): LogPlace[] {
  const places: LogPlace[] = []
  let [last, ordinal] = [-1, 0]
  rows.events.row.forEach((number, event) => {
    const row = number as SourceRow
    ordinal = row === last ? ordinal + 1 : 0
    last = row
    if (treeRow(row) >= 0) places.push({ row, ordinal, event })
  })
  const time = (place: LogPlace) => rows.events.time[place.event] ?? 0
  return places.sort((a, b) => time(a) - time(b) || a.event - b.event).slice(0, LOGS_MAX)
}

/** What the columns know of them: all but the text. */
export function emptyLogs(
  { startUnixNano, events, strings }: Rows,
  places: readonly LogPlace[],
  treeRow: (row: SourceRow) => TreeRow,
): LogEntry[] {
  return places.map(({ row, event }) => ({
    row: treeRow(row),
    timeUnixNano: String(startUnixNano + BigInt(events.time[event] ?? 0)),
    name: strings[events.name[event] ?? 0] ?? '',
    isException: ((events.flags[event] ?? 0) & 1) !== 0,
    text: '',
  }))
}

/** Give an entry its text, from the span in full. */
export function fillLog(entry: LogEntry, { ordinal }: LogPlace, span: OtlpSpan): void {
  const event = objects(span.events)[ordinal]
  if (!event) return
  entry.timeUnixNano = String(nano(event.timeUnixNano))
  entry.text = lineOf(attributesOf(event.attributes))
}

const FIRST_KEYS = ['exception.type', 'exception.message', 'message', 'body']
const LEFT_OUT = 'exception.stacktrace'

/** `message key=value …`: what somebody wants to read comes first. */
export function lineOf(attributes: readonly Attribute[]): string {
  const first = FIRST_KEYS.flatMap((key) => attributes.filter((each) => each.key === key))
  const rest = attributes.filter(({ key }) => !FIRST_KEYS.includes(key) && key !== LEFT_OUT)
  const line = [
    first.map(({ value }) => attributeText(value)).join(': '),
    ...rest.map(({ key, value }) => `${key}=${attributeText(value)}`),
  ]
  // Cut twice: what is matched against a pattern is bounded, too.
  const text = line
    .filter(Boolean)
    .join('  ')
    .slice(0, 4 * LINE_CHARACTERS_MAX)
  const oneLine = text.replace(/[\r\n\t]+/g, ' ').trim()
  return oneLine.length > LINE_CHARACTERS_MAX
    ? `${oneLine.slice(0, LINE_CHARACTERS_MAX)}…`
    : oneLine
}
