/** What the address carries, so that a link shows what its sender saw. */

export const VIEWS = ['map', 'table', 'statements', 'topics', 'requests'] as const;
export type View = (typeof VIEWS)[number];

export const WINDOWS = { '1m': 60, '5m': 300, '15m': 900, '1h': 3600 } as const;
export type Window = keyof typeof WINDOWS;

export interface Selection {
  kind: 'edge' | 'node';
  id: string;
}

export interface Place {
  view: View;
  window: Window;
  filter: string;
  problems: boolean;
  selection: Selection | null;
  requests: RequestFilter;
}

/** The filters of the requests view. */
export interface RequestFilter {
  errors: boolean;
  slowerThan: string;
  protocol: string;
}

export const HOME: Place = {
  view: 'map',
  window: '5m',
  filter: '',
  problems: false,
  selection: null,
  requests: { errors: false, slowerThan: '', protocol: '' },
};

/** `#/map?window=15m&edge=e1`; what is unknown there is ignored. */
export function parseHash(hash: string): Place {
  const [path = '', search = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const query = new URLSearchParams(search);
  const view = VIEWS.find((known) => known === path) ?? HOME.view;
  const window = query.get('window') ?? '';
  const edge = query.get('edge');
  const node = query.get('node');
  return {
    view,
    window: Object.hasOwn(WINDOWS, window) ? (window as Window) : HOME.window,
    filter: query.get('filter') ?? '',
    problems: query.has('problems'),
    selection: edge ? { kind: 'edge', id: edge } : node ? { kind: 'node', id: node } : null,
    requests: {
      errors: query.has('errors'),
      slowerThan: query.get('slower_than') ?? '',
      protocol: query.get('protocol') ?? '',
    },
  };
}

/** The shortest address of a place: defaults are left out. */
export function formatHash(place: Place): string {
  const query = new URLSearchParams();
  if (place.window !== HOME.window) query.set('window', place.window);
  if (place.filter) query.set('filter', place.filter);
  if (place.problems) query.set('problems', '1');
  if (place.selection) query.set(place.selection.kind, place.selection.id);
  if (place.requests.errors) query.set('errors', '1');
  if (place.requests.slowerThan) query.set('slower_than', place.requests.slowerThan);
  if (place.requests.protocol) query.set('protocol', place.requests.protocol);
  const search = query.toString();
  return `#/${place.view}${search ? `?${search}` : ''}`;
}

/** A duration as the API takes it (`50ms`, `1.5s`), or null where it is not one. A bare number is ms. */
export function slowerThan(input: string): string | null {
  const text = input.trim().toLowerCase();
  if (text === '') return '';
  const match = /^(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m)?$/.exec(text);
  return match ? `${match[1]}${match[2] === 'µs' ? 'us' : (match[2] ?? 'ms')}` : null;
}
