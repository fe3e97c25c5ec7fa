/** Which part of the sheet is on screen: screen = sheet × scale + offset. */

import type { Box, Point } from './layout';

export interface Camera {
  x: number;
  y: number;
  scale: number;
}

export interface Size {
  width: number;
  height: number;
}

const MIN_SCALE = 0.08;
const MAX_SCALE = 3;
/** Small maps are not blown up to fill the screen. */
const MAX_FIT_SCALE = 1.15;
/** Free border around a fitted map. */
const MARGIN = 44;
/** What the legend takes at the bottom. */
const FOOT = 36;
/** On a screen narrower than this a whole map would be too small to read. */
const NARROW = 700;
const NARROW_SCALE = 0.62;

/** Everything in view. */
export function fit(box: Box, view: Size): Camera {
  return middle(box, view, fittingScale(box, view));
}

/** What is shown at first: everything, or on a narrow screen as much as can be read, from the callers on. */
export function home(box: Box, view: Size): Camera {
  const scale = fittingScale(box, view);
  if (view.width >= NARROW || scale >= NARROW_SCALE) return middle(box, view, scale);
  const { x, y } = middle(box, view, NARROW_SCALE);
  const margin = marginOf(view);
  return {
    x: Math.max(x, margin - box.x * NARROW_SCALE),
    y: Math.max(y, margin - box.y * NARROW_SCALE),
    scale: NARROW_SCALE,
  };
}

function marginOf(view: Size): number {
  return Math.min(MARGIN, view.width / 16);
}

function fittingScale(box: Box, view: Size): number {
  const [width, height] = [view.width - 2 * marginOf(view), view.height - 2 * marginOf(view) - FOOT];
  // Nothing to fit, or nothing to fit it into.
  if (box.width === 0 || view.width === 0) return 1;
  return clamp(Math.min(width / box.width, height / box.height), MIN_SCALE, MAX_FIT_SCALE);
}

function middle(box: Box, view: Size, scale: number): Camera {
  return {
    x: view.width / 2 - (box.x + box.width / 2) * scale,
    y: (view.height - FOOT) / 2 - (box.y + box.height / 2) * scale,
    scale,
  };
}

/** Zooms by a factor; the point of the sheet under `at` stays under it. */
export function zoom(camera: Camera, at: Point, factor: number): Camera {
  const scale = clamp(camera.scale * factor, MIN_SCALE, MAX_SCALE);
  const real = scale / camera.scale;
  return { x: at.x - (at.x - camera.x) * real, y: at.y - (at.y - camera.y) * real, scale };
}

export function pan(camera: Camera, dx: number, dy: number): Camera {
  return { ...camera, x: camera.x + dx, y: camera.y + dy };
}

/** Moves as little as is needed to bring a part of the sheet into view; its upper left corner before the rest. */
export function reveal(camera: Camera, box: Box, view: Size): Camera {
  const first = toScreen(camera, box);
  const last = toScreen(camera, { x: box.x + box.width, y: box.y + box.height });
  const margin = marginOf(view);
  const shift = (from: number, to: number, room: number): number => {
    const back = Math.min(0, room - margin - to);
    return from + back < margin ? margin - from : back;
  };
  const { x, y } = { x: shift(first.x, last.x, view.width), y: shift(first.y, last.y, view.height - FOOT) };
  const inView = first.x >= 0 && first.y >= 0 && last.x <= view.width && last.y <= view.height - FOOT;
  return inView ? camera : pan(camera, x, y);
}

export function toSheet(camera: Camera, at: Point): Point {
  return { x: (at.x - camera.x) / camera.scale, y: (at.y - camera.y) / camera.scale };
}

export function toScreen(camera: Camera, at: Point): Point {
  return { x: at.x * camera.scale + camera.x, y: at.y * camera.scale + camera.y };
}

export function between(a: Camera, b: Camera, share: number): Camera {
  // Scales multiply, so their half way is the geometric one.
  const scale = a.scale * (b.scale / a.scale) ** share;
  return { x: a.x + (b.x - a.x) * share, y: a.y + (b.y - a.y) * share, scale };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
