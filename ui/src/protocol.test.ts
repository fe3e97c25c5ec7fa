import { describe, expect, it } from 'vitest';
import { operation, routeWord, statusClass, statusText } from './protocol';

describe('status', () => {
  it.each([
    ['http', '200', 'good'], ['http', '2xx', 'good'], ['http', '101', 'good'], ['http', '304', 'redirect'],
    ['http', '404', 'refused'], ['http2', '4xx', 'refused'], ['http', '503', 'failed'], ['http', '999', 'other'],
    ['grpc', '0', 'good'], ['grpc', '5', 'refused'], ['grpc', '14', 'failed'], ['grpc', '2', 'failed'], ['grpc', '77', 'other'],
    ['postgresql', 'ok', 'good'], ['postgresql', '23505', 'failed'], ['mysql', '1062', 'failed'],
    // Not HTTP's: codes of others may look like it.
    ['mongodb', '251', 'failed'], ['amqp', '404', 'failed'],
    ['redis', 'ok', 'good'], ['redis', 'WRONGTYPE', 'failed'], ['kafka', 'NONE', 'good'], ['kafka', 'NOT_LEADER_OR_FOLLOWER', 'failed'],
    ['dns', 'NOERROR', 'good'], ['dns', 'NXDOMAIN', 'other'], ['dns', 'SERVFAIL', 'failed'],
  ])('of %s: %s is %s', (protocol, code, expected) => expect(statusClass(protocol, code)).toBe(expected));

  it.each(['http', 'grpc', 'redis', 'dns', 'unheard-of'])('of %s without an answer is what happened instead', (protocol) => {
    expect(statusClass(protocol, 'no_response')).toBe('failed');
    expect(statusClass(protocol, 'reset')).toBe('failed');
    expect(statusClass(protocol, 'refused')).toBe('failed');
    expect(statusClass(protocol, 'one_way')).toBe('other');
    expect(statusClass(protocol, 'other')).toBe('other');
    expect(statusClass(protocol, '')).toBe('other');
  });

  it('is said in words where there are any', () => {
    expect(statusText('grpc', '14')).toBe('14 UNAVAILABLE');
    expect(statusText('grpc', 'x')).toBe('x');
    expect(statusText('http', '404')).toBe('404');
    expect(statusText('http', 'no_response')).toBe('no response');
    expect(statusText('http', '')).toBe('none');
  });
});

describe('operation', () => {
  it.each([
    ['http', 'GET', '/users/{id}', 'GET', '/users/{id}'],
    ['postgresql', 'SELECT', 'SELECT id FROM users', 'SELECT', 'id FROM users'],
    ['mysql', 'select', 'SELECT 1', 'select', '1'],
    ['postgresql', 'COMMIT', '', 'COMMIT', ''],
    // A statement that only looks repeated.
    ['postgresql', 'SELECT', 'SELECTED', 'SELECT', 'SELECTED'],
    ['redis', 'GET', 'session:?', 'GET', 'session:?'],
    ['grpc', 'Get', 'shop.v1.Carts', '', 'shop.v1.Carts/Get'],
    ['grpc', 'Get', '', '', 'Get'],
    ['http', '', '', '', ''],
  ])('of %s %s %s', (protocol, method, target, verb, rest) => expect(operation(protocol, method, target)).toEqual({ verb, rest }));

  it('is grouped under a word of its protocol', () => {
    expect(['http2', 'mysql', 'redis', 'grpc', 'dns', 'kafka', 'later'].map(routeWord)).toEqual([
      'Route', 'Statement', 'Command', 'Method', 'Name', 'Operation', 'Operation',
    ]);
  });
});
