/**
 * Reads JSON of an unknown shape. A field that is missing or of another type becomes its empty
 * value, so that a newer or older server dims a number instead of blanking the page; only what
 * nothing can be drawn without is required.
 */

export type Json = Record<string, unknown>;

export function object(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

export function list<T>(value: unknown, decode: (item: Json) => T | null): T[] {
  if (!Array.isArray(value)) return [];
  return value.map((item) => decode(object(item))).filter((item): item is T => item !== null);
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

export function amount(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

/** A number that may be unknown. */
export function maybe(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

export function flag(value: unknown): boolean {
  return value === true;
}

/** Numbers by name. */
export function tally(value: unknown): Record<string, number> {
  const out: Record<string, number> = {};
  for (const [name, number] of Object.entries(object(value))) {
    if (typeof number === 'number' && Number.isFinite(number)) out[name] = number;
  }
  return out;
}

export function texts(value: unknown): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, item] of Object.entries(object(value))) out[name] = text(item);
  return out;
}
