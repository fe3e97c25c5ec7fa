import { describe, expect, it } from 'vitest';
import { edgeHealth, errorLevel, nodeHealth } from './health';
import { edge, node } from './testing';

const of = (change: object) => edgeHealth(edge({ id: 'e', from: 'a', to: 'b', requests: 1000, ...change }));

describe('an edge', () => {
  it('is fine without errors', () => expect(of({ status: { '2xx': 1000 } })).toEqual({ level: 'ok', why: '' }));

  it('is in error from one in a hundred on', () => {
    expect(of({ errors: 9 }).level).toBe('warn');
    expect(of({ errors: 10 }).level).toBe('error');
    expect(of({ errors: 10 }).why).toMatch(/^1\.0.% errors$/);
  });

  it('warns when slow, and says all its reasons', () => {
    expect(of({ slow: true })).toEqual({ level: 'warn', why: 'slower than usual' });
    expect(of({ slow: true, errors: 500 })).toMatchObject({ level: 'error', why: expect.stringContaining('slower than usual') });
  });

  it('warns of many client errors, not of some', () => {
    expect(of({ status: { '4xx': 199 } }).level).toBe('ok');
    expect(of({ status: { '4xx': 200 } })).toMatchObject({ level: 'warn', why: expect.stringContaining('client errors') });
    expect(of({ status: { '401': 150, '404': 50 } }).level).toBe('warn');
    // Four of four calls may be anyone's typing mistake.
    expect(of({ requests: 4, status: { '404': 4 } }).level).toBe('ok');
    expect(of({ requests: 5, status: { '404': 5 } }).level).toBe('warn');
  });

  it('takes codes for what they mean in its protocol', () => {
    expect(of({ protocol: 'grpc', status: { '5': 400, '0': 600 } }).level).toBe('warn');
    expect(of({ protocol: 'dns', status: { NXDOMAIN: 800, NOERROR: 200 } }).level).toBe('ok');
  });
});

describe('a node', () => {
  it('is judged by what it answers', () => {
    expect(nodeHealth(node({ id: 'n', requests_in: 100, errors_in: 1 })).level).toBe('error');
    expect(nodeHealth(node({ id: 'n', requests_in: 101, errors_in: 1 })).level).toBe('warn');
    expect(nodeHealth(node({ id: 'n', requests_out: 100, errors_out: 100 })).level).toBe('ok');
  });
});

it('errors of nothing are errors', () => expect(errorLevel(1, 0)).toBe('error'));
