import { describe, expect, it } from 'vitest';
import { edge, node } from '../../testing';
import { distanceToLine, hitTest } from './hit';
import { CARD, GAP, place } from './layout';
import { routes } from './route';

const places = place([node({ id: 'a' }), node({ id: 'b', layer: 1 }), node({ id: 'c', layer: 1, row: 1 })], GAP.roomy);
const made = routes([edge({ id: 'ab', from: 'a', to: 'b' }), edge({ id: 'ac', from: 'a', to: 'c' })], places);
const hit = (x: number, y: number, reach = 9) => hitTest({ x, y }, places, made, reach);
const middle = CARD.width + GAP.roomy / 2;

describe('under the pointer', () => {
  const a = places.get('a')!;

  it('is a card, its border included', () => {
    expect(hit(a.x, a.y)).toEqual({ kind: 'node', id: 'a' });
    expect(hit(a.x + CARD.width, a.y + CARD.height)).toEqual({ kind: 'node', id: 'a' });
  });

  it('is the nearest edge within reach', () => {
    for (const id of ['ab', 'ac']) {
      const [from, to] = [made.get(id)!.line[7]!, made.get(id)!.line[6]!];
      expect(hit((from.x + to.x) / 2, (from.y + to.y) / 2 + 1)).toEqual({ kind: 'edge', id });
    }
  });

  it('is a card rather than the edge that ends there', () => {
    const end = made.get('ab')!.points.at(-1)!;
    expect(hit(end.x, end.y)).toEqual({ kind: 'node', id: 'b' });
    expect(hit(end.x - 2, end.y)).toEqual({ kind: 'edge', id: 'ab' });
  });

  it('is nothing out of reach', () => {
    expect(hit(middle, -200)).toBeNull();
    const at = made.get('ab')!.line[7]!;
    expect(hit(at.x, at.y - 8, 4)).toBeNull();
  });
});

describe('the distance to a line', () => {
  const line = [{ x: 0, y: 0 }, { x: 10, y: 0 }, { x: 10, y: 0 }];
  it.each([[5, 3, 3], [-3, 4, 5], [13, 4, 5], [10, 0, 0]])('from %d, %d is %d', (x, y, away) =>
    expect(distanceToLine({ x, y }, line)).toBeCloseTo(away));
  it('of nothing is without end', () => expect(distanceToLine({ x: 0, y: 0 }, [])).toBe(Infinity));
});
