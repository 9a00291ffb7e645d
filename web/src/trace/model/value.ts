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

export function attributesOf(list: readonly OtlpKeyValue[] | undefined): Attribute[] {
  return (list ?? [])
    .map(({ key, value }) => ({ key: String(key), type: typeOf(value), value: plain(value) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
}

function typeOf(value: OtlpValue | undefined): Attribute['type'] {
  if (value?.stringValue !== undefined) return 'string'
  if (value?.intValue !== undefined) return 'int'
  if (value?.doubleValue !== undefined) return 'double'
  if (value?.boolValue !== undefined) return 'bool'
  if (value?.bytesValue !== undefined) return 'bytes'
  if (value?.arrayValue !== undefined) return 'array'
  return value?.kvlistValue !== undefined ? 'kvlist' : 'empty'
}

/** Integers beyond 2^53 stay text. */
function plain(value: OtlpValue | undefined, depth = 32): AttributeValue {
  if (!value || depth === 0) return null
  if (value.intValue !== undefined) {
    const number = Number(value.intValue)
    return Number.isSafeInteger(number) ? number : String(value.intValue)
  }
  if (value.arrayValue) return (value.arrayValue.values ?? []).map((each) => plain(each, depth - 1))
  if (value.kvlistValue) {
    // No prototype: a key may be `__proto__`.
    const found = Object.create(null) as Record<string, AttributeValue>
    for (const each of value.kvlistValue.values ?? [])
      found[each.key] = plain(each.value, depth - 1)
    return found
  }
  return value.stringValue ?? value.doubleValue ?? value.boolValue ?? value.bytesValue ?? null
}

/** The text that searches compare. */
export function textOf(value: OtlpValue | undefined): string {
  return attributeText(plain(value))
}

export function attributeText(value: AttributeValue): string {
  if (value === null) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
