/** A service's name with its colour; the colour is never all that tells it. */

import { colourOf } from '../theme/tokens.ts'
import './service.css'

export function Service({ name, children }: { name: string; children?: preact.ComponentChildren }) {
  return (
    <span class="service">
      <i class="swatch" data-colour={colourOf(name)} />
      <bdi>{name}</bdi>
      {children}
    </span>
  )
}
