/** The sheet of keys (`?`). */

import { messages } from '../language/language.ts'
import { Dialog } from './dialog.tsx'
import { keyGroups } from './keys.ts'
import './help.css'

const say = messages(
  { title: 'Keys', none: 'This page has no keys of its own.' },
  { title: '快捷键', none: '此页面没有自己的快捷键。' },
)

const NAMES: Readonly<Record<string, string>> = {
  ArrowUp: '↑',
  ArrowDown: '↓',
  ArrowLeft: '←',
  ArrowRight: '→',
  Escape: 'Esc',
  ' ': 'Space',
}

export function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={say().title} onClose={onClose}>
      <div class="help">
        {keyGroups.value.map((group) => (
          <section key={group.title()}>
            <h3>{group.title()}</h3>
            <dl>
              {group.keys.map((key) => (
                <div key={key.keys.join()}>
                  <dt>
                    {key.keys.map((each) => (
                      <kbd key={each}>{NAMES[each] ?? each}</kbd>
                    ))}
                  </dt>
                  <dd>{key.label()}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
        {keyGroups.value.length === 0 && <p>{say().none}</p>}
      </div>
    </Dialog>
  )
}
