/** What the columns of statements, topics and queues hold, and how the server is asked for them. */

import type { Operation, OperationFilter } from '../../api';
import type { SortValue } from '../../sort';

export type Kind = 'statements' | 'topics';

/** Which protocols each kind is about. */
export const PROTOCOLS = {
  statements: ['postgresql', 'mysql', 'mongodb'],
  topics: ['kafka', 'amqp'],
} as const satisfies Record<Kind, readonly string[]>;

export const VALUES = {
  what: (operation) => `${operation.route} ${operation.method}`,
  action: (operation) => operation.action,
  from: (operation) => operation.from?.name ?? null,
  to: (operation) => `${operation.to.name} ${operation.port}`,
  requests: (operation) => operation.requests,
  messages: (operation) => operation.messages,
  errors: (operation) => operation.errors,
  p50: (operation) => operation.p50_ns,
  p99: (operation) => operation.p99_ns,
  max: (operation) => operation.max_ns,
  total: (operation) => operation.total_ns,
} satisfies Record<string, (operation: Operation) => SortValue>;
export type Column = keyof typeof VALUES;

/** By what the server chooses the rows it gives, so that the first ones of this order are among them. */
export function choice(column: Column): OperationFilter['sort'] {
  switch (column) {
    case 'p99':
    case 'max':
    case 'requests':
    case 'errors':
      return column;
    case 'messages':
      return 'requests';
    default:
      return 'total';
  }
}

/** The code that most of them failed with, and how many others there are: `57014 +2`. */
export function mainCode(codes: Record<string, number>): string {
  const sorted = Object.entries(codes).sort(([, a], [, b]) => b - a);
  const [first] = sorted;
  if (!first) return '';
  return sorted.length > 1 ? `${first[0]} +${sorted.length - 1}` : first[0];
}
