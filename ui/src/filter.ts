/** Which parts of the map the reader asked for. Nothing is moved or removed: the rest is dimmed. */

import { edgeHealth, nodeHealth } from './health';
import type { Exchange, MapEdge, MapNode, ServiceMap } from './types';

export interface Focus {
  nodes: ReadonlySet<string>;
  edges: ReadonlySet<string>;
}

/** Every word must be found somewhere in the text; a port, `:80`, as a whole word of it. */
function matcher(filter: string): (haystack: string) => boolean {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return (haystack) => {
    const lower = haystack.toLowerCase();
    return words.every((word) => (/^:\d+$/.test(word) ? ` ${lower} `.includes(` ${word} `) : lower.includes(word)));
  };
}

function nodeText(node: MapNode): string {
  return `${node.name} ${node.kind} ${node.namespace} ${node.container} ${node.executable}`;
}

/**
 * What the filter text and "only problems" leave in focus, or null for everything.
 * An edge is found by either of its ends, its protocol or `:port`, and brings its ends along.
 */
export function focus(map: ServiceMap, filter: string, problems: boolean): Focus | null {
  if (!filter.trim() && !problems) return null;
  const matches = matcher(filter);
  const byId = new Map(map.nodes.map((node) => [node.id, node]));
  const nodes = new Set<string>();
  const edges = new Set<string>();
  for (const node of map.nodes) {
    if (matches(nodeText(node)) && (!problems || nodeHealth(node).level !== 'ok')) nodes.add(node.id);
  }
  for (const edge of map.edges) {
    if (problems && edgeHealth(edge).level === 'ok') continue;
    if (!matches(edgeText(edge, byId))) continue;
    edges.add(edge.id);
    nodes.add(edge.from);
    nodes.add(edge.to);
  }
  return { nodes, edges };
}

function edgeText(edge: MapEdge, byId: ReadonlyMap<string, MapNode>): string {
  const [from, to] = [byId.get(edge.from), byId.get(edge.to)];
  return `${from ? nodeText(from) : ''} ${to ? nodeText(to) : ''} ${edge.protocol} :${edge.port}`;
}

export function exchangeMatches(exchange: Exchange, filter: string): boolean {
  if (!filter.trim()) return true;
  const { client, server } = exchange;
  return matcher(filter)(
    `${client.workload} ${client.process} ${client.ip} ${server.workload} ${server.process} ${server.ip} ` +
      `:${server.port} ${exchange.protocol} ${exchange.method} ${exchange.target} ${exchange.status} ${exchange.outcome}`,
  );
}
