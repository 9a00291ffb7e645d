/** A modal dialog: the browser's own, so that focus, Escape and the page behind it are right. */

import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import { messages } from '../language/language.ts'
import { Icon } from './icon.tsx'
import './dialog.css'

const say = messages({ close: 'Close' }, { close: '关闭' })

export function Dialog({
  title,
  onClose,
  children,
}: {
  title: string
  onClose: () => void
  children: ComponentChildren
}) {
  const element = useRef<HTMLDialogElement>(null)
  const titleId = useId()
  useEffect(() => element.current?.showModal(), [])
  return (
    <dialog ref={element} onClose={onClose} aria-labelledby={titleId}>
      <header>
        <h2 id={titleId}>{title}</h2>
        <button
          type="button"
          class="plain icon"
          aria-label={say().close}
          onClick={() => element.current?.close()}
        >
          <Icon name="close" />
        </button>
      </header>
      {children}
    </dialog>
  )
}
