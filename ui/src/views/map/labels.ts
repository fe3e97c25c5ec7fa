/** Where edge labels go: on their edge, clear of cards and of each other. */

import { CARD, type Box, type Point } from './layout';
import { pointAlong, type Route } from './route';

export interface Wanted {
  id: string;
  width: number;
  height: number;
  /** Drawn even where it covers something. */
  forced: boolean;
}

/** From the middle outwards. */
const SHARES = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74] as const;
const MARGIN = 3;

/** Middles of the labels that found room, by edge id. The first ones asked for choose first. */
export function placeLabels(
  wanted: readonly Wanted[],
  routes: ReadonlyMap<string, Route>,
  places: ReadonlyMap<string, Point>,
): Map<string, Point> {
  const cards: Box[] = [...places.values()].map(({ x, y }) => ({ x, y, width: CARD.width, height: CARD.height }));
  const taken: Box[] = [];
  const result = new Map<string, Point>();
  for (const label of wanted) {
    const route = routes.get(label.id);
    if (!route) continue;
    const candidates = SHARES.map((share) => pointAlong(route.line, share));
    const boxes = candidates.map((at) => around(at, label));
    const free = (avoided: readonly Box[]): number =>
      boxes.findIndex((box) => !avoided.some((other) => overlap(box, other)));
    let choice = free([...cards, ...taken]);
    if (choice < 0 && label.forced) choice = Math.max(0, free(cards));
    if (choice < 0) continue;
    taken.push(boxes[choice]!);
    result.set(label.id, candidates[choice]!);
  }
  return result;
}

function around(at: Point, { width, height }: Wanted): Box {
  return {
    x: at.x - width / 2 - MARGIN,
    y: at.y - height / 2 - MARGIN,
    width: width + 2 * MARGIN,
    height: height + 2 * MARGIN,
  };
}

export function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}
