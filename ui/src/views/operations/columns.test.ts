import { describe, expect, it } from 'vitest';
import { choice, mainCode } from './columns';

describe('columns', () => {
  it('are asked for by what the server can sort by', () => {
    expect((['p99', 'max', 'requests', 'errors', 'messages', 'total', 'from', 'what'] as const).map(choice)).toEqual([
      'p99', 'max', 'requests', 'errors', 'requests', 'total', 'total', 'total',
    ]);
  });

  it.each([
    [{}, ''],
    [{ '57014': 3 }, '57014'],
    [{ '40001': 1, '57014': 3, other: 2 }, '57014 +2'],
  ])('name the code of %j', (codes, expected) => expect(mainCode(codes)).toBe(expected));
});
