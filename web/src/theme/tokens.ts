/** The tokens of `tokens.css` as colours that a canvas takes, for the theme that now shows. */

import { computed, signal } from '@preact/signals'
import { theme } from '../settings/state.ts'

const darkOfSystem = signal(false)

export const isDark = computed(() =>
  theme.value === 'auto' ? darkOfSystem.value : theme.value === 'dark',
)

const SERVICE_COLOURS = 12
const NAMES = [
  'paper',
  'paper-raised',
  'paper-sunken',
  'paper-hover',
  'paper-selected',
  'line',
  'line-strong',
  'text',
  'text-quiet',
  'accent',
  'focus',
  'error',
  'error-paper',
  'warning',
  'ok',
  'mark',
  'critical',
  'shade',
] as const

export type Token = (typeof NAMES)[number]
export interface Colours extends Readonly<Record<Token, string>> {
  readonly services: readonly string[]
  /** CSS font families. */
  readonly font: string
  readonly mono: string
}

/** Read it in an effect or while rendering: it changes with the theme. */
export const colours = computed<Colours>(() => {
  void isDark.value
  return readColours()
})

/** Which of the service colours a service has: the same everywhere, on every visit. */
export function colourOf(service: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < service.length; at++) {
    hash = Math.imul(hash ^ service.charCodeAt(at), 0x01000193)
  }
  return ((hash ^ (hash >>> 15)) >>> 0) % SERVICE_COLOURS
}

export function followTheme(): void {
  const query = matchMedia('(prefers-color-scheme: dark)')
  darkOfSystem.value = query.matches
  query.addEventListener('change', () => {
    darkOfSystem.value = query.matches
  })
}

function readColours(): Colours {
  // `light-dark()` is resolved only where it is a colour of an element.
  const probe = document.createElement('i')
  probe.hidden = true
  probe.style.colorScheme = isDark.value ? 'dark' : 'light'
  document.body.append(probe)
  const resolved = (name: string) => {
    probe.style.color = `var(--${name})`
    return getComputedStyle(probe).color
  }
  const style = getComputedStyle(document.documentElement)
  const found = {
    ...(Object.fromEntries(NAMES.map((name) => [name, resolved(name)])) as Record<Token, string>),
    services: Array.from({ length: SERVICE_COLOURS }, (_, at) => resolved(`service-${at}`)),
    font: style.getPropertyValue('--font'),
    mono: style.getPropertyValue('--mono'),
  }
  probe.remove()
  return found
}
