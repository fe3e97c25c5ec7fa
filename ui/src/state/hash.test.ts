import { describe, expect, it } from 'vitest';
import { formatHash, HOME, parseHash, slowerThan, type Place } from './hash';

describe('the address', () => {
  const places: Place[] = [
    HOME,
    { ...HOME, view: 'table', window: '1h', filter: 'a b&c=d?#%', problems: true },
    { ...HOME, view: 'statements', filter: 'web' },
    { ...HOME, view: 'topics' },
    { ...HOME, selection: { kind: 'edge', id: 'e/1 ü' } },
    { ...HOME, view: 'requests', selection: { kind: 'node', id: 'n1' }, requests: { errors: true, slowerThan: '50ms', protocol: 'grpc' } },
  ];
  it.each(places)('comes back as it was: %j', (place) => expect(parseHash(formatHash(place))).toEqual(place));

  it('leaves out what is usual', () => expect(formatHash(HOME)).toBe('#/map'));

  it.each(['', '#', '#/', '#/nowhere', '#/map?window=2m', '#/map?window=toString', '#/map?%zz=%', '#?'])('%j is home', (hash) =>
    expect(parseHash(hash)).toEqual(HOME));

  it('ignores the empty selection', () => expect(parseHash('#/map?edge=&node=n1').selection).toEqual({ kind: 'node', id: 'n1' }));
});

describe('slower than', () => {
  it.each([
    ['', ''], ['50', '50ms'], ['50ms', '50ms'], [' 1.5 S ', '1.5s'], ['20 µs', '20us'], ['3us', '3us'], ['2m', '2m'], ['7ns', '7ns'],
  ])('%j is %j', (input, expected) => expect(slowerThan(input)).toBe(expected));

  it.each(['x', '-1ms', '1h', '1.ms', '.5s', '1e3', '50 ms x'])('%j is not a duration', (input) => expect(slowerThan(input)).toBeNull());
});
