/** From the server's columns and rows to places on an endless sheet. */

import type { MapNode } from '../../types';

export interface Point {
  x: number;
  y: number;
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export const CARD = { width: 178, height: 56 } as const;
export const GAP = { x: 190, y: 36 } as const;

/** Top left corners by node id. */
export function place(nodes: readonly MapNode[]): Map<string, Point> {
  const columns = new Map<number, MapNode[]>();
  for (const node of nodes) {
    const column = columns.get(node.layer);
    if (column) column.push(node);
    else columns.set(node.layer, [node]);
  }
  const tallest = Math.max(0, ...[...columns.values()].map((column) => column.length));
  // Full columns are centred, which reads better. Where the server leaves rows free it has a
  // reason (neighbours on one line), and moving columns apart would undo it.
  const dense = [...columns.values()].every((column) => {
    const rows = new Set(column.map((node) => node.row));
    return rows.size === column.length && Math.max(...rows) === column.length - 1;
  });
  const places = new Map<string, Point>();
  for (const [layer, column] of columns) {
    const shift = dense ? (tallest - column.length) / 2 : 0;
    for (const node of column) {
      places.set(node.id, {
        x: layer * (CARD.width + GAP.x),
        y: (node.row + shift) * (CARD.height + GAP.y),
      });
    }
  }
  return places;
}

export function bounds(places: ReadonlyMap<string, Point>): Box {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { x, y } of places.values()) {
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, x + CARD.width);
    bottom = Math.max(bottom, y + CARD.height);
  }
  if (left === Infinity) return { x: 0, y: 0, width: 0, height: 0 };
  return { x: left, y: top, width: right - left, height: bottom - top };
}
