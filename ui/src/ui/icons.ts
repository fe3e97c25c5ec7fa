/** Stroke icons on a 16 × 16 field, for the canvas and for the page alike. */

const KINDS: Record<string, string> = {
  // A terminal window.
  process: 'M2.5 3h11v10h-11zM5 6.2 7 8 5 9.8M8.5 10h2.5',
  // A box.
  container: 'M8 2 13.5 5v6L8 14 2.5 11V5zM2.5 5 8 8l5.5-3M8 8v6',
  // A hexagon.
  pod: 'M8 1.8 13.4 5v6L8 14.2 2.6 11V5zM8 5.4a2.6 2.6 0 1 0 0 5.2a2.6 2.6 0 1 0 0-5.2',
  // One in front of several.
  service: 'M8 3.2a1.6 1.6 0 1 0 0 .01M3.5 11.2a1.6 1.6 0 1 0 0 .01M12.5 11.2a1.6 1.6 0 1 0 0 .01M7.2 5.8 4.6 9.8M8.8 5.8l2.6 4',
  // A rack.
  node: 'M2.5 2.5h11v4.5h-11zM2.5 9h11v4.5h-11zM5 4.75h.01M5 11.25h.01',
  // The world outside.
  outbound: 'M8 1.8a6.2 6.2 0 1 0 0 12.4a6.2 6.2 0 1 0 0-12.4M1.8 8h12.4M8 1.8c-4 4.2-4 8.2 0 12.4M8 1.8c4 4.2 4 8.2 0 12.4',
};

const UNKNOWN = 'M8 1.8a6.2 6.2 0 1 0 0 12.4a6.2 6.2 0 1 0 0-12.4';

export function kindIcon(kind: string): string {
  return KINDS[kind] ?? UNKNOWN;
}

/** Shapes that tell warning from error without colour: a triangle and a crossed circle. */
export const LEVEL_ICON = {
  warn: 'M8 2.2 14.2 13.2H1.8zM8 6.4v3.2M8 11.4v.02',
  error: 'M8 1.8a6.2 6.2 0 1 0 0 12.4a6.2 6.2 0 1 0 0-12.4M5.6 5.6l4.8 4.8M10.4 5.6 5.6 10.4',
} as const;

/** Words for a kind; "outbound" alone would puzzle. */
export function kindLabel(kind: string): string {
  return kind === 'outbound' ? 'outside host' : kind || 'unknown';
}
