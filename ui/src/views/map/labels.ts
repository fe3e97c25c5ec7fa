/** What edge labels say, and where they go: on their edge, clear of cards and of each other. */

import { connectionFacts, isOnlyConnections } from '../../connections';
import { duration, percent, rate } from '../../format';
import { edgeHealth } from '../../health';
import type { MapEdge } from '../../types';
import type { Size } from './camera';
import { CARD, type Box, type Point } from './layout';
import { pointAlong, type Route } from './route';

export interface Wanted {
  id: string;
  /** Sizes that the label can take, the preferred one first. */
  sizes: Size[];
  /** Drawn even where it covers something. */
  forced: boolean;
}

export interface Placed {
  /** Its middle. */
  at: Point;
  /** Which of its sizes it took. */
  size: number;
}

/** `41/s`, `8.20 ms`, `1.2 %`: rate, p95, and errors where there are any. Of connections how many. */
export function edgeFacts(edge: MapEdge): string[] {
  if (isOnlyConnections(edge)) return connectionFacts(edge.tcp);
  const facts = [rate(edge.rate), duration(edge.p95_ns)];
  return edge.errors > 0 ? [...facts, percent(edge.errors, edge.requests)] : facts;
}

/** Only what is wrong: the share of errors, else how slow. */
export function problemLabel(edge: MapEdge): string {
  if (edge.errors > 0) return percent(edge.errors, edge.requests);
  return edge.slow ? duration(edge.p95_ns) : edgeHealth(edge).why;
}

const SEVERITY = { ok: 0, warn: 1, error: 2 } as const;

/**
 * Which labels choose their place first: problems, then many calls. Rates count by their tenfold
 * only, so that small changes do not reorder, and with that move, anything.
 */
export function byWeight(a: MapEdge, b: MapEdge): number {
  const weight = (edge: MapEdge): number => Math.round(Math.log10(Math.max(edge.rate, 1e-6)));
  return (
    SEVERITY[edgeHealth(b).level] - SEVERITY[edgeHealth(a).level] || weight(b) - weight(a) || (a.id < b.id ? -1 : 1)
  );
}

const WIDTH_STEP = 24;

/** Room for a text that may change a little without moving its label. */
export function steadyWidth(width: number): number {
  return Math.ceil(width / WIDTH_STEP) * WIDTH_STEP;
}

/** From the middle outwards. */
const SHARES = [0.5, 0.44, 0.56, 0.38, 0.62, 0.32, 0.68, 0.26, 0.74] as const;
const MARGIN = 2;

/** The labels that found room, by edge id. The first ones asked for choose first. */
export function placeLabels(
  wanted: readonly Wanted[],
  routes: ReadonlyMap<string, Route>,
  places: ReadonlyMap<string, Point>,
): Map<string, Placed> {
  const cards: Box[] = [...places.values()].map(({ x, y }) => ({ x, y, width: CARD.width, height: CARD.height }));
  const taken: Box[] = [];
  const result = new Map<string, Placed>();
  for (const { id, sizes, forced } of wanted) {
    const route = routes.get(id);
    if (!route) continue;
    const points = SHARES.map((share) => pointAlong(route.line, share));
    const candidates = sizes.map((size, index) => points.map((at) => ({ at, size: index, box: around(at, size) })));
    const clearOf = (avoided: readonly Box[]) =>
      candidates
        .map((ofSize) => ofSize.filter(({ box }) => !avoided.some((other) => overlap(box, other))))
        .find((free) => free.length > 0);
    const free = clearOf([...cards, ...taken]) ?? (forced ? (clearOf(cards) ?? candidates.at(-1)) : undefined);
    const choice = clearest(free ?? [], id, routes);
    if (!choice) continue;
    taken.push(choice.box);
    result.set(id, { at: choice.at, size: choice.size });
  }
  return result;
}

/** The candidate that covers the fewest other edges, so that it is plain which one it belongs to. */
function clearest<T extends { box: Box }>(candidates: readonly T[], id: string, routes: ReadonlyMap<string, Route>): T | undefined {
  let best: T | undefined;
  let fewest = Infinity;
  for (const candidate of candidates) {
    let covered = 0;
    for (const [other, { line }] of routes) {
      if (other !== id && line.some((at) => inside(at, candidate.box))) covered += 1;
    }
    if (covered < fewest) {
      fewest = covered;
      best = candidate;
    }
    if (covered === 0) break;
  }
  return best;
}

function around(at: Point, { width, height }: Size): Box {
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

function inside(at: Point, box: Box): boolean {
  return at.x > box.x && at.x < box.x + box.width && at.y > box.y && at.y < box.y + box.height;
}
