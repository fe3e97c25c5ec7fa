/** TCP connections in people's words. */

import { count, duration, plural } from './format';
import type { Connections, MapEdge } from './types';

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

/** `p50 32.0 µs, p95 41.0 µs, p99 1.20 ms`. */
export function percentiles(p50: number | null, p95: number | null, p99: number | null): string {
  return `p50 ${duration(p50)}, p95 ${duration(p95)}, p99 ${duration(p99)}`;
}
