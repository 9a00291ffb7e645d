/** What is written at nodes and edges, in the reader's language. */

import { duration } from '../language/format.ts'
import { percent, rate } from '../language/numbers.ts'
import { colourOf } from '../theme/tokens.ts'
import { errorShare, type Graph, type Node, workOf } from './graph.ts'
import type { Shown } from './narrow.ts'
import type { Looks } from './picture.ts'
import { edgeWidth, errorLevel } from './scale.ts'

export function looksOf(shown: Shown, { edges, seconds }: Graph): Looks {
  const callsMax = edges[0]?.calls ?? 1
  return {
    nodes: new Map(
      shown.nodes.map((node) => [
        node.key,
        {
          colour: colourOf(node.name),
          level: errorLevel(workOf(node)),
          rate: rateText(node, seconds),
          errors: percent(errorShare(workOf(node))),
        },
      ]),
    ),
    edges: new Map(
      shown.edges.map((edge) => [
        edge.key,
        {
          // Few different widths: those of one are drawn at once.
          width: Math.round(edgeWidth(edge.calls, callsMax) * 2) / 2,
          level: errorLevel(edge),
          label: duration(edge.p95Nano),
        },
      ]),
    ),
  }
}

/** Of what nobody calls, the calls that it makes. */
export function rateText(node: Node, seconds: number): string {
  return `${node.incoming.calls > 0 ? '' : '→ '}${rate(workOf(node).calls / seconds)}`
}
