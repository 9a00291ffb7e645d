/** Empty and loading; `failed.tsx` has the third. */

import type { ComponentChildren } from 'preact'
import { messages } from '../language/language.ts'
import './states.css'

const say = messages({ loading: 'Loading…' }, { loading: '加载中…' })

/** Grey rows where content will be: never a spinner over the whole page. */
export function Loading({ rows = 6 }: { rows?: number }) {
  return (
    <div class="loading" role="status">
      <span class="visually-hidden">{say().loading}</span>
      {Array.from({ length: rows }, (_, at) => (
        <div key={at} class="loading-row" />
      ))}
    </div>
  )
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="state">
      <h2>{title}</h2>
      {children}
    </div>
  )
}
