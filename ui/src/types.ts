/** What the server says, as docs/api.md describes it, under the same names. */

export interface MapNode {
  id: string;
  kind: string;
  name: string;
  namespace: string;
  zombie: boolean;
  container: string;
  executable: string;
  pids: number[];
  layer: number;
  row: number;
  requests_in: number;
  errors_in: number;
  requests_out: number;
  errors_out: number;
}

/** The TCP connections from a client to a port of a server that were over in the period. */
export interface Connections {
  connects: number;
  closed: number;
  failures: Record<string, number>;
  client_resets: number;
  server_resets: number;
  broken: number;
  retransmits: number;
  sent_bytes: number;
  received_bytes: number;
  handshake_p50_ns: number | null;
  handshake_p95_ns: number | null;
  handshake_p99_ns: number | null;
  round_trip_p50_ns: number | null;
  round_trip_p95_ns: number | null;
  round_trip_p99_ns: number | null;
  least_round_trip_ns: number | null;
  tls: Tls | null;
}

/** What TLS the connections carried; each mix counts connections by a name. */
export interface Tls {
  connections: number;
  read: number;
  versions: Record<string, number>;
  ciphers: Record<string, number>;
  server_names: Record<string, number>;
  protocols: Record<string, number>;
  failures: Record<string, number>;
}

export interface MapEdge {
  id: string;
  from: string;
  to: string;
  port: number;
  protocol: string;
  requests: number;
  errors: number;
  rate: number;
  p50_ns: number | null;
  p95_ns: number | null;
  p99_ns: number | null;
  request_bytes: number;
  response_bytes: number;
  status: Record<string, number>;
  slow: boolean;
  tcp: Connections | null;
}

export interface ServiceMap {
  from: string;
  to: string;
  seconds: number;
  nodes: MapNode[];
  edges: MapEdge[];
  overflow: { edges: number; requests: number };
}

export interface NodeRef {
  id: string;
  name: string;
  kind: string;
}

export interface Route {
  method: string;
  route: string;
  /** Of SQL; empty where it is not known, and elsewhere. */
  database: string;
  requests: number;
  errors: number;
  p50_ns: number | null;
  p95_ns: number | null;
  p99_ns: number | null;
}

/** One kind of request: of one caller, or of all callers of a server. */
export interface Operation extends Route {
  edge: string;
  from: NodeRef | null;
  callers: number;
  to: NodeRef;
  port: number;
  protocol: string;
  action: string;
  errors_by_code: Record<string, number>;
  messages: number;
  max_ns: number | null;
  total_ns: number;
}

export interface Operations {
  total: number;
  overflow: number;
  operations: Operation[];
}

export interface EdgeDetail {
  id: string;
  from: NodeRef;
  to: NodeRef;
  port: number;
  protocol: string;
  requests: number;
  errors: number;
  rate: number;
  min_ns: number | null;
  p50_ns: number | null;
  p90_ns: number | null;
  p95_ns: number | null;
  p99_ns: number | null;
  max_ns: number | null;
  mean_ns: number | null;
  server_p50_ns: number | null;
  server_p95_ns: number | null;
  request_bytes: number;
  response_bytes: number;
  status: Record<string, number>;
  errors_by_code: Record<string, number>;
  routes: Route[];
  routes_overflow: number;
  recent: Exchange[];
  tcp: Connections | null;
}

export interface SeriesPoint {
  time: string;
  requests: number;
  errors: number;
  p50_ns: number | null;
  p95_ns: number | null;
  p99_ns: number | null;
}

export interface Series {
  step_seconds: number;
  points: SeriesPoint[];
}

/** Totals of a node on one side. Percentiles are null where the server does not give them. */
export interface SideTotals {
  requests: number;
  errors: number;
  rate: number;
  p50_ns: number | null;
  p95_ns: number | null;
  p99_ns: number | null;
}

export interface NodeDetail {
  id: string;
  kind: string;
  name: string;
  namespace: string;
  zombie: boolean;
  container: string;
  executable: string;
  pids: number[];
  as_server: SideTotals | null;
  as_client: SideTotals | null;
}

export interface Endpoint {
  ip: string;
  port: number;
  pid: number;
  process: string;
  container: string;
  pod: string;
  namespace: string;
  workload: string;
  kind: string;
}

export interface Exchange {
  time: string;
  protocol: string;
  tls: boolean;
  client: Endpoint;
  server: Endpoint;
  method: string;
  target: string;
  route: string;
  status: string;
  error: boolean;
  outcome: string;
  latency_ns: number | null;
  ttfb_ns: number | null;
  server_latency_ns: number | null;
  request_bytes: number;
  response_bytes: number;
  observed_by: string;
  attributes: Record<string, string>;
}

export interface Tally {
  seen: number;
  parsed: number;
  counted: number;
  lost: Record<string, number>;
}

export interface Ledger {
  segments: Tally;
  bytes: Tally;
  exchanges: { reported: number; unpaired: Record<string, number> };
  connections: { open: number; by_verdict: Record<string, number> };
  sources: Record<string, { segments: Tally; bytes: Tally }>;
}

export interface Status {
  version: string;
  host: string;
  uptime_seconds: number | null;
}
