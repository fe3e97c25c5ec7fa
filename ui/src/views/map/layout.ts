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

export const CARD = { width: 190, height: 56 } as const;
/** Between columns: with room for a label on every edge, or else closer, which leaves cards larger. */
export const GAP = { roomy: 230, close: 130, y: 44 } as const;
/** More than this cannot all be labelled. */
const ROOMY_NODES = 24;
/** Below this scale labels cannot be read. */
const LABEL_SCALE = 0.68;
/** What a fitted map leaves free on both sides together. */
const BORDER = 88;

/** The gap between columns with which the map reads best on a screen of this width. */
export function gapFor(nodes: readonly MapNode[], viewWidth: number): number {
  const columns = 1 + Math.max(0, ...nodes.map((node) => node.layer));
  const width = columns * CARD.width + (columns - 1) * GAP.roomy;
  return nodes.length <= ROOMY_NODES && viewWidth - BORDER >= width * LABEL_SCALE ? GAP.roomy : GAP.close;
}

/** Top left corners by node id. */
export function place(nodes: readonly MapNode[], gap: number): Map<string, Point> {
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
        x: layer * (CARD.width + gap),
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
