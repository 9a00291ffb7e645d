/** OTLP/JSON's AnyValue as typed attributes and as text. */

import type { Attribute, AttributeValue } from '../protocol.ts'

export interface OtlpValue {
  stringValue?: string
  intValue?: string | number
  doubleValue?: number | string
  boolValue?: boolean
  bytesValue?: string
  arrayValue?: { values?: OtlpValue[] }
  kvlistValue?: { values?: OtlpKeyValue[] }
}

export interface OtlpKeyValue {
  key: string
  value?: OtlpValue
}

/** The objects of a list of a file, which may be anything. */
export function objects<T extends object>(list: readonly T[] | null | undefined): T[] {
  return Array.isArray(list) ? list.filter((each) => each && typeof each === 'object') : []
}

/** A text of a file; '' for what is none. */
export function string(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : ''
}

export function attributesOf(list: readonly OtlpKeyValue[] | undefined): Attribute[] {
  return objects(list)
    .map(({ key, value }) => ({ key: string(key), type: typeOf(value), value: plain(value) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
}

function typeOf(value: OtlpValue | null | undefined): Attribute['type'] {
  if (typeof value?.stringValue === 'string') return 'string'
  if (isScalar(value?.intValue)) return 'int'
  if (isScalar(value?.doubleValue)) return 'double'
  if (isScalar(value?.boolValue)) return 'bool'
  if (typeof value?.bytesValue === 'string') return 'bytes'
  if (value?.arrayValue) return 'array'
  return value?.kvlistValue ? 'kvlist' : 'empty'
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

/** Integers beyond 2^53 stay text; what is nested deeper than anybody reads is left out. */
export function plain(value: OtlpValue | null | undefined, depth = 32): AttributeValue {
  if (depth === 0) return null
  switch (typeOf(value)) {
    case 'int': {
      const number = Number(value?.intValue)
      return Number.isSafeInteger(number) ? number : String(value?.intValue)
    }
    case 'array':
      return objects(value?.arrayValue?.values).map((each) => plain(each, depth - 1))
    case 'kvlist':
      // `fromEntries` defines what assignment would not: a key may be `__proto__`.
      return Object.fromEntries(
        objects(value?.kvlistValue?.values).map((each) => [
          string(each.key),
          plain(each.value, depth - 1),
        ]),
      )
    case 'empty':
      return null
    default:
      return (
        value?.stringValue ?? value?.doubleValue ?? value?.boolValue ?? value?.bytesValue ?? null
      )
  }
}

/** The text that searches compare: of lists and maps it is JSON, by key. */
export function attributeText(value: AttributeValue): string {
  if (value === null) return ''
  return typeof value === 'object' ? JSON.stringify(value, byKey) : String(value)
}

function byKey(_: string, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
