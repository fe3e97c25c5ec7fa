/** Asks again and again, one call at a time, and gives up a call that nobody waits for. */

export interface Poll {
  /** Drops a running call and asks now. */
  refresh: () => void;
  stop: () => void;
}

export interface PollOptions<T> {
  run: (signal: AbortSignal) => Promise<T>;
  done: (value: T) => void;
  failed: (error: unknown) => void;
  /** From the end of one call to the start of the next. */
  intervalMs: number;
  /** Whether to go on by itself; asked before each round. */
  active: () => boolean;
}

/** A call without an answer for this long counts as failed. */
const TIMEOUT_MS = 15_000;
const MAX_BACKOFF = 4;

export function poll<T>(options: PollOptions<T>): Poll {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let controller: AbortController | null = null;
  let failures = 0;
  let stopped = false;

  async function ask(): Promise<void> {
    const mine = new AbortController();
    controller = mine;
    const timeout = setTimeout(() => mine.abort(), TIMEOUT_MS);
    try {
      const value = await options.run(mine.signal);
      // Another call took over, or nobody listens any more: an old answer must not win.
      if (controller !== mine || stopped) return;
      failures = 0;
      options.done(value);
    } catch (error) {
      if (controller !== mine || stopped) return;
      failures += 1;
      options.failed(error);
    } finally {
      clearTimeout(timeout);
      if (controller === mine) {
        controller = null;
        if (!stopped) schedule();
      }
    }
  }

  function schedule(): void {
    // A server that is down is not helped by being asked often.
    timer = setTimeout(tick, options.intervalMs * Math.min(MAX_BACKOFF, Math.max(1, failures)));
  }

  function tick(): void {
    if (options.active()) void ask();
    else schedule();
  }

  function cancel(): void {
    clearTimeout(timer);
    controller?.abort();
    controller = null;
  }

  void ask();
  return {
    refresh: () => {
      cancel();
      void ask();
    },
    stop: () => {
      stopped = true;
      cancel();
    },
  };
}
