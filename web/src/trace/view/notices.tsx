/** What is odd about a trace: chips that explain themselves. */

import type { ComponentChildren } from 'preact'
import { Icon } from '../../parts/icon.tsx'
import type { Trace } from '../protocol.ts'
import { isFresh } from './fresh.ts'
import { say } from './notices-messages.ts'
import type { TraceStore } from './store.ts'
import './notices.css'

export function Notices({
  store,
  trace: { head },
  again,
}: {
  store: TraceStore
  trace: Trace
  again: () => void
}) {
  const reload = (
    <button type="button" onClick={again}>
      <Icon name="reload" size={14} /> {say().reload}
    </button>
  )
  return (
    <div class="notices">
      {head.isComplete && isFresh(head) && (
        <Notice title={say().fresh} text={say().freshHint}>
          {reload}
        </Notice>
      )}
      {head.missingParentCount > 0 && (
        <Notice
          title={say().missingParents(head.missingParentCount)}
          text={say().missingParentsHint}
        >
          {head.source === 'server' && reload}
        </Notice>
      )}
      {head.skewedCount > 0 && (
        <Notice title={say().skewed(head.skewedCount)} text={say().skewedHint}>
          <label class="row">
            <input
              type="checkbox"
              checked={store.adjustsClocks.value}
              onChange={(event) => {
                store.adjustsClocks.value = event.currentTarget.checked
              }}
            />
            {say().adjust}
          </label>
        </Notice>
      )}
      {head.cycleCount > 0 && (
        <Notice title={say().cycles(head.cycleCount)} text={say().cyclesHint} />
      )}
      {head.duplicateIdCount > 0 && (
        <Notice title={say().duplicates(head.duplicateIdCount)} text={say().duplicatesHint} />
      )}
      {head.rootCount > 1 && (
        <Notice
          title={say().roots(head.rootCount)}
          text={`${say().rootsHint} ${head.criticalPathMissing === 'several_roots' ? say().criticalMissing : ''}`}
        />
      )}
      {(head.otherTraceCount ?? 0) > 0 && (
        <Notice title={say().others(head.otherTraceCount ?? 0)} text={say().othersHint} />
      )}
    </div>
  )
}

/** A chip that explains itself when it is opened, and closes when one goes elsewhere. */
function Notice({
  title,
  text,
  children,
}: {
  title: string
  text: string
  children?: ComponentChildren
}) {
  return (
    <details
      class="notice"
      onFocusOut={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null))
          event.currentTarget.open = false
      }}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !event.currentTarget.open) return
        event.preventDefault()
        event.currentTarget.open = false
        event.currentTarget.querySelector('summary')?.focus()
      }}
    >
      <summary class="chip" title={title}>
        <Icon name="warning" size={13} /> <span>{title}</span>
      </summary>
      <div tabIndex={-1}>
        <p>{text}</p>
        {children}
      </div>
    </details>
  )
}
