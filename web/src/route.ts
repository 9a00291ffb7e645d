/**
 * The whole view lives in the fragment: `#/trace/ID?span=…&find=…`.
 *
 * `navigate` goes somewhere (a step of the history); `amend` writes what changed in the view where one is (no step).
 */

import { signal } from '@preact/signals'

export type View = 'search' | 'trace' | 'statistics' | 'topology' | 'settings'
export type Parameters = Readonly<Record<string, string>>

export interface Route {
  view: View
  /** What follows the view's name: a trace id, for `trace`. */
  subject: string
  parameters: Parameters
}

const VIEWS: readonly View[] = ['search', 'trace', 'statistics', 'topology', 'settings']
const AMEND_MILLISECONDS = 150

export const route = signal<Route>(routeIn(typeof location === 'undefined' ? '' : location.hash))

export function routeIn(fragment: string): Route {
  const [path = '', query = ''] = splitOnce(fragment.replace(/^#?\/?/, ''), '?')
  const [name = '', ...rest] = path.split('/')
  const view = VIEWS.find((each) => each === name) ?? 'search'
  return {
    view,
    subject: decoded(rest.join('/')),
    parameters: Object.fromEntries(new URLSearchParams(query)),
  }
}

export function fragmentOf({ view, subject, parameters }: Route): string {
  const query = new URLSearchParams(parameters).toString()
  const path = subject ? `${view}/${encodeURIComponent(subject)}` : view
  return `#/${path}${query ? `?${query}` : ''}`
}

/** The `href` of a link to a view. Empty and undefined parameters are left out. */
export function hrefTo(
  view: View,
  subject = '',
  parameters: Readonly<Record<string, string | undefined>> = {},
): string {
  return fragmentOf({ view, subject, parameters: present(parameters) })
}

export function navigate(
  view: View,
  subject = '',
  parameters: Readonly<Record<string, string | undefined>> = {},
): void {
  const fragment = hrefTo(view, subject, parameters)
  history.pushState(null, '', urlWith(fragment))
  route.value = routeIn(fragment)
}

let amending: ReturnType<typeof setTimeout> | undefined

/** Change parameters of the view where one is; undefined and '' remove. The address follows a moment later. */
export function amend(changes: Readonly<Record<string, string | undefined>>): void {
  // Not `.value`: an effect that writes the address must not run because the address changed.
  const now = route.peek()
  const parameters = present({ ...now.parameters, ...changes })
  if (fragmentOf({ ...now, parameters }) === fragmentOf(now)) return
  route.value = { ...now, parameters }
  // Browsers refuse more than some hundred changes in half a minute.
  clearTimeout(amending)
  amending = setTimeout(writeAddress, AMEND_MILLISECONDS)
}

/** Write a pending amendment at once: the address is about to be copied or left. */
export function writeAddress(): void {
  clearTimeout(amending)
  history.replaceState(null, '', urlWith(fragmentOf(route.value)))
}

export function followAddress(): void {
  addEventListener('hashchange', () => {
    clearTimeout(amending)
    route.value = routeIn(location.hash)
  })
  addEventListener('popstate', () => {
    clearTimeout(amending)
    route.value = routeIn(location.hash)
  })
}

/** A bare `#…` would be taken relative to `<base>`. */
function urlWith(fragment: string): string {
  return location.pathname + location.search + fragment
}

function present(parameters: Readonly<Record<string, string | undefined>>): Parameters {
  const entries = Object.entries(parameters).filter(([, value]) => value)
  return Object.fromEntries(entries) as Parameters
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}
