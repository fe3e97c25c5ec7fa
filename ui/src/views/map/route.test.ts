import { describe, expect, it } from 'vitest';
import type { MapEdge, MapNode } from '../../types';
import { crowd, edge, node } from '../../testing';
import { CARD, GAP, place, type Point } from './layout';
import { distance, pointAlong, routes } from './route';

function routed(nodes: MapNode[], edges: MapEdge[], gap: number = GAP.roomy) {
  const places = place(nodes, gap);
  return { places, made: routes(edges, places) };
}

const inside = (at: Point, corner: Point): boolean =>
  at.x > corner.x + 1 && at.x < corner.x + CARD.width - 1 && at.y > corner.y + 1 && at.y < corner.y + CARD.height - 1;

const COLUMNS = [0, 1, 2].flatMap((layer) => [0, 1, 2].map((row) => node({ id: `${layer}${row}`, layer, row })));
const call = (from: string, to: string, id = `${from}-${to}`): MapEdge => edge({ id, from, to });

describe('a route', () => {
  const { places, made } = routed(COLUMNS, [call('00', '10'), call('11', '01'), call('10', '12'), call('01', '21'), call('22', '22')]);
  const ends = (id: string) => [made.get(id)!.points[0]!, made.get(id)!.points.at(-1)!] as const;

  it('leaves on the right and arrives on the left', () => {
    const [start, end] = ends('00-10');
    expect(start.x).toBe(places.get('00')!.x + CARD.width);
    expect(end.x).toBe(places.get('10')!.x);
  });

  it('runs back on the other sides', () => {
    const [start, end] = ends('11-01');
    expect(start.x).toBe(places.get('11')!.x);
    expect(end.x).toBe(places.get('01')!.x + CARD.width);
  });

  it('within a column bows out to the right', () => {
    const [start, end] = ends('10-12');
    expect(start.x).toBe(end.x);
    expect(Math.max(...made.get('10-12')!.line.map(({ x }) => x))).toBeGreaterThan(start.x + 20);
  });

  it('to itself is a loop that can be seen', () => {
    const line = made.get('22-22')!.line;
    expect(Math.min(...line.map(({ y }) => y))).toBeLessThan(places.get('22')!.y - 20);
  });

  it('goes around cards of the columns it passes', () => {
    const between = made.get('01-21')!.line;
    expect(between.some((at) => inside(at, places.get('11')!))).toBe(false);
    // Straight through the middle would have been shorter.
    expect(new Set(between.map(({ y }) => Math.round(y))).size).toBeGreaterThan(3);
  });
});

describe.each([1, 2, 3])('a crowd (seed %i)', (seed) => {
  const map = crowd(60, 240, seed);
  const { places, made } = routed(map.nodes, map.edges, GAP.close);

  it('has all its edges', () => expect(made.size).toBe(240));

  it('runs through no card', () => {
    const through = map.edges.filter(({ id }) =>
      made.get(id)!.line.some((at) => [...places.values()].some((corner) => inside(at, corner))),
    );
    expect(through.map(({ id }) => id)).toEqual([]);
  });

  it('ends on the borders of its cards', () => {
    for (const { id, from, to } of map.edges.filter((edge) => edge.from !== edge.to)) {
      const { points } = made.get(id)!;
      for (const [end, corner] of [[points[0]!, places.get(from)!], [points.at(-1)!, places.get(to)!]] as const) {
        expect([corner.x, corner.x + CARD.width]).toContain(end.x);
        expect(end.y).toBeGreaterThan(corner.y);
        expect(end.y).toBeLessThan(corner.y + CARD.height);
      }
    }
  });

  it('is the same whatever order its edges come in', () => {
    const turned = routes([...map.edges].reverse(), places);
    expect(turned).toEqual(made);
  });
});

it('an edge into nowhere has no route', () => {
  expect(routed([node({ id: 'a' })], [call('a', 'gone')]).made.size).toBe(0);
});

it('ends on one side do not cross', () => {
  const { made } = routed(COLUMNS, [call('11', '20'), call('11', '21'), call('11', '22')]);
  const heights = ['20', '21', '22'].map((to) => made.get(`11-${to}`)!.points[0]!.y);
  expect(heights).toEqual([...heights].sort((a, b) => a - b));
  expect(new Set(heights).size).toBe(3);
});

describe('a point along a line', () => {
  const line = [{ x: 0, y: 0 }, { x: 3, y: 4 }, { x: 3, y: 4 }, { x: 3, y: 9 }];

  it('counts length, not pieces', () => {
    expect(pointAlong(line, 0)).toEqual({ x: 0, y: 0 });
    expect(pointAlong(line, 0.5)).toEqual({ x: 3, y: 4 });
    expect(pointAlong(line, 0.75)).toEqual({ x: 3, y: 6.5 });
    expect(pointAlong(line, 1)).toEqual({ x: 3, y: 9 });
  });

  it('exists on a line without length', () => expect(pointAlong([{ x: 1, y: 1 }, { x: 1, y: 1 }], 0.5)).toEqual({ x: 1, y: 1 }));
});

it('distance', () => expect(distance({ x: 1, y: 1 }, { x: 4, y: 5 })).toBe(5));
