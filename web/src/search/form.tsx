/** The form: every change asks again, and is in the address. */

import { useState } from 'preact/hooks'
import type { AttributesAnswer, ServicesAnswer, SpanNamesAnswer } from '../api/answers.ts'
import { question } from '../api/question.ts'
import { parseDuration } from '../language/format.ts'
import { useAnswer } from '../parts/answer.ts'
import { Combobox, type Option } from '../parts/combobox.tsx'
import { Icon } from '../parts/icon.tsx'
import { secondsOf } from '../parts/range.ts'
import { TimeRange } from '../parts/time-range.tsx'
import { say } from './messages.ts'
import { LIMITS, type Search } from './query.ts'

export function Form({
  search,
  wrong,
  onChange,
  again,
  isLive,
  setLive,
}: {
  search: Search
  /** The parameter that the server found fault with. */
  wrong: string | undefined
  onChange: (changes: Partial<Search>) => void
  again: () => void
  isLive: boolean
  setLive: (isLive: boolean) => void
}) {
  const services = useAnswer('services', (signal) =>
    question<ServicesAnswer>('v1/services', {}, signal),
  )
  const path = `v1/services/${encodeURIComponent(search.service)}`
  const names = useAnswer(search.service || undefined, (signal) =>
    question<SpanNamesAnswer>(`${path}/span_names`, {}, signal),
  )
  return (
    <form
      class="search-form"
      onSubmit={(event) => {
        event.preventDefault()
        again()
      }}
    >
      <Field
        label={say().service}
        value={search.service}
        options={(services.answer?.services ?? []).map((value) => ({ value }))}
        placeholder={say().any}
        onCommit={(service) =>
          onChange({ service, ...(service === search.service ? {} : { spanName: '' }) })
        }
      />
      <Field
        label={say().spanName}
        value={search.spanName}
        options={distinct(names.answer)}
        placeholder={say().any}
        onCommit={(spanName) => onChange({ spanName })}
      />
      <AttributeField search={search} path={path} onChange={onChange} />
      <DurationField
        label={say().min}
        value={search.min}
        isWrong={wrong === 'min_duration'}
        onCommit={(min) => onChange({ min })}
      />
      <DurationField
        label={say().max}
        value={search.max}
        isWrong={wrong === 'max_duration'}
        onCommit={(max) => onChange({ max })}
      />
      <TimeRange value={search.range} onChange={(range) => onChange({ range })} />
      <label>
        <span>{say().limit}</span>
        <select
          value={String(search.limit)}
          onChange={(event) => onChange({ limit: Number(event.currentTarget.value) })}
        >
          {LIMITS.map((each) => (
            <option key={each} value={String(each)}>
              {each}
            </option>
          ))}
        </select>
      </label>
      <label class="row check">
        <input
          type="checkbox"
          checked={search.onlyErrors}
          onChange={(event) => onChange({ onlyErrors: event.currentTarget.checked })}
        />
        {say().onlyErrors}
      </label>
      <div class="search-buttons">
        <button type="submit" class="primary">
          <Icon name="search" /> {say().search}
        </button>
        <button
          type="button"
          aria-pressed={isLive}
          title={say().liveHint}
          onClick={() => setLive(!isLive)}
        >
          <Icon name={isLive ? 'pause' : 'play'} /> {say().live}
        </button>
      </div>
    </form>
  )
}

function distinct(answer: SpanNamesAnswer | undefined): Option[] {
  const kinds = new Map<string, string[]>()
  for (const { name, kind } of answer?.span_names ?? [])
    kinds.set(name, [...(kinds.get(name) ?? []), kind])
  return [...kinds].map(([value, of]) => ({ value, note: of.join(', ') }))
}

/** Asks only when an option is chosen, or the field is left. */
function Field({
  label,
  value,
  options,
  placeholder,
  onCommit,
}: {
  label: string
  value: string
  options: Option[]
  placeholder: string
  onCommit: (value: string) => void
}) {
  const [typed, setTyped] = useState<string>()
  return (
    <Combobox
      label={label}
      value={typed ?? value}
      options={options}
      placeholder={placeholder}
      onChange={setTyped}
      onCommit={(chosen) => {
        setTyped(undefined)
        if (chosen.trim() !== value) onCommit(chosen.trim())
      }}
    />
  )
}

function DurationField({
  label,
  value,
  isWrong,
  onCommit,
}: {
  label: string
  value: string
  isWrong: boolean
  onCommit: (value: string) => void
}) {
  const [typed, setTyped] = useState<string>()
  const shown = typed ?? value
  const isBad = isWrong || (shown !== '' && parseDuration(shown) === undefined)
  return (
    <label>
      <span>{label}</span>
      <input
        type="text"
        size={7}
        value={shown}
        placeholder="250ms"
        aria-invalid={isBad}
        title={isBad ? say().badDuration : ''}
        onInput={(event) => setTyped(event.currentTarget.value)}
        onChange={(event) => {
          setTyped(undefined)
          onCommit(event.currentTarget.value.trim())
        }}
      />
    </label>
  )
}

function AttributeField({
  search,
  path,
  onChange,
}: {
  search: Search
  path: string
  onChange: (changes: Partial<Search>) => void
}) {
  const [text, setText] = useState('')
  const [isAsked, setIsAsked] = useState(false)
  const { start, end } = secondsOf(search.range)
  const sample = useAnswer(
    isAsked && search.service ? `${search.service} ${search.range.kind}` : undefined,
    (signal) =>
      question<AttributesAnswer>(
        `${path}/attributes`,
        { start: start.toFixed(3), end: end.toFixed(3) },
        signal,
      ),
  )
  const [key = '', value] = split(text)
  const known = sample.answer?.attributes ?? []
  const options =
    value === undefined
      ? known.map((each) => ({ value: `${each.key}=`, note: say().sampleOf(each.span_count) }))
      : (known.find((each) => each.key === key)?.values ?? []).map((each) => ({
          value: `${key}=${each.value}`,
          note: say().sampleOf(each.span_count),
        }))
  const add = (chosen: string) => {
    const [, chosenValue] = split(chosen)
    // A key alone is half of it: its values are offered next.
    if (chosenValue === undefined || chosenValue === '') return
    setText('')
    if (!search.attributes.includes(chosen))
      onChange({ attributes: [...search.attributes, chosen] })
  }
  return (
    <div class="attribute-field" onFocusIn={() => setIsAsked(true)}>
      <Combobox
        label={say().attributes}
        value={text}
        options={options}
        placeholder={say().attributeHint}
        onChange={setText}
        onCommit={add}
        goesOn={(chosen) => split(chosen)[1] === ''}
      />
      {search.attributes.map((each) => (
        <button
          key={each}
          type="button"
          class="chip"
          aria-label={say().remove(each)}
          onClick={() =>
            onChange({ attributes: search.attributes.filter((other) => other !== each) })
          }
        >
          <bdi>{each}</bdi> <Icon name="close" size={11} />
        </button>
      ))}
      {search.link && (
        <button
          type="button"
          class="chip"
          aria-label={say().remove(say().links(search.link))}
          onClick={() => onChange({ link: '' })}
        >
          {say().links(search.link.slice(0, 8))} <Icon name="close" size={11} />
        </button>
      )}
    </div>
  )
}

function split(text: string): [string, string | undefined] {
  const at = text.indexOf('=')
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}
