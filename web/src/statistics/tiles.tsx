/** The figures of the range, and how its second half differs from its first. */

import type { ComponentChildren } from 'preact'
import type { Figures } from '../api/answers.ts'
import { duration } from '../language/format.ts'
import { number, percent, rate } from '../language/numbers.ts'
import { Icon } from '../parts/icon.tsx'
import { ErrorShare } from './errors.tsx'
import { say } from './messages.ts'
import { type Part, shareOfErrors } from './series.ts'

export function Tiles({
  figures,
  halves: [first, second],
}: {
  figures: Figures
  halves: [Part | undefined, Part | undefined]
}) {
  const latency = (nano: string) => (figures.calls ? duration(Number(nano)) : '–')
  const change = (of: keyof Part, format: (value: number) => string) =>
    first && second && <Change before={first[of]} after={second[of]} format={format} />
  return (
    <dl class="tiles">
      <Tile name={say().rate} change={change('rate', rate)}>
        {rate(figures.rate)}
      </Tile>
      <Tile name={say().errorShare} change={change('errorShare', percent)}>
        <ErrorShare share={shareOfErrors(figures)} />
      </Tile>
      <Tile name="p50" change={change('p50', duration)}>
        {latency(figures.p50_nano)}
      </Tile>
      <Tile name="p95" change={change('p95', duration)}>
        {latency(figures.p95_nano)}
      </Tile>
      <Tile name="p99" change={change('p99', duration)}>
        {latency(figures.p99_nano)}
      </Tile>
      <Tile name={say().callCount}>{number(figures.calls)}</Tile>
    </dl>
  )
}

function Tile({
  name,
  change,
  children,
}: {
  name: string
  change?: ComponentChildren
  children: ComponentChildren
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="number">{children}</dd>
      <dd class="change quiet number">{change}</dd>
    </div>
  )
}

/** Less is noise. */
const CHANGE_SHARE_MIN = 0.05

function Change({
  before,
  after,
  format,
}: {
  before: number
  after: number
  format: (value: number) => string
}) {
  const difference = Math.abs(after - before)
  if (difference <= CHANGE_SHARE_MIN * Math.max(before, after)) return <>{say().steady}</>
  return (
    <span title={say().halves}>
      <Icon name={after > before ? 'up' : 'down'} size={11} />{' '}
      {say().changed(format(before), format(after))}
    </span>
  )
}
