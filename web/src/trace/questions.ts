/** What the page asks about the trace that is open: the worker loads it with the first question. */

import { failureOf, isAbort } from '../api/failure.ts'
import type { Haystack } from './model/find.ts'
import type { Rows } from './model/rows.ts'
import type { Source } from './model/source.ts'
import type { Built } from './model/tree.ts'
import type { Ask, GroupBy, SpanGroup, Told } from './protocol.ts'
import type { SourceRow, TreeRow } from './row-numbers.ts'

const finding = () => import('./model/find.ts')
const counting = () => import('./model/statistics.ts')

/** A picture of the trace: a larger one follows with each page that arrives. */
export interface Current {
  built: Built
  rows: Rows
  source: () => Promise<Source>
  haystack?: Haystack
}

export interface Opened {
  /** The picture there is, once there is one; and once all of the trace is in it. Raise AskError. */
  opened: () => Promise<Current>
  whole: () => Promise<Current>
  isNow: (current: Current) => boolean
  tell: (told: Told) => void
}

type Question = Exclude<Ask, { kind: 'open' | 'openFile' }>

export class Questions {
  private newestFind: { id: number; text: string } | undefined

  constructor(private readonly trace: Opened) {}

  async answer(question: Question): Promise<void> {
    const { id, kind } = question
    const { opened, whole, tell } = this.trace
    switch (kind) {
      case 'find':
        this.newestFind = question
        return this.find(id, question.text)
      case 'details': {
        const { built, source } = await opened()
        const details = await (await source()).details(sourceRowOf(built, question.row))
        return tell({ kind, id, details })
      }
      case 'logs': {
        const { built, rows, source } = await whole()
        return tell({ kind, id, entries: await (await source()).logs(treeRowOf(built, rows)) })
      }
      case 'statistics':
        return tell({ kind, id, groups: await this.groups(question.groupBy) })
      case 'attributeKeys': {
        const { source } = await whole()
        const attributes = await (await source()).attributes()
        return tell({ kind, id, keys: attributes.allKeys() })
      }
      case 'linkedFrom': {
        const { source } = await opened()
        return tell({ kind, id, traces: await (await source()).linkedFrom() })
      }
      case 'download': {
        const { source } = await whole()
        return tell({ kind, id, ...(await (await source()).download()) })
      }
    }
  }

  /** Another trace is being opened. */
  forget(): void {
    this.newestFind = undefined
  }

  /** Rows have other numbers now. */
  findAgain(): void {
    if (!this.newestFind) return
    const { id, text } = this.newestFind
    this.find(id, text).catch((error: unknown) => {
      if (!isAbort(error)) this.trace.tell({ kind: 'failure', id, failure: failureOf(error) })
    })
  }

  /** First by what is here, then by attributes too; a newer question, or a newer picture of the trace, ends an older. */
  private async find(id: number, text: string): Promise<void> {
    const { opened, whole, isNow, tell } = this.trace
    const now = await opened()
    const isOld = () => id !== this.newestFind?.id || !isNow(now)
    const { Haystack, wordsIn } = await finding()
    if (isOld()) return
    const words = wordsIn(text)
    now.haystack ??= new Haystack(now.rows)
    const { haystack, built } = now
    const tellFound = (isPartial: boolean) => {
      const hits = haystack.find(words)
      tell({ kind: 'find', id, rows: treeRows(built, hits), isPartial })
    }
    if (words.length === 0 || haystack.hasAttributes) return tellFound(false)
    tellFound(true)
    await whole()
    if (isOld()) return
    const attributes = await (await now.source()).attributes()
    if (isOld()) return
    haystack.addAttributes(attributes)
    tellFound(false)
  }

  private async groups(groupBy: GroupBy): Promise<SpanGroup[]> {
    const { opened, whole } = this.trace
    const { built, source } = groupBy.by === 'attribute' ? await whole() : await opened()
    const { columns, head } = built.trace
    const { statistics } = await counting()
    if (groupBy.by === 'name') {
      return statistics(columns, (row) => columns.name[row] ?? 0, head.names)
    }
    if (groupBy.by === 'service') {
      const names = head.services.map(({ name }) => name)
      return statistics(columns, (row) => columns.service[row] ?? 0, names)
    }
    const attributes = await (await source()).attributes()
    const places = attributes.placesOf(groupBy.key)
    return statistics(
      columns,
      (row) => places[sourceRowOf(built, row as TreeRow)] ?? -1,
      attributes.values,
    )
  }
}

/** Rows of the tree, ascending, from marks on rows of the source. */
function treeRows({ source }: Built, marks: Uint8Array): Uint32Array {
  const rows = new Uint32Array(source.length)
  let count = 0
  source.forEach((from, row) => {
    if (marks[from]) rows[count++] = row
  })
  return rows.slice(0, count)
}

/** The row of the source that a row of the tree was made of; -1 for a row that there is not. */
function sourceRowOf({ source }: Built, row: TreeRow): SourceRow {
  return (source[row] ?? -1) as SourceRow
}

/** The row of the tree that each row of the source is; -1 for one that the tree leaves out. */
function treeRowOf(built: Built, rows: Rows): (row: SourceRow) => TreeRow {
  const found = new Int32Array(rows.count).fill(-1)
  built.source.forEach((from, row) => {
    found[from] = row
  })
  return (row) => (found[row] ?? -1) as TreeRow
}
