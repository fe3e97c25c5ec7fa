import { describe, expect, it } from 'vitest';
import { amount, flag, list, maybe, object, tally, text, texts } from './decode';

const ODD = [undefined, null, true, 3, NaN, Infinity, 'x', [], [1], {}, { a: 1 }];

describe('decode', () => {
  it('takes anything and gives the type it promises', () => {
    for (const value of ODD) {
      expect(typeof text(value)).toBe('string');
      expect(Number.isFinite(amount(value))).toBe(true);
      expect(typeof flag(value)).toBe('boolean');
      expect(Array.isArray(object(value))).toBe(false);
      expect(object(value)).not.toBeNull();
      expect(Array.isArray(list(value, (item) => item))).toBe(true);
      expect(Object.values(tally(value)).every(Number.isFinite)).toBe(true);
      expect(Object.values(texts(value)).every((item) => typeof item === 'string')).toBe(true);
    }
  });

  it('keeps what is there', () => {
    expect(text('ok')).toBe('ok');
    expect(text(404)).toBe('404');
    expect(amount(1.5)).toBe(1.5);
    expect(object({ a: 1 })).toEqual({ a: 1 });
    expect(tally({ a: 1, b: 'no', c: NaN, d: 2 })).toEqual({ a: 1, d: 2 });
    expect(texts({ a: 'x', b: 2, c: null })).toEqual({ a: 'x', b: '2', c: '' });
  });

  it('tells unknown from zero', () => {
    expect(maybe(0)).toBe(0);
    expect(maybe(null)).toBeNull();
    expect(maybe('7')).toBeNull();
    expect(maybe(NaN)).toBeNull();
  });

  it('takes only true for true', () => {
    expect(flag(true)).toBe(true);
    expect(flag('true')).toBe(false);
    expect(flag(1)).toBe(false);
  });

  it('leaves out items that cannot be decoded', () => {
    expect(list([{ id: 'a' }, 5, { id: 'b' }], (item) => text(item.id) || null)).toEqual(['a', 'b']);
  });
});
