/** What the search form asks for: in the fragment, and as the API takes it. */

import type { Query } from '../api/ask.ts'
import { durationParameter, parseDuration } from '../language/format.ts'
import { type Range, rangeIn, rangeParameters, secondsOf } from '../parts/range.ts'
import type { Parameters } from '../route.ts'

export interface Search {
  service: string
  spanName: string
  /** `key=value` */
  attributes: string[]
  /** As typed: `250ms`. */
  min: string
  max: string
  onlyErrors: boolean
  /** A trace id that a span links to. */
  link: string
  limit: number
  range: Range
}

const LIMIT = 20
export const LIMITS = [20, 50, 100, 500, 1_000] as const
/** No attribute holds a newline that a person typed. */
const SEPARATOR = '\n'

export function searchIn(parameters: Parameters): Search {
  const limit = Number(parameters['limit'])
  return {
    service: parameters['service'] ?? '',
    spanName: parameters['span_name'] ?? '',
    attributes: (parameters['attributes'] ?? '').split(SEPARATOR).filter(Boolean),
    min: parameters['min'] ?? '',
    max: parameters['max'] ?? '',
    onlyErrors: parameters['status'] === 'error',
    link: parameters['link'] ?? '',
    limit: LIMITS.find((each) => each === limit) ?? LIMIT,
    range: rangeIn(parameters),
  }
}

export function parametersOf(search: Search): Record<string, string | undefined> {
  return {
    service: search.service,
    span_name: search.spanName,
    attributes: search.attributes.join(SEPARATOR),
    min: search.min,
    max: search.max,
    status: search.onlyErrors ? 'error' : '',
    link: search.link,
    limit: search.limit === LIMIT ? '' : String(search.limit),
    ...rangeParameters(search.range),
  }
}

/** The question to `v1/traces`. Durations that are none are left out: the form marks them. */
export function questionOf(search: Search, nowMilliseconds = Date.now()): Query {
  const { start, end } = secondsOf(search.range, nowMilliseconds)
  const nano = (text: string) => {
    const value = parseDuration(text)
    return value === undefined ? '' : durationParameter(value)
  }
  return {
    service: search.service,
    span_name: search.spanName,
    attribute: search.attributes,
    min_duration: nano(search.min),
    max_duration: nano(search.max),
    status: search.onlyErrors ? 'error' : '',
    link: search.link,
    limit: String(search.limit),
    start: start.toFixed(3),
    end: search.range.kind === 'last' ? '' : end.toFixed(3),
  }
}

/** Whether anything but the time narrows it. */
export function hasConditions(search: Search): boolean {
  return conditionsOf(search).length > 0
}

export type Condition = 'service' | 'spanName' | 'attribute' | 'min' | 'max' | 'onlyErrors' | 'link'

export interface Without {
  condition: Condition
  /** What it says: the service's name, `key=value`. */
  text: string
  /** The search without it. */
  search: Search
}

/** Each condition, and the search without it: what to try where nothing is found. */
export function conditionsOf(search: Search): Without[] {
  const without = (condition: Condition, text: string, changes: Partial<Search>): Without[] =>
    text ? [{ condition, text, search: { ...search, ...changes } }] : []
  return [
    ...without('service', search.service, { service: '' }),
    ...without('spanName', search.spanName, { spanName: '' }),
    ...search.attributes.flatMap((each) =>
      without('attribute', each, {
        attributes: search.attributes.filter((other) => other !== each),
      }),
    ),
    ...without('min', search.min, { min: '' }),
    ...without('max', search.max, { max: '' }),
    ...without('onlyErrors', search.onlyErrors ? 'error' : '', { onlyErrors: false }),
    ...without('link', search.link, { link: '' }),
  ]
}
