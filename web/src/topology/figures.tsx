/** Figures as a reader takes them in: errors with an icon, never by colour alone. */

import { percent } from '../language/numbers.ts'
import { Icon, type IconName } from '../parts/icon.tsx'
import { Service } from '../parts/service.tsx'
import { errorShare, type Node, type NodeKind, type Sum } from './graph.ts'
import { say } from './messages.ts'
import { errorLevel, LEVEL_ICONS } from './scale.ts'

export function ErrorShare({ of }: { of: Sum }) {
  const level = errorLevel(of)
  if (level === 'none') return <span class="quiet">{percent(0)}</span>
  return (
    <span class={level === 'many' ? 'error-text' : 'warning-text'}>
      <Icon name={LEVEL_ICONS[level]} size={12} /> {percent(errorShare(of))}
    </span>
  )
}

const KIND_ICONS: Readonly<Record<Exclude<NodeKind, 'service'>, IconName>> = {
  database: 'database',
  queue: 'queue',
  external: 'external',
}

/** A service with its colour, anything else with the icon of its kind. */
export function NodeName({ node }: { node: Node }) {
  if (node.kind === 'service') return <Service name={node.name} />
  return (
    <span class="service" title={say().nodeKind(node.kind)}>
      <Icon name={KIND_ICONS[node.kind]} size={13} />
      <bdi>{node.name}</bdi>
    </span>
  )
}
