/** TCP connections in people's words. */

import { count, duration, plural } from './format';
import type { Connections, MapEdge, Tls } from './types';

/** The edge stands for connections of which it is not known what they speak. */
export function isOnlyConnections(edge: Pick<MapEdge, 'protocol'>): boolean {
  return edge.protocol === 'tcp';
}

/** Connections that could not be opened, whatever the reason. */
export function failed(of: Connections | null): number {
  return Object.values(of?.failures ?? {}).reduce((sum, number) => sum + number, 0);
}

const REASONS: Record<string, string> = {
  refused: 'refused',
  timeout: 'not answered',
  unreachable: 'unreachable',
  abandoned: 'given up by the client',
  other: 'failed otherwise',
};

/** `3 refused, 1 not answered`; empty where none failed. */
export function failures(of: Connections | null): string {
  const entries = Object.entries(of?.failures ?? {}).sort(([, a], [, b]) => b - a);
  return entries.map(([reason, number]) => `${count(number)} ${REASONS[reason] ?? reason}`).join(', ');
}

/** `12 connections`, `2 failed`: how many, and how many could not be opened. */
export function connectionFacts(of: Connections | null): string[] {
  const facts = [plural(of?.closed ?? 0, 'connection')];
  return failed(of) > 0 ? [...facts, `${count(failed(of))} failed`] : facts;
}

/** `1.3, 1.2 (4)`: the names, the most frequent first; with how often where that is not all of them. */
function names(mix: Record<string, number>, all: number): string {
  const entries = Object.entries(mix).sort(([, a], [, b]) => b - a);
  return entries.map(([name, number]) => (number === all ? name : `${name} (${count(number)})`)).join(', ');
}

/** What is known of the TLS of connections, each with its name; what is not known is left out. */
export function tlsFacts(tls: Tls): { name: string; value: string }[] {
  const facts: [string, Record<string, number>][] = [
    ['Version', tls.versions],
    ['Cipher', tls.ciphers],
    ['Asked for', tls.server_names],
    ['Protocol', tls.protocols],
    ['Given up', tls.failures],
  ];
  return facts
    .map(([name, mix]) => ({ name, value: names(mix, tls.connections) }))
    .filter(({ value }) => value !== '');
}

/** Whether what is said inside is read: `all read`, `3 of 12 read`, `not read`. */
export function tlsRead(tls: Tls): string {
  if (tls.read === 0) return 'not read';
  return tls.read === tls.connections ? 'all read' : `${count(tls.read)} of ${count(tls.connections)} read`;
}

/** `p50 32.0 µs, p95 41.0 µs, p99 1.20 ms`. */
export function percentiles(p50: number | null, p95: number | null, p99: number | null): string {
  return `p50 ${duration(p50)}, p95 ${duration(p95)}, p99 ${duration(p99)}`;
}
