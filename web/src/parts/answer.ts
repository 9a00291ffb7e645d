/** What a view shows of a question on its way: an answer, a failure, or that it waits; the last answer stays meanwhile. */

import { useEffect, useState } from 'preact/hooks'
import { type Failure, failureOf, isAbort } from '../api/failure.ts'

export interface Asked<T> {
  /** The newest answer, though it may be of an older question while `isWaiting`. */
  answer: T | undefined
  failure: Failure | undefined
  isWaiting: boolean
  again: () => void
}

/**
 * Ask when `key` changes, and when told `again`; `undefined` as key asks nothing.
 *
 * `key` must name everything that `ask` depends on: the function itself may be a new one at each rendering.
 */
export function useAnswer<T>(
  key: string | undefined,
  ask: (signal: AbortSignal) => Promise<T>,
): Asked<T> {
  const [turn, setTurn] = useState(0)
  const [state, setState] = useState<Omit<Asked<T>, 'again'>>({
    answer: undefined,
    failure: undefined,
    isWaiting: key !== undefined,
  })
  useEffect(() => {
    if (key === undefined) return
    const controller = new AbortController()
    setState((before) => ({ ...before, isWaiting: true }))
    ask(controller.signal).then(
      (answer) => {
        if (!controller.signal.aborted) setState({ answer, failure: undefined, isWaiting: false })
      },
      (error: unknown) => {
        if (controller.signal.aborted || isAbort(error)) return
        setState((before) => ({ ...before, failure: failureOf(error), isWaiting: false }))
      },
    )
    return () => controller.abort()
  }, [key, turn])
  return { ...state, again: () => setTurn((before) => before + 1) }
}
