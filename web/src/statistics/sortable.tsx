/** The head of a column by which a table can be sorted; the order is in the address. */

import type { ComponentChildren } from 'preact'
import { Icon } from '../parts/icon.tsx'
import { amend } from '../route.ts'
import { type Order, orderText } from './series.ts'

export function SortHead({
  column,
  order,
  isText = false,
  title,
  children,
}: {
  column: string
  order: Order
  /** Names rise first, numbers fall. */
  isText?: boolean
  title?: string
  children: ComponentChildren
}) {
  const isSorted = order.column === column
  const next = { column, isAscending: isSorted ? !order.isAscending : isText }
  return (
    <th
      class={isText ? '' : 'number'}
      title={title}
      aria-sort={isSorted ? (order.isAscending ? 'ascending' : 'descending') : 'none'}
    >
      <button type="button" class="plain sort" onClick={() => amend({ sort: orderText(next) })}>
        {children}
        <span class="sort-mark">
          {isSorted && <Icon name={order.isAscending ? 'up' : 'down'} size={12} />}
        </span>
      </button>
    </th>
  )
}
