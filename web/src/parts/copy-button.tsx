/** A button that copies a text, and says that it did. */

import { useState } from 'preact/hooks'
import { messages } from '../language/language.ts'
import { copy } from './copy.ts'
import { Icon } from './icon.tsx'

const say = messages({ copied: 'Copied' }, { copied: '已复制' })

export function CopyButton({
  text,
  label,
  icon = 'copy',
}: {
  text: string
  label: string
  icon?: 'copy' | 'pair' | 'link'
}) {
  const [isDone, setIsDone] = useState(false)
  return (
    <button
      type="button"
      class="plain icon"
      aria-label={isDone ? say().copied : label}
      title={label}
      onClick={async () => {
        setIsDone(await copy(text))
        setTimeout(() => setIsDone(false), 1_500)
      }}
    >
      <Icon name={isDone ? 'check' : icon} />
    </button>
  )
}
