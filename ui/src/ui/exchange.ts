/** How one exchange is told in a row. */

import type { Exchange } from '../types';
import type { Level } from '../health';

/** The status, or what happened instead of one. */
export function outcomeText(exchange: Exchange): string {
  if (exchange.outcome === 'complete' || exchange.outcome === 'one_way') return exchange.status || exchange.outcome.replace('_', ' ');
  return exchange.outcome.replace('_', ' ');
}

export function exchangeLevel(exchange: Exchange): Level {
  if (exchange.error) return 'error';
  return /^4\d\d$/.test(exchange.status) ? 'warn' : 'ok';
}

/** A key for each row that stays the same between polls; an exchange has no id of its own. */
export function keyed(exchanges: readonly Exchange[]): { key: string; exchange: Exchange }[] {
  const seen = new Map<string, number>();
  return exchanges.map((exchange) => {
    const base = `${exchange.time} ${exchange.client.ip}:${exchange.client.port} ${exchange.server.port}`;
    const twins = seen.get(base) ?? 0;
    seen.set(base, twins + 1);
    return { key: `${base} ${twins}`, exchange };
  });
}
