import { describe, expect, it } from 'vitest';
import { node } from '../../testing';
import { readingOrder, step } from './steps';

// Columns 0, 1 and 3; in no order, with rows left free.
const NODES = [
  node({ id: 'db', layer: 3, row: 1 }),
  node({ id: 'api', layer: 1, row: 0 }),
  node({ id: 'web', layer: 0, row: 0 }),
  node({ id: 'auth', layer: 1, row: 4 }),
  node({ id: 'job', layer: 0, row: 3 }),
];

describe('steps', () => {
  it('reads columns from callers to callees', () => {
    expect(readingOrder(NODES).map(({ id }) => id)).toEqual(['web', 'job', 'api', 'auth', 'db']);
  });

  it.each([
    ['web', 'ArrowDown', 'job'],
    ['job', 'ArrowUp', 'web'],
    ['job', 'ArrowDown', null],
    ['job', 'ArrowRight', 'auth'],
    ['web', 'ArrowRight', 'api'],
    ['auth', 'ArrowRight', 'db'],
    ['db', 'ArrowLeft', 'api'],
    ['db', 'ArrowRight', null],
    ['api', 'Home', 'web'],
    ['api', 'End', 'db'],
    ['api', 'x', null],
    ['gone', 'ArrowUp', null],
  ])('leads from %s by %s to %s', (from, key, to) => expect(step(NODES, from, key)).toBe(to));

  it('reaches every card from the first one', () => {
    const reached = new Set(['web']);
    for (const id of reached) {
      for (const key of ['ArrowUp', 'ArrowDown', 'ArrowLeft', 'ArrowRight']) {
        const next = step(NODES, id, key);
        if (next) reached.add(next);
      }
    }
    expect(reached.size).toBe(NODES.length);
  });
});
