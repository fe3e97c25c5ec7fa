/**
 * The made-up world behind the mock: who calls whom, how often, how fast and how badly. Every number
 * follows from the seed and the time that is asked about, so that the same question always has the
 * same answer.
 */

/** Numbers are summed up from steps of this length. */
export const STEP_SECONDS = 10;

/** A number in 0…1 that follows from its parts alone. */
export function chance(...parts) {
  let hash = 2166136261;
  for (const character of parts.join(' ')) hash = Math.imul(hash ^ character.charCodeAt(0), 16777619);
  hash = Math.imul(hash ^ (hash >>> 15), 2246822507);
  hash = Math.imul(hash ^ (hash >>> 13), 3266489909);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

// What is asked of a server of each protocol: method, target as one exchange shows it, route, share, slowness.
const OPERATIONS = {
  http: [
    ['GET', '/products/4711?page=?', '/products/{id}', 0.46, 1],
    ['GET', '/products', '/products', 0.27, 1.6],
    ['POST', '/cart/items', '/cart/items', 0.16, 1.4],
    ['GET', '/users/42/orders', '/users/{id}/orders', 0.07, 2.4],
    ['POST', '/checkout', '/checkout', 0.04, 5],
  ],
  grpc: [
    ['Recommend', 'shop.v1.Recommendations', 'shop.v1.Recommendations', 0.8, 1],
    ['ListSimilar', 'shop.v1.Recommendations', 'shop.v1.Recommendations', 0.2, 2],
  ],
  postgresql: [
    ['SELECT', 'SELECT id, name, price FROM products WHERE id = ?', 'SELECT id, name, price FROM products WHERE id = ?', 0.55, 1],
    ['SELECT', 'SELECT o.id, o.total, i.sku FROM orders o JOIN order_items i ON i.order_id = o.id WHERE o.user_id = ? ORDER BY o.created_at DESC LIMIT ?', 'SELECT o.id, o.total, i.sku FROM orders o JOIN order_items i ON i.order_id = o.id WHERE o.user_id = ? ORDER BY o.created_at DESC LIMIT ?', 0.2, 4],
    ['INSERT', 'INSERT INTO cart_items (cart_id, sku, amount) VALUES (?, ?, ?)', 'INSERT INTO cart_items (cart_id, sku, amount) VALUES (?, ?, ?)', 0.15, 1.5],
    ['COMMIT', '', '', 0.1, 0.8],
  ],
  redis: [
    ['GET', 'session:?', 'session:?', 0.7, 1],
    ['HGETALL', 'cart:?', 'cart:?', 0.2, 1.4],
    ['SETEX', 'session:?', 'session:?', 0.1, 1.1],
  ],
  kafka: [
    ['Produce', 'orders', 'orders', 0.6, 1],
    ['Fetch', 'orders', 'orders', 0.4, 6],
  ],
  dns: [
    ['A', 'api.payments.example', 'api.payments.example', 0.6, 1],
    ['AAAA', 'api.payments.example', 'api.payments.example', 0.4, 1],
  ],
};

// A good answer, a failed one, and one that is the caller's fault, by protocol.
const STATUSES = {
  http: { good: '200', failed: '503', refused: '404' },
  grpc: { good: '0', failed: '14', refused: '5' },
  postgresql: { good: 'ok', failed: '40P01', refused: 'ok' },
  redis: { good: 'ok', failed: 'OOM', refused: 'ok' },
  kafka: { good: 'NONE', failed: 'NOT_LEADER_OR_FOLLOWER', refused: 'NONE' },
  dns: { good: 'NOERROR', failed: 'SERVFAIL', refused: 'NXDOMAIN' },
};
const PORTS = { http: 8080, grpc: 50051, postgresql: 5432, redis: 6379, kafka: 9092, dns: 53 };
const MS = 1_000_000;

/** A shop on one host. */
function shop() {
  const nodes = [
    ['outbound', '203.0.113.24', 0],
    ['process', 'healthcheck', 0, { executable: '/usr/bin/curl' }],
    ['process', 'nightly-report.py', 0, { executable: '/usr/bin/python3.11' }],
    ['process', 'nginx', 1, { executable: '/usr/sbin/nginx' }],
    ['process', 'orders-worker.jar', 1, { executable: '/usr/lib/jvm/java-21/bin/java' }],
    ['container', 'search-api', 2, { executable: '/app/search', container: 'search-api-1' }],
    ['container', 'shop-api', 2, { executable: '/usr/local/bin/node', container: 'shop-api-1' }],
    ['process', 'auth', 2, { executable: '/opt/auth/bin/auth' }],
    ['process', 'postgres', 3, { executable: '/usr/lib/postgresql/16/bin/postgres' }],
    ['process', 'redis-server', 3, { executable: '/usr/bin/redis-server' }],
    ['container', 'kafka', 3, { executable: '/opt/java/bin/java', container: 'kafka' }],
    ['outbound', '198.51.100.80', 3],
    ['outbound', '10.0.0.2', 3],
  ].map(([kind, name, layer, more = {}], index) => node(index, kind, name, layer, more));
  const edges = [
    ['203.0.113.24', 'nginx', 'http', 61, 4.2, { port: 80, failed: 0.007, refused: 0.03 }],
    ['healthcheck', 'nginx', 'http', 0.2, 0.9, { port: 80 }],
    ['healthcheck', 'shop-api', 'http', 0.2, 0.6],
    ['nightly-report.py', 'postgres', 'postgresql', 3.1, 38, { seconds_of: [120, 3000] }],
    ['nginx', 'search-api', 'http', 14, 21, { spread: 0.8, incident: 5 }],
    ['nginx', 'shop-api', 'http', 44, 3.1, { failed: 0.018, refused: 0.03 }],
    ['nginx', 'auth', 'http', 58, 0.7, { port: 9000, refused: 0.04 }],
    ['shop-api', 'postgres', 'postgresql', 173, 0.42],
    ['shop-api', 'redis-server', 'redis', 96, 0.08],
    ['shop-api', 'kafka', 'kafka', 4.4, 2.3],
    ['shop-api', '198.51.100.80', 'http', 1.7, 182, { port: 443, failed: 0.064, spread: 0.5 }],
    ['shop-api', '10.0.0.2', 'dns', 1.8, 0.5],
    ['search-api', 'redis-server', 'redis', 22, 0.09],
    ['search-api', 'nginx', 'http', 0.04, 5.1, { port: 80 }],
    ['auth', 'redis-server', 'redis', 58, 0.07, { failed: 0.0004 }],
    ['auth', 'postgres', 'postgresql', 2.2, 0.9],
    ['orders-worker.jar', 'kafka', 'kafka', 2.1, 480, { spread: 0.2 }],
    ['orders-worker.jar', 'postgres', 'postgresql', 8.5, 1.4],
  ].map(([from, to, protocol, rate, ms, more = {}], index) => edge(index, nodes, from, to, protocol, rate, ms, more));
  return { nodes: withRows(nodes, edges), edges };
}

const WORDS = {
  first: ['cart', 'order', 'invoice', 'catalog', 'price', 'stock', 'user', 'mail', 'media', 'search', 'geo', 'tax', 'fraud', 'review', 'recommendation', 'notification'],
  second: ['api', 'service', 'worker', 'gateway', 'store', 'sync', 'cache-warmer', 'scheduler'],
};

/** As many nodes as wanted, in layers, with about two edges each. */
function many(amount, seed) {
  const layers = Math.max(3, Math.round(Math.sqrt(amount) * 0.75));
  const nodes = Array.from({ length: amount }, (_, index) => {
    const layer = Math.floor((index * layers) / amount);
    const pick = (list, what) => list[Math.floor(chance(seed, index, what) * list.length)];
    const last = layer === layers - 1;
    const kind = layer === 0 || last ? pick(['outbound', 'process'], 'kind') : pick(['process', 'container', 'pod', 'service'], 'kind');
    const name =
      kind === 'outbound'
        ? index % 5 === 0 ? `2001:db8:85a3::8a2e:370:${(7000 + index).toString(16)}` : `203.0.113.${index}`
        : `${pick(WORDS.first, 'first')}-${pick(WORDS.second, 'second')}-${index}`;
    const namespace = kind === 'pod' || kind === 'service' ? pick(['shop', 'billing', 'platform'], 'namespace') : '';
    return node(index, kind, name, layer, { namespace });
  });
  const edges = [];
  const seen = new Set();
  for (let attempt = 0; edges.length < amount * 2 && attempt < amount * 40; attempt += 1) {
    const roll = (what) => chance(seed, 'edge', attempt, what);
    const from = nodes[Math.floor(roll('from') * amount)];
    // Mostly the next layer; some skip one, a few call back or call themselves.
    const style = roll('style');
    const step = style < 0.78 ? 1 : style < 0.95 ? 2 : style < 0.98 ? -1 : 0;
    const targets = nodes.filter((other) => other.layer === from.layer + step);
    const to = targets[Math.floor(roll('to') ** 1.6 * targets.length)];
    if (!to || seen.has(`${from.id} ${to.id}`)) continue;
    seen.add(`${from.id} ${to.id}`);
    const protocol = Object.keys(PORTS)[Math.floor(roll('protocol') ** 2 * 6)];
    const rate = 0.02 * 20_000 ** roll('rate');
    const trouble = roll('trouble');
    edges.push(
      edge(edges.length, nodes, from.name, to.name, protocol, rate, 0.1 * 3000 ** roll('latency'), {
        failed: trouble < 0.05 ? 0.04 : trouble < 0.1 ? 0.002 : 0,
        incident: trouble > 0.94 ? 6 : 1,
        refused: protocol === 'http' ? roll('refused') * 0.05 : 0,
      }),
    );
  }
  return { nodes: withRows(nodes, edges), edges };
}

function node(index, kind, name, layer, more) {
  const pids = kind === 'outbound' ? [] : [800 + index * 137];
  return { id: `n${index + 1}`, kind, name, namespace: '', container: '', executable: '', pids, layer, row: 0, ...more };
}

function edge(index, nodes, from, to, protocol, rate, ms, more) {
  const id = (name) => nodes.find((candidate) => candidate.name === name).id;
  return {
    id: `e${index + 1}`,
    from: id(from),
    to: id(to),
    port: PORTS[protocol],
    protocol,
    rate,
    median_ns: ms * MS,
    /** Of the logarithm of the latency. */
    spread: 0.6,
    failed: 0,
    refused: 0,
    /** How much slower it is since a quarter of an hour. */
    incident: 1,
    /** Busy for the first so many seconds of each so many; null for always. */
    seconds_of: null,
    operations: OPERATIONS[protocol],
    statuses: STATUSES[protocol],
    ...more,
  };
}

/** Each column ordered by the middle of what its nodes talk to, as a layout that avoids crossings has it. */
function withRows(nodes, edges) {
  const layers = [...new Set(nodes.map((node) => node.layer))].sort((a, b) => a - b);
  for (const layer of layers) nodes.filter((node) => node.layer === layer).forEach((node, row) => (node.row = row));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  for (let sweep = 0; sweep < 12; sweep += 1) {
    for (const layer of sweep % 2 === 0 ? layers : [...layers].reverse()) {
      const column = nodes.filter((node) => node.layer === layer);
      const middle = new Map(
        column.map((node) => {
          const rows = edges
            .flatMap((edge) => (edge.from === node.id ? [edge.to] : edge.to === node.id ? [edge.from] : []))
            .map((id) => byId.get(id))
            .filter((other) => other.layer !== layer)
            .map((other) => other.row / nodes.filter((peer) => peer.layer === other.layer).length);
          return [node.id, rows.length > 0 ? rows.reduce((a, b) => a + b) / rows.length : node.row / column.length];
        }),
      );
      column.sort((a, b) => middle.get(a.id) - middle.get(b.id) || a.row - b.row).forEach((node, row) => (node.row = row));
    }
  }
  return nodes;
}

/** The shop, or where `amount` is given, so many nodes. */
export function makeWorld(seed, amount) {
  return { seed, ...(amount ? many(amount, seed) : shop()) };
}

/** What one edge did in the step that begins at `step` × STEP_SECONDS. */
function stepOf(world, edge, step, now) {
  const time = step * STEP_SECONDS;
  if (edge.seconds_of && time % edge.seconds_of[1] >= edge.seconds_of[0]) return null;
  const noise = (what) => chance(world.seed, edge.id, step, what) - 0.5;
  // A slow wave, and noise that weighs more where there are few.
  const wave = 1 + 0.18 * Math.sin(time / 210 + edge.id.length * edge.port);
  const expected = edge.rate * STEP_SECONDS * wave;
  const requests = Math.max(0, Math.round(expected + noise('requests') * 2.4 * Math.sqrt(expected + 0.1)));
  // An incident lasts from a quarter of an hour ago until now.
  const incident = now - time < 900 ? edge.incident : 1;
  const share = (of, what) => Math.min(requests, Math.floor(requests * of * (1 + noise(what)) + chance(world.seed, edge.id, step, what)));
  return {
    requests,
    errors: edge.failed > 0 ? share(edge.failed, 'failed') : 0,
    refused: edge.refused > 0 ? share(edge.refused, 'refused') : 0,
    median: edge.median_ns * incident * (1 + 0.3 * noise('median')),
  };
}

/** Percentiles of a lognormal latency. */
export function latencies(edge, median) {
  const at = (deviations) => Math.round(median * Math.exp(deviations * edge.spread));
  return {
    min_ns: at(-2.6), p50_ns: at(0), p90_ns: at(1.2816), p95_ns: at(1.6449), p99_ns: at(2.3263), max_ns: at(3.4),
    mean_ns: Math.round(median * Math.exp(edge.spread ** 2 / 2)),
  };
}

/** Totals of an edge from one second to another; null where it made no requests. */
export function totals(world, edge, from, to, now) {
  const sum = { requests: 0, errors: 0, refused: 0, weighted: 0 };
  for (let step = Math.ceil(from / STEP_SECONDS); (step + 1) * STEP_SECONDS <= to; step += 1) {
    const part = stepOf(world, edge, step, now);
    if (!part) continue;
    sum.requests += part.requests;
    sum.errors += part.errors;
    sum.refused += part.refused;
    sum.weighted += part.requests * part.median;
  }
  if (sum.requests === 0) return null;
  const seconds = Math.max(STEP_SECONDS, to - from);
  return {
    requests: sum.requests,
    errors: sum.errors,
    refused: sum.refused,
    rate: sum.requests / seconds,
    median: sum.weighted / sum.requests,
    ...latencies(edge, sum.weighted / sum.requests),
  };
}

/** Counts by status; HTTP by class where `classes` is asked for. */
export function statusMix(edge, sums, classes) {
  const mix = {};
  const add = (status, amount) => {
    const name = classes && edge.protocol === 'http' ? `${status[0]}xx` : status;
    if (amount > 0) mix[name] = (mix[name] ?? 0) + amount;
  };
  add(edge.statuses.good, sums.requests - sums.errors - sums.refused);
  add(edge.statuses.refused, sums.refused);
  add(edge.statuses.failed, sums.errors);
  return mix;
}

/** One exchange of an edge, `index` telling those of one moment apart. */
export function exchange(world, edge, time, index) {
  const roll = (what) => chance(world.seed, edge.id, Math.round(time * 1000), index, what);
  let left = roll('operation');
  const operation = edge.operations.find(([, , , share]) => (left -= share) < 0) ?? edge.operations[0];
  const [method, target, route, , slowness] = operation;
  const fate = roll('fate');
  const failed = fate < edge.failed;
  const silent = failed && roll('silent') < 0.2;
  const status = failed ? edge.statuses.failed : fate < edge.failed + edge.refused ? edge.statuses.refused : edge.statuses.good;
  // Three uniform numbers make a fair bell.
  const bell = (roll('a') + roll('b') + roll('c') - 1.5) * 2;
  const latency = Math.round(edge.median_ns * edge.incident * slowness * Math.exp(bell * edge.spread));
  const [client, server] = [edge.from, edge.to].map((id) => world.nodes.find((node) => node.id === id));
  return {
    time: new Date(time * 1000).toISOString(),
    protocol: edge.protocol,
    tls: edge.port === 443,
    client: endpoint(client, 32_768 + Math.floor(roll('port') * 28_000)),
    server: endpoint(server, edge.port),
    method,
    target,
    route,
    status: silent ? '' : status,
    error: failed,
    outcome: silent ? 'no_response' : 'complete',
    latency_ns: silent ? null : latency,
    ttfb_ns: silent ? null : Math.round(latency * 0.93),
    server_latency_ns: silent || server.kind === 'outbound' ? null : Math.round(latency * 0.86),
    request_bytes: 60 + Math.floor(roll('request') * 400),
    response_bytes: silent ? 0 : 90 + Math.floor(roll('response') ** 3 * 30_000),
    observed_by: server.kind === 'outbound' ? 'client' : client.kind === 'outbound' ? 'server' : 'both',
    attributes: attributes(edge, operation, status),
  };
}

// Under the names of OpenTelemetry.
function attributes({ protocol }, [method, target], status) {
  if (protocol === 'http') return { 'http.request.method': method, 'url.path': target.split('?')[0], 'http.response.status_code': status };
  if (protocol === 'grpc') return { 'rpc.service': target, 'rpc.method': method, 'rpc.grpc.status_code': status };
  if (protocol === 'kafka') return { 'messaging.system': 'kafka', 'messaging.destination.name': target };
  if (protocol === 'dns') return { 'dns.question.name': target };
  return { 'db.system.name': protocol, 'db.operation.name': method, 'db.query.text': target };
}

function endpoint(node, port) {
  const outside = node.kind === 'outbound';
  return {
    ip: outside ? node.name : '127.0.0.1',
    port,
    pid: node.pids[0] ?? 0,
    process: outside ? '' : (node.executable.split('/').at(-1) || node.name).slice(0, 15),
    container: node.container,
    pod: '',
    namespace: node.namespace,
    workload: node.name,
    kind: node.kind,
  };
}
