import { describe, expect, it } from 'vitest';
import { series } from '../../testing';
import { niceCeiling, pointAt, scales, summary } from './series';

describe('scales', () => {
  it('end in numbers that are round, and round when halved', () => {
    expect([0, 0.3, 1, 1.01, 2.5, 41, 61, 812_000, 1e9].map(niceCeiling)).toEqual([1, 0.4, 1, 2, 4, 60, 80, 1e6, 1e9]);
    for (let value = 0.001; value < 1e9; value *= 1.37) {
      expect(niceCeiling(value)).toBeGreaterThanOrEqual(value * 0.9999);
      expect(niceCeiling(value)).toBeLessThanOrEqual(value * 2.0001);
    }
  });

  it('cover all points, the last step included', () => {
    const made = scales(series([{ requests: 30, p95_ns: 7e6 }, { requests: 390, p95_ns: 2e6 }]));
    expect(made).toEqual({ start: Date.parse('2026-01-01T12:00:00Z'), end: Date.parse('2026-01-01T12:00:20Z'), maxRate: 40, maxLatency: 8e6 });
  });

  it('are none without a point in time', () => {
    expect(scales(series([]))).toBeNull();
    expect(scales(series([{ time: 'never' }]))).toBeNull();
  });

  it('stand on something in an idle series', () => {
    expect(scales(series([{}, {}]))).toMatchObject({ maxRate: 1, maxLatency: 1 });
  });
});

describe('the point under the pointer', () => {
  const idle = series([{ requests: 1 }, { requests: 2 }, { requests: 3 }]);
  const span = scales(idle)!;
  it.each([[0, 1], [0.33, 1], [0.34, 2], [0.99, 3]])('at %d is number %d', (share, requests) =>
    expect(pointAt(idle, span, share)?.requests).toBe(requests));

  it('is none in a hole', () => {
    const holed = { ...idle, points: [idle.points[0]!, idle.points[2]!] };
    expect(pointAt(holed, span, 0.5)).toBeNull();
    expect(pointAt(holed, span, 1)).toBeNull();
  });
});

it('the chart in a sentence', () => {
  expect(summary(series([{}]))).toBe('No requests over this period.');
  const told = summary(series([{ requests: 40, errors: 1, p95_ns: 4_210_000 }, {}, { requests: 120, p95_ns: 812_000 }]));
  expect(told.replace(/\u00a0/g, ' ')).toBe('Rate between 4.0/s and 12.0/s, p95 up to 4.21 ms, 1 error.');
});
