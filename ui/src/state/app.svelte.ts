/** What the whole page shares: where the reader is, and the latest map, ledger and server state. */

import { untrack } from 'svelte';
import { ApiError, getLedger, getMap, getNotReady, getStatus } from '../api';
import type { Ledger, Period, ServiceMap, Status } from '../api';
import { formatHash, HOME, parseHash, WINDOWS } from './hash';
import type { Place, Selection } from './hash';
import { poll, type Poll } from './poll';
import { applyTheme, nextTheme, storedTheme, type Theme } from './theme';

const MAP_INTERVAL_MS = 2_000;
const LEDGER_INTERVAL_MS = 5_000;

/** What keeps the page from showing fresh data. */
export interface Trouble {
  kind: ApiError['kind'];
  message: string;
}

class App {
  place = $state.raw<Place>(HOME);
  live = $state(true);
  theme = $state<Theme>('system');

  map = $state.raw<ServiceMap | null>(null);
  ledger = $state.raw<Ledger | null>(null);
  status = $state.raw<Status | null>(null);
  trouble = $state.raw<Trouble | null>(null);
  /** Why capture does not run. */
  notReady = $state<string | null>(null);

  #mapPoll: Poll | null = null;

  /** Begins to follow the address bar and the server. */
  start(): () => void {
    this.theme = storedTheme();
    applyTheme(this.theme);
    this.#readAddress();
    const readAddress = (): void => this.#readAddress();
    window.addEventListener('popstate', readAddress);
    window.addEventListener('hashchange', readAddress);

    const visible = (): boolean => document.visibilityState === 'visible';
    this.#mapPoll = poll({
      run: (signal) => getMap(this.#relativePeriod(), signal),
      done: (map) => {
        this.map = map;
        this.trouble = null;
      },
      failed: (error) => {
        this.trouble = troubleOf(error);
      },
      intervalMs: MAP_INTERVAL_MS,
      // While nothing could be shown yet, keep trying even when paused.
      active: () => visible() && (this.live || this.map === null || this.trouble !== null),
    });
    let sameServer = false;
    const ledgerPoll = poll({
      run: async (signal) => {
        const [ledger, notReady, status] = await Promise.all([
          getLedger(signal),
          getNotReady(signal),
          sameServer && this.status ? this.status : getStatus(signal),
        ]);
        return { ledger, notReady, status };
      },
      done: ({ ledger, notReady, status }) => {
        this.ledger = ledger;
        this.notReady = notReady;
        this.status = status;
        sameServer = true;
      },
      failed: () => {
        // The map's poll says what is wrong. What answers next may be another version.
        sameServer = false;
      },
      intervalMs: LEDGER_INTERVAL_MS,
      active: visible,
    });
    const onVisible = (): void => {
      if (visible() && this.live) this.#mapPoll?.refresh();
    };
    document.addEventListener('visibilitychange', onVisible);

    return () => {
      window.removeEventListener('popstate', readAddress);
      window.removeEventListener('hashchange', readAddress);
      document.removeEventListener('visibilitychange', onVisible);
      this.#mapPoll?.stop();
      ledgerPoll.stop();
    };
  }

  /** Goes somewhere. A change of view or selection can be undone with the browser's back button. */
  go(change: Partial<Place>): void {
    const before = this.place;
    const after = { ...before, ...change };
    const hash = formatHash(after);
    if (hash === formatHash(before)) return;
    const undoable = after.view !== before.view || !sameSelection(after.selection, before.selection);
    if (undoable) history.pushState(null, '', hash);
    else history.replaceState(null, '', hash);
    this.#arrive(after);
  }

  select(selection: Selection | null): void {
    this.go({ selection });
  }

  setLive(live: boolean): void {
    this.live = live;
    if (live) this.#mapPoll?.refresh();
  }

  cycleTheme(): void {
    this.theme = nextTheme(this.theme);
    applyTheme(this.theme);
  }

  retry(): void {
    this.#mapPoll?.refresh();
  }

  /** The period that details are asked for: that of the map on screen, also while paused. */
  period(): Period {
    if (this.live || this.map === null || !this.map.from) return this.#relativePeriod();
    return { from: this.map.from, to: this.map.to };
  }

  #relativePeriod(): Period {
    return { from: `-${WINDOWS[this.place.window]}s`, to: '' };
  }

  #readAddress(): void {
    this.#arrive(parseHash(location.hash));
  }

  #arrive(place: Place): void {
    const other = untrack(() => this.place.window !== place.window);
    this.place = place;
    // Another window is a new question, also while paused.
    if (other) this.#mapPoll?.refresh();
  }
}

function sameSelection(a: Selection | null, b: Selection | null): boolean {
  return a?.kind === b?.kind && a?.id === b?.id;
}

export function troubleOf(error: unknown): Trouble {
  if (error instanceof ApiError) return { kind: error.kind, message: error.message };
  return { kind: 'gone', message: 'Alaz does not answer.' };
}

export const app = new App();
