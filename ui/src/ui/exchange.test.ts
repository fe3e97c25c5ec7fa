import { describe, expect, it } from 'vitest';
import { exchange } from '../testing';
import { exchangeLevel, keyed, outcomeText } from './exchange';

describe('an exchange', () => {
  it('is told by its status, or by what happened instead', () => {
    expect(outcomeText(exchange({ status: '404' }))).toBe('404');
    expect(outcomeText(exchange({ protocol: 'grpc', status: '14' }))).toBe('14 UNAVAILABLE');
    expect(outcomeText(exchange({ status: '', outcome: 'no_response' }))).toBe('no response');
    expect(outcomeText(exchange({ status: '', outcome: 'one_way' }))).toBe('one way');
    expect(outcomeText(exchange({ status: '200', outcome: 'partial' }))).toBe('partial');
  });

  it('is coloured by whose fault it is', () => {
    expect(exchangeLevel(exchange())).toBe('ok');
    expect(exchangeLevel(exchange({ status: '404' }))).toBe('warn');
    expect(exchangeLevel(exchange({ protocol: 'amqp', status: '404', error: true }))).toBe('error');
    expect(exchangeLevel(exchange({ status: '', outcome: 'reset', error: true }))).toBe('error');
  });

  it('has a key that tells twins apart and stays as newer ones come', () => {
    const [old, twin, other] = [exchange(), exchange(), exchange({ time: '2026-01-01T11:59:59Z' })];
    const before = keyed([old, twin, other]).map(({ key }) => key);
    expect(new Set(before).size).toBe(3);
    const after = keyed([exchange({ time: '2026-01-01T12:00:01Z' }), old, twin, other]).map(({ key }) => key);
    expect(after.slice(1)).toEqual(before);
  });
});
