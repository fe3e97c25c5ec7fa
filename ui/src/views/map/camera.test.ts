import { describe, expect, it } from 'vitest';
import { between, fit, home, pan, reveal, toScreen, toSheet, zoom, type Camera, type Size } from './camera';
import type { Box } from './layout';

const SCREEN: Size = { width: 1440, height: 850 };
const PHONE: Size = { width: 390, height: 700 };
const SMALL: Box = { x: 0, y: 0, width: 600, height: 300 };
const LARGE: Box = { x: -50, y: 20, width: 4000, height: 2500 };

function corners(camera: Camera, box: Box) {
  return [toScreen(camera, box), toScreen(camera, { x: box.x + box.width, y: box.y + box.height })] as const;
}

describe('fit', () => {
  it.each([[SMALL, SCREEN], [LARGE, SCREEN], [LARGE, PHONE], [SMALL, PHONE]])('shows all of %j in %j', (box, view) => {
    const [first, last] = corners(fit(box, view), box);
    expect(Math.min(first.x, first.y)).toBeGreaterThanOrEqual(0);
    expect(last.x).toBeLessThanOrEqual(view.width);
    expect(last.y).toBeLessThanOrEqual(view.height);
    // As near as can be: left and right are alike.
    expect(first.x).toBeCloseTo(view.width - last.x);
  });

  it('does not blow up a small map', () => expect(fit(SMALL, { width: 5000, height: 5000 }).scale).toBeLessThan(1.2));

  it('takes an empty map, and a screen without room', () => {
    const empty = { x: 0, y: 0, width: 0, height: 0 };
    for (const camera of [fit(empty, SCREEN), fit(SMALL, { width: 0, height: 0 }), home(empty, PHONE), fit(LARGE, { width: 10, height: 10 })]) {
      expect(Object.values(camera).every(Number.isFinite)).toBe(true);
      expect(camera.scale).toBeGreaterThan(0);
    }
  });
});

describe('home', () => {
  it('is everything on a wide screen', () => expect(home(LARGE, SCREEN)).toEqual(fit(LARGE, SCREEN)));

  it('is what can be read on a narrow one, from the left', () => {
    const camera = home(LARGE, PHONE);
    expect(camera.scale).toBeGreaterThan(0.5);
    const [first] = corners(camera, LARGE);
    expect(first.x).toBeGreaterThan(0);
    expect(first.x).toBeLessThan(50);
    expect(first.y).toBeGreaterThan(0);
  });
});

describe('moving', () => {
  const camera: Camera = { x: 30, y: -20, scale: 0.5 };

  it('zooms around the pointer', () => {
    const at = { x: 200, y: 100 };
    const closer = zoom(camera, at, 1.7);
    expect(closer.scale).toBeCloseTo(0.85);
    const [before, after] = [toSheet(camera, at), toSheet(closer, at)];
    expect(after.x).toBeCloseTo(before.x);
    expect(after.y).toBeCloseTo(before.y);
  });

  it('stops at its limits, without drifting there', () => {
    const most = zoom(camera, { x: 0, y: 0 }, 1e6);
    expect(zoom(most, { x: 500, y: 500 }, 2)).toEqual(most);
    expect(zoom(camera, { x: 0, y: 0 }, 1e-6).scale).toBeGreaterThan(0);
  });

  it('pans by pixels', () => expect(pan(camera, 5, -7)).toEqual({ x: 35, y: -27, scale: 0.5 }));

  it.each([
    [{ x: 0, y: 0 }, SCREEN],
    [{ x: 9000, y: 5000 }, SCREEN],
    [{ x: -900, y: 700 }, PHONE],
  ])('brings %j into view', (corner, view) => {
    const box = { ...corner, width: 190, height: 56 };
    const shown = reveal(camera, box, view);
    const [first, last] = corners(shown, box);
    expect(Math.min(first.x, first.y)).toBeGreaterThan(0);
    expect(last.x).toBeLessThan(view.width);
    expect(last.y).toBeLessThan(view.height);
    // There, it moves no more.
    expect(reveal(shown, box, view)).toBe(shown);
  });

  it('goes from screen to sheet and back', () => {
    const there = toSheet(camera, { x: 11, y: 22 });
    expect(toScreen(camera, there)).toEqual({ x: 11, y: 22 });
  });

  it('passes half way, as the eye takes it', () => {
    const to = { x: 130, y: 80, scale: 2 };
    expect(between(camera, to, 0)).toEqual(camera);
    expect(between(camera, to, 1)).toEqual(to);
    expect(between(camera, to, 0.5)).toEqual({ x: 80, y: 30, scale: 1 });
  });
});
