/** The one place that talks to the server: typed calls, decoded defensively. */

import { amount, flag, list, maybe, object, tally, text, texts, type Json } from './decode';
import type {
  Connections, EdgeDetail, Endpoint, Exchange, Ledger, MapEdge, MapNode, NodeDetail, NodeRef, Operation, Operations, Route,
  Series, ServiceMap, SideTotals, Status, Tally, Tls,
} from './types';

export * from './types';

/** A call that gave no usable answer. */
export class ApiError extends Error {
  constructor(
    /** `gone`: nobody answered; `unavailable`: 503; `missing`: 404; `refused`: any other status. */
    readonly kind: 'gone' | 'unavailable' | 'missing' | 'refused',
    message: string,
  ) {
    super(message);
  }
}

export interface Period {
  from: string;
  to: string;
}

export interface ExchangeFilter {
  protocol: string;
  errors: boolean;
  slowerThan: string;
  /** Words, as in the filter of the page. */
  text: string;
  limit: number;
}

export interface OperationFilter {
  protocols: readonly string[];
  /** Only what hands messages to a broker or takes them from it. */
  messages: boolean;
  /** Callers of a server together. */
  together: boolean;
  sort: 'total' | 'p99' | 'max' | 'requests' | 'errors';
  text: string;
  limit: number;
}

// Relative to the page, so that the UI also works under a path.
const BASE = 'api/v1/';

export function getMap(period: Period, signal: AbortSignal): Promise<ServiceMap> {
  return get(`map?${query({ ...period })}`, signal, decodeMap);
}

export function getEdge(id: string, period: Period, signal: AbortSignal): Promise<EdgeDetail> {
  return get(`edges/${encodeURIComponent(id)}?${query({ ...period })}`, signal, decodeEdgeDetail);
}

export function getSeries(id: string, period: Period, signal: AbortSignal): Promise<Series> {
  return get(`edges/${encodeURIComponent(id)}/series?${query({ ...period })}`, signal, decodeSeries);
}

export function getNode(id: string, period: Period, signal: AbortSignal): Promise<NodeDetail> {
  return get(`nodes/${encodeURIComponent(id)}?${query({ ...period })}`, signal, decodeNodeDetail);
}

export function getOperations(filter: OperationFilter, period: Period, signal: AbortSignal): Promise<Operations> {
  const parameters = {
    ...period,
    protocol: filter.protocols.join(','),
    messages: filter.messages ? 'true' : '',
    by: filter.together ? 'server' : '',
    sort: filter.sort,
    text: filter.text.trim(),
    limit: String(filter.limit),
  };
  return get(`operations?${query(parameters)}`, signal, decodeOperations);
}

export function getExchanges(filter: ExchangeFilter, signal: AbortSignal): Promise<Exchange[]> {
  const parameters = {
    limit: String(filter.limit),
    protocol: filter.protocol,
    errors: filter.errors ? 'true' : '',
    slower_than: filter.slowerThan,
    text: filter.text.trim(),
  };
  return get(`exchanges?${query(parameters)}`, signal, decodeExchanges);
}

export function getLedger(signal: AbortSignal): Promise<Ledger> {
  return get('ledger', signal, decodeLedger);
}

export function getStatus(signal: AbortSignal): Promise<Status> {
  return get('status', signal, decodeStatus);
}

/** Why capture does not run, or null when it does. */
export async function getNotReady(signal: AbortSignal): Promise<string | null> {
  const { response, body } = await request('readyz', signal);
  return response.status === 503 ? reason(body, response) : null;
}

function query(parameters: Record<string, string>): string {
  return new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== '')).toString();
}

async function request(path: string, signal: AbortSignal): Promise<{ response: Response; body: string }> {
  try {
    const response = await fetch(path, { signal, cache: 'no-store', headers: { accept: 'application/json' } });
    return { response, body: await response.text() };
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError('gone', 'Alaz does not answer.');
  }
}

async function get<T>(path: string, signal: AbortSignal, decode: (body: unknown) => T): Promise<T> {
  const { response, body } = await request(BASE + path, signal);
  if (!response.ok) {
    const kind = response.status === 503 ? 'unavailable' : response.status === 404 ? 'missing' : 'refused';
    throw new ApiError(kind, reason(body, response));
  }
  try {
    return decode(JSON.parse(body));
  } catch {
    throw new ApiError('refused', `The answer to ${path.split('?')[0]} is not what this page understands. Reload it.`);
  }
}

/** The server's own words where it has some: `{"error":"…"}`, `{"reason":"…"}` or plain text. */
function reason(body: string, response: Response): string {
  try {
    const said = object(JSON.parse(body));
    const words = text(said.error) || text(said.reason);
    if (words) return words;
  } catch {
    // Not JSON: plain text, or a proxy's page, which is not worth showing.
    const plain = body.trim();
    if (plain && !plain.startsWith('<')) return plain.slice(0, 300);
  }
  return `The server answered ${response.status} ${response.statusText}`.trim();
}

function pids(value: unknown): number[] {
  return Array.isArray(value) ? value.filter((pid): pid is number => typeof pid === 'number') : [];
}

function decodeMapNode(json: Json): MapNode | null {
  const id = text(json.id);
  if (!id) return null;
  return {
    id,
    kind: text(json.kind),
    name: text(json.name) || id,
    namespace: text(json.namespace),
    zombie: flag(json.zombie),
    container: text(json.container),
    executable: text(json.executable),
    pids: pids(json.pids),
    layer: Math.max(0, Math.trunc(amount(json.layer))),
    row: Math.max(0, amount(json.row)),
    requests_in: amount(json.requests_in),
    errors_in: amount(json.errors_in),
    requests_out: amount(json.requests_out),
    errors_out: amount(json.errors_out),
  };
}

function decodeConnections(value: unknown): Connections | null {
  if (value == null) return null;
  const json = object(value);
  return {
    connects: amount(json.connects),
    closed: amount(json.closed),
    failures: tally(json.failures),
    client_resets: amount(json.client_resets),
    server_resets: amount(json.server_resets),
    broken: amount(json.broken),
    retransmits: amount(json.retransmits),
    sent_bytes: amount(json.sent_bytes),
    received_bytes: amount(json.received_bytes),
    handshake_p50_ns: maybe(json.handshake_p50_ns),
    handshake_p95_ns: maybe(json.handshake_p95_ns),
    handshake_p99_ns: maybe(json.handshake_p99_ns),
    round_trip_p50_ns: maybe(json.round_trip_p50_ns),
    round_trip_p95_ns: maybe(json.round_trip_p95_ns),
    round_trip_p99_ns: maybe(json.round_trip_p99_ns),
    least_round_trip_ns: maybe(json.least_round_trip_ns),
    tls: decodeTls(json.tls),
  };
}

function decodeTls(value: unknown): Tls | null {
  if (value == null) return null;
  const json = object(value);
  return {
    connections: amount(json.connections),
    read: amount(json.read),
    versions: tally(json.versions),
    ciphers: tally(json.ciphers),
    server_names: tally(json.server_names),
    protocols: tally(json.protocols),
    failures: tally(json.failures),
  };
}

function decodeMapEdge(json: Json): MapEdge | null {
  const [id, from, to] = [text(json.id), text(json.from), text(json.to)];
  if (!id || !from || !to) return null;
  return {
    id,
    from,
    to,
    port: amount(json.port),
    protocol: text(json.protocol),
    requests: amount(json.requests),
    errors: amount(json.errors),
    rate: amount(json.rate),
    p50_ns: maybe(json.p50_ns),
    p95_ns: maybe(json.p95_ns),
    p99_ns: maybe(json.p99_ns),
    request_bytes: amount(json.request_bytes),
    response_bytes: amount(json.response_bytes),
    status: tally(json.status),
    slow: flag(json.slow),
    tcp: decodeConnections(json.tcp),
  };
}

export function decodeMap(body: unknown): ServiceMap {
  const json = object(body);
  if (!Array.isArray(json.nodes) || !Array.isArray(json.edges)) throw new Error('not a map');
  const nodes = unique(list(json.nodes, decodeMapNode));
  const known = new Set(nodes.map((node) => node.id));
  const overflow = object(json.overflow);
  return {
    from: text(json.from),
    to: text(json.to),
    seconds: amount(json.seconds),
    nodes,
    // An edge into nowhere cannot be drawn.
    edges: unique(list(json.edges, decodeMapEdge)).filter((edge) => known.has(edge.from) && known.has(edge.to)),
    overflow: { edges: amount(overflow.edges), requests: amount(overflow.requests) },
  };
}

/** The first of each id: rows and cards are told apart by it. */
function unique<T extends { id: string }>(items: readonly T[]): T[] {
  const seen = new Set<string>();
  return items.filter(({ id }) => !seen.has(id) && seen.add(id));
}

function decodeNodeRef(value: unknown): NodeRef {
  const json = object(value);
  return { id: text(json.id), name: text(json.name) || text(json.id), kind: text(json.kind) };
}

function decodeRoute(json: Json): Route {
  return {
    method: text(json.method),
    route: text(json.route),
    database: text(json.database),
    requests: amount(json.requests),
    errors: amount(json.errors),
    p50_ns: maybe(json.p50_ns),
    p95_ns: maybe(json.p95_ns),
    p99_ns: maybe(json.p99_ns),
  };
}

function decodeOperation(json: Json): Operation {
  return {
    ...decodeRoute(json),
    edge: text(json.edge),
    from: json.from == null ? null : decodeNodeRef(json.from),
    callers: amount(json.callers),
    to: decodeNodeRef(json.to),
    port: amount(json.port),
    protocol: text(json.protocol),
    action: text(json.action),
    errors_by_code: tally(json.errors_by_code),
    messages: amount(json.messages),
    max_ns: maybe(json.max_ns),
    total_ns: amount(json.total_ns),
  };
}

export function decodeOperations(body: unknown): Operations {
  const json = object(body);
  return { total: amount(json.total), overflow: amount(json.overflow), operations: list(json.operations, decodeOperation) };
}

function decodeEdgeDetail(body: unknown): EdgeDetail {
  const json = object(body);
  return {
    id: text(json.id),
    from: decodeNodeRef(json.from),
    to: decodeNodeRef(json.to),
    port: amount(json.port),
    protocol: text(json.protocol),
    requests: amount(json.requests),
    errors: amount(json.errors),
    rate: amount(json.rate),
    min_ns: maybe(json.min_ns),
    p50_ns: maybe(json.p50_ns),
    p90_ns: maybe(json.p90_ns),
    p95_ns: maybe(json.p95_ns),
    p99_ns: maybe(json.p99_ns),
    max_ns: maybe(json.max_ns),
    mean_ns: maybe(json.mean_ns),
    server_p50_ns: maybe(json.server_p50_ns),
    server_p95_ns: maybe(json.server_p95_ns),
    request_bytes: amount(json.request_bytes),
    response_bytes: amount(json.response_bytes),
    status: tally(json.status),
    errors_by_code: tally(json.errors_by_code),
    routes: list(json.routes, decodeRoute),
    routes_overflow: amount(json.routes_overflow),
    recent: list(json.recent, decodeExchange),
    tcp: decodeConnections(json.tcp),
  };
}

function decodeSeries(body: unknown): Series {
  const json = object(body);
  return {
    step_seconds: Math.max(1, amount(json.step_seconds)),
    points: list(json.points, (point) => ({
      time: text(point.time),
      requests: amount(point.requests),
      errors: amount(point.errors),
      p50_ns: maybe(point.p50_ns),
      p95_ns: maybe(point.p95_ns),
      p99_ns: maybe(point.p99_ns),
    })),
  };
}

function decodeSide(value: unknown): SideTotals | null {
  if (value == null) return null;
  const json = object(value);
  return {
    requests: amount(json.requests),
    errors: amount(json.errors),
    rate: amount(json.rate),
    p50_ns: maybe(json.p50_ns),
    p95_ns: maybe(json.p95_ns),
    p99_ns: maybe(json.p99_ns),
  };
}

function decodeNodeDetail(body: unknown): NodeDetail {
  const json = object(body);
  return {
    id: text(json.id),
    kind: text(json.kind),
    name: text(json.name),
    namespace: text(json.namespace),
    zombie: flag(json.zombie),
    container: text(json.container),
    executable: text(json.executable),
    pids: pids(json.pids),
    as_server: decodeSide(json.as_server),
    as_client: decodeSide(json.as_client),
  };
}

function decodeEndpoint(value: unknown): Endpoint {
  const json = object(value);
  return {
    ip: text(json.ip),
    port: amount(json.port),
    pid: amount(json.pid),
    process: text(json.process),
    container: text(json.container),
    pod: text(json.pod),
    namespace: text(json.namespace),
    workload: text(json.workload) || text(json.ip),
    kind: text(json.kind),
  };
}

function decodeExchange(json: Json): Exchange {
  return {
    time: text(json.time),
    protocol: text(json.protocol),
    tls: flag(json.tls),
    client: decodeEndpoint(json.client),
    server: decodeEndpoint(json.server),
    method: text(json.method),
    target: text(json.target),
    route: text(json.route),
    status: text(json.status),
    error: flag(json.error),
    outcome: text(json.outcome),
    latency_ns: maybe(json.latency_ns),
    ttfb_ns: maybe(json.ttfb_ns),
    server_latency_ns: maybe(json.server_latency_ns),
    request_bytes: amount(json.request_bytes),
    response_bytes: amount(json.response_bytes),
    observed_by: text(json.observed_by),
    attributes: texts(json.attributes),
  };
}

export function decodeExchanges(body: unknown): Exchange[] {
  // A bare list, or one wrapped with further facts.
  return list(Array.isArray(body) ? body : object(body).exchanges, decodeExchange);
}

function decodeTally(value: unknown): Tally {
  const json = object(value);
  return { seen: amount(json.seen), parsed: amount(json.parsed), counted: amount(json.counted), lost: tally(json.lost) };
}

export function decodeLedger(body: unknown): Ledger {
  const json = object(body);
  const exchanges = object(json.exchanges);
  const connections = object(json.connections);
  const sources: Ledger['sources'] = {};
  for (const [name, value] of Object.entries(object(json.sources))) {
    const source = object(value);
    sources[name] = { segments: decodeTally(source.segments), bytes: decodeTally(source.bytes) };
  }
  return {
    segments: decodeTally(json.segments),
    bytes: decodeTally(json.bytes),
    exchanges: { reported: amount(exchanges.reported), unpaired: tally(exchanges.unpaired) },
    connections: { open: amount(connections.open), by_verdict: tally(connections.by_verdict) },
    sources,
  };
}

function decodeStatus(body: unknown): Status {
  const json = object(body);
  return { version: text(json.version), host: text(json.host), uptime_seconds: maybe(json.uptime_seconds) };
}
