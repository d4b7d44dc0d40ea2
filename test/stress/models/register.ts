/**
 * Maps whose operations on different keys know nothing of each other (arrays, hash maps that are never full, LRU hashes): each key is a register that may be empty.
 * Values are u32 stamps other than 0. What the maps refuse is a result: a negated errno as u32.
 */
import type { Model } from '../linearizability.ts';

export const LOOKUP = 1;
/** Update with BPF_ANY, BPF_NOEXIST, BPF_EXIST. */
export const UPDATE = 2;
export const UPDATE_NEW = 3;
export const UPDATE_OLD = 4;
export const DELETE = 5;
/** Lookup and delete. */
export const TAKE = 6;
/** A lookup that says only whether the key is there: 1 or 0. */
export const CONTAINS = 7;

export const ENOENT = -2 >>> 0;
export const EEXIST = -17 >>> 0;

const names = ['', 'lookup', 'update', 'update (noexist)', 'update (exist)', 'delete', 'take', 'contains'];

/** State: the value, 0 for none. */
export const registers: Model<number> = {
  initial: 0,
  part: ({ key }) => key,
  apply(state, { kind, value, result }) {
    const there = state !== 0;
    switch (kind) {
      case LOOKUP:
        return result === state ? [state] : [];
      case CONTAINS:
        return result === Number(there) ? [state] : [];
      case UPDATE:
        return result === 0 ? [value] : [];
      case UPDATE_NEW:
        return there ? (result === EEXIST ? [state] : []) : result === 0 ? [value] : [];
      case UPDATE_OLD:
        return there ? (result === 0 ? [value] : []) : result === ENOENT ? [state] : [];
      case DELETE:
        return there ? (result === 0 ? [0] : []) : result === ENOENT ? [state] : [];
      // The value that was taken, 0 for none.
      case TAKE:
        return result === state ? [0] : [];
      default:
        throw new Error(`no operation ${kind}`);
    }
  },
  text: ({ kind, value, result }) =>
    `${names[kind]}${kind >= UPDATE && kind <= UPDATE_OLD ? ` ${value}` : ''} -> ${result | 0}`,
};

const ENOMEM = -12 >>> 0;

/** The same where an element may go at any time: it was evicted. An update for which there is none, all being on their way in or out, is refused, as in Linux. */
export const evicted: Model<number> = {
  ...registers,
  apply(state, operation) {
    if (operation.result === ENOMEM && operation.kind >= UPDATE && operation.kind <= UPDATE_OLD) return [state, 0];
    const next = registers.apply(state, operation);
    return state === 0 ? next : [...next, ...registers.apply(0, operation)];
  },
};
