/** A component whose code is fetched when it is first shown. */

import { signal } from '@preact/signals'
import type { ComponentType } from 'preact'
import { useEffect } from 'preact/hooks'
import { type Failure, failureOf } from '../api/failure.ts'
import { Failed, Loading } from './states.tsx'

export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  const found = signal<ComponentType<P> | undefined>(undefined)
  const failure = signal<Failure | undefined>(undefined)
  const fetch = () => {
    failure.value = undefined
    load().then(
      (component) => {
        found.value = component
      },
      (error: unknown) => {
        failure.value = failureOf(error)
      },
    )
  }
  return function Lazy(props: P) {
    useEffect(() => {
      if (!found.peek()) fetch()
    }, [])
    const Component = found.value
    if (Component) return <Component {...props} />
    return failure.value ? <Failed failure={failure.value} again={fetch} /> : <Loading rows={4} />
  }
}
