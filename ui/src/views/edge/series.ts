/** Scales of the chart of one edge over time. */

import type { Series, SeriesPoint } from '../../types';
import { duration, plural, rate } from '../../format';

/** The next number that is round, and whose half is, so that the axis can be read. */
export function niceCeiling(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 4, 6, 8, 10].find((candidate) => value <= candidate * power * 1.0001) ?? 10;
  return step * power;
}

export interface Scales {
  /** Start of the first step and end of the last, ms since 1970. */
  start: number;
  end: number;
  maxRate: number;
  maxLatency: number;
}

export function scales(series: Series): Scales | null {
  const times = series.points.map((point) => Date.parse(point.time)).filter((time) => !Number.isNaN(time));
  if (times.length === 0) return null;
  const step = series.step_seconds;
  return {
    start: Math.min(...times),
    end: Math.max(...times) + step * 1000,
    maxRate: niceCeiling(Math.max(...series.points.map((point) => point.requests / step))),
    maxLatency: niceCeiling(Math.max(...series.points.map((point) => point.p95_ns ?? 0))),
  };
}

/** The point under a share (0…1) of the width, or null between points. */
export function pointAt(series: Series, { start, end }: Scales, share: number): SeriesPoint | null {
  const time = start + (end - start) * share;
  const step = series.step_seconds * 1000;
  return series.points.find((point) => Date.parse(point.time) <= time && time < Date.parse(point.time) + step) ?? null;
}

/** The chart in a sentence, for those who cannot see it. */
export function summary(series: Series): string {
  const { step_seconds: step, points } = series;
  const busy = points.filter((point) => point.requests > 0);
  if (busy.length === 0) return 'No requests over this period.';
  const rates = busy.map((point) => point.requests / step);
  const slowest = Math.max(...busy.map((point) => point.p95_ns ?? 0));
  const errors = points.reduce((sum, point) => sum + point.errors, 0);
  return `Rate between ${rate(Math.min(...rates))} and ${rate(Math.max(...rates))}, p95 up to ${duration(slowest)}, ${plural(errors, 'error')}.`;
}
