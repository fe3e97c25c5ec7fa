import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { poll, type Poll } from './poll';

/** A call that is answered by hand. */
interface Call {
  signal: AbortSignal;
  answer: (value: string) => void;
  fail: (error: Error) => void;
}

let calls: Call[];
let done: string[];
let failed: unknown[];
let active: boolean;
let polling: Poll;

beforeEach(() => {
  vi.useFakeTimers();
  [calls, done, failed, active] = [[], [], [], true];
  polling = poll<string>({
    run: (signal) => new Promise((answer, fail) => calls.push({ signal, answer, fail })),
    done: (value) => done.push(value),
    failed: (error) => failed.push(error),
    intervalMs: 1000,
    active: () => active,
  });
});
afterEach(() => {
  polling.stop();
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe('poll', () => {
  it('asks at once, and again after each answer', async () => {
    expect(calls).toHaveLength(1);
    await pass(5000);
    expect(calls).toHaveLength(1);
    calls[0]!.answer('a');
    await pass(999);
    expect(done).toEqual(['a']);
    expect(calls).toHaveLength(1);
    await pass(1);
    expect(calls).toHaveLength(2);
  });

  it('asks a server that is down less and less, and recovers at once', async () => {
    const gaps: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      calls.at(-1)!.fail(new Error('down'));
      const before = calls.length;
      let waited = 0;
      while (calls.length === before) {
        await pass(500);
        waited += 500;
      }
      gaps.push(waited);
    }
    expect(gaps).toEqual([1000, 2000, 3000, 4000, 4000, 4000]);
    expect(failed).toHaveLength(6);
    calls.at(-1)!.answer('back');
    await pass(1000);
    expect(calls).toHaveLength(8);
  });

  it('drops a call that takes too long', async () => {
    calls[0]!.signal.addEventListener('abort', () => calls[0]!.fail(new Error('aborted')));
    await pass(15_000);
    expect(failed).toHaveLength(1);
    await pass(1000);
    expect(calls).toHaveLength(2);
  });

  it('lets a newer question win over an older answer', async () => {
    polling.refresh();
    expect(calls[0]!.signal.aborted).toBe(true);
    calls[1]!.answer('new');
    calls[0]!.answer('old');
    await pass(0);
    expect(done).toEqual(['new']);
    // The dropped call does not start a second rhythm.
    await pass(1000);
    expect(calls).toHaveLength(3);
  });

  it('rests while nobody looks, and goes on by itself', async () => {
    active = false;
    calls[0]!.answer('a');
    await pass(10_000);
    expect(calls).toHaveLength(1);
    active = true;
    await pass(1000);
    expect(calls).toHaveLength(2);
  });

  it('is silent once stopped', async () => {
    polling.stop();
    expect(calls[0]!.signal.aborted).toBe(true);
    calls[0]!.answer('late');
    await pass(10_000);
    expect([done, failed, calls.length]).toEqual([[], [], 1]);
  });
});
