/**
 * A map with room for so many elements: which keys it has, and how many elements are taken besides: by updates that do not show them yet, and by deletes that have
 * not given them back. An update of a key that is not there takes an element before it shows it, a delete gives it back after it has taken it out: in between
 * the map may be full for others.
 */
import type { Operation } from '../history.ts';
import type { Model } from '../linearizability.ts';
import { CONTAINS, DELETE, EEXIST, ENOENT, UPDATE, UPDATE_NEW } from './register.ts';

const E2BIG = -7 >>> 0;
/** Steps: an element is taken, one is given back. */
const TAKES = 100;
const GIVES = 101;

const names: Readonly<Record<number, string>> = {
  [UPDATE]: 'update',
  [UPDATE_NEW]: 'update (noexist)',
  [DELETE]: 'delete',
  [CONTAINS]: 'contains',
};

/** State: a bit for each key, and above bit 16 the number of other elements that are taken. */
export function capacity(room: number): Model<number> {
  const used = (state: number) => {
    let count = state >> 16;
    for (let keys = state & 0xffff; keys !== 0; keys &= keys - 1) count++;
    return count;
  };
  const one = 1 << 16;
  const changes = ({ kind, result }: Operation) => result === 0 && (kind === UPDATE || kind === UPDATE_NEW);
  return {
    initial: 0,
    steps(operation) {
      if (changes(operation)) return [{ ...operation, kind: TAKES }, operation];
      return operation.kind === DELETE && operation.result === 0
        ? [operation, { ...operation, kind: GIVES }]
        : [operation];
    },
    apply(state, { kind, key, result }) {
      const bit = 1 << key;
      const there = (state & bit) !== 0;
      switch (kind) {
        // An update of a key that is there takes none.
        case TAKES:
          return used(state) < room ? [state + one, state] : [state];
        case GIVES:
          return state >= one ? [state - one] : [];
        case CONTAINS:
          return result === Number(there) ? [state] : [];
        case DELETE:
          return there ? (result === 0 ? [(state & ~bit) + one] : []) : result === ENOENT ? [state] : [];
        case UPDATE_NEW:
        case UPDATE:
          if (result === E2BIG) return !there && used(state) >= room ? [state] : [];
          if (there) return kind === UPDATE ? (result === 0 ? [state] : []) : result === EEXIST ? [state] : [];
          return result === 0 && state >= one ? [(state | bit) - one] : [];
        default:
          throw new Error(`no operation ${kind}`);
      }
    },
    final: (state) => state < one,
    text: ({ kind, key, result }) => `${names[kind]} ${key} -> ${result | 0}`,
  };
}
