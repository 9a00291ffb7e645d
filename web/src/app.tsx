/** The frame around every view: the navigation, the language, the theme, the help sheet, a dropped file. */

import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { language, languageChoice, messages } from './language/language.ts'
import { Icon, type IconName } from './parts/icon.tsx'
import { useKeys } from './parts/keys.ts'
import { later } from './parts/later.tsx'
import { hrefTo, navigate, type Route, route, type View } from './route.ts'
import { theme } from './settings/state.ts'
import { isDark } from './theme/tokens.ts'
import { droppedFile } from './trace/dropped.ts'
import { startTrace } from './trace/started.ts'
import './app.css'

const say = messages(
  {
    search: 'Search',
    trace: 'Trace',
    statistics: 'Statistics',
    topology: 'Topology',
    settings: 'Settings',
    views: 'Views',
    help: 'Keys',
    skip: 'Skip to content',
    dark: 'Dark theme',
    traceId: 'Trace id…',
    open: 'Open a trace by its id',
    drop: 'Drop a trace here: JSON of OTLP, Jaeger or Zipkin',
    everywhere: 'Everywhere',
    goTo: (view: string) => `Go to ${view}`,
    showHelp: 'This sheet',
  },
  {
    search: '搜索',
    trace: '链路',
    statistics: '统计',
    topology: '拓扑',
    settings: '设置',
    views: '视图',
    help: '快捷键',
    skip: '跳到内容',
    dark: '深色主题',
    traceId: 'Trace id…',
    open: '按 id 打开 trace',
    drop: '将 trace 拖到此处：OTLP、Jaeger 或 Zipkin 的 JSON',
    everywhere: '全局',
    goTo: (view: string) => `前往${view}`,
    showHelp: '显示本表',
  },
)

/** Each view is a part of its own, fetched when it is first shown. */
const PARTS: Readonly<Record<View, () => Promise<ComponentType>>> = {
  search: async () => (await import('./search/search.tsx')).default,
  trace: async () => (await import('./trace/trace.tsx')).default,
  statistics: async () => (await import('./statistics/statistics.tsx')).default,
  topology: async () => (await import('./topology/topology.tsx')).default,
  settings: async () => (await import('./settings/settings.tsx')).default,
}
const SHOWN: Readonly<Record<View, ComponentType>> = {
  search: later(PARTS.search),
  trace: later(PARTS.trace),
  statistics: later(PARTS.statistics),
  topology: later(PARTS.topology),
  settings: later(PARTS.settings),
}
const Help = later(async () => (await import('./parts/help.tsx')).Help)
const TABS: readonly [View, IconName][] = [
  ['search', 'search'],
  ['statistics', 'statistics'],
  ['topology', 'topology'],
  ['settings', 'settings'],
]

/** Fetch what the address asks for, before anything is drawn. */
export function startView(now: Route): void {
  // What goes wrong is told when it is to be shown.
  PARTS[now.view]().catch(() => {})
  startTrace(now)
}

export function App() {
  const { view } = route.value
  const Shown = SHOWN[view]
  const [hasHelp, setHasHelp] = useState(false)
  const isDropping = useDrop()
  useKeys({
    title: () => say().everywhere,
    keys: [
      { keys: ['?'], label: () => say().showHelp, act: () => setHasHelp(true) },
      ...TABS.map(([each], at) => ({
        keys: [String(at + 1)],
        label: () => say().goTo(say()[each]),
        act: () => navigate(each),
      })),
    ],
  })
  useEffect(() => {
    document.title = `${say()[view]} · Clew`
  }, [view])
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => skipTo(event)}>
        {say().skip}
      </a>
      <header class="frame">
        <a class="brand" href={hrefTo('search')}>
          Clew
        </a>
        <nav aria-label={say().views}>
          {TABS.map(([each, icon]) => (
            <a key={each} href={hrefTo(each)} aria-current={view === each ? 'page' : undefined}>
              <Icon name={icon} /> {say()[each]}
            </a>
          ))}
        </nav>
        <TraceIdField />
        <button
          type="button"
          class="plain"
          lang={language.value === 'zh' ? 'en' : 'zh'}
          onClick={() => {
            languageChoice.value = language.value === 'zh' ? 'en' : 'zh'
          }}
        >
          {language.value === 'zh' ? 'English' : '中文'}
        </button>
        <button
          type="button"
          class="plain icon"
          aria-label={say().dark}
          title={say().dark}
          aria-pressed={isDark.value}
          onClick={() => {
            theme.value = isDark.value ? 'light' : 'dark'
          }}
        >
          {isDark.value ? '☾' : '☀'}
        </button>
        <button
          type="button"
          class="plain icon"
          aria-label={say().help}
          title={`${say().help} (?)`}
          onClick={() => setHasHelp(true)}
        >
          <Icon name="help" />
        </button>
      </header>
      <main id="main" tabIndex={-1}>
        <Shown key={view} />
      </main>
      {hasHelp && <Help onClose={() => setHasHelp(false)} />}
      {isDropping && (
        <div class="dropping">
          <Icon name="upload" size={32} /> {say().drop}
        </div>
      )}
    </>
  )
}

/** A trace is found by its id alone, from everywhere. */
function TraceIdField() {
  const [text, setText] = useState('')
  return (
    <search>
      <form
        class="trace-id"
        onSubmit={(event) => {
          event.preventDefault()
          if (!text.trim()) return
          navigate('trace', text.trim())
          setText('')
        }}
      >
        <input
          type="search"
          aria-label={say().open}
          title={say().open}
          placeholder={say().traceId}
          spellcheck={false}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </form>
    </search>
  )
}

/** A file dropped anywhere is shown as a trace, without a backend. */
function useDrop(): boolean {
  const [isOver, setIsOver] = useState(false)
  useEffect(() => {
    const over = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes('Files')) return
      event.preventDefault()
      setIsOver(true)
    }
    const leave = (event: DragEvent) => {
      if (!event.relatedTarget) setIsOver(false)
    }
    const drop = (event: DragEvent) => {
      const file = event.dataTransfer?.files[0]
      setIsOver(false)
      if (!file) return
      event.preventDefault()
      droppedFile.value = file
      navigate('trace', 'file')
    }
    addEventListener('dragover', over)
    addEventListener('dragleave', leave)
    addEventListener('drop', drop)
    return () => {
      removeEventListener('dragover', over)
      removeEventListener('dragleave', leave)
      removeEventListener('drop', drop)
    }
  }, [])
  return isOver
}

/** The fragment is the view's: the link moves the focus by itself. */
function skipTo(event: Event): void {
  event.preventDefault()
  document.getElementById('main')?.focus()
}
