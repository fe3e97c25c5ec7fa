/** What lies under the pointer. */

import { CARD, type Point } from './layout';
import { distance, type Route } from './route';

export interface Hit {
  kind: 'node' | 'edge';
  id: string;
}

/** Cards lie over edges; of several edges within reach the nearest wins. */
export function hitTest(
  at: Point,
  places: ReadonlyMap<string, Point>,
  edges: ReadonlyMap<string, Route>,
  reach: number,
): Hit | null {
  for (const [id, corner] of places) {
    if (at.x >= corner.x && at.x <= corner.x + CARD.width && at.y >= corner.y && at.y <= corner.y + CARD.height) {
      return { kind: 'node', id };
    }
  }
  let best: Hit | null = null;
  let nearest = reach;
  for (const [id, { line }] of edges) {
    const away = distanceToLine(at, line);
    if (away <= nearest) {
      nearest = away;
      best = { kind: 'edge', id };
    }
  }
  return best;
}

export function distanceToLine(at: Point, line: readonly Point[]): number {
  let nearest = Infinity;
  for (let i = 1; i < line.length; i += 1) {
    nearest = Math.min(nearest, distanceToSegment(at, line[i - 1]!, line[i]!));
  }
  return nearest;
}

function distanceToSegment(at: Point, a: Point, b: Point): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = dx * dx + dy * dy;
  const share = length === 0 ? 0 : ((at.x - a.x) * dx + (at.y - a.y) * dy) / length;
  const t = Math.min(1, Math.max(0, share));
  return distance(at, { x: a.x + t * dx, y: a.y + t * dy });
}
