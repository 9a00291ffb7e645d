/** The table beside a chart: for those who do not see it, or want to copy from it. It is made when it is opened. */

import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { say } from './messages.ts'

export function Twin({ title, table }: { title: string; table: () => ComponentChildren }) {
  const [isOpen, setOpen] = useState(false)
  return (
    <details class="twin" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{say().asTable}</summary>
      {/* It scrolls, so the keyboard must reach it. */}
      {isOpen && (
        <section class="twin-table" tabIndex={0} aria-label={say().tableOf(title)}>
          {table()}
        </section>
      )}
    </details>
  )
}
