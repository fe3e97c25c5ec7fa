/** Keeps one detail of the period on screen up to date, for as long as a component lives. */

import { untrack } from 'svelte';
import type { Period } from '../api';
import { app, troubleOf, type Trouble } from './app.svelte';
import { poll } from './poll';

const INTERVAL_MS = 3_000;

export interface Followed<T> {
  readonly value: T | null;
  readonly trouble: Trouble | null;
}

/** Asks for `id()`; to be called while a component is made. */
export function follow<T>(
  id: () => string,
  ask: (id: string, period: Period, signal: AbortSignal) => Promise<T>,
): Followed<T> {
  let value = $state.raw<T | null>(null);
  let trouble = $state.raw<Trouble | null>(null);
  let shown = '';

  $effect(() => {
    const wanted = id();
    // Another period is another question. While paused it is that of the map, once that is there.
    const live = app.live;
    void app.place.window;
    if (!live) void app.map;
    return untrack(() => {
      if (wanted !== shown) {
        // The old one must not stand under the new one's name.
        value = null;
        trouble = null;
        shown = wanted;
      }
      const polling = poll({
        run: (signal) => ask(wanted, app.period(), signal),
        done: (answer) => {
          value = answer;
          trouble = null;
        },
        failed: (error) => {
          trouble = troubleOf(error);
        },
        intervalMs: INTERVAL_MS,
        active: () => document.visibilityState === 'visible' && (live || value === null),
      });
      return polling.stop;
    });
  });

  return {
    get value() {
      return value;
    },
    get trouble() {
      return trouble;
    },
  };
}
