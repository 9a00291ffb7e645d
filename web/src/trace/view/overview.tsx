/** The minimap above the timeline. */

import { effect } from '@preact/signals'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { colours } from '../../theme/tokens.ts'
import { Minimap } from './minimap.ts'
import type { TraceStore } from './store.ts'

export function Overview({ store }: { store: TraceStore }) {
  const place = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => {
    if (!place.current) return
    const map = new Minimap(
      place.current,
      (from, to) => store.zoom.set(from, to),
      () => {
        store.zoom.reset()
      },
    )
    const stop = effect(() => {
      const trace = store.trace.value
      if (!trace) return
      map.show({
        trace,
        range: store.zoom.range.value,
        hits: store.find.hits.value,
        adjustsClocks: store.adjustsClocks.value,
        colours: colours.value,
        sight: store.sight.value,
      })
    })
    return () => {
      stop()
      map.close()
    }
  }, [store])
  return <div ref={place} class="minimap" />
}
