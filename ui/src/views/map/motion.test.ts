import { describe, expect, it } from 'vitest';
import { ease, head, MOVE_MS, over, placesAt } from './motion';

const now = new Map([['stays', { x: 0, y: 0 }], ['moves', { x: 0, y: 0 }], ['goes', { x: 9, y: 9 }]]);
const to = new Map([['stays', { x: 0, y: 0 }], ['moves', { x: 100, y: 50 }], ['comes', { x: 7, y: 7 }]]);

describe('a motion', () => {
  it('starts only where something on screen moves', () => {
    expect(head(now, now, 0, false)).toBeNull();
    expect(head(new Map(), to, 0, false)).toBeNull();
    expect(head(now, to, 0, false)).not.toBeNull();
  });

  it('is none for those who do not want any', () => expect(head(now, to, 0, true)).toBeNull());

  const motion = head(now, to, 1000, false)!;

  it('goes from where things are to where they belong', () => {
    expect(placesAt(motion, 1000).get('moves')).toEqual({ x: 0, y: 0 });
    expect(placesAt(motion, 1000 + MOVE_MS).get('moves')).toEqual({ x: 100, y: 50 });
    const { x, y } = placesAt(motion, 1000 + MOVE_MS / 2).get('moves')!;
    expect(x).toBeGreaterThan(50);
    expect(x).toBeLessThan(100);
    expect(y).toBeCloseTo(x / 2);
  });

  it('leaves out what is gone and has what is new at its place', () => {
    const places = placesAt(motion, 1001);
    expect(places.has('goes')).toBe(false);
    expect(places.get('comes')).toEqual({ x: 7, y: 7 });
    expect(places.get('stays')).toEqual({ x: 0, y: 0 });
  });

  it('ends', () => {
    expect(over(motion, 1000 + MOVE_MS - 1)).toBe(false);
    expect(over(motion, 1000 + MOVE_MS)).toBe(true);
    expect(placesAt(motion, 1e9)).toEqual(to);
  });
});

it('easing slows down, and never overshoots', () => {
  let before = -1;
  for (let t = -0.5; t <= 1.5; t += 0.05) {
    const share = ease(t);
    expect(share).toBeGreaterThanOrEqual(Math.max(0, before));
    expect(share).toBeLessThanOrEqual(1);
    before = share;
  }
  expect(ease(0.5) - ease(0.25)).toBeGreaterThan(ease(1) - ease(0.75));
});
