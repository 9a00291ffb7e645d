/** Links out of a span by a template: `https://logs.example/?q={trace_id}&from={attribute:http.route}`. */

import type { LinkPattern } from './state.ts'

const PLACEHOLDER = /\{([^{}]+)\}/g

/** What a template may name: `trace_id`, `span_id`, `service`, `attribute:KEY`. */
export type Values = (name: string) => string | undefined

/** The URL, with every value percent-encoded; undefined if one is missing, or it leads neither to http nor https. */
export function hrefOf(pattern: LinkPattern, values: Values): string | undefined {
  let isWhole = true
  const filled = pattern.url.replace(PLACEHOLDER, (_, name: string) => {
    const value = values(name)
    if (value === undefined) isWhole = false
    return encodeURIComponent(value ?? '')
  })
  if (!isWhole) return undefined
  try {
    const url = new URL(filled)
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : undefined
  } catch {
    return undefined
  }
}

/** Whether a template can ever be a link. */
export function isTemplate(url: string): boolean {
  return hrefOf({ name: '', url }, () => 'x') !== undefined
}
