/** Sorting of tables by one column. */

export interface Sort<K extends string = string> {
  key: K;
  descending: boolean;
}

export type SortValue = string | number | null;

/** A new list; what has no value stands last either way, and equals keep their order. */
export function sorted<T>(items: readonly T[], value: (item: T) => SortValue, descending: boolean): T[] {
  const sign = descending ? -1 : 1;
  return [...items].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
    if (typeof x === 'number' && typeof y === 'number') return sign * (x - y);
    return sign * String(x).localeCompare(String(y), 'en', { numeric: true });
  });
}

/** A click on a column: another column starts with what matters there, the same one turns around. */
export function toggled<K extends string>(sort: Sort<K>, key: K, firstDescending: boolean): Sort<K> {
  return sort.key === key ? { key, descending: !sort.descending } : { key, descending: firstDescending };
}
