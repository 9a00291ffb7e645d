/** Choosing a time range: relative, or between two moments of the shown time zone. */

import { useState } from 'preact/hooks'
import { duration, shortMoment, zone } from '../language/format.ts'
import { messages } from '../language/language.ts'
import { LAST_NANO, type Range, secondsOf } from './range.ts'
import { instantOf, wallClockOf } from './wall-clock.ts'
import './time-range.css'

const say = messages(
  {
    range: 'Time range',
    last: (width: string) => `Last ${width}`,
    between: 'Between…',
    start: 'From',
    end: 'To',
    zone: (name: string) => `Times in ${name}`,
  },
  {
    range: '时间范围',
    last: (width: string) => `最近 ${width}`,
    between: '指定区间…',
    start: '从',
    end: '到',
    zone: (name: string) => `时区：${name}`,
  },
)

export function TimeRange({ value, onChange }: { value: Range; onChange: (range: Range) => void }) {
  const [isOpen, setIsOpen] = useState(false)
  const choices =
    value.kind === 'last' && !LAST_NANO.includes(value.nano)
      ? [value.nano, ...LAST_NANO]
      : LAST_NANO
  const isBetween = isOpen || value.kind === 'between'
  const { start, end } = secondsOf(value)
  const choose = (chosen: string) => {
    setIsOpen(chosen === 'between')
    if (chosen !== 'between') onChange({ kind: 'last', nano: Number(chosen) })
  }
  const set = (which: 'start' | 'end', text: string) => {
    const seconds = instantOf(text, zone())
    if (seconds === undefined) return
    const next = { startSeconds: start, endSeconds: end, [`${which}Seconds`]: seconds }
    if (next.endSeconds > next.startSeconds) onChange({ kind: 'between', ...next })
  }
  return (
    <div class="time-range" title={say().zone(zone())}>
      <label>
        <span>{say().range}</span>
        <select
          value={isBetween ? 'between' : String((value as { nano: number }).nano)}
          onChange={(event) => choose(event.currentTarget.value)}
        >
          {choices.map((nano) => (
            <option key={nano} value={String(nano)}>
              {say().last(duration(nano))}
            </option>
          ))}
          <option value="between">
            {value.kind === 'between'
              ? `${shortMoment(start)} – ${shortMoment(end)}`
              : say().between}
          </option>
        </select>
      </label>
      {isBetween &&
        (['start', 'end'] as const).map((which) => (
          <label key={which}>
            <span>
              {say()[which]} <span class="quiet">({zone()})</span>
            </span>
            <input
              type="datetime-local"
              step="1"
              value={wallClockOf(which === 'start' ? start : end, zone())}
              onChange={(event) => set(which, event.currentTarget.value)}
            />
          </label>
        ))}
    </div>
  )
}
