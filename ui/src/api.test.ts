import { afterEach, describe, expect, it, vi } from 'vitest';
import { ApiError, getEdge, getExchanges, getLedger, getMap, getNode, getNotReady, getOperations, getSeries, getStatus } from './api';

const PERIOD = { from: '-300s', to: '' };
const signal = (): AbortSignal => new AbortController().signal;

function answer(body: string, status = 200): ReturnType<typeof vi.fn> {
  const fetched = vi.fn(async () => new Response(body, { status }));
  vi.stubGlobal('fetch', fetched);
  return fetched;
}

async function failure(call: Promise<unknown>): Promise<ApiError> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

afterEach(() => vi.unstubAllGlobals());

const CALLS: Record<string, () => Promise<unknown>> = {
  map: () => getMap(PERIOD, signal()),
  edge: () => getEdge('e1', PERIOD, signal()),
  series: () => getSeries('e1', PERIOD, signal()),
  node: () => getNode('n1', PERIOD, signal()),
  operations: () =>
    getOperations({ protocols: ['postgresql'], messages: false, together: true, sort: 'p99', text: ' a b ', limit: 10 }, PERIOD, signal()),
  exchanges: () => getExchanges({ protocol: '', errors: false, slowerThan: '', text: '', limit: 10 }, signal()),
  ledger: () => getLedger(signal()),
  status: () => getStatus(signal()),
};

// What a broken, older, newer or wrong server may say.
const BODIES = [
  '', 'null', '1', '"x"', '[]', '[null, 1, "x", [], {}]', '{', '<html>proxy</html>', '{"nodes":1,"edges":{}}',
  '{"nodes":[null,{"id":1},{"id":"n1","layer":"x","row":-3,"pids":"no"}],"edges":[{"id":"e1","from":"n1","to":"gone"},7]}',
  '{"id":{},"from":[],"to":null,"routes":[1,{}],"recent":[{"client":3,"latency_ns":"fast"}],"status":[1,2],"points":[{}],"as_server":[]}',
  '{"segments":7,"bytes":null,"exchanges":[],"connections":{"by_verdict":{"http":"many"}},"sources":{"socket":null,"__proto__":{}}}',
];

describe.each(Object.entries(CALLS))('%s', (_, call) => {
  it.each(BODIES)('takes %j or refuses it', async (body) => {
    answer(body);
    const result = await call().catch((error: unknown) => error);
    if (result instanceof Error) expect(result).toBeInstanceOf(ApiError);
    else expect(Object.keys(result as object).length > 0 || Array.isArray(result)).toBe(true);
  });

  it('says who is to blame', async () => {
    answer('{"error":"from must lie before to"}', 400);
    expect(await failure(call())).toMatchObject({ kind: 'refused', message: 'from must lie before to' });
    answer('', 404);
    expect((await failure(call())).kind).toBe('missing');
    answer('{"reason":"no BPF"}', 503);
    expect(await failure(call())).toMatchObject({ kind: 'unavailable', message: 'no BPF' });
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('Failed to fetch');
    });
    expect((await failure(call())).kind).toBe('gone');
  });

  it('takes a body that breaks off for no answer', async () => {
    const broken = new ReadableStream({ start: (controller) => controller.error(new TypeError('reset')) });
    vi.stubGlobal('fetch', async () => new Response(broken));
    expect((await failure(call())).kind).toBe('gone');
  });
});

describe('requests', () => {
  it('ask for what is wanted, relative to the page', async () => {
    const fetched = answer('{"nodes":[],"edges":[]}');
    await getMap({ from: '-60s', to: '' }, signal());
    expect(fetched.mock.calls[0]?.[0]).toBe('api/v1/map?from=-60s');
  });

  it('leave out filters that are not set', async () => {
    const fetched = answer('[]');
    await getExchanges({ protocol: 'redis', errors: true, slowerThan: '50ms', text: ' web :80', limit: 5 }, signal());
    await getExchanges({ protocol: '', errors: false, slowerThan: '', text: ' ', limit: 5 }, signal());
    expect(fetched.mock.calls.map(([url]) => url)).toEqual([
      'api/v1/exchanges?limit=5&protocol=redis&errors=true&slower_than=50ms&text=web+%3A80',
      'api/v1/exchanges?limit=5',
    ]);
  });

  it('escape ids', async () => {
    const fetched = answer('{}');
    await getNode('a/../b?c', PERIOD, signal());
    expect(fetched.mock.calls[0]?.[0]).toMatch(/^api\/v1\/nodes\/a%2F\.\.%2Fb%3Fc\?/);
  });
});

describe('answers', () => {
  it('become a map without edges into nowhere and without doubles', async () => {
    answer(
      JSON.stringify({
        seconds: 300,
        nodes: [{ id: 'n1', name: 'first' }, { id: 'n2' }, { id: 'n1', name: 'second' }],
        edges: [
          { id: 'e1', from: 'n1', to: 'n2', p95_ns: null },
          { id: 'e1', from: 'n2', to: 'n1' },
          { id: 'e2', from: 'n1', to: 'n9' },
        ],
      }),
    );
    const map = await getMap(PERIOD, signal());
    expect(map.nodes.map(({ id, name }) => [id, name])).toEqual([['n1', 'first'], ['n2', 'n2']]);
    expect(map.edges.map(({ id, from, p95_ns }) => [id, from, p95_ns])).toEqual([['e1', 'n1', null]]);
    expect(map.overflow).toEqual({ edges: 0, requests: 0 });
  });

  it.each(['[]', '{}', '{"nodes":[]}', 'null'])('are no map without nodes and edges: %s', async (body) => {
    answer(body);
    expect((await failure(getMap(PERIOD, signal()))).message).toMatch(/^The answer to map is not/);
  });

  it('become exchanges, bare or wrapped', async () => {
    const rows = '[{"time":"t","method":"GET","status":200,"latency_ns":5,"server":{"ip":"10.0.0.9"}}]';
    const filter = { protocol: '', errors: false, slowerThan: '', text: '', limit: 5 };
    answer(rows);
    const bare = await getExchanges(filter, signal());
    answer(`{"exchanges":${rows}}`);
    expect(await getExchanges(filter, signal())).toEqual(bare);
    // An endpoint without a name goes by its address.
    expect(bare[0]).toMatchObject({ status: '200', latency_ns: 5, ttfb_ns: null, server: { workload: '10.0.0.9' } });
  });

  it('become a ledger', async () => {
    answer('{"segments":{"seen":3,"parsed":1,"counted":1,"lost":{"late":1}},"sources":{"tls":{"segments":{"seen":1}}}}');
    const ledger = await getLedger(signal());
    expect(ledger.segments).toEqual({ seen: 3, parsed: 1, counted: 1, lost: { late: 1 } });
    expect(ledger.sources.tls?.segments.seen).toBe(1);
    expect(ledger.bytes.lost).toEqual({});
  });

  it('keep the steps of a series from being nothing', async () => {
    answer('{"step_seconds":0,"points":[]}');
    expect((await getSeries('e1', PERIOD, signal())).step_seconds).toBe(1);
  });
});

describe('readiness', () => {
  it('is a reason or nothing', async () => {
    answer('ready');
    expect(await getNotReady(signal())).toBeNull();
    answer('capture needs root', 503);
    expect(await getNotReady(signal())).toBe('capture needs root');
    // A proxy's page is not a reason to show.
    answer('<html>Service Unavailable</html>', 503);
    expect(await getNotReady(signal())).toMatch(/^The server answered 503/);
  });
});
