/** The keys of the trace view. */

import { type Key, useKeys } from '../../parts/keys.ts'
import { say } from './messages.ts'
import type { TraceStore } from './store.ts'

const ZOOM_STEP = 1.5
const PAN_STEP = 0.2

export function useTraceKeys(store: TraceStore): void {
  const isTimeline = store.tab.value === 'timeline'
  useKeys({
    title: () => say().keysTitle,
    keys: [
      ...(isTimeline ? timelineKeys(store) : []),
      { keys: ['Escape'], label: () => say().keyEscape, act: () => store.dismiss() },
    ],
  })
}

function timelineKeys(store: TraceStore): Key[] {
  return [
    { keys: ['ArrowDown', 'j'], label: () => say().keyDown, act: () => store.move(1) },
    { keys: ['ArrowUp', 'k'], label: () => say().keyUp, act: () => store.move(-1) },
    {
      keys: ['PageDown', 'PageUp'],
      label: () => say().keyPage,
      act: ({ key }) => store.move(key === 'PageDown' ? store.pageSize() : -store.pageSize()),
    },
    {
      keys: ['Home', 'End'],
      label: () => say().keyEnds,
      act: ({ key }) =>
        store.move(key === 'Home' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY),
    },
    { keys: ['ArrowLeft'], label: () => say().keyLeft, act: () => store.fold() },
    { keys: ['ArrowRight'], label: () => say().keyRight, act: () => store.unfold() },
    {
      keys: ['Enter'],
      label: () => say().keyEnter,
      act: () => {
        const group = store.selectedGroup.peek()
        if (group >= 0) store.toggleGroup(group)
        else store.showsPanel.value = store.selected.peek() >= 0
      },
    },
    { keys: ['w'], label: () => say().keyZoomIn, act: () => store.zoomBy(1 / ZOOM_STEP) },
    { keys: ['s'], label: () => say().keyZoomOut, act: () => store.zoomBy(ZOOM_STEP) },
    { keys: ['a'], label: () => say().keyPanLeft, act: () => store.pan(-PAN_STEP) },
    { keys: ['d'], label: () => say().keyPanRight, act: () => store.pan(PAN_STEP) },
    { keys: ['f'], label: () => say().keyFit, act: () => store.zoomToRow(store.selected.peek()) },
    {
      keys: ['0'],
      label: () => say().keyReset,
      act: () => {
        store.zoom.value = undefined
      },
    },
    { keys: ['['], label: () => say().keyCollapseAll, act: () => store.collapseAll() },
    { keys: [']'], label: () => say().keyExpandAll, act: () => store.expandAll() },
    { keys: ['o'], label: () => say().keyCollapseLevel, act: () => store.level(-1) },
    { keys: ['p'], label: () => say().keyExpandLevel, act: () => store.level(1) },
    {
      keys: ['/'],
      label: () => say().keyFind,
      act: () => document.getElementById('find')?.focus(),
    },
    { keys: ['n'], label: () => say().keyNextHit, act: () => store.step(store.hits.peek(), 1) },
    {
      keys: ['N'],
      label: () => say().keyPreviousHit,
      act: () => store.step(store.hits.peek(), -1),
    },
    { keys: ['e'], label: () => say().keyNextError, act: () => store.stepErrors(1) },
    { keys: ['E'], label: () => say().keyPreviousError, act: () => store.stepErrors(-1) },
    {
      keys: ['c'],
      label: () => say().keyCritical,
      act: () => {
        store.showsCritical.value = !store.showsCritical.peek()
      },
    },
    { keys: ['x'], label: () => say().keyNextCritical, act: () => store.nextCritical() },
  ]
}
