/** The language of the page, and typed messages: a key that one language lacks is a type error. */

import { computed, effect, signal } from '@preact/signals'
import { remember, remembered } from '../settings/remembered.ts'

export type Language = 'en' | 'zh'

type Message = string | ((...values: never[]) => string)
type Translated<T> = {
  readonly [K in keyof T]: T[K] extends (...values: infer A) => string
    ? (...values: A) => string
    : string
}

/** What the user chose; `auto` follows the browser. */
export const languageChoice = signal<Language | 'auto'>(
  remembered('language', ['auto', 'en', 'zh'] as const) ?? 'auto',
)

export const language = computed<Language>(() =>
  languageChoice.value === 'auto' ? ofBrowser() : languageChoice.value,
)

/** The tag for `Intl`: never the browser's own, which may be one that `Intl` refuses (`en-US@posix`). */
export const locale = computed(() => (language.value === 'zh' ? 'zh-CN' : 'en-GB'))

function ofBrowser(): Language {
  const tags = typeof navigator === 'undefined' ? [] : navigator.languages
  const known = tags.find((tag) => /^(en|zh)\b/i.test(tag))
  return known?.toLowerCase().startsWith('zh') ? 'zh' : 'en'
}

/**
 * Messages in both languages; call the result while rendering: `say().title`, `say().spans(3)`.
 *
 * A message is a string, or a function of the values in it.
 */
export function messages<T extends Record<string, Message>>(
  en: T,
  zh: Translated<T>,
): () => Translated<T> {
  return () => (language.value === 'zh' ? zh : (en as unknown as Translated<T>))
}

/** English plurals: `many(2, 'span')` is `2 spans`. */
export function many(count: number, one: string, several = `${one}s`): string {
  return `${new Intl.NumberFormat('en-GB').format(count)} ${count === 1 ? one : several}`
}

/** Keep the document's language and the remembered choice in step. Called once, by `main.tsx`. */
export function followLanguage(): void {
  effect(() => {
    document.documentElement.lang = locale.value
    remember('language', languageChoice.value)
  })
}
