import { describe, expect, it } from 'vitest';
import { age, clock, count, duration, elideMiddle, percent, plural, rate, size } from './format';

// As a reader sees them, with plain spaces.
const plain = (text: string): string => text.replace(/[\u00a0\u202f]/g, ' ');

describe('numbers', () => {
  it.each([
    [0, '0 ns'], [999, '999 ns'], [812_345, '812 µs'], [4_205_000, '4.21 ms'], [999_999, '1.00 ms'],
    [9_996_000, '10.0 ms'], [1_500_000_000, '1.50 s'], [61_500_000_000, '61.5 s'],
  ])('%d ns is %s', (ns, text) => expect(plain(duration(ns))).toBe(text));

  it('has a dash for what is unknown', () => {
    expect(duration(null)).toBe('–');
    expect(size(undefined)).toBe('–');
  });

  it.each([[612, '612 B'], [1000, '1.00 kB'], [1_048_576, '1.05 MB'], [25_200_000_000, '25.2 GB']])(
    '%d bytes are %s', (bytes, text) => expect(plain(size(bytes))).toBe(text));

  it.each([
    [0, '0.0/s'], [4, '4.0/s'], [999.94, '999.9/s'], [999.96, '1.0k/s'], [12_345, '12.3k/s'],
    [0.094, '5.6/min'], [0.04, '2.4/min'], [0.0001, '<0.1/min'],
  ])('%d per second is %s', (perSecond, text) => expect(rate(perSecond)).toBe(text));

  it('never rounds some to none or to all', () => {
    expect(plain(percent(0, 100))).toBe('0 %');
    expect(plain(percent(1, 1_000_000))).toBe('<0.1 %');
    expect(plain(percent(999_999, 1_000_000))).toBe('>99.9 %');
    expect(plain(percent(100, 100))).toBe('100 %');
    expect(plain(percent(19, 1000))).toBe('1.9 %');
    expect(plain(percent(14, 100))).toBe('14 %');
    expect(percent(0, 0)).toBe('–');
  });

  it('sets thousands apart', () => {
    expect(count(999)).toBe('999');
    expect(plain(count(1_234_567))).toBe('1 234 567');
    expect(plain(plural(1000, 'segment'))).toBe('1 000 segments');
    expect(plural(1, 'segment')).toBe('1 segment');
    expect(plural(0, 'loss', 'losses')).toBe('0 losses');
  });
});

describe('times', () => {
  it('are the clock of the reader', () => {
    const time = new Date(2026, 0, 1, 9, 5, 7, 42);
    expect(clock(time.toISOString())).toBe('09:05:07.042');
    expect(clock(time.toISOString(), false)).toBe('09:05:07');
    expect(clock('soon')).toBe('soon');
  });

  it.each([[-3, '0 s'], [89, '89 s'], [90, '2 min'], [5400, '2 h'], [200_000, '2 days']])('%d s is %s', (seconds, text) =>
    expect(plain(age(seconds))).toBe(text));
});

describe('names', () => {
  const within = (room: number) => (text: string) => text.length <= room;

  it('are left alone where they fit', () => expect(elideMiddle('postgres', within(8))).toBe('postgres'));

  it('lose their middle, as little of it as must be', () => {
    expect(elideMiddle('recommendation-service', within(11))).toBe('recom…rvice');
    for (let room = 1; room < 22; room += 1) {
      expect(elideMiddle('recommendation-service', within(room))).toHaveLength(room);
    }
  });

  it('become a dot where nothing fits', () => expect(elideMiddle('postgres', () => false)).toBe('…'));
});
