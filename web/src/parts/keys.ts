/** Keys: each view tells its own while it shows, and the help sheet lists them. */

import { signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'

export interface Key<Words = void> {
  /** As `KeyboardEvent.key` has it: `f`, `N`, `?`, `ArrowUp`; several that do the same. */
  keys: readonly string[]
  /** What it does, in the reader's language. */
  label: (words: Words) => string
  act: (event: KeyboardEvent) => void
}

export interface KeyGroup<Words = void> {
  title: (words: Words) => string
  keys: readonly Key<Words>[]
  /** Where title and labels take them from words that nobody needs until the sheet is shown. */
  words?: () => Promise<Words>
}

/** A group as the sheet shows it. */
export interface ListedKeys {
  title: string
  keys: { keys: readonly string[]; label: string }[]
}

/** What the help sheet shows: the groups of what is on the page. */
export const keyGroups = signal<readonly (() => Promise<ListedKeys>)[]>([])

/** Listen while the component shows. Keys typed into a field, or with Ctrl, Alt or Meta, are left alone. */
export function useKeys<Words = void>(group: KeyGroup<Words>): void {
  const current = useRef(group)
  current.current = group
  useEffect(() => {
    const shown = () => listed(current.current)
    keyGroups.value = [...keyGroups.peek(), shown]
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return
      if (isTyping(event.target) || document.querySelector('dialog[open]')) return
      if (isOperated(event)) return
      const found = current.current.keys.find(({ keys }) => keys.includes(event.key))
      if (found) {
        event.preventDefault()
        found.act(event)
      }
    }
    document.addEventListener('keydown', listen)
    return () => {
      document.removeEventListener('keydown', listen)
      keyGroups.value = keyGroups.peek().filter((each) => each !== shown)
    }
  }, [])
}

async function listed<Words>({ title, keys, words }: KeyGroup<Words>): Promise<ListedKeys> {
  const said = (await words?.()) as Words
  return {
    title: title(said),
    keys: keys.map(({ keys, label }) => ({ keys, label: label(said) })),
  }
}

/** The focused element's own keys: Enter and space of what can be pressed, arrows of a slider or of several choices. */
function isOperated({ key, target }: KeyboardEvent): boolean {
  if (!(target instanceof Element)) return false
  if (key === 'Enter' || key === ' ')
    return target.closest('button, a[href], summary, [role="option"]') !== null
  return key.startsWith('Arrow') && target.matches('input:is([type="range"], [type="radio"])')
}
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  if (target instanceof HTMLInputElement)
    return !['checkbox', 'radio', 'range', 'button'].includes(target.type)
  return (
    target.isContentEditable ||
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement
  )
}
