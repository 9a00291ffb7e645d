/** A component that is loaded when it is first shown: until then the page goes without its weight. */

import { signal } from '@preact/signals'
import type { ComponentType, VNode } from 'preact'
import { useLayoutEffect } from 'preact/hooks'
import { type Failure, failureOf } from '../api/failure.ts'
import { messages } from '../language/language.ts'
import { Loading } from './states.tsx'

const say = messages({ again: 'Try again' }, { again: '重试' })

/** `meanwhile`: what stands in its place, as large as itself if nothing is to jump. */
export function later<P extends object>(
  load: () => Promise<ComponentType<P>>,
  meanwhile: () => VNode = () => <Loading rows={8} />,
  failed: ComponentType<{ failure: Failure; again: () => void }> = FailedLater,
): ComponentType<P> {
  const loaded = signal<{ Found: ComponentType<P> } | undefined>(undefined)
  const failure = signal<Failure | undefined>(undefined)
  const begin = () => {
    failure.value = undefined
    load().then(
      (Found) => {
        loaded.value = { Found }
      },
      (error: unknown) => {
        failure.value = failureOf(error)
      },
    )
  }
  const Failed = failed
  return (props) => {
    // Before the frame is painted: what is here already shows at once.
    useLayoutEffect(() => {
      if (!loaded.peek()) begin()
    }, [])
    if (failure.value) return <Failed failure={failure.value} again={begin} />
    if (!loaded.value) return meanwhile()
    const { Found } = loaded.value
    return <Found {...props} />
  }
}

/** `Failed`, fetched when there is something to tell; `main.tsx` has it ready for when the server is away. */
export const FailedLater = later<{ failure: Failure; again: () => void }>(
  async () => (await import('./failed.tsx')).Failed,
  () => <Loading rows={2} />,
  Plain,
)

/** Where not even that can be fetched. */
function Plain({ failure, again }: { failure: Failure; again: () => void }) {
  return (
    <p class="state" role="alert">
      {failure.message}{' '}
      <button type="button" onClick={again}>
        {say().again}
      </button>
    </p>
  )
}
