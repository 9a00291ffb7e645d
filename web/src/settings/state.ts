/** The user's settings as signals: token, theme, time zone, link patterns. The language is in `language/`. */

import { effect, signal } from '@preact/signals'
import {
  remember,
  remembered,
  rememberedInTab,
  rememberedText,
  rememberInTab,
} from './remembered.ts'

export type Theme = 'auto' | 'light' | 'dark'

/** A link from a span to somewhere else: `{…}` in `url` is an attribute, or one of `trace_id`, `span_id`, `service`. */
export interface LinkPattern {
  name: string
  url: string
}

export const theme = signal<Theme>(
  remembered('theme', ['auto', 'light', 'dark'] as const) ?? 'auto',
)

/** `local`, `utc`, or an IANA name such as `Asia/Shanghai`. */
export const timeZone = signal<string>(rememberedText('timeZone') ?? 'local')

/** The token that is sent with each question; empty for none. */
export const token = signal<string>(rememberedInTab('token') ?? rememberedText('token') ?? '')

/** Whether the token outlives the tab. */
export const keepsToken = signal<boolean>(rememberedText('token') !== undefined)

export const linkPatterns = signal<LinkPattern[]>(patternsFrom(rememberedText('linkPatterns')))

/** Keep what is remembered in step. Called once, by `main.tsx`. */
export function followSettings(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value
    remember('theme', theme.value)
  })
  effect(() => remember('timeZone', timeZone.value))
  effect(() => {
    rememberInTab('token', token.value || undefined)
    remember('token', keepsToken.value && token.value ? token.value : undefined)
  })
  effect(() => remember('linkPatterns', JSON.stringify(linkPatterns.value)))
}

function patternsFrom(text: string | undefined): LinkPattern[] {
  try {
    const found: unknown = JSON.parse(text ?? '[]')
    return Array.isArray(found) ? found.filter(isPattern) : []
  } catch {
    return []
  }
}

function isPattern(value: unknown): value is LinkPattern {
  const pattern = value as Partial<LinkPattern> | null
  return typeof pattern?.name === 'string' && typeof pattern.url === 'string'
}
