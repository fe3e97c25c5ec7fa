/** Paints rate and latency of one edge over time on a canvas. */

import { clock, duration, rate } from '../../format';
import type { Series, SeriesPoint } from '../../types';
import type { Scales } from './series';

export interface Colours {
  text: string;
  muted: string;
  grid: string;
  bar: string;
  error: string;
  p95: string;
  p50: string;
  font: string;
}

/** Room for the axis on the right. */
export const AXIS = 58;
const LATENCY = { top: 8, height: 92 };
const RATE = { top: 116, height: 52 };
export const HEIGHT = RATE.top + RATE.height + 20;

export function drawChart(
  context: CanvasRenderingContext2D,
  series: Series,
  scales: Scales,
  width: number,
  density: number,
  hovered: SeriesPoint | null,
  colours: Colours,
): void {
  const plot = width - AXIS;
  const x = (time: number): number => ((time - scales.start) / (scales.end - scales.start)) * plot;
  const step = series.step_seconds * 1000;
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, width, HEIGHT);
  context.font = `11px ${colours.font}`;
  context.textBaseline = 'middle';

  axis(context, LATENCY, plot, scales.maxLatency, duration, colours);
  axis(context, RATE, plot, scales.maxRate, rate, colours);

  for (const point of series.points) {
    const left = x(Date.parse(point.time));
    const barWidth = Math.max(1, x(Date.parse(point.time) + step) - left - 1);
    const height = Math.min(1, point.requests / series.step_seconds / scales.maxRate) * RATE.height;
    const failed = point.requests > 0 ? (point.errors / point.requests) * height : 0;
    const bottom = RATE.top + RATE.height;
    context.fillStyle = colours.bar;
    context.fillRect(left, bottom - height, barWidth, height);
    if (point.errors > 0) {
      // At least two pixels: one error among thousands is still an error.
      context.fillStyle = colours.error;
      context.fillRect(left, bottom - Math.max(2, failed), barWidth, Math.max(2, failed));
    }
  }

  const middle = (point: SeriesPoint): number => x(Date.parse(point.time) + step / 2);
  line(context, series.points, middle, (point) => point.p50_ns, scales, colours.p50, [3, 3]);
  line(context, series.points, middle, (point) => point.p95_ns, scales, colours.p95, []);

  if (hovered) {
    context.fillStyle = colours.muted;
    context.fillRect(Math.round(middle(hovered)), LATENCY.top, 1, RATE.top + RATE.height - LATENCY.top);
  }

  context.fillStyle = colours.muted;
  const [from, to] = [clock(new Date(scales.start).toISOString(), false), clock(new Date(scales.end).toISOString(), false)];
  context.textAlign = 'left';
  context.fillText(from, 0, HEIGHT - 8);
  context.textAlign = 'right';
  context.fillText(to, plot, HEIGHT - 8);
}

function axis(
  context: CanvasRenderingContext2D,
  { top, height }: { top: number; height: number },
  plot: number,
  max: number,
  format: (value: number) => string,
  colours: Colours,
): void {
  context.textAlign = 'left';
  for (const share of [0, 0.5, 1]) {
    const y = Math.round(top + height * (1 - share));
    context.fillStyle = colours.grid;
    context.fillRect(0, y, plot, 1);
    if (share === 0) continue;
    context.fillStyle = colours.muted;
    context.fillText(format(max * share), plot + 6, y);
  }
}

/** Broken where there were no requests; a lone point becomes a dot. */
function line(
  context: CanvasRenderingContext2D,
  points: readonly SeriesPoint[],
  x: (point: SeriesPoint) => number,
  value: (point: SeriesPoint) => number | null,
  scales: Scales,
  colour: string,
  dash: number[],
): void {
  context.strokeStyle = colour;
  context.fillStyle = colour;
  context.lineWidth = 1.75;
  context.lineJoin = 'round';
  context.setLineDash(dash);
  const y = (amount: number): number => LATENCY.top + LATENCY.height * (1 - Math.min(1, amount / scales.maxLatency));
  let run: [number, number][] = [];
  const end = (): void => {
    context.beginPath();
    if (run.length === 1) context.arc(run[0]![0], run[0]![1], 2, 0, 7);
    else run.forEach(([px, py], index) => (index === 0 ? context.moveTo(px, py) : context.lineTo(px, py)));
    if (run.length === 1) context.fill();
    else context.stroke();
    run = [];
  };
  for (const point of points) {
    const amount = value(point);
    if (amount === null) {
      if (run.length > 0) end();
    } else {
      run.push([x(point), y(amount)]);
    }
  }
  if (run.length > 0) end();
  context.setLineDash([]);
}
