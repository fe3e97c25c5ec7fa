/** Paints one frame of the map. Knows nothing of time, input or the server. */

import { isOnlyConnections } from '../../connections';
import { edgeHealth, type Level } from '../../health';
import type { MapEdge, MapNode } from '../../types';
import type { Camera, Size } from './camera';
import { drawCard } from './card';
import { byWeight, edgeFacts, placeLabels, problemLabel, steadyWidth, type Wanted } from './labels';
import type { Point } from './layout';
import type { Palette } from './palette';
import type { Route } from './route';

export interface Scene {
  nodes: readonly MapNode[];
  edges: readonly MapEdge[];
  places: ReadonlyMap<string, Point>;
  routes: ReadonlyMap<string, Route>;
  /** Whether there is room for labels on all edges, or only on those with problems. */
  roomy: boolean;
  seconds: number;
  camera: Camera;
  /** What the filter leaves; null for everything. */
  focus: { nodes: ReadonlySet<string>; edges: ReadonlySet<string> } | null;
  /** Hovered or selected, with its neighbours; null where nothing is. */
  active: Active | null;
  selected: string | null;
  /** The card that the keyboard is on. */
  ring: string | null;
  palette: Palette;
}

export interface Active {
  nodes: ReadonlySet<string>;
  edges: ReadonlySet<string>;
}

export const DASH: Record<Level, number[]> = { ok: [], warn: [10, 4, 2, 4], error: [7, 4] };
/** Of connections of which it is not known what they speak: thinner in ink, whatever the level. */
export const CONNECTION_DASH = [2, 4];
const CONNECTION_ALPHA = 0.65;
const FILTERED_ALPHA = 0.14;
const INACTIVE_ALPHA = 0.35;
/** Below this scale labels, which grow as the map shrinks, would cover it; but for those asked for. */
const LABEL_SCALE = 0.45;
/** Of labels. */
const FONT = 11;
const LINE_HEIGHT = 1.4;
/** A line is never thinner than this on screen. */
const HAIRLINE = 0.9;

export function draw(context: CanvasRenderingContext2D, scene: Scene, view: Size, density: number): void {
  const { camera, palette } = scene;
  context.setTransform(density, 0, 0, density, 0, 0);
  context.fillStyle = palette.background;
  context.fillRect(0, 0, view.width, view.height);
  context.setTransform(density * camera.scale, 0, 0, density * camera.scale, density * camera.x, density * camera.y);
  context.textBaseline = 'middle';

  // What is pointed at lies on top of what is not.
  const [back, front] = [scene.edges.filter((edge) => !isActive(scene, edge)), scene.edges.filter((edge) => isActive(scene, edge))];
  const labels = labelsOf(context, scene);
  for (const edge of back) drawEdge(context, scene, edge);
  for (const label of labels) if (!isActive(scene, label.edge)) drawLabel(context, scene, label);
  for (const edge of front) drawEdge(context, scene, edge);
  for (const node of scene.nodes) {
    const corner = scene.places.get(node.id);
    if (!corner) continue;
    const alpha = alphaOf(scene, 'nodes', node.id);
    const [selected, ringed] = [scene.selected === node.id, scene.ring === node.id];
    drawCard(context, node, corner, { scale: camera.scale, seconds: scene.seconds, alpha, selected, ringed, palette });
  }
  for (const label of labels) if (isActive(scene, label.edge)) drawLabel(context, scene, label);
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
  const width = Math.max(edgeWidth(edge.rate), HAIRLINE / scene.camera.scale);
  const selected = scene.selected === edge.id;
  const colour = scene.palette.level[level];
  const plain = isOnlyConnections(edge);
  context.globalAlpha = alphaOf(scene, 'edges', edge.id) * (plain && level === 'ok' ? CONNECTION_ALPHA : 1);

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
  context.setLineDash(plain ? CONNECTION_DASH : DASH[level]);
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

/** One way to say a label. */
interface Wording {
  /** Stands before the first line, in a quieter colour. */
  port: string;
  lines: string[];
}

interface Label extends Wording {
  edge: MapEdge;
  width: number;
  size: number;
  at: Point;
}

/** The wordings of an edge's label, from what is best to what needs least room. */
function wordings(scene: Scene, edge: MapEdge): Wording[] {
  const problem = edgeHealth(edge).level === 'ok' ? [] : [{ port: '', lines: [problemLabel(edge)] }];
  const stacked = { port: '', lines: edgeFacts(edge) };
  if (scene.roomy) {
    const port = edge.port > 0 ? `:${edge.port} ` : '';
    return [{ port, lines: [edgeFacts(edge).join(' · ')] }, stacked, ...problem];
  }
  return isActive(scene, edge) ? [stacked, ...problem] : problem;
}

/** The labels that found room. */
function labelsOf(context: CanvasRenderingContext2D, scene: Scene): Label[] {
  const { palette, camera } = scene;
  // They stay readable when the map is small.
  const grow = Math.max(1, 0.92 / camera.scale);
  const size = FONT * grow;
  const shown = scene.edges
    .filter((edge) => {
      if (isActive(scene, edge)) return true;
      if (scene.focus && !scene.focus.edges.has(edge.id)) return false;
      return camera.scale >= LABEL_SCALE && (scene.roomy || edgeHealth(edge).level !== 'ok');
    })
    .sort((a, b) => Number(isActive(scene, b)) - Number(isActive(scene, a)) || byWeight(a, b));
  const wanted: Wanted[] = [];
  const choices = new Map<string, Label[]>();
  context.font = `${size}px ${palette.font}`;
  for (const edge of shown) {
    const labels = wordings(scene, edge).map(({ port, lines }): Label => {
      const widest = Math.max(...lines.map((line) => context.measureText(line).width));
      const width = widest + context.measureText(port).width + 10 * grow;
      return { edge, port, lines, width, size, at: { x: 0, y: 0 } };
    });
    choices.set(edge.id, labels);
    wanted.push({
      id: edge.id,
      sizes: labels.map(({ lines, width }) => ({ width: steadyWidth(width / grow) * grow, height: LINE_HEIGHT * size * lines.length })),
      // What was asked for alone is answered in any case.
      forced: isActive(scene, edge) && scene.active?.edges.size === 1,
    });
  }
  return [...placeLabels(wanted, scene.routes, scene.places)].flatMap(([id, placed]) => {
    const label = choices.get(id)?.[placed.size];
    return label ? [{ ...label, at: placed.at }] : [];
  });
}

function drawLabel(context: CanvasRenderingContext2D, scene: Scene, { edge, port, lines, width, size, at }: Label): void {
  const { palette } = scene;
  const { level } = edgeHealth(edge);
  const lineHeight = LINE_HEIGHT * size;
  const [left, top] = [at.x - width / 2, at.y - (lineHeight * lines.length) / 2];
  // Opaque also where the text is dimmed: the edge would strike it through.
  context.globalAlpha = 1;
  context.fillStyle = palette.background;
  context.beginPath();
  context.roundRect(left, top, width, lineHeight * lines.length, size * 0.45);
  context.fill();
  context.globalAlpha = alphaOf(scene, 'edges', edge.id);
  context.font = `${size}px ${palette.font}`;
  context.textAlign = 'left';
  const start = left + size * 0.45;
  context.fillStyle = palette.muted;
  context.fillText(port, start, top + lineHeight / 2 + 0.5);
  context.fillStyle = level === 'ok' ? palette.text : palette.level[level];
  const indent = port ? context.measureText(port).width : 0;
  lines.forEach((line, index) => context.fillText(line, start + indent, top + lineHeight * (index + 0.5) + 0.5));
}
