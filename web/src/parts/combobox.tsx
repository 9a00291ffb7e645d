/** A text field with suggestions (WAI-ARIA combobox with a listbox): anything may be typed, too. */

import { useId, useRef, useState } from 'preact/hooks'
import './combobox.css'

const SHOWN_MAX = 50

export interface Option {
  value: string
  /** Beside the value, quietly: a count, a kind. */
  note?: string
}

export function Combobox({
  label,
  value,
  options,
  placeholder,
  onChange,
  onCommit,
  goesOn,
}: {
  label: string
  value: string
  options: readonly Option[]
  placeholder?: string
  /** With each key. */
  onChange: (value: string) => void
  /** When an option is chosen, Enter is pressed, or the field is left. */
  onCommit?: (value: string) => void
  /** Whether a choice is only a beginning: the list stays open, with what may follow. */
  goesOn?: (value: string) => boolean
}) {
  const id = useId()
  const field = useRef<HTMLInputElement>(null)
  const [isOpen, setIsOpen] = useState(false)
  const [isTyped, setIsTyped] = useState(false)
  const [active, setActive] = useState(-1)
  const wanted = isTyped ? value.trim().toLowerCase() : ''
  const shown = options
    .filter((each) => each.value.toLowerCase().includes(wanted))
    .slice(0, SHOWN_MAX)
  const close = () => {
    setIsOpen(false)
    setIsTyped(false)
    setActive(-1)
  }
  const choose = (chosen: string) => {
    onChange(chosen)
    if (goesOn?.(chosen)) {
      setIsTyped(true)
      setActive(-1)
      return
    }
    onCommit?.(chosen)
    close()
  }
  const move = (by: number) => {
    setIsOpen(true)
    setActive((before) => Math.min(shown.length - 1, Math.max(-1, before + by)))
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault()
      move(event.key === 'ArrowDown' ? 1 : -1)
    } else if (event.key === 'Enter') {
      const option = isOpen ? shown[active] : undefined
      if (option) event.preventDefault()
      choose(option?.value ?? value)
    } else if (event.key === 'Escape' && isOpen) {
      event.stopPropagation()
      close()
    }
  }
  return (
    <label class="combobox">
      <span>{label}</span>
      <input
        ref={field}
        type="text"
        role="combobox"
        autocomplete="off"
        spellcheck={false}
        aria-expanded={isOpen && shown.length > 0}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={active >= 0 ? `${id}-${active}` : undefined}
        placeholder={placeholder}
        value={value}
        onInput={(event) => {
          setIsOpen(true)
          setIsTyped(true)
          setActive(-1)
          onChange(event.currentTarget.value)
        }}
        onFocus={() => setIsOpen(true)}
        onClick={() => setIsOpen(true)}
        onBlur={() => {
          close()
          onCommit?.(value)
        }}
        onKeyDown={onKeyDown}
      />
      <Options {...{ id, label, active, isOpen, choose }} options={shown} />
    </label>
  )
}

function Options({
  id,
  label,
  options,
  active,
  isOpen,
  choose,
}: {
  id: string
  label: string
  options: readonly Option[]
  active: number
  isOpen: boolean
  choose: (value: string) => void
}) {
  return (
    <ul
      id={`${id}-list`}
      role="listbox"
      aria-label={label}
      hidden={!isOpen || options.length === 0}
    >
      {options.map((option, at) => (
        <li
          key={option.value}
          id={`${id}-${at}`}
          role="option"
          aria-selected={at === active}
          onMouseDown={(event) => event.preventDefault()}
          onClick={(event) => {
            event.preventDefault()
            choose(option.value)
          }}
        >
          <bdi>{option.value}</bdi>
          {option.note && <span class="quiet">{option.note}</span>}
        </li>
      ))}
    </ul>
  )
}
