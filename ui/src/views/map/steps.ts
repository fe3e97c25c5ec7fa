/** Going from card to card with the keyboard. */

import type { MapNode } from '../../types';

/** Column by column, each from the top: as callers and callees are read. */
export function readingOrder(nodes: readonly MapNode[]): MapNode[] {
  return [...nodes].sort((a, b) => a.layer - b.layer || a.row - b.row);
}

/** The card that a key leads to from this one; null where there is none, or the key leads nowhere. */
export function step(nodes: readonly MapNode[], id: string, key: string): string | null {
  const order = readingOrder(nodes);
  const here = order.find((node) => node.id === id);
  if (!here) return null;
  switch (key) {
    case 'ArrowUp':
      return order.filter((node) => node.layer === here.layer && node.row < here.row).at(-1)?.id ?? null;
    case 'ArrowDown':
      return order.find((node) => node.layer === here.layer && node.row > here.row)?.id ?? null;
    case 'ArrowLeft':
      return beside(here, order.filter((node) => node.layer < here.layer).reverse());
    case 'ArrowRight':
      return beside(here, order.filter((node) => node.layer > here.layer));
    case 'Home':
      return order[0]?.id ?? null;
    case 'End':
      return order.at(-1)?.id ?? null;
    default:
      return null;
  }
}

/** Of the first column among these, the card in the nearest row. */
function beside(here: MapNode, others: readonly MapNode[]): string | null {
  const column = others.filter((node) => node.layer === others[0]?.layer);
  const away = (node: MapNode): number => Math.abs(node.row - here.row);
  return column.reduce<MapNode | null>((best, node) => (best && away(best) <= away(node) ? best : node), null)?.id ?? null;
}
