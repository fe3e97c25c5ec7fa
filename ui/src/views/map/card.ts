/** Paints the card of one node, its text growing as the map shrinks, so that names can be read longest. */

import { elideMiddle, percent, rate } from '../../format';
import { nodeHealth } from '../../health';
import type { MapNode } from '../../types';
import { kindIcon, kindLabel, LEVEL_ICON } from '../../ui/icons';
import { CARD, type Point } from './layout';
import type { Palette } from './palette';

export interface CardLook {
  scale: number;
  seconds: number;
  alpha: number;
  selected: boolean;
  /** The keyboard is on it. */
  ringed: boolean;
  palette: Palette;
}

const ZOMBIE_ALPHA = 0.6;
const PADDING = 12;
/** Where the two lines of text have their middles. */
const LINES = { name: 19, facts: 40 } as const;
/** Below this scale a card shows its name only, and below that one nothing but its colour. */
const FACTS_SCALE = 0.42;
const NAME_SCALE = 0.2;
/** Below this one the name needs the room of the icon. */
const ICON_SCALE = 0.55;

/** Sizes of text on the sheet, so that on screen it keeps what can be read as long as the card has room. */
export function textSizes(scale: number): { name: number; facts: number | null } {
  if (scale < FACTS_SCALE) return { name: Math.min(32, 11 / scale), facts: null };
  return { name: clamp(11.5 / scale, 13, 21), facts: clamp(9.5 / scale, 11, 17) };
}

export function drawCard(context: CanvasRenderingContext2D, node: MapNode, { x, y }: Point, look: CardLook): void {
  const { palette, scale, selected } = look;
  const { level } = nodeHealth(node);

  context.beginPath();
  context.roundRect(x, y, CARD.width, CARD.height, 9);
  // Opaque first: edges must not shine through a dimmed card.
  context.globalAlpha = 1;
  context.fillStyle = palette.background;
  context.fill();
  context.globalAlpha = look.alpha * (node.zombie ? ZOMBIE_ALPHA : 1);
  context.fillStyle = palette.surface;
  context.fill();
  context.lineWidth = (selected ? 2.5 : 1) * Math.max(1, 0.7 / scale);
  context.strokeStyle = selected ? palette.accent : level === 'ok' ? palette.border : palette.level[level];
  context.setLineDash(node.zombie ? [4, 3] : []);
  context.stroke();
  context.setLineDash([]);
  if (look.ringed) drawRing(context, { x, y }, look);
  if (scale < NAME_SCALE) return;

  const sizes = textSizes(scale);
  const nameMiddle = y + (sizes.facts === null ? CARD.height / 2 : LINES.name);
  let [left, right] = [x + PADDING, x + CARD.width - PADDING];
  if (scale >= ICON_SCALE) {
    const side = sizes.name * 1.2;
    icon(context, kindIcon(node.kind), left, nameMiddle - side / 2, side, palette.muted, 1.3);
    left += side * 1.5;
  }
  if (level !== 'ok') {
    const side = sizes.name * 1.15;
    right -= side;
    icon(context, LEVEL_ICON[level], right, nameMiddle - side / 2, side, palette.level[level], 1.6);
    right -= side * 0.4;
  }
  context.font = `600 ${sizes.name}px ${palette.font}`;
  context.fillStyle = palette.text;
  context.textAlign = 'left';
  context.fillText(elided(context, node.name, right - left), left, nameMiddle + 0.5);
  if (sizes.facts !== null) drawFacts(context, node, { x, y }, look, sizes.facts);
}

/** Around the card, as the page marks what has the focus. */
function drawRing(context: CanvasRenderingContext2D, { x, y }: Point, { palette, scale, alpha }: CardLook): void {
  const away = 4 / Math.min(1, scale);
  context.globalAlpha = 1;
  context.beginPath();
  context.roundRect(x - away, y - away, CARD.width + 2 * away, CARD.height + 2 * away, 9 + away);
  context.lineWidth = 2 / Math.min(1, scale);
  context.strokeStyle = palette.accent;
  context.stroke();
  context.globalAlpha = alpha;
}

function drawFacts(context: CanvasRenderingContext2D, node: MapNode, { x, y }: Point, look: CardLook, size: number): void {
  const { palette } = look;
  const { level } = nodeHealth(node);
  const facts = cardFacts(node, look.seconds);
  const middle = y + LINES.facts;
  let right = x + CARD.width - PADDING;
  context.font = `${size}px ${palette.font}`;
  context.textAlign = 'right';
  if (facts.errors) {
    context.fillStyle = palette.level[level];
    context.fillText(facts.errors, right, middle);
    right -= context.measureText(facts.errors).width + size * 0.55;
  }
  context.fillStyle = palette.text;
  context.fillText(facts.rate, right, middle);
  right -= context.measureText(facts.rate).width + size * 0.7;
  const room = right - (x + PADDING);
  context.textAlign = 'left';
  context.fillStyle = palette.muted;
  // The icon says the kind too: in parts it would say less than nothing.
  const kind = facts.kinds.find((text) => context.measureText(text).width <= room);
  if (kind) context.fillText(kind, x + PADDING, middle);
}

/** The second line of a card; `kinds` from the longest to the shortest that still says something. */
export function cardFacts(node: MapNode, seconds: number): { kinds: string[]; rate: string; errors: string } {
  const kind = kindLabel(node.kind);
  const kinds = node.namespace ? [`${kind} · ${node.namespace}`, node.namespace, kind] : [kind];
  if (node.requests_in + node.requests_out === 0) return { kinds, rate: 'no requests', errors: '' };
  const perSecond = (requests: number): string => rate(seconds > 0 ? requests / seconds : 0);
  if (node.requests_in === 0 && node.requests_out > 0) {
    return { kinds, rate: `calls ${perSecond(node.requests_out)}`, errors: '' };
  }
  const errors = node.errors_in > 0 ? percent(node.errors_in, node.requests_in) : '';
  return { kinds, rate: perSecond(node.requests_in), errors };
}

/** Path, size and colour in, drawn from its upper left corner. */
function icon(context: CanvasRenderingContext2D, path: string, x: number, y: number, size: number, colour: string, width: number): void {
  context.save();
  context.translate(x, y);
  context.scale(size / 16, size / 16);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.lineCap = 'round';
  context.lineJoin = 'round';
  context.stroke(cachedPath(path));
  context.restore();
}

const paths = new Map<string, Path2D>();

function cachedPath(path: string): Path2D {
  let made = paths.get(path);
  if (!made) paths.set(path, (made = new Path2D(path)));
  return made;
}

const elisions = new Map<string, string>();

/** Measuring text is the dearest part of a frame, and names seldom change. */
function elided(context: CanvasRenderingContext2D, text: string, room: number): string {
  const key = `${context.font} ${Math.round(room)} ${text}`;
  let result = elisions.get(key);
  if (result === undefined) {
    if (elisions.size > 5_000) elisions.clear();
    result = elideMiddle(text, (candidate) => context.measureText(candidate).width <= room);
    elisions.set(key, result);
  }
  return result;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
