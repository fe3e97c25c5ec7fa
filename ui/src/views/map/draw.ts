/** Paints one frame of the map. Knows nothing of time, input or the server. */

import { duration, elideMiddle, percent, rate } from '../../format';
import { edgeHealth, nodeHealth, type Level } from '../../health';
import type { MapEdge, MapNode } from '../../types';
import { kindIcon, kindLabel, LEVEL_ICON } from '../../ui/icons';
import type { Camera, Size } from './camera';
import { placeLabels, type Wanted } from './labels';
import { CARD, type Point } from './layout';
import type { Palette } from './palette';
import type { Route } from './route';

export interface Scene {
  nodes: readonly MapNode[];
  edges: readonly MapEdge[];
  places: ReadonlyMap<string, Point>;
  routes: ReadonlyMap<string, Route>;
  seconds: number;
  camera: Camera;
  /** What the filter leaves; null for everything. */
  focus: { nodes: ReadonlySet<string>; edges: ReadonlySet<string> } | null;
  /** Hovered or selected, with its neighbours; null where nothing is. */
  active: Active | null;
  selected: string | null;
  palette: Palette;
}

export interface Active {
  nodes: ReadonlySet<string>;
  edges: ReadonlySet<string>;
}

const DASH: Record<Level, number[]> = { ok: [], warn: [10, 4, 2, 4], error: [7, 4] };
const FILTERED_ALPHA = 0.14;
const INACTIVE_ALPHA = 0.35;
const ZOMBIE_ALPHA = 0.6;
/** Above this many, labels of edges show only where the reader points. */
const LABELLED_EDGES = 28;
/** Below this scale text is too small to read. */
const READABLE_SCALE = 0.55;
const LABEL_HEIGHT = 16;

export function draw(context: CanvasRenderingContext2D, scene: Scene, view: Size, density: number): void {
  const { camera, palette } = scene;
  context.setTransform(density, 0, 0, density, 0, 0);
  context.fillStyle = palette.background;
  context.fillRect(0, 0, view.width, view.height);
  context.setTransform(density * camera.scale, 0, 0, density * camera.scale, density * camera.x, density * camera.y);
  context.textBaseline = 'middle';

  // What is pointed at lies on top of what is not.
  const [back, front] = [scene.edges.filter((edge) => !isActive(scene, edge)), scene.edges.filter((edge) => isActive(scene, edge))];
  for (const edge of [...back, ...front]) drawEdge(context, scene, edge);
  for (const node of scene.nodes) drawCard(context, scene, node);
  drawLabels(context, scene);
  context.globalAlpha = 1;
}

function isActive(scene: Scene, edge: MapEdge): boolean {
  return scene.active?.edges.has(edge.id) ?? false;
}

function alphaOf(scene: Scene, kind: 'nodes' | 'edges', id: string): number {
  const filtered = scene.focus !== null && !scene.focus[kind].has(id) ? FILTERED_ALPHA : 1;
  const inactive = scene.active !== null && !scene.active[kind].has(id) ? INACTIVE_ALPHA : 1;
  return Math.min(filtered, inactive);
}

/** Wider for more calls; each tenfold adds the same. */
export function edgeWidth(perSecond: number): number {
  return Math.min(6, 1.4 + 1.15 * Math.log10(1 + perSecond));
}

function drawEdge(context: CanvasRenderingContext2D, scene: Scene, edge: MapEdge): void {
  const route = scene.routes.get(edge.id);
  if (!route) return;
  const { level } = edgeHealth(edge);
  const { points } = route;
  const width = edgeWidth(edge.rate);
  const selected = scene.selected === edge.id;
  const colour = scene.palette.level[level];
  context.globalAlpha = alphaOf(scene, 'edges', edge.id);

  const end = points[points.length - 1]!;
  const before = points[points.length - 2]!;
  const angle = Math.atan2(end.y - before.y, end.x - before.x);
  const arrow = 7 + width;
  // The line stops inside the arrowhead, so that its tip stays sharp.
  const stop = { x: end.x - Math.cos(angle) * arrow * 0.7, y: end.y - Math.sin(angle) * arrow * 0.7 };

  const trace = (): void => {
    context.beginPath();
    context.moveTo(points[0]!.x, points[0]!.y);
    for (let i = 1; i + 2 < points.length; i += 3) {
      const [a, b, c] = [points[i]!, points[i + 1]!, i + 3 >= points.length ? stop : points[i + 2]!];
      context.bezierCurveTo(a.x, a.y, b.x, b.y, c.x, c.y);
    }
  };
  if (selected) {
    context.strokeStyle = scene.palette.accent;
    context.setLineDash([]);
    context.lineWidth = width + 6;
    const alpha = context.globalAlpha;
    context.globalAlpha = alpha * 0.3;
    trace();
    context.stroke();
    context.globalAlpha = alpha;
  }
  context.strokeStyle = colour;
  context.lineWidth = isActive(scene, edge) ? width + 0.8 : width;
  context.setLineDash(DASH[level]);
  trace();
  context.stroke();
  context.setLineDash([]);

  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(end.x, end.y);
  for (const turn of [0.42, -0.42]) {
    context.lineTo(end.x - Math.cos(angle + turn) * arrow, end.y - Math.sin(angle + turn) * arrow);
  }
  context.closePath();
  context.fill();
}

function drawCard(context: CanvasRenderingContext2D, scene: Scene, node: MapNode): void {
  const corner = scene.places.get(node.id);
  if (!corner) return;
  const { palette } = scene;
  const { x, y } = corner;
  const { level } = nodeHealth(node);
  const selected = scene.selected === node.id;

  context.beginPath();
  context.roundRect(x, y, CARD.width, CARD.height, 9);
  // Opaque first: edges must not shine through a dimmed card.
  context.globalAlpha = 1;
  context.fillStyle = palette.background;
  context.fill();
  context.globalAlpha = alphaOf(scene, 'nodes', node.id) * (node.zombie ? ZOMBIE_ALPHA : 1);
  context.fillStyle = palette.surface;
  context.fill();
  context.lineWidth = selected ? 2.5 : 1;
  context.strokeStyle = selected ? palette.accent : level === 'ok' ? palette.border : palette.level[level];
  context.setLineDash(node.zombie ? [4, 3] : []);
  context.stroke();
  context.setLineDash([]);
  if (scene.camera.scale < 0.25) return;

  icon(context, kindIcon(node.kind), x + 12, y + 11, 16, palette.muted, 1.3);
  if (level !== 'ok') icon(context, LEVEL_ICON[level], x + CARD.width - 26, y + 12, 15, palette.level[level], 1.6);

  context.font = `600 13px ${palette.font}`;
  context.fillStyle = palette.text;
  context.textAlign = 'left';
  const room = CARD.width - 36 - (level === 'ok' ? 12 : 32);
  context.fillText(elided(context, node.name, room), x + 36, y + 19.5);

  context.font = `11px ${palette.font}`;
  const facts = cardFacts(node, scene.seconds);
  context.textAlign = 'right';
  let right = x + CARD.width - 12;
  if (facts.errors) {
    context.fillStyle = palette.level[level];
    context.fillText(facts.errors, right, y + 39);
    right -= context.measureText(facts.errors).width + 6;
  }
  context.fillStyle = palette.text;
  context.fillText(facts.rate, right, y + 39);
  right -= context.measureText(facts.rate).width + 8;
  context.textAlign = 'left';
  context.fillStyle = palette.muted;
  context.fillText(elided(context, facts.kind, right - (x + 12)), x + 12, y + 39);
}

function cardFacts(node: MapNode, seconds: number): { kind: string; rate: string; errors: string } {
  const kind = node.namespace ? `${kindLabel(node.kind)} · ${node.namespace}` : kindLabel(node.kind);
  if (node.zombie) return { kind, rate: 'no requests', errors: '' };
  const perSecond = (requests: number): string => rate(seconds > 0 ? requests / seconds : 0);
  if (node.requests_in === 0 && node.requests_out > 0) {
    return { kind, rate: `calls ${perSecond(node.requests_out)}`, errors: '' };
  }
  const errors = node.errors_in > 0 ? percent(node.errors_in, node.requests_in) : '';
  return { kind, rate: perSecond(node.requests_in), errors };
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

/** `41/s · 8.20 ms · 1.2 %`: rate, p95, errors. */
export function edgeLabel(edge: MapEdge): string {
  const errors = edge.errors > 0 ? ` · ${percent(edge.errors, edge.requests)}` : '';
  return `${rate(edge.rate)} · ${duration(edge.p95_ns)}${errors}`;
}

function drawLabels(context: CanvasRenderingContext2D, scene: Scene): void {
  const { palette, camera } = scene;
  const all = scene.edges.length <= LABELLED_EDGES && camera.scale >= READABLE_SCALE;
  // Labels that are asked for stay readable when the map is small.
  const grow = Math.max(1, 0.8 / camera.scale);
  const shown = scene.edges
    .filter((edge) => isActive(scene, edge) || (all && !(scene.focus && !scene.focus.edges.has(edge.id))))
    .sort((a, b) => Number(isActive(scene, b)) - Number(isActive(scene, a)) || b.rate - a.rate);
  const wanted: Wanted[] = [];
  const parts = new Map<string, { port: string; text: string; portWidth: number }>();
  context.font = `${11 * grow}px ${palette.font}`;
  for (const edge of shown) {
    const [port, text] = [edge.port > 0 ? `:${edge.port} ` : '', edgeLabel(edge)];
    const portWidth = port ? context.measureText(port).width + 2 * grow : 0;
    parts.set(edge.id, { port, text, portWidth });
    const width = portWidth + context.measureText(text).width + 10 * grow;
    wanted.push({ id: edge.id, width, height: LABEL_HEIGHT * grow, forced: isActive(scene, edge) });
  }
  const middles = placeLabels(wanted, scene.routes, scene.places);
  context.textAlign = 'left';
  for (const { id, width, height } of wanted) {
    const at = middles.get(id);
    const edge = scene.edges.find((candidate) => candidate.id === id);
    const part = parts.get(id);
    if (!at || !edge || !part) continue;
    const { level } = edgeHealth(edge);
    context.globalAlpha = alphaOf(scene, 'edges', id);
    context.fillStyle = palette.background;
    context.beginPath();
    context.roundRect(at.x - width / 2, at.y - height / 2, width, height, 5 * grow);
    context.fill();
    const left = at.x - width / 2 + 5 * grow;
    context.fillStyle = palette.muted;
    context.fillText(part.port, left, at.y + 0.5);
    context.fillStyle = level === 'ok' ? palette.text : palette.level[level];
    context.fillText(part.text, left + part.portWidth, at.y + 0.5);
  }
}
