/** Single traces among the figures: slow ones and failed ones, spread over the range. */

import type { SearchAnswer, StatisticsAnswer, TraceSummary } from '../api/answers.ts'
import { question } from '../api/question.ts'
import { duration, durationParameter, shortMoment } from '../language/format.ts'
import { useAnswer } from '../parts/answer.ts'
import { atLeast } from './brush.ts'
import { say } from './messages.ts'
import { inTurns } from './turns.ts'

export interface Exemplar {
  traceId: string
  /** Unix seconds. */
  seconds: number
  /** How long the service's span took; undefined where the trace began elsewhere, so that only its whole is known. */
  nano: number | undefined
  isError: boolean
  title: () => string
}

/** Searches answer newest first: asked for the whole range, they would all lie at its end. */
const SLICES = 4
const SLOW_A_SLICE = 5
const FAILED_A_SLICE = 3
const AT_ONCE = 4

export function useExemplars(
  service: string,
  spanName: string,
  p95Nano: number | undefined,
  answer: StatisticsAnswer | undefined,
): Exemplar[] {
  const start = Math.round(Number(answer?.start_time_unix_nano ?? 0) / 1e9)
  const end = Math.round(Number(answer?.end_time_unix_nano ?? 0) / 1e9)
  const key = p95Nano === undefined ? undefined : `${service} ${spanName} ${start} ${end}`
  const asked = useAnswer(key, async (signal) => {
    const found: Exemplar[][] = []
    const slices = slicesOf(start, end, SLICES)
    const ask = (slice: [number, number], more: Record<string, string>) =>
      question<SearchAnswer>(
        'v1/traces',
        {
          service,
          span_name: spanName,
          start: String(slice[0]),
          end: String(slice[1]),
          ...more,
        },
        signal,
      )
    const slow = durationParameter(atLeast(p95Nano ?? 0))
    const questions = slices.flatMap((slice) => [
      { slice, isError: false, more: { min_duration: slow, limit: String(SLOW_A_SLICE) } },
      { slice, isError: true, more: { status: 'error', limit: String(FAILED_A_SLICE) } },
    ])
    await inTurns(questions, AT_ONCE, async ({ slice, isError, more }) => {
      const { traces } = await ask(slice, more)
      found.push(traces.map((trace) => exemplarOf(trace, service, spanName, isError)))
    })
    return { key, exemplars: onceEach(found.flat()) }
  })
  // What was found for another operation says nothing of this one.
  return asked.answer && asked.answer.key === key ? asked.answer.exemplars : NONE
}

const NONE: Exemplar[] = []

/** Whole seconds. */
export function slicesOf(start: number, end: number, count: number): [number, number][] {
  const at = (part: number) => Math.round(start + ((end - start) * part) / count)
  return Array.from({ length: count }, (_, part) => [at(part), at(part + 1)])
}

export function exemplarOf(
  trace: TraceSummary,
  service: string,
  spanName: string,
  isError: boolean,
): Exemplar {
  const isRoot = trace.root_service === service && (!spanName || trace.root_span_name === spanName)
  const nano = Math.max(1, Number(trace.duration_nano))
  const seconds = Number(trace.start_time_unix_nano) / 1e9
  return {
    traceId: trace.trace_id,
    seconds,
    nano: isRoot ? nano : undefined,
    isError,
    title: () =>
      say().exemplar(
        isError ? say().failed : say().slow,
        `${trace.root_service} ${trace.root_span_name.slice(0, 60)}`,
        duration(nano),
        shortMoment(seconds),
      ),
  }
}

/** A trace that is slow and failed counts as failed. */
export function onceEach(exemplars: readonly Exemplar[]): Exemplar[] {
  const found = new Map<string, Exemplar>()
  for (const each of exemplars) {
    if (!found.has(each.traceId) || each.isError) found.set(each.traceId, each)
  }
  return [...found.values()].sort((a, b) => a.seconds - b.seconds)
}
