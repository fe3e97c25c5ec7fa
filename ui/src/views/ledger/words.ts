/** The loss ledger in words. */

import { count, percent, plural } from '../../format';
import type { Ledger, Tally } from '../../types';

export function total(amounts: Record<string, number>): number {
  return Object.values(amounts).reduce((sum, amount) => sum + amount, 0);
}

/** The largest first; nothing that is zero. */
export function ranked(amounts: Record<string, number>): [name: string, amount: number][] {
  return Object.entries(amounts)
    .filter(([, amount]) => amount > 0)
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
}

/** One line for the badge: `nothing lost`, or how much; its title says the reasons. */
export function badge({ segments }: Ledger): { lost: boolean; text: string; title: string } {
  const lost = total(segments.lost);
  if (lost === 0) return { lost: false, text: 'nothing lost', title: 'What was seen, reported and lost (l)' };
  const reasons = ranked(segments.lost).map(([reason]) => LOSS[reason] ?? reason);
  return {
    lost: true,
    text: `${plural(lost, 'segment')} lost (${percent(lost, segments.seen)})`,
    title: `Lost: ${reasons.join('; ')} (l)`,
  };
}

/** What a reason means, for people who did not write it. */
export const LOSS: Record<string, string> = {
  ring_full: 'Alaz could not read as fast as the kernel wrote',
  queue_full: 'Alaz could not process as fast as it read',
  hook_missed: 'calls of which the kernel told only one end',
  connection_table_full: 'more connections than the kernel table holds',
  unreadable: "the application's buffer could not be read",
  late: 'came after its place had been given up',
  ambiguous: 'two threads used one socket at once',
  truncated: 'needed, but longer than what is copied',
  buffer_full: 'more out of order than one connection may hold',
  too_many_connections: 'more connections than Alaz follows at once',
  guard: 'Alaz was at the limit of what it may take of this machine',
  unlinked: 'said inside TLS, and nothing tells on which connection',
};

export const UNPAIRED: Record<string, string> = {
  gap: 'bytes are missing before or inside',
  mid_stream: 'the connection is older than Alaz',
  ambiguous: 'overlapping ranges made it uncertain',
  truncated: 'the head was longer than what is copied',
  too_many_pending: 'too many requests waiting on one connection',
  withdrawn: 'the connection turned out to speak something else',
  late: 'the answer came after its request had been given up',
  unasked: 'nobody was seen to ask for this answer',
};

/** Open connections by what they speak, as sentences for the empty map. */
export function verdicts(ledger: Ledger): string[] {
  const words: Record<string, (n: number) => string> = {
    tls: (n) => `${plural(n, 'TLS connection')}: contents not visible yet`,
    unknown: (n) => `${plural(n, 'connection')} of a protocol that Alaz does not know (yet)`,
  };
  return ranked(ledger.connections.by_verdict).map(([verdict, n]) =>
    words[verdict] ? words[verdict](n) : `${plural(n, `${verdict} connection`)}`,
  );
}

/** The sources that saw something, where that says more than their sum. */
export function sources(ledger: Ledger): [name: string, segments: Tally][] {
  const seen = Object.entries(ledger.sources).filter(([, { segments }]) => segments.seen > 0);
  return seen.length > 1 ? seen.map(([name, { segments }]) => [name, segments]) : [];
}

/** `seen = parsed + counted + lost`, spelled out. */
export function balance(tally: Tally, format: (value: number) => string = count): string {
  return `${format(tally.seen)} = ${format(tally.parsed)} parsed + ${format(tally.counted)} counted + ${format(total(tally.lost))} lost`;
}
