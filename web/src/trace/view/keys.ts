/** The keys of the trace view. */

import { type Key, useKeys } from '../../parts/keys.ts'
import type { say } from './keys-messages.ts'
import type { TraceStore } from './store.ts'

type Words = ReturnType<typeof say>

const ZOOM_STEP = 1.5
const PAN_STEP = 0.2

export function useTraceKeys(store: TraceStore): void {
  const isTimeline = store.tab.value === 'timeline'
  useKeys<Words>({
    words: async () => (await import('./keys-messages.ts')).say(),
    title: (words) => words.title,
    keys: [
      ...(isTimeline ? timelineKeys(store) : []),
      { keys: ['Escape'], label: (words) => words.escape, act: () => store.dismiss() },
    ],
  })
}

function timelineKeys(store: TraceStore): Key<Words>[] {
  return [
    { keys: ['ArrowDown', 'j'], label: (words) => words.down, act: () => store.selection.move(1) },
    { keys: ['ArrowUp', 'k'], label: (words) => words.up, act: () => store.selection.move(-1) },
    {
      keys: ['PageDown', 'PageUp'],
      label: (words) => words.page,
      act: ({ key }) =>
        store.selection.move(key === 'PageDown' ? store.pageSize() : -store.pageSize()),
    },
    {
      keys: ['Home', 'End'],
      label: (words) => words.ends,
      act: ({ key }) =>
        store.selection.move(key === 'Home' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY),
    },
    { keys: ['ArrowLeft'], label: (words) => words.left, act: () => store.selection.fold() },
    { keys: ['ArrowRight'], label: (words) => words.right, act: () => store.selection.unfold() },
    {
      keys: ['Enter'],
      label: (words) => words.enter,
      act: () => {
        const group = store.selection.group.peek()
        if (group >= 0) store.folding.toggleGroup(group)
        else store.showsPanel.value = store.selection.row.peek() >= 0
      },
    },
    { keys: ['w'], label: (words) => words.zoomIn, act: () => store.zoom.by(1 / ZOOM_STEP) },
    { keys: ['s'], label: (words) => words.zoomOut, act: () => store.zoom.by(ZOOM_STEP) },
    { keys: ['a'], label: (words) => words.panLeft, act: () => store.zoom.pan(-PAN_STEP) },
    { keys: ['d'], label: (words) => words.panRight, act: () => store.zoom.pan(PAN_STEP) },
    {
      keys: ['f'],
      label: (words) => words.fit,
      act: () => store.zoom.toRow(store.selection.row.peek()),
    },
    {
      keys: ['0'],
      label: (words) => words.reset,
      act: () => {
        store.zoom.reset()
      },
    },
    { keys: ['['], label: (words) => words.collapseAll, act: () => store.folding.collapseAll() },
    { keys: [']'], label: (words) => words.expandAll, act: () => store.folding.expandAll() },
    { keys: ['o'], label: (words) => words.collapseLevel, act: () => store.folding.level(-1) },
    { keys: ['p'], label: (words) => words.expandLevel, act: () => store.folding.level(1) },
    {
      keys: ['/'],
      label: (words) => words.find,
      act: () => store.find.focus(),
    },
    {
      keys: ['n'],
      label: (words) => words.nextHit,
      act: () => store.selection.step(store.find.hits.peek(), 1),
    },
    {
      keys: ['N'],
      label: (words) => words.previousHit,
      act: () => store.selection.step(store.find.hits.peek(), -1),
    },
    { keys: ['e'], label: (words) => words.nextError, act: () => store.selection.stepErrors(1) },
    {
      keys: ['E'],
      label: (words) => words.previousError,
      act: () => store.selection.stepErrors(-1),
    },
    {
      keys: ['c'],
      label: (words) => words.critical,
      act: () => {
        store.showsCritical.value = !store.showsCritical.peek()
      },
    },
    {
      keys: ['x'],
      label: (words) => words.nextCritical,
      act: () => store.selection.nextCritical(),
    },
  ]
}
