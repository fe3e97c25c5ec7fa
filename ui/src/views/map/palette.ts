/** The page's colours, read from its style sheet, so that canvas and page never differ. */

import type { Level } from '../../health';

export interface Palette {
  background: string;
  surface: string;
  border: string;
  text: string;
  muted: string;
  line: string;
  accent: string;
  level: Record<Level, string>;
  font: string;
}

export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const read = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    background: read('background'),
    surface: read('surface'),
    border: read('border-strong'),
    text: read('text'),
    muted: read('muted'),
    line: read('line'),
    accent: read('accent'),
    level: { ok: read('line'), warn: read('warn'), error: read('error') },
    font: style.fontFamily,
  };
}
