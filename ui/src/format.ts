/** Numbers in people's units, the same way the command line prints them (`output/units.rs`). */

// A number and its unit stay on one line.
const NBSP = '\u00a0';

type Unit = readonly [name: string, size: number];
const DURATIONS: readonly Unit[] = [['ns', 1], ['µs', 1e3], ['ms', 1e6], ['s', 1e9]];
const SIZES: readonly Unit[] = [['B', 1], ['kB', 1e3], ['MB', 1e6], ['GB', 1e9], ['TB', 1e12]];

/** What stands where there is no value. */
export const NONE = '–';

function scaled(value: number, units: readonly Unit[]): string {
  // 999.5 of a unit would be printed as 1000 of it.
  const [name, size] = units.findLast(([, size]) => value >= size * 0.9995) ?? units[0]!;
  const amount = value / size;
  const digits = size === 1 ? 0 : amount < 9.995 ? 2 : amount < 99.95 ? 1 : 0;
  return `${amount.toFixed(digits)}${NBSP}${name}`;
}

/** Three significant digits: `812 µs`, `4.21 ms`, `1.50 s`. */
export function duration(ns: number | null | undefined): string {
  return ns == null ? NONE : scaled(ns, DURATIONS);
}

/** Decimal units, as in networking: `612 B`, `1.05 MB`. */
export function size(bytes: number | null | undefined): string {
  return bytes == null ? NONE : scaled(bytes, SIZES);
}

/** `4.0/s`, `1.2k/s`; rare calls by the minute, so that they do not read as none. */
export function rate(perSecond: number): string {
  if (perSecond >= 999.95) return `${(perSecond / 1000).toFixed(1)}k/s`;
  if (perSecond >= 0.095 || perSecond === 0) return `${perSecond.toFixed(1)}/s`;
  const perMinute = perSecond * 60;
  return perMinute >= 0.1 ? `${perMinute.toFixed(1)}/min` : '<0.1/min';
}

/** A whole number with its thousands apart: `12 345`. */
export function count(value: number): string {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** `errors` of `total` in percent. Never rounded to none or to all where it is not. */
export function percent(part: number, total: number): string {
  if (total <= 0) return NONE;
  const value = (part / total) * 100;
  if (part > 0 && value < 0.1) return `<0.1${NBSP}%`;
  if (part < total && value > 99.9) return `>99.9${NBSP}%`;
  const digits = value === 0 || value === 100 ? 0 : value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)}${NBSP}%`;
}

/** The clock time of an RFC 3339 time, in the reader's zone: `20:00:00.123`. */
export function clock(time: string, withMillis = true): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return time;
  const two = (n: number): string => n.toString().padStart(2, '0');
  const hms = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return withMillis ? `${hms}.${date.getMilliseconds().toString().padStart(3, '0')}` : hms;
}

/** How long ago, coarsely: `3 min`, `2 h`. */
export function age(seconds: number): string {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))}${NBSP}s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)}${NBSP}min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)}${NBSP}h`;
  return `${Math.round(seconds / 86_400)}${NBSP}days`;
}

/** One or many: `1 segment`, `2 segments`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Shortens in the middle, where names differ least, until it fits. */
export function elideMiddle(text: string, fits: (candidate: string) => boolean): string {
  if (fits(text)) return text;
  let low = 1;
  let high = text.length - 1;
  let best = '…';
  while (low <= high) {
    const keep = (low + high) >> 1;
    const tail = keep >> 1;
    const candidate = `${text.slice(0, keep - tail)}…${tail > 0 ? text.slice(-tail) : ''}`;
    if (fits(candidate)) {
      best = candidate;
      low = keep + 1;
    } else {
      high = keep - 1;
    }
  }
  return best;
}
