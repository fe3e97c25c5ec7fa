import { describe, expect, it } from 'vitest';
import { DASH, edgeWidth } from './draw';

describe('the width of an edge', () => {
  it('grows with its rate, each tenfold alike, up to a limit', () => {
    const rates = [0, 0.1, 1, 10, 100, 1000, 1e4, 1e9];
    const widths = rates.map(edgeWidth);
    expect(widths).toEqual([...widths].sort((a, b) => a - b));
    expect(edgeWidth(1000) - edgeWidth(100)).toBeCloseTo(edgeWidth(100) - edgeWidth(10), 0);
    expect(edgeWidth(0)).toBeGreaterThan(1);
    expect(edgeWidth(1e9)).toBe(6);
  });
});

it('each level has a line of its own, so that colour is not all that tells', () => {
  expect(new Set(Object.values(DASH).map(String)).size).toBe(3);
  expect(DASH.ok).toEqual([]);
});
