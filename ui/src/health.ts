/** How an edge or a node is doing, and why: the one rule behind every colour on the page. */

import { failed } from './connections';
import { percent } from './format';
import { statusClass } from './protocol';
import type { MapEdge, MapNode } from './types';

export type Level = 'ok' | 'warn' | 'error';

export interface Health {
  level: Level;
  /** Empty when all is well; never said by colour alone. */
  why: string;
}

/** Errors rarer than this are a warning: one failure in ten thousand calls is not an outage. */
const ERROR_SHARE = 0.01;
/** This many client errors (as HTTP 4xx) point at a broken caller; some are part of normal life. */
const CLIENT_ERROR_SHARE = 0.2;
const CLIENT_ERROR_MINIMUM = 5;

const OK: Health = { level: 'ok', why: '' };

export function errorLevel(errors: number, requests: number): Level {
  if (errors <= 0) return 'ok';
  return errors >= requests * ERROR_SHARE ? 'error' : 'warn';
}

export function edgeHealth(edge: Pick<MapEdge, 'protocol' | 'requests' | 'errors' | 'status' | 'slow' | 'tcp'>): Health {
  const reasons: string[] = [];
  let level = errorLevel(edge.errors, edge.requests);
  if (level !== 'ok') reasons.push(`${percent(edge.errors, edge.requests)} errors`);
  if (edge.slow) {
    if (level === 'ok') level = 'warn';
    reasons.push('slower than usual');
  }
  const refused = clientErrors(edge);
  if (refused >= CLIENT_ERROR_MINIMUM && refused >= edge.requests * CLIENT_ERROR_SHARE) {
    if (level === 'ok') level = 'warn';
    reasons.push(`${percent(refused, edge.requests)} client errors`);
  }
  const attempts = failed(edge.tcp) + (edge.tcp?.connects ?? 0);
  const connecting = errorLevel(failed(edge.tcp), attempts);
  if (connecting !== 'ok') {
    if (level !== 'error') level = connecting;
    reasons.push(`${percent(failed(edge.tcp), attempts)} of connects failed`);
  }
  return level === 'ok' ? OK : { level, why: reasons.join(', ') };
}

/** What a node answers badly; how its own calls fare is told by their edges. */
export function nodeHealth(node: Pick<MapNode, 'requests_in' | 'errors_in'>): Health {
  const level = errorLevel(node.errors_in, node.requests_in);
  return level === 'ok' ? OK : { level, why: `${percent(node.errors_in, node.requests_in)} errors` };
}

function clientErrors({ protocol, status }: Pick<MapEdge, 'protocol' | 'status'>): number {
  let sum = 0;
  for (const [code, requests] of Object.entries(status)) {
    if (statusClass(protocol, code) === 'refused') sum += requests;
  }
  return sum;
}
