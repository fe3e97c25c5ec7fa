/** How one exchange is told in a row. */

import type { Level } from '../health';
import { statusClass, statusText } from '../protocol';
import type { Exchange } from '../types';

/** The status, or what happened instead of one. */
export function outcomeText(exchange: Exchange): string {
  const answered = exchange.outcome === 'complete' || exchange.outcome === 'one_way';
  return answered && exchange.status ? statusText(exchange.protocol, exchange.status) : outcomeWords(exchange);
}

export function outcomeWords(exchange: Exchange): string {
  return exchange.outcome.replace('_', ' ');
}

export function exchangeLevel(exchange: Exchange): Level {
  if (exchange.error) return 'error';
  return statusClass(exchange.protocol, exchange.status) === 'refused' ? 'warn' : 'ok';
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
