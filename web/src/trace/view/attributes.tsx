/** Attributes as rows: keys that may break, values that may be long, JSON, SQL or links. */

import type { ComponentChildren } from 'preact'
import { CopyButton } from '../../parts/copy-button.tsx'
import { Icon } from '../../parts/icon.tsx'
import { hrefTo } from '../../route.ts'
import { attributeText } from '../model/value.ts'
import type { Attribute, SpanDetails } from '../protocol.ts'
import { say } from './panel-messages.ts'

export function AttributeRows({
  attributes,
  details,
}: {
  attributes: Attribute[]
  details: SpanDetails
}) {
  if (attributes.length === 0) return null
  return (
    <table class="attributes">
      <tbody>
        {attributes.map((each, at) => (
          <tr key={`${each.key} ${at}`}>
            <th scope="row">
              <bdi>{breakable(each.key)}</bdi>
            </th>
            <td>
              <Value attribute={each} />
              <span class="row-actions">
                <CopyButton
                  text={attributeText(each.value)}
                  label={`${say().copyValue}: ${each.key}`}
                />
                <CopyButton
                  text={`${each.key}=${attributeText(each.value)}`}
                  label={`${say().copyPair}: ${each.key}`}
                  icon="pair"
                />
                <a
                  class="button plain icon"
                  href={hrefTo('search', '', {
                    service: details.service,
                    attributes: `${each.key}=${attributeText(each.value)}`,
                  })}
                  aria-label={`${say().searchValue}: ${each.key}`}
                  title={say().searchValue}
                >
                  <Icon name="search" />
                </a>
              </span>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** A key may break after its dots and underscores, rather than anywhere. */
function breakable(key: string): ComponentChildren[] {
  return key.split(/(?<=[._/-])/).flatMap((part, at) => [part, <wbr key={at} />])
}

const SQL_KEYS = /^db\.(statement|query\.text)$/
const LONG = 400

function Value({ attribute }: { attribute: Attribute }) {
  const text = attributeText(attribute.value)
  const pretty = attribute.type === 'string' ? asJson(text) : undefined
  if (
    SQL_KEYS.test(attribute.key) ||
    pretty !== undefined ||
    attribute.type === 'array' ||
    attribute.type === 'kvlist'
  ) {
    const shown =
      pretty ??
      (typeof attribute.value === 'object' ? JSON.stringify(attribute.value, null, 2) : text)
    return <pre class="value">{shown}</pre>
  }
  if (text.length > LONG) {
    return (
      <details class="long">
        <summary>
          <bdi class={`type-${attribute.type}`}>{text.slice(0, 120)}…</bdi>
        </summary>
        <bdi class="wrap">{text}</bdi>
      </details>
    )
  }
  return (
    <bdi class={`value type-${attribute.type}`} title={attribute.type}>
      {text || '""'}
    </bdi>
  )
}

/** Indented, if a text is a JSON object or array; as it is, it can be copied. */
function asJson(text: string): string | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return undefined
  }
}
