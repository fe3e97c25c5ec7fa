import { describe, expect, it } from 'vitest';
import { sorted, toggled } from './sort';

const values = (items: (string | number | null)[], descending = false) => sorted(items, (item) => item, descending);

describe('sorted', () => {
  it('orders numbers as numbers and leaves its input alone', () => {
    const items = [10, 9, 100];
    expect(values(items)).toEqual([9, 10, 100]);
    expect(values(items, true)).toEqual([100, 10, 9]);
    expect(items).toEqual([10, 9, 100]);
  });

  it('orders numbers within names', () => expect(values(['pod-10', 'pod-9', 'Pod-1'])).toEqual(['Pod-1', 'pod-9', 'pod-10']));

  it('has what is unknown last either way', () => {
    expect(values([null, 2, null, 1])).toEqual([1, 2, null, null]);
    expect(values([null, 2, null, 1], true)).toEqual([2, 1, null, null]);
  });

  it('keeps the order of equals', () => {
    const items = ['b1', 'a1', 'c1', 'a2'].map((name, index) => ({ name, index }));
    expect(sorted(items, () => 0, true).map(({ index }) => index)).toEqual([0, 1, 2, 3]);
  });
});

it('a click turns the column around, and starts another one with what matters there', () => {
  expect(toggled({ key: 'rate', descending: true }, 'rate', true)).toEqual({ key: 'rate', descending: false });
  expect(toggled({ key: 'rate', descending: true }, 'name', false)).toEqual({ key: 'name', descending: false });
  expect(toggled({ key: 'name', descending: false }, 'rate', true)).toEqual({ key: 'rate', descending: true });
});
