/** Made-up values for tests: complete, so that a test names only what it is about. */

import type { Connections, Endpoint, Exchange, MapEdge, MapNode, ServiceMap, Series, SeriesPoint } from './types';

export function node(change: Partial<MapNode> & { id: string }): MapNode {
  return {
    kind: 'process', name: change.id, namespace: '', zombie: false, container: '', executable: '', pids: [],
    layer: 0, row: 0, requests_in: 0, errors_in: 0, requests_out: 0, errors_out: 0, ...change,
  };
}

export function edge(change: Partial<MapEdge> & { id: string; from: string; to: string }): MapEdge {
  return {
    port: 8080, protocol: 'http', requests: 100, errors: 0, rate: 10, p50_ns: 1e6, p95_ns: 2e6, p99_ns: 3e6,
    request_bytes: 0, response_bytes: 0, status: {}, slow: false, tcp: null, ...change,
  };
}

export function connections(change: Partial<Connections> = {}): Connections {
  return {
    connects: 0, closed: 0, failures: {}, client_resets: 0, server_resets: 0, broken: 0, retransmits: 0, sent_bytes: 0, received_bytes: 0,
    handshake_p50_ns: null, handshake_p95_ns: null, handshake_p99_ns: null,
    round_trip_p50_ns: null, round_trip_p95_ns: null, round_trip_p99_ns: null, least_round_trip_ns: null, tls: null, ...change,
  };
}

export function map(nodes: MapNode[], edges: MapEdge[]): ServiceMap {
  return { from: '', to: '', seconds: 300, nodes, edges, overflow: { edges: 0, requests: 0 } };
}

export function endpoint(change: Partial<Endpoint> = {}): Endpoint {
  return {
    ip: '127.0.0.1', port: 8080, pid: 0, process: '', container: '', pod: '', namespace: '', workload: '', kind: 'process', ...change,
  };
}

export function exchange(change: Partial<Exchange> = {}): Exchange {
  return {
    time: '2026-01-01T12:00:00.000Z', protocol: 'http', tls: false,
    client: endpoint({ port: 40_000, workload: 'curl' }), server: endpoint({ workload: 'nginx' }),
    method: 'GET', target: '/', route: '/', status: '200', error: false, outcome: 'complete',
    latency_ns: 1e6, ttfb_ns: 1e6, server_latency_ns: null, request_bytes: 0, response_bytes: 0, observed_by: 'both', attributes: {},
    ...change,
  };
}

/** A series of ten-second steps from noon on. */
export function series(points: Partial<SeriesPoint>[]): Series {
  const noon = Date.parse('2026-01-01T12:00:00Z');
  return {
    step_seconds: 10,
    points: points.map((point, index) => ({
      time: new Date(noon + index * 10_000).toISOString(),
      requests: 0, errors: 0, p50_ns: null, p95_ns: null, p99_ns: null, ...point,
    })),
  };
}

/** Numbers in 0…1 that are the same in each run. */
export function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A map of so many nodes and edges in layers of ten; edges lead anywhere, also back and to themselves. */
export function crowd(nodes: number, edges: number, seed = 1): ServiceMap {
  const roll = dice(seed);
  const pick = (): string => `n${Math.floor(roll() * nodes)}`;
  return map(
    Array.from({ length: nodes }, (_, index) => node({ id: `n${index}`, layer: Math.floor(index / 10), row: index % 10 })),
    Array.from({ length: edges }, (_, index) =>
      edge({ id: `e${index}`, from: pick(), to: pick(), rate: 1000 * roll() ** 4, errors: roll() < 0.1 ? 5 : 0 }),
    ),
  );
}
