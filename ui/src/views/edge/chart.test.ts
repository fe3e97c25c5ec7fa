import { describe, expect, it } from 'vitest';
import { series } from '../../testing';
import { AXIS, drawChart, HEIGHT, type Colours } from './chart';
import { scales } from './series';

const COLOURS: Colours = {
  text: 'text', muted: 'muted', grid: 'grid', bar: 'bar', error: 'error', p95: 'p95', p50: 'p50', font: 'sans',
};
const WIDTH = 300 + AXIS;

/** Notes what is painted, with its colour. */
function painted(of: ReturnType<typeof series>): { colour: string; x: number; y: number; width: number; height: number }[] {
  const rectangles: ReturnType<typeof painted> = [];
  const lines: string[] = [];
  const context = {
    fillStyle: '', strokeStyle: '',
    fillRect: (x: number, y: number, width: number, height: number) => rectangles.push({ colour: context.fillStyle, x, y, width, height }),
    stroke: () => lines.push(context.strokeStyle),
  };
  const quiet = new Proxy(context, { get: (target, key) => Reflect.get(target, key) ?? (() => undefined) });
  drawChart(quiet as unknown as CanvasRenderingContext2D, of, scales(of)!, WIDTH, 1, null, COLOURS);
  return rectangles;
}

describe('bars', () => {
  const drawn = painted(series([{ requests: 100, errors: 50 }, { requests: 10_000, errors: 1 }, {}]));
  const bars = drawn.filter(({ colour }) => colour === 'bar');
  const errors = drawn.filter(({ colour }) => colour === 'error');

  it('are as high as the rate, and stand side by side', () => {
    expect(bars).toHaveLength(3);
    expect(bars[1]!.height).toBeCloseTo(bars[0]!.height * 100);
    expect(bars[2]!.height).toBe(0);
    expect(bars[0]!.x + bars[0]!.width).toBeLessThanOrEqual(bars[1]!.x);
    expect(bars[1]!.y + bars[1]!.height).toBeCloseTo(bars[0]!.y + bars[0]!.height);
  });

  it('show even one error among thousands, and none where there are none', () => {
    expect(errors).toHaveLength(2);
    expect(errors[1]!.height).toBeGreaterThanOrEqual(2);
  });

  it('stay within the chart', () => {
    for (const { x, y, width, height } of drawn) {
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x + width).toBeLessThanOrEqual(WIDTH - AXIS + 0.001);
      expect(y).toBeGreaterThanOrEqual(0);
      expect(y + height).toBeLessThanOrEqual(HEIGHT);
    }
  });
});
