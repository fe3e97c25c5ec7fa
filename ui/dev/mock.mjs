/**
 * The API of docs/api.md over a made-up world, and the built UI beside it, for working on the UI
 * without privileges or traffic. Listens on loopback only.
 *
 *   node dev/mock.mjs [--port 8015] [--seed 1] [--nodes 60] [--at 2026-01-01T12:00:00Z] [--state S]
 *
 * `--at` stops the clock there. States: `empty` (nothing was seen), `silent` (nothing in the
 * period), `lossy` (segments were lost, edges did not fit), `not-ready` (capture does not run).
 */

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { chance, exchange, latencies, makeWorld, statusMix, STEP_SECONDS, totals } from './world.mjs';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '8015' },
    seed: { type: 'string', default: '1' },
    nodes: { type: 'string' },
    at: { type: 'string' },
    state: { type: 'string', default: 'busy' },
  },
});
const world = makeWorld(Number(options.seed), Number(options.nodes ?? 0));
const stopped = options.at ? Date.parse(options.at) / 1000 : null;
const startedAt = Date.now() / 1000;

const HOUR = 3600;
const UPTIME = 2 * HOUR;
const HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  // The server's own, so that what it would refuse fails here too.
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
};
const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' };

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const clock = () => stopped ?? Date.now() / 1000;

/** `-5m`, RFC 3339, or nothing; in seconds since 1970. */
function moment(text, now, otherwise) {
  if (!text) return now + otherwise;
  const relative = /^-(\d+)([smh])$/.exec(text);
  if (relative) return now - Number(relative[1]) * { s: 1, m: 60, h: HOUR }[relative[2]];
  const time = Date.parse(text) / 1000;
  if (Number.isNaN(time)) throw new Refusal(400, `“${text}” is not a time: write RFC 3339 or -5m`);
  return time;
}

function period(query) {
  const now = clock();
  const [from, to] = [moment(query.get('from'), now, -300), moment(query.get('to'), now, 0)];
  if (from >= to) throw new Refusal(400, '“from” must lie before “to”');
  return { from, to, now };
}

/** Edges with what they did in the period; in a silent world, none did anything. */
function busyEdges({ from, to, now }) {
  if (options.state === 'empty' || options.state === 'silent') return [];
  return world.edges.map((edge) => ({ edge, sums: totals(world, edge, from, to, now) })).filter(({ sums }) => sums !== null);
}

function map(query) {
  const asked = period(query);
  const protocol = query.get('protocol');
  const busy = busyEdges(asked).filter(({ edge }) => !protocol || edge.protocol === protocol);
  const sum = (edges, what) => edges.reduce((total, { sums }) => total + sums[what], 0);
  const nodes = options.state === 'empty' ? [] : world.nodes.map((node) => {
    const [into, outOf] = ['to', 'from'].map((side) => busy.filter(({ edge }) => edge[side] === node.id));
    return {
      ...node,
      zombie: into.length + outOf.length === 0,
      requests_in: sum(into, 'requests'),
      errors_in: sum(into, 'errors'),
      requests_out: sum(outOf, 'requests'),
      errors_out: sum(outOf, 'errors'),
    };
  });
  return {
    ...span(asked),
    seconds: asked.to - asked.from,
    nodes,
    edges: busy.map(({ edge, sums }) => mapEdge(edge, sums, asked)),
    overflow: options.state === 'lossy' ? { edges: 3, requests: 1241 } : { edges: 0, requests: 0 },
  };
}

const span = ({ from, to }) => ({ from: new Date(from * 1000).toISOString(), to: new Date(to * 1000).toISOString() });

function mapEdge(edge, sums, { from, now }) {
  const before = totals(world, edge, now - HOUR, from, now);
  const { id, port, protocol } = edge;
  return {
    id, from: edge.from, to: edge.to, port, protocol,
    requests: sums.requests, errors: sums.errors, rate: sums.rate,
    p50_ns: sums.p50_ns, p95_ns: sums.p95_ns, p99_ns: sums.p99_ns,
    request_bytes: sums.requests * 212, response_bytes: sums.requests * 1840,
    status: statusMix(edge, sums, true),
    slow: before !== null && sums.p95_ns > 2 * before.p95_ns && sums.p95_ns > 10e6,
  };
}

function known(list, id) {
  const found = options.state === 'empty' ? undefined : list.find((item) => item.id === id);
  if (!found) throw new Refusal(404, `nothing here is called ${id}: ids last as long as the server runs`);
  return found;
}

function edgeDetail(id, query) {
  const edge = known(world.edges, id);
  const asked = period(query);
  const sums = busyEdges(asked).find(({ edge: other }) => other === edge)?.sums ?? { requests: 0, errors: 0, refused: 0, rate: 0, median: 0 };
  const ref = (node) => ({ id: node.id, name: node.name, kind: node.kind });
  const [from, to] = [edge.from, edge.to].map((end) => world.nodes.find((node) => node.id === end));
  const { median, refused, ...figures } = sums;
  const seen = to.kind !== 'outbound' && sums.requests > 0;
  return {
    id, from: ref(from), to: ref(to), port: edge.port, protocol: edge.protocol,
    ...figures,
    server_p50_ns: seen ? Math.round(sums.p50_ns * 0.8) : null,
    server_p95_ns: seen ? Math.round(sums.p95_ns * 0.85) : null,
    request_bytes: sums.requests * 212, response_bytes: sums.requests * 1840,
    status: statusMix(edge, { ...sums, refused }, false),
    errors_by_code: codes(edge, sums.errors),
    routes: routes(edge, sums),
    routes_overflow: options.state === 'lossy' ? 87 : 0,
    recent: sums.requests > 0 ? recent(50, asked, (other) => other === edge) : [],
  };
}

function routes(edge, sums) {
  let errors = sums.errors;
  return edge.operations
    .map(([method, , route, share, slowness]) => {
      const requests = Math.round(sums.requests * share);
      const failed = Math.min(errors, requests);
      errors -= failed;
      return { method, route, database: edge.protocol === 'postgresql' ? 'shop' : '', requests, errors: failed, ...percentiles(latencies(edge, sums.median * slowness)) };
    })
    .filter(({ requests }) => requests > 0);
}

const codes = (edge, errors) => (errors > 0 ? { [edge.statuses.failed]: errors } : {});

/** What is asked for on all edges; the mock always sorts by total time. */
function operations(query) {
  const ref = (id) => (({ name, kind }) => ({ id, name, kind }))(world.nodes.find((node) => node.id === id));
  const wanted = query.get('protocol')?.split(',');
  const action = { Produce: 'produce', Fetch: 'consume' };
  const words = (query.get('text') ?? '').toLowerCase().split(/\s+/).filter(Boolean);
  const rows = busyEdges(period(query))
    .filter(({ edge }) => !wanted || wanted.includes(edge.protocol))
    .flatMap(({ edge, sums }) =>
      routes(edge, sums).map((route) => ({
        ...route,
        edge: edge.id, from: ref(edge.from), callers: 1, to: ref(edge.to), port: edge.port, protocol: edge.protocol,
        action: action[route.method] ?? '',
        errors_by_code: codes(edge, route.errors),
        messages: edge.protocol === 'kafka' ? route.requests * 12 : 0,
        max_ns: route.p99_ns * 2,
        total_ns: route.requests * route.p50_ns,
      })),
    )
    .filter((row) => query.get('messages') !== 'true' || row.action)
    .filter((row) => words.every((word) => `${row.from.name} ${row.to.name} ${row.route}`.toLowerCase().includes(word)));
  const together = query.get('by') === 'server';
  const merged = new Map();
  for (const row of rows) {
    const key = together ? `${row.to.id} ${row.method} ${row.route}` : merged.size;
    const same = merged.get(key);
    if (!same) merged.set(key, together ? { ...row, edge: null, from: null } : row);
    else for (const what of ['callers', 'requests', 'errors', 'messages', 'total_ns']) same[what] += row[what];
  }
  const sorted = [...merged.values()].sort((a, b) => b.total_ns - a.total_ns);
  return { total: sorted.length, overflow: options.state === 'lossy' ? 87 : 0, operations: sorted.slice(0, Number(query.get('limit') ?? 100)) };
}

const percentiles = ({ p50_ns, p95_ns, p99_ns }) => ({ p50_ns, p95_ns, p99_ns });

function series(id, query) {
  const edge = known(world.edges, id);
  const { from, to, now } = period(query);
  const step = Math.max(1, Math.ceil((to - from) / STEP_SECONDS / 60)) * STEP_SECONDS;
  const points = [];
  for (let at = Math.ceil(from / step) * step; at + step <= to; at += step) {
    const sums = options.state === 'silent' ? null : totals(world, edge, at, at + step, now);
    points.push({
      time: new Date(at * 1000).toISOString(),
      requests: sums?.requests ?? 0,
      errors: sums?.errors ?? 0,
      p50_ns: sums?.p50_ns ?? null, p95_ns: sums?.p95_ns ?? null, p99_ns: sums?.p99_ns ?? null,
    });
  }
  return { step_seconds: step, points };
}

function nodeDetail(id, query) {
  const { layer, row, ...node } = known(world.nodes, id);
  const busy = busyEdges(period(query));
  const side = (edges) => {
    if (edges.length === 0) return null;
    const add = (what) => edges.reduce((total, { sums }) => total + sums[what], 0);
    const slowest = edges.reduce((a, b) => (b.sums.p95_ns > a.sums.p95_ns ? b : a));
    return { requests: add('requests'), errors: add('errors'), rate: add('rate'), ...percentiles(slowest.sums) };
  };
  const [into, outOf] = ['to', 'from'].map((end) => busy.filter(({ edge }) => edge[end] === id));
  return { ...node, zombie: into.length + outOf.length === 0, as_server: side(into), as_client: side(outOf) };
}

/** Newest first; busy edges more often than others. */
function recent(limit, { from, to, now }, wanted, fits = () => true) {
  const edges = world.edges.filter((edge) => wanted(edge) && totals(world, edge, now - 60, now, now) !== null);
  const weight = edges.reduce((sum, edge) => sum + edge.rate, 0);
  const found = [];
  const SLOTS_PER_SECOND = 20;
  for (let slot = Math.floor(to * SLOTS_PER_SECOND); found.length < limit && slot > from * SLOTS_PER_SECOND; slot -= 1) {
    let left = chance(world.seed, 'slot', slot) * weight;
    const edge = edges.find(({ rate }) => (left -= rate) < 0);
    if (!edge) continue;
    const made = exchange(world, edge, (slot + chance(world.seed, 'in', slot)) / SLOTS_PER_SECOND, slot);
    if (fits(made)) found.push(made);
  }
  return found;
}

function exchanges(query) {
  if (options.state === 'empty') return [];
  const wanted = (name, value) => !query.get(name) || query.get(name) === String(value);
  const slower = /^(\d+(?:\.\d+)?)(ns|us|ms|s|m)$/.exec(query.get('slower_than') || '0ns');
  if (!slower) throw new Refusal(400, '“slower_than” must be a duration such as 50ms');
  const limit = Number(slower[1]) * { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9 }[slower[2]];
  const now = clock();
  return recent(
    Math.min(1000, Number(query.get('limit') ?? 100)),
    { from: now - 300, to: now, now },
    (edge) => wanted('protocol', edge.protocol) && wanted('port', edge.port),
    (made) => (query.get('errors') !== 'true' || made.error) && (made.latency_ns ?? 0) >= limit,
  );
}

function ledger() {
  // Counts since the start, so they only grow.
  const seconds = UPTIME + clock() - (stopped ?? startedAt);
  const rate = options.state === 'empty' ? 0 : world.edges.reduce((sum, edge) => sum + edge.rate, 0);
  const tally = (each, lossy) => {
    const parsed = Math.round(seconds * rate * each);
    // An idle machine still talks, in what nobody can read.
    const counted = Math.round(parsed * 0.3 + seconds * 0.1 * each);
    const lost = { ring_full: Math.round(parsed * 4e-5 * lossy), late: Math.round(parsed * 3e-6 * lossy), unreadable: Math.round(parsed * 5e-7 * lossy) };
    const gone = Object.values(lost).reduce((a, b) => a + b);
    return { seen: parsed + counted + gone, parsed, counted, lost };
  };
  const lossy = options.state === 'lossy' ? 1 : 0;
  const [segments, bytes] = [tally(2, lossy), tally(2100, lossy)];
  const none = { seen: 0, parsed: 0, counted: 0, lost: {} };
  return {
    segments, bytes,
    exchanges: { reported: Math.round(seconds * rate), unpaired: options.state === 'empty' ? {} : { mid_stream: 14, gap: lossy * 61 } },
    connections: {
      open: options.state === 'empty' ? 3 : 118,
      by_verdict: options.state === 'empty' ? { tls: 2, unknown: 1 } : { http: 41, postgresql: 22, redis: 18, kafka: 6, tls: 19, unknown: 12 },
    },
    sources: { socket: { segments, bytes }, tls: { segments: none, bytes: none } },
  };
}

const status = () => ({
  version: '0.0.0-mock',
  host: 'shop-1',
  uptime_seconds: Math.round(UPTIME + clock() - (stopped ?? startedAt)),
  since: new Date((clock() - UPTIME) * 1000).toISOString(),
});

function answer(path, query) {
  const [, kind, id, part] = /^(edges|nodes)\/([^/]+)(?:\/(series))?$/.exec(path) ?? [];
  if (kind === 'edges') return part ? series(id, query) : edgeDetail(id, query);
  if (kind === 'nodes' && !part) return nodeDetail(id, query);
  const plain = { map, operations, exchanges, ledger, status }[path];
  if (!plain) throw new Refusal(404, `there is no /api/v1/${path}`);
  return plain(query);
}

async function serve(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  const send = (code, type, body) => response.writeHead(code, { ...HEADERS, 'content-type': type }).end(body);
  try {
    if (pathname === '/readyz') {
      if (options.state === 'not-ready') send(503, 'text/plain', 'the kernel refused every way to attach: needs root or CAP_BPF');
      else send(200, 'text/plain', 'ready');
    } else if (pathname.startsWith('/api/v1/')) {
      send(200, 'application/json', JSON.stringify(answer(decodeURIComponent(pathname.slice('/api/v1/'.length)), searchParams)));
    } else {
      const name = /^\/(assets\/[\w.-]+|index\.html)?$/.exec(pathname);
      if (!name) throw new Refusal(404, 'not here');
      const file = name[1] ?? 'index.html';
      send(200, TYPES[file.split('.').at(-1)] ?? 'application/octet-stream', await readFile(new URL(`../dist/${file}`, import.meta.url)));
    }
  } catch (error) {
    const code = error instanceof Refusal ? error.status : error.code === 'ENOENT' ? 404 : 500;
    send(code, 'application/json', JSON.stringify({ error: error.message }));
  }
}

createServer(serve).listen(Number(options.port), '127.0.0.1', () => {
  console.log(`the mock is on http://127.0.0.1:${options.port}`);
});
