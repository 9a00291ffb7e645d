/** The directed graph of calls, from the edges that the API answers. */

import type { Edge as Call, EdgesAnswer } from '../api/answers.ts'

export type NodeKind = 'service' | 'database' | 'queue' | 'external'
export type CallKind = Call['kind']
export const CALL_KINDS: readonly CallKind[] = ['rpc', 'messaging', 'database', 'external']

export interface Sum {
  calls: number
  errors: number
}

export interface Node {
  /** A service's name; of others `database:orders`: they may have the name of a service. */
  key: string
  name: string
  kind: NodeKind
  /** What is called: by whom, how often. */
  incoming: Sum
  outgoing: Sum
}

export interface Edge {
  key: string
  caller: Node
  callee: Node
  kind: CallKind
  calls: number
  errors: number
  p50Nano: number
  p95Nano: number
  p99Nano: number
  exemplarTraceId: string | undefined
}

export interface Graph {
  nodes: readonly Node[]
  /** Those with most calls first. */
  edges: readonly Edge[]
  /** Of the range that the answer is of; a rate is calls by this. */
  seconds: number
}

const VIRTUAL_KINDS: Readonly<Record<CallKind, NodeKind>> = {
  rpc: 'service',
  messaging: 'queue',
  database: 'database',
  external: 'external',
}

/**
 * `services` are the names of those that sent spans: whatever else is called has the name that its callers give it.
 *
 * A callee of a call by RPC has sent a span; one of a message is a service or a queue; a database is no service even if
 * it has the name of one.
 */
export function graphFrom(answer: EdgesAnswer, services: readonly string[] = []): Graph {
  const known = new Set([...services, ...answer.edges.map(({ caller }) => caller)])
  const nodes = new Map<string, Node>()
  const node = (kind: NodeKind, name: string): Node => {
    const key = keyOf(kind, name)
    const found = nodes.get(key) ?? { key, name, kind, incoming: none(), outgoing: none() }
    nodes.set(key, found)
    return found
  }
  const edges = answer.edges
    .filter((call) => call.calls > 0)
    .map((call): Edge => {
      const isService = call.kind !== 'database' && known.has(call.callee)
      const caller = node('service', call.caller)
      const callee = node(isService ? 'service' : VIRTUAL_KINDS[call.kind], call.callee)
      add(caller.outgoing, call)
      add(callee.incoming, call)
      return {
        key: JSON.stringify([caller.key, callee.key, call.kind]),
        caller,
        callee,
        kind: call.kind,
        calls: call.calls,
        errors: call.errors,
        p50Nano: Number(call.p50_nano),
        p95Nano: Number(call.p95_nano),
        p99Nano: Number(call.p99_nano),
        exemplarTraceId: call.exemplar_trace_id ?? undefined,
      }
    })
    .filter(({ caller, callee }) => caller !== callee)
    .sort((one, other) => other.calls - one.calls || (one.key < other.key ? -1 : 1))
  const nano = BigInt(answer.end_time_unix_nano) - BigInt(answer.start_time_unix_nano)
  return { nodes: [...nodes.values()], edges, seconds: Math.max(1, Number(nano) / 1e9) }
}

export function keyOf(kind: NodeKind, name: string): string {
  return kind === 'service' ? name : `${kind}:${name}`
}

export function errorShare({ calls, errors }: Sum): number {
  return calls > 0 ? errors / calls : 0
}

/** What a node does: what it is asked, or, if nobody asks it, what it asks. */
export function workOf(node: Node): Sum {
  return node.incoming.calls > 0 ? node.incoming : node.outgoing
}

function none(): Sum {
  return { calls: 0, errors: 0 }
}

function add(sum: Sum, { calls, errors }: Sum): void {
  sum.calls += calls
  sum.errors += errors
}
