import { expect, test } from 'vitest';
import { connectionFacts, failed, failures, tlsFacts, tlsRead } from './connections';
import { edgeHealth } from './health';
import { connections, edge } from './testing';

test('failures are told by reason, the most frequent first', () => {
  const of = connections({ failures: { refused: 1, timeout: 3, new: 2 } });
  expect(failed(of)).toBe(6);
  expect(failures(of)).toBe('3 not answered, 2 new, 1 refused');
  expect([failed(null), failures(null)]).toEqual([0, '']);
});

test('connections are counted with those that failed', () => {
  expect(connectionFacts(connections({ closed: 1 }))).toEqual(['1 connection']);
  expect(connectionFacts(connections({ closed: 12, failures: { refused: 2 } }))).toEqual(['12 connections', '2 failed']);
});

test('connects that fail are a problem of their edge', () => {
  const of = (failures: Record<string, number>, connects: number) =>
    edgeHealth(edge({ id: 'e', from: 'a', to: 'b', protocol: 'tcp', requests: 0, tcp: connections({ failures, connects }) }));
  expect(of({}, 10).level).toBe('ok');
  expect(of({ refused: 1 }, 9)).toEqual({ level: 'error', why: `10\u00a0% of connects failed` });
  expect(of({ refused: 1 }, 999).level).toBe('warn');
});

test('of TLS that is told what is known', () => {
  const tls = {
    connections: 12, read: 3, versions: { '1.2': 4, '1.3': 8 }, ciphers: {}, server_names: { 'api.example': 12 }, protocols: {},
    failures: { 'client: unknown_ca': 2 },
  };
  expect(tlsFacts(tls)).toEqual([
    { name: 'Version', value: '1.3 (8), 1.2 (4)' },
    { name: 'Asked for', value: 'api.example' },
    { name: 'Given up', value: 'client: unknown_ca (2)' },
  ]);
  expect([tlsRead(tls), tlsRead({ ...tls, read: 0 }), tlsRead({ ...tls, read: 12 })]).toEqual(['3 of 12 read', 'not read', 'all read']);
});
