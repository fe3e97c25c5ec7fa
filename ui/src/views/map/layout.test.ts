import { describe, expect, it } from 'vitest';
import { crowd, node } from '../../testing';
import { bounds, CARD, GAP, gapFor, place } from './layout';
import { overlap } from './labels';

const at = (rows: [layer: number, row: number][]) =>
  place(rows.map(([layer, row], index) => node({ id: `n${index}`, layer, row })), GAP.roomy);
const STEP = { x: CARD.width + GAP.roomy, y: CARD.height + GAP.y };

describe('places', () => {
  it('follow column and row', () => {
    expect(at([[0, 0], [1, 0], [1, 1]]).get('n2')).toEqual({ x: STEP.x, y: STEP.y });
  });

  it('centre short columns', () => {
    expect(at([[0, 0], [1, 0], [1, 1], [1, 2]]).get('n0')).toEqual({ x: 0, y: STEP.y });
  });

  it('leave rows where the server put them, where it left some free', () => {
    const places = at([[0, 1], [1, 0], [1, 1], [1, 2]]);
    expect(places.get('n0')!.y).toBe(places.get('n2')!.y);
  });

  it('never lie on each other', () => {
    const boxes = [...place(crowd(60, 0).nodes, GAP.close).values()].map((corner) => ({ ...corner, ...CARD }));
    for (const [index, box] of boxes.entries()) {
      expect(boxes.slice(index + 1).filter((other) => overlap(box, other))).toEqual([]);
    }
  });

  it('of nothing are none', () => {
    expect(place([], GAP.roomy).size).toBe(0);
    expect(bounds(new Map())).toEqual({ x: 0, y: 0, width: 0, height: 0 });
  });
});

it('bounds hold all cards', () => {
  expect(bounds(at([[0, 0], [2, 3]]))).toMatchObject({ x: 0, width: 2 * STEP.x + CARD.width });
});

describe('the gap', () => {
  const columns = (amount: number) => Array.from({ length: amount }, (_, layer) => node({ id: `n${layer}`, layer }));

  it('is wide while labels can be read', () => expect(gapFor(columns(4), 1440)).toBe(GAP.roomy));
  it('is closer on a narrow screen', () => expect(gapFor(columns(4), 800)).toBe(GAP.close));
  it('is closer for many nodes', () => expect(gapFor(crowd(60, 0).nodes, 10_000)).toBe(GAP.close));
  it('is one even for none', () => expect(gapFor([], 1440)).toBe(GAP.roomy));
});
