/** How an edge or a node is doing, and why: the one rule behind every colour on the page. */

import type { MapEdge, MapNode } from './types';
import { percent } from './format';

export type Level = 'ok' | 'warn' | 'error';

export interface Health {
  level: Level;
  /** Empty when all is well; never said by colour alone. */
  why: string;
}

/** Errors rarer than this are a warning: one failure in ten thousand calls is not an outage. */
const ERROR_SHARE = 0.01;
/** This many client errors (HTTP 4xx) point at a broken caller; some are part of normal life. */
const CLIENT_ERROR_SHARE = 0.2;
const CLIENT_ERROR_MINIMUM = 5;

const OK: Health = { level: 'ok', why: '' };

export function edgeHealth(edge: Pick<MapEdge, 'requests' | 'errors' | 'status' | 'slow'>): Health {
  const reasons: string[] = [];
  let level: Level = 'ok';
  if (edge.errors > 0) {
    level = edge.errors >= edge.requests * ERROR_SHARE ? 'error' : 'warn';
    reasons.push(`${percent(edge.errors, edge.requests)} errors`);
  }
  if (edge.slow) {
    if (level === 'ok') level = 'warn';
    reasons.push('slower than usual');
  }
  const refused = clientErrors(edge.status);
  if (refused >= CLIENT_ERROR_MINIMUM && refused >= edge.requests * CLIENT_ERROR_SHARE) {
    if (level === 'ok') level = 'warn';
    reasons.push(`${percent(refused, edge.requests)} client errors (4xx)`);
  }
  return level === 'ok' ? OK : { level, why: reasons.join(', ') };
}

/** What a node answers badly; how its own calls fare is told by their edges. */
export function nodeHealth(node: Pick<MapNode, 'requests_in' | 'errors_in'>): Health {
  if (node.errors_in <= 0) return OK;
  const level = node.errors_in >= node.requests_in * ERROR_SHARE ? 'error' : 'warn';
  return { level, why: `${percent(node.errors_in, node.requests_in)} errors` };
}

function clientErrors(status: Record<string, number>): number {
  let sum = 0;
  for (const [code, requests] of Object.entries(status)) {
    if (/^4(xx|\d\d)$/.test(code)) sum += requests;
  }
  return sum;
}

export type StatusClass = 'good' | 'redirect' | 'client' | 'server' | 'other';

/** The class of a status code, of whatever protocol. */
export function statusClass(code: string): StatusClass {
  if (/^[12](xx|\d\d)$/.test(code) || code === 'ok' || code === '0' || code === 'NOERROR') return 'good';
  if (/^3(xx|\d\d)$/.test(code)) return 'redirect';
  if (/^4(xx|\d\d)$/.test(code) || code === 'NXDOMAIN') return 'client';
  if (/^5(xx|\d\d)$/.test(code)) return 'server';
  // Outcomes stand in for the status where there was no response.
  return ['no_response', 'reset', 'refused'].includes(code) ? 'server' : 'other';
}
