/** A component that is loaded when it is first shown: until then the page goes without its weight. */

import { signal } from '@preact/signals'
import type { ComponentType, VNode } from 'preact'
import { useEffect } from 'preact/hooks'
import { type Failure, failureOf } from '../api/failure.ts'
import { Failed, Loading } from './states.tsx'

/** `meanwhile`: what stands in its place, as large as itself if nothing is to jump. */
export function later<P extends object>(
  load: () => Promise<ComponentType<P>>,
  meanwhile: () => VNode = () => <Loading rows={8} />,
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
  return (props) => {
    useEffect(() => {
      if (!loaded.peek()) begin()
    }, [])
    if (failure.value) return <Failed failure={failure.value} again={begin} />
    if (!loaded.value) return meanwhile()
    const { Found } = loaded.value
    return <Found {...props} />
  }
}
