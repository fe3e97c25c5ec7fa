/** Keeps the map on its canvas: data and input in, frames out. Draws only when something changed. */

import type { Focus } from '../../filter';
import type { Selection } from '../../state/hash';
import type { ServiceMap } from '../../types';
import * as camera from './camera';
import type { Camera, Size } from './camera';
import { draw, type Active } from './draw';
import { hitTest, type Hit } from './hit';
import { bounds, CARD, GAP, gapFor, place, type Box, type Point } from './layout';
import { ease, head, MOVE_MS, over, placesAt, type Motion } from './motion';
import { readPalette, type Palette } from './palette';
import { routes, type Route } from './route';

/** How far from an edge the pointer may be, in screen pixels. */
const REACH = 9;

export class MapRenderer {
  #context: CanvasRenderingContext2D;
  #map: ServiceMap | null = null;
  #focus: Focus | null = null;
  #selection: Selection | null = null;
  #hover: Hit | null = null;
  /** The card that the keyboard is on. */
  #ring: string | null = null;
  #palette: Palette;
  #view: Size = { width: 0, height: 0 };

  #gap: number = GAP.roomy;
  #target: ReadonlyMap<string, Point> = new Map();
  #places: ReadonlyMap<string, Point> = new Map();
  #routes: ReadonlyMap<string, Route> = new Map();
  #motion: Motion | null = null;

  #camera: Camera = { x: 0, y: 0, scale: 1 };
  #cameraMotion: { from: Camera; to: Camera; started: number } | null = null;
  /** What is kept in view, until the reader moves it. */
  #kept: ((box: Box, view: Size) => Camera) | null = camera.home;
  #shown = false;
  #frame = 0;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly still: () => boolean,
    /** Told whether all edges are labelled, or only those with problems. */
    private readonly onroomy: (roomy: boolean) => void,
  ) {
    const context = canvas.getContext('2d', { alpha: false });
    if (!context) throw new Error('This browser cannot draw on a canvas.');
    this.#context = context;
    this.#palette = readPalette(canvas);
  }

  setMap(map: ServiceMap): void {
    this.#map = map;
    this.#arrange();
  }

  setFocus(focus: Focus | null): void {
    this.#focus = focus;
    this.#invalidate();
  }

  setSelection(selection: Selection | null): void {
    this.#selection = selection;
    this.#invalidate();
  }

  setHover(hover: Hit | null): void {
    if (hover?.id === this.#hover?.id && hover?.kind === this.#hover?.kind) return;
    this.#hover = hover;
    this.#invalidate();
  }

  setRing(id: string | null): void {
    if (id === this.#ring) return;
    this.#ring = id;
    this.#invalidate();
  }

  /** Brings a card into view; says where on screen its lower left corner is then. */
  reveal(id: string): Point | null {
    const corner = this.#target.get(id);
    if (!corner) return null;
    const shown = camera.reveal(this.#camera, { ...corner, ...CARD }, this.#view);
    if (shown !== this.#camera) {
      this.#kept = null;
      this.#cameraMotion = null;
      this.#camera = shown;
      this.#invalidate();
    }
    return camera.toScreen(this.#camera, { x: corner.x, y: corner.y + CARD.height });
  }

  resize(view: Size): void {
    this.#view = view;
    this.#arrange();
  }

  /** Colours may have changed. */
  repaint(): void {
    this.#palette = readPalette(this.canvas);
    this.#invalidate();
  }

  hit(at: Point): Hit | null {
    const sheet = camera.toSheet(this.#camera, at);
    return hitTest(sheet, this.#places, this.#routes, REACH / this.#camera.scale);
  }

  zoom(factor: number, at: Point = { x: this.#view.width / 2, y: this.#view.height / 2 }): void {
    this.#kept = null;
    this.#cameraMotion = null;
    this.#camera = camera.zoom(this.#camera, at, factor);
    this.#invalidate();
  }

  pan(dx: number, dy: number): void {
    this.#kept = null;
    this.#cameraMotion = null;
    this.#camera = camera.pan(this.#camera, dx, dy);
    this.#invalidate();
  }

  fit(): void {
    this.#kept = camera.fit;
    this.#arrange();
  }

  destroy(): void {
    cancelAnimationFrame(this.#frame);
  }

  /** Heads for where everything belongs now. */
  #arrange(): void {
    const nodes = this.#map?.nodes ?? [];
    // What the reader has moved stays as wide as it is.
    if (this.#kept !== null) this.#gap = gapFor(nodes, this.#view.width);
    this.onroomy(this.#gap === GAP.roomy);
    const target = place(nodes, this.#gap);
    // The first picture just appears.
    const motion = head(this.#places, target, performance.now(), this.still() || !this.#shown);
    this.#target = target;
    this.#motion = motion;
    this.#settle(motion ? placesAt(motion, motion.started) : target);
    this.#follow();
    this.#invalidate();
  }

  /** Turns the camera to what is kept in view. */
  #follow(): void {
    if (this.#kept === null || this.#view.width === 0) return;
    const to = this.#kept(bounds(this.#target), this.#view);
    const now = this.#cameraMotion?.to ?? this.#camera;
    if (now.x === to.x && now.y === to.y && now.scale === to.scale) return;
    if (this.still() || !this.#shown) {
      this.#camera = to;
      this.#cameraMotion = null;
      this.#shown = this.#target.size > 0;
    } else {
      this.#cameraMotion = { from: this.#camera, to, started: performance.now() };
    }
  }

  #settle(places: ReadonlyMap<string, Point>): void {
    this.#places = places;
    this.#routes = routes(this.#map?.edges ?? [], places);
  }

  #invalidate(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame((time) => this.#paint(time));
  }

  #paint(time: number): void {
    this.#frame = 0;
    const motion = this.#motion;
    if (motion) {
      if (over(motion, time)) this.#motion = null;
      this.#settle(over(motion, time) ? this.#target : placesAt(motion, time));
    }
    const move = this.#cameraMotion;
    if (move) {
      this.#camera = camera.between(move.from, move.to, ease((time - move.started) / MOVE_MS));
      if (over(move, time)) {
        this.#camera = move.to;
        this.#cameraMotion = null;
      }
    }
    this.#draw();
    if (this.#motion || this.#cameraMotion) this.#invalidate();
  }

  #draw(): void {
    const { width, height } = this.#view;
    if (width === 0 || height === 0) return;
    const density = window.devicePixelRatio || 1;
    const [pixelWidth, pixelHeight] = [Math.round(width * density), Math.round(height * density)];
    if (this.canvas.width !== pixelWidth || this.canvas.height !== pixelHeight) {
      this.canvas.width = pixelWidth;
      this.canvas.height = pixelHeight;
    }
    draw(
      this.#context,
      {
        nodes: this.#map?.nodes ?? [],
        edges: this.#map?.edges ?? [],
        places: this.#places,
        routes: this.#routes,
        roomy: this.#gap === GAP.roomy,
        seconds: this.#map?.seconds ?? 0,
        camera: this.#camera,
        focus: this.#focus,
        active: this.#active(),
        selected: this.#selection?.id ?? null,
        ring: this.#ring,
        palette: this.#palette,
      },
      this.#view,
      density,
    );
  }

  /** What is pointed at, else what is selected, with what it touches. */
  #active(): Active | null {
    const centre = this.#hover ?? this.#selection;
    if (!centre || !this.#map) return null;
    const nodes = new Set<string>();
    const edges = new Set<string>();
    if (centre.kind === 'node') nodes.add(centre.id);
    for (const edge of this.#map.edges) {
      const touched =
        centre.kind === 'edge' ? edge.id === centre.id : edge.from === centre.id || edge.to === centre.id;
      if (!touched) continue;
      edges.add(edge.id);
      nodes.add(edge.from);
      nodes.add(edge.to);
    }
    const known = edges.size > 0 || this.#map.nodes.some((node) => nodes.has(node.id));
    return known ? { nodes, edges } : null;
  }
}
