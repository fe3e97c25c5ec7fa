import { describe, expect, it } from 'vitest';
import { exchangeMatches, focus } from './filter';
import { edge, endpoint, exchange, map, node } from './testing';

const MAP = map(
  [
    node({ id: 'web', name: 'Nginx', executable: '/usr/sbin/nginx' }),
    node({ id: 'api', name: 'shop-api', namespace: 'shop', requests_in: 10, errors_in: 1 }),
    node({ id: 'db', name: 'postgres' }),
    node({ id: 'job', name: 'nightly', zombie: true }),
  ],
  [
    edge({ id: 'e1', from: 'web', to: 'api', requests: 10, errors: 1 }),
    edge({ id: 'e2', from: 'api', to: 'db', port: 5432, protocol: 'postgresql' }),
  ],
);
const found = (filter: string, problems = false) => {
  const result = focus(MAP, filter, problems);
  return result && { nodes: [...result.nodes].sort(), edges: [...result.edges].sort() };
};

describe('focus', () => {
  it('is everything without a filter', () => {
    expect(found('')).toBeNull();
    expect(found('  ')).toBeNull();
  });

  it('finds a node with its edges, and the other ends of those', () => {
    expect(found('nginx')).toEqual({ nodes: ['api', 'web'], edges: ['e1'] });
    expect(found('POSTGRES')).toEqual({ nodes: ['api', 'db'], edges: ['e2'] });
    expect(found('nightly')).toEqual({ nodes: ['job'], edges: [] });
  });

  it('finds by protocol, port and namespace', () => {
    expect(found('postgresql')?.edges).toEqual(['e2']);
    expect(found(':5432')?.edges).toEqual(['e2']);
    expect(found(':8080')?.edges).toEqual(['e1']);
    // Another port, though it begins alike.
    expect(found(':80')?.edges).toEqual([]);
    expect(found(':543 postgres')?.edges).toEqual([]);
    expect(found('shop')?.edges).toEqual(['e1', 'e2']);
  });

  it('wants every word', () => {
    expect(found('nginx shop')).toEqual({ nodes: ['api', 'web'], edges: ['e1'] });
    expect(found('nginx postgres')).toEqual({ nodes: [], edges: [] });
  });

  it('keeps problems only, together with a filter', () => {
    expect(found('', true)).toEqual({ nodes: ['api', 'web'], edges: ['e1'] });
    expect(found('postgres', true)).toEqual({ nodes: [], edges: [] });
  });
});

describe('exchanges', () => {
  const one = exchange({ server: endpoint({ workload: 'redis', port: 6379 }), protocol: 'redis', method: 'HGETALL', target: 'cart:?', status: 'ok' });

  it.each(['', 'redis', 'hgetall cart', ':6379', 'curl ok', 'complete'])('%j fits', (filter) => expect(exchangeMatches(one, filter)).toBe(true));
  it.each(['postgres', 'redis postgres', ':80 ', ':637', ':63790'])('%j does not', (filter) => expect(exchangeMatches(one, filter)).toBe(false));
});
