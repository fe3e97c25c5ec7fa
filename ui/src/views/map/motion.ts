/** Moves from where things are to where they belong, so that the eye can follow an update. */

import type { Point } from './layout';

export const MOVE_MS = 320;

export interface Motion {
  from: ReadonlyMap<string, Point>;
  to: ReadonlyMap<string, Point>;
  started: number;
}

/** Heads for new places from whatever is on screen now; null where nothing on screen has to move. */
export function head(
  now: ReadonlyMap<string, Point>,
  to: ReadonlyMap<string, Point>,
  started: number,
  still: boolean,
): Motion | null {
  if (still) return null;
  let moves = false;
  for (const [id, target] of to) {
    const at = now.get(id);
    if (at && (at.x !== target.x || at.y !== target.y)) moves = true;
  }
  return moves ? { from: now, to, started } : null;
}

/** Places at a time. What is new stands at its place from the start. */
export function placesAt(motion: Motion, time: number): Map<string, Point> {
  const share = ease((time - motion.started) / MOVE_MS);
  const places = new Map<string, Point>();
  for (const [id, target] of motion.to) {
    const start = motion.from.get(id) ?? target;
    places.set(id, { x: start.x + (target.x - start.x) * share, y: start.y + (target.y - start.y) * share });
  }
  return places;
}

export function over(motion: { started: number }, time: number): boolean {
  return time - motion.started >= MOVE_MS;
}

export function ease(t: number): number {
  const x = Math.min(1, Math.max(0, t));
  return 1 - (1 - x) ** 3;
}
