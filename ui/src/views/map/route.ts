/**
 * How edges run between cards: out on one side and in on the other, always level where they meet a
 * card, and around the cards of the columns that they pass.
 */

import type { MapEdge } from '../../types';
import { CARD, GAP, type Point } from './layout';

/** Cubic pieces: start, then (control, control, end) for each piece. */
export interface Route {
  points: Point[];
  /** The same as a fine polyline, for hit testing and labels. */
  line: Point[];
}

type Side = 'left' | 'right';

interface End {
  edge: string;
  /** Where the other end is, by which ends on one side are ordered so that they do not cross. */
  toward: number;
  role: 'from' | 'to';
}

const PORT_SPACING = 13;
const PORT_MARGIN = 12;
/** Between an edge and a card it passes. */
const CLEARANCE = 13;
/** So many edges run side by side through one opening; more share their lanes, rather than touch cards. */
const LANES = 5;
const LANE = 8;
const STEPS = 14;

export function routes(edges: readonly MapEdge[], places: ReadonlyMap<string, Point>): Map<string, Route> {
  // By id, so that neither lanes nor ends swap when edges come in another order.
  const drawn = edges.filter((edge) => places.has(edge.from) && places.has(edge.to)).sort((a, b) => (a.id < b.id ? -1 : 1));
  const ports = assignPorts(drawn, places);
  const columns = columnsOf(places);
  const lanes = new Map<string, number>();
  const result = new Map<string, Route>();
  for (const edge of drawn) {
    const from = places.get(edge.from)!;
    const points =
      edge.from === edge.to
        ? loop(from)
        : between(ports.get(`from ${edge.id}`)!, ports.get(`to ${edge.id}`)!, sides(edge, places), columns, lanes);
    result.set(edge.id, { points, line: flatten(points) });
  }
  return result;
}

/** Calls run to the right; what runs back to the left, or within a column, leaves on that side. */
function sides(edge: MapEdge, places: ReadonlyMap<string, Point>): { from: Side; to: Side } {
  const dx = places.get(edge.to)!.x - places.get(edge.from)!.x;
  // While cards move into another column, the turn happens half way.
  const half = (CARD.width + GAP.close) / 2;
  if (dx > half) return { from: 'right', to: 'left' };
  if (dx < -half) return { from: 'left', to: 'right' };
  return { from: 'right', to: 'right' };
}

function assignPorts(edges: readonly MapEdge[], places: ReadonlyMap<string, Point>): Map<string, Point> {
  const bySide = new Map<string, End[]>();
  const add = (node: string, side: Side, end: End): void => {
    const key = `${side} ${node}`;
    const ends = bySide.get(key);
    if (ends) ends.push(end);
    else bySide.set(key, [end]);
  };
  for (const edge of edges) {
    if (edge.from === edge.to) continue;
    const [from, to] = [places.get(edge.from)!, places.get(edge.to)!];
    const side = sides(edge, places);
    add(edge.from, side.from, { edge: edge.id, toward: to.y, role: 'from' });
    add(edge.to, side.to, { edge: edge.id, toward: from.y, role: 'to' });
  }
  const ports = new Map<string, Point>();
  for (const [key, ends] of bySide) {
    const [side, node] = [key.slice(0, key.indexOf(' ')), key.slice(key.indexOf(' ') + 1)];
    const corner = places.get(node)!;
    ends.sort((a, b) => a.toward - b.toward);
    const room = CARD.height - 2 * PORT_MARGIN;
    const step = ends.length > 1 ? Math.min(PORT_SPACING, room / (ends.length - 1)) : 0;
    ends.forEach((end, index) => {
      ports.set(`${end.role} ${end.edge}`, {
        x: corner.x + (side === 'right' ? CARD.width : 0),
        y: corner.y + CARD.height / 2 + (index - (ends.length - 1) / 2) * step,
      });
    });
  }
  return ports;
}

/** Tops of the cards of each column, from the top. */
function columnsOf(places: ReadonlyMap<string, Point>): [x: number, tops: number[]][] {
  const columns = new Map<number, number[]>();
  for (const { x, y } of places.values()) {
    const column = columns.get(x);
    if (column) column.push(y);
    else columns.set(x, [y]);
  }
  for (const tops of columns.values()) tops.sort((a, b) => a - b);
  return [...columns].sort(([a], [b]) => a - b);
}

function between(
  start: Point,
  end: Point,
  side: { from: Side; to: Side },
  columns: readonly [number, number[]][],
  lanes: Map<string, number>,
): Point[] {
  if (side.from === side.to) {
    const reach = 36 + Math.min(70, Math.abs(end.y - start.y) * 0.2);
    return [start, { x: start.x + reach, y: start.y }, { x: end.x + reach, y: end.y }, end];
  }
  const points = [start];
  const passed = columns.filter(([x]) => {
    const [left, right] = start.x < end.x ? [start.x, end.x] : [end.x, start.x];
    return x > left && x + CARD.width < right;
  });
  if (start.x > end.x) passed.reverse();
  for (const [x, tops] of passed) {
    const middle = x + CARD.width / 2;
    const wanted = start.y + ((end.y - start.y) * (middle - start.x)) / (end.x - start.x);
    const free = freeHeight(wanted, tops);
    // Edges through the same opening run side by side.
    const key = `${x} ${Math.round(free / (CARD.height + GAP.y))} ${free === wanted}`;
    const lane = free === wanted ? 0 : (lanes.get(key) ?? 0) % LANES;
    lanes.set(key, (lanes.get(key) ?? 0) + 1);
    const y = free + (lane % 2 === 0 ? lane / 2 : -(lane + 1) / 2) * LANE;
    const [near, far] = start.x < end.x ? [x, x + CARD.width] : [x + CARD.width, x];
    curveTo(points, { x: near, y });
    points.push({ x: near + (far - near) / 3, y }, { x: far - (far - near) / 3, y }, { x: far, y });
  }
  curveTo(points, end);
  return points;
}

/** The height nearest to the wanted one at which no card of the column stands. */
function freeHeight(wanted: number, tops: readonly number[]): number {
  const blocked = (y: number): boolean =>
    tops.some((top) => y > top - CLEARANCE && y < top + CARD.height + CLEARANCE);
  if (!blocked(wanted)) return wanted;
  let best = Infinity;
  for (const top of tops) {
    // The middle of the gap, so that lanes have room on both sides.
    for (const y of [top - GAP.y / 2, top + CARD.height + GAP.y / 2]) {
      if (!blocked(y) && Math.abs(y - wanted) < Math.abs(best - wanted)) best = y;
    }
  }
  return best === Infinity ? wanted : best;
}

function curveTo(points: Point[], end: Point): void {
  const start = points[points.length - 1]!;
  const half = (end.x - start.x) / 2;
  points.push({ x: start.x + half, y: start.y }, { x: end.x - half, y: end.y }, end);
}

/** A card that calls itself: over its own upper right corner. */
function loop(corner: Point): Point[] {
  const right = corner.x + CARD.width;
  return [
    { x: right - 62, y: corner.y },
    { x: right - 74, y: corner.y - 34 },
    { x: right - 10, y: corner.y - 34 },
    { x: right - 22, y: corner.y },
  ];
}

function flatten(points: readonly Point[]): Point[] {
  const line = [points[0]!];
  for (let i = 0; i + 3 < points.length; i += 3) {
    const [a, b, c, d] = [points[i]!, points[i + 1]!, points[i + 2]!, points[i + 3]!];
    for (let step = 1; step <= STEPS; step += 1) line.push(cubic(a, b, c, d, step / STEPS));
  }
  return line;
}

function cubic(a: Point, b: Point, c: Point, d: Point, t: number): Point {
  const u = 1 - t;
  const [wa, wb, wc, wd] = [u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t];
  return {
    x: wa * a.x + wb * b.x + wc * c.x + wd * d.x,
    y: wa * a.y + wb * b.y + wc * c.y + wd * d.y,
  };
}

/** The point at a share (0…1) of a line's length. */
export function pointAlong(line: readonly Point[], share: number): Point {
  let total = 0;
  for (let i = 1; i < line.length; i += 1) total += distance(line[i - 1]!, line[i]!);
  let left = total * share;
  for (let i = 1; i < line.length; i += 1) {
    const [a, b] = [line[i - 1]!, line[i]!];
    const length = distance(a, b);
    if (left <= length && length > 0) {
      return { x: a.x + ((b.x - a.x) * left) / length, y: a.y + ((b.y - a.y) * left) / length };
    }
    left -= length;
  }
  return line[line.length - 1]!;
}

export function distance(a: Point, b: Point): number {
  return Math.hypot(b.x - a.x, b.y - a.y);
}
