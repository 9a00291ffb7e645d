/** The sheet of keys (`?`). */

import { messages } from '../language/language.ts'
import { useAnswer } from './answer.ts'
import { Dialog } from './dialog.tsx'
import { Failed } from './failed.tsx'
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
  const groups = keyGroups.value
  const { answer, failure, again } = useAnswer(String(groups.length), () =>
    Promise.all(groups.map((listed) => listed())),
  )
  return (
    <Dialog title={say().title} onClose={onClose}>
      <div class="help">
        {failure && <Failed failure={failure} again={again} />}
        {answer?.map(({ title, keys }) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {keys.map((key) => (
                <div key={key.keys.join()}>
                  <dt>
                    {key.keys.map((each) => (
                      <kbd key={each}>{NAMES[each] ?? each}</kbd>
                    ))}
                  </dt>
                  <dd>{key.label}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
        {groups.length === 0 && <p>{say().none}</p>}
      </div>
    </Dialog>
  )
}
