/** No calls in the range: when figures come, and where to look meanwhile. */

import { duration } from '../language/format.ts'
import { rangeParameters } from '../parts/range.ts'
import { Empty } from '../parts/states.tsx'
import { hrefTo } from '../route.ts'
import { say } from './messages.ts'

const WIDER_NANO = [6, 24, 7 * 24].map((hours) => hours * 3_600e9)

export function Nothing({ service }: { service: string }) {
  return (
    <Empty title={say().nothing}>
      <p>{say().nothingHint}</p>
      <p class="ways">
        {WIDER_NANO.map((nano) => (
          <a
            key={nano}
            class="button"
            href={hrefTo('statistics', '', { service, ...rangeParameters({ kind: 'last', nano }) })}
          >
            {say().widen(duration(nano))}
          </a>
        ))}
        <a class="button" href={hrefTo('search', '', { service })}>
          {say().searchLink}
        </a>
      </p>
    </Empty>
  )
}
