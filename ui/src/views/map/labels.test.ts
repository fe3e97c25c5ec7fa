import { describe, expect, it } from 'vitest';
import type { Box } from './layout';
import { crowd, edge } from '../../testing';
import { byWeight, edgeFacts, overlap, placeLabels, problemLabel, steadyWidth, type Placed, type Wanted } from './labels';
import { CARD, GAP, place, type Point } from './layout';
import { distanceToLine } from './hit';
import { routes } from './route';

const SIZE = { width: 110, height: 16 };
const SHORT = { width: 40, height: 16 };
function boxOf({ at, size }: Placed): Box {
  const { width, height } = [SIZE, SHORT][size]!;
  return { x: at.x - width / 2, y: at.y - height / 2, width, height };
}

function labelled(nodes: number, edges: number, seed: number, forced = false) {
  const map = crowd(nodes, edges, seed);
  const places = place(map.nodes, GAP.roomy);
  const made = routes(map.edges, places);
  const wanted: Wanted[] = [...map.edges].sort(byWeight).map(({ id }) => ({ id, sizes: [SIZE, SHORT], forced }));
  return { map, places, made, wanted, labels: placeLabels(wanted, made, places) };
}

describe.each([1, 2, 3])('labels of a crowd (seed %i)', (seed) => {
  const { places, made, wanted, labels } = labelled(40, 60, seed);

  it('are many', () => expect(labels.size).toBeGreaterThan(20));

  it('lie on their own edge', () => {
    for (const [id, { at }] of labels) expect(distanceToLine(at, made.get(id)!.line)).toBeLessThan(0.001);
  });

  it('cover no card and no other label', () => {
    const cards = [...places.values()].map((corner) => ({ ...corner, ...CARD }));
    const boxes = [...labels.values()].map(boxOf);
    for (const [index, box] of boxes.entries()) {
      expect(cards.filter((card) => overlap(box, card))).toEqual([]);
      expect(boxes.slice(index + 1).filter((other) => overlap(box, other))).toEqual([]);
    }
  });

  it('stay where they are while nothing changes', () => {
    expect(placeLabels(wanted, made, places)).toEqual(labels);
  });
});

it('what is forced is drawn in any case', () => {
  const { map, labels } = labelled(40, 200, 1, true);
  expect(labels.size).toBe(map.edges.length);
});

it('a label avoids other edges where it can', () => {
  // One edge runs straight; another one crosses its middle.
  const line = (points: Point[]) => ({ points, line: points });
  const made = new Map([
    ['straight', line(Array.from({ length: 41 }, (_, index) => ({ x: index * 10, y: 0 })))],
    ['crossing', line([{ x: 200, y: -40 }, { x: 200, y: 0 }, { x: 200, y: 40 }])],
  ]);
  const labels = placeLabels([{ id: 'straight', sizes: [{ width: 60, height: 16 }], forced: false }], made, new Map());
  expect(Math.abs(labels.get('straight')!.at.x - 200)).toBeGreaterThan(30);
});

it('a label that has no room takes its shorter form', () => {
  const line = (y: number) => ({ points: [], line: [{ x: 0, y }, { x: 200, y }] });
  const made = new Map([['first', line(0)], ['second', line(8)]]);
  const wanted = (sizes: Wanted['sizes']) => ['first', 'second'].map((id) => ({ id, sizes, forced: false }));
  expect([...placeLabels(wanted([SIZE]), made, new Map()).keys()]).toEqual(['first']);
  const placed = placeLabels([{ id: 'first', sizes: [SHORT], forced: false }, ...wanted([SIZE, { width: 10, height: 16 }]).slice(1)], made, new Map());
  expect(placed.get('second')?.size).toBe(1);
});

it('a label without an edge is left out', () => {
  expect(placeLabels([{ id: 'gone', sizes: [SIZE], forced: true }], new Map(), new Map()).size).toBe(0);
});

describe('who chooses first', () => {
  const one = (id: string, change: object) => edge({ id, from: 'a', to: 'b', ...change });
  const order = (...edges: ReturnType<typeof one>[]) => edges.sort(byWeight).map(({ id }) => id);

  it('is what has problems, then what is called most', () => {
    expect(order(one('rare', { rate: 1 }), one('busy', { rate: 900 }), one('slow', { rate: 1, slow: true }), one('bad', { rate: 1, errors: 50 })))
      .toEqual(['bad', 'slow', 'busy', 'rare']);
  });

  it('does not change with small changes of rate', () => {
    const before = order(one('a', { rate: 41 }), one('b', { rate: 60 }));
    expect(order(one('a', { rate: 60 }), one('b', { rate: 41 }))).toEqual(before);
  });

  it('takes no rate at all', () => expect(order(one('b', { rate: 0 }), one('a', { rate: 0 }))).toEqual(['a', 'b']));
});

it('room for a label grows in steps', () => {
  expect(steadyWidth(97)).toBe(steadyWidth(119));
  for (let width = 0; width < 300; width += 7) expect(steadyWidth(width)).toBeGreaterThanOrEqual(width);
});

describe('what labels say', () => {
  const plain = (text: string) => text.replace(/\u00a0/g, ' ');
  const one = edge({ id: 'e', from: 'a', to: 'b', requests: 1000, rate: 41, p95_ns: 8_200_000 });

  it('is rate and p95, and errors where there are any', () => {
    expect(edgeFacts(one).map(plain)).toEqual(['41.0/s', '8.20 ms']);
    expect(edgeFacts({ ...one, errors: 12 }).map(plain)).toEqual(['41.0/s', '8.20 ms', '1.2 %']);
    expect(edgeFacts({ ...one, p95_ns: null })[1]).toBe('–');
  });

  it('in a crowd is the problem alone', () => {
    expect(plain(problemLabel({ ...one, errors: 12, slow: true }))).toBe('1.2 %');
    expect(plain(problemLabel({ ...one, slow: true }))).toBe('8.20 ms');
    expect(plain(problemLabel({ ...one, status: { '4xx': 500 } }))).toBe('50 % client errors');
  });
});

it('boxes side by side do not overlap, boxes on each other do', () => {
  const box = { x: 0, y: 0, ...CARD };
  expect(overlap(box, { ...box, x: CARD.width })).toBe(false);
  expect(overlap(box, { ...box, x: CARD.width - 1 })).toBe(true);
});
