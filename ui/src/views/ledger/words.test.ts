import { describe, expect, it } from 'vitest';
import type { Ledger, Tally } from '../../types';
import { badge, balance, LOSS, ranked, sources, total, UNPAIRED, verdicts } from './words';

const tally = (seen: number, lost: Record<string, number> = {}): Tally => ({ seen, parsed: seen - total(lost), counted: 0, lost });

function ledger(change: Partial<Ledger>): Ledger {
  return {
    segments: tally(1000), bytes: tally(0), exchanges: { reported: 0, unpaired: {} }, connections: { open: 0, by_verdict: {} }, sources: {}, ...change,
  };
}
const plain = (text: string): string => text.replace(/[\u00a0\u202f]/g, ' ');

describe('the badge', () => {
  it('says that nothing is lost only when nothing is', () => {
    expect(badge(ledger({}))).toMatchObject({ lost: false, text: 'nothing lost' });
    expect(badge(ledger({ segments: tally(1000, { late: 0 }) })).lost).toBe(false);
  });

  it('says how much, how large a part, and why', () => {
    const said = badge(ledger({ segments: tally(1000, { late: 1, ring_full: 19, of_tomorrow: 5 }) }));
    expect(said.lost).toBe(true);
    expect(plain(said.text)).toBe('25 segments lost (2.5 %)');
    expect(said.title).toBe(`Lost: ${LOSS.ring_full}; of_tomorrow; ${LOSS.late} (l)`);
  });
});

describe('words', () => {
  it('has one for each reason of the ledger', () => {
    const losses = ['ring_full', 'connection_table_full', 'hook_missed', 'unreadable', 'late', 'ambiguous', 'truncated', 'buffer_full', 'too_many_connections', 'unlinked', 'guard'];
    const unpaired = ['gap', 'mid_stream', 'ambiguous', 'truncated', 'too_many_pending', 'withdrawn', 'late', 'unasked'];
    expect(losses.filter((reason) => !LOSS[reason])).toEqual([]);
    expect(unpaired.filter((reason) => !UNPAIRED[reason])).toEqual([]);
  });

  it('ranks by amount, then by name, without zeroes', () => {
    expect(ranked({ b: 1, a: 1, z: 9, none: 0 })).toEqual([['z', 9], ['a', 1], ['b', 1]]);
  });

  it('spells out the balance', () => {
    expect(plain(balance({ seen: 1200, parsed: 1000, counted: 150, lost: { late: 20, gap: 30 } }))).toBe(
      '1 200 = 1 000 parsed + 150 counted + 50 lost',
    );
  });

  it('tells connections that cannot be read', () => {
    const lines = verdicts(ledger({ connections: { open: 4, by_verdict: { http: 1, tls: 2, unknown: 1, redis: 0 } } }));
    expect(lines).toEqual([
      '2 TLS connections: contents not visible yet',
      '1 http connection',
      '1 connection of a protocol that Alaz does not know (yet)',
    ]);
  });

  it('tells sources apart only where there are several', () => {
    const of = (socket: number, tls: number) =>
      sources(ledger({ sources: { socket: { segments: tally(socket), bytes: tally(0) }, tls: { segments: tally(tls), bytes: tally(0) } } }));
    expect(of(10, 0)).toEqual([]);
    expect(of(10, 2).map(([name, { seen }]) => [name, seen])).toEqual([['socket', 10], ['tls', 2]]);
  });
});
