/** Queues and stacks: the values in their order, oldest first, as a string. */
import type { Model } from '../linearizability.ts';

export const PUSH = 1;
/** BPF_EXIST: the oldest makes room. */
export const PUSH_OVER = 2;
/** Results are the value, 0 for none. */
export const POP = 3;
export const PEEK = 4;

const E2BIG = -7 >>> 0;
const names = ['', 'push', 'push (exist)', 'pop', 'peek'];

function list(state: string): string[] {
  return state === '' ? [] : state.split(' ');
}

export function queueModel(most: number, newest: boolean): Model<string> {
  return {
    initial: '',
    apply(state, { kind, value, result }) {
      const values = list(state);
      if (kind === PUSH || kind === PUSH_OVER) {
        if (values.length === most) {
          if (kind === PUSH) return result === E2BIG ? [state] : [];
          values.shift();
        }
        return result === 0 ? [[...values, value].join(' ')] : [];
      }
      const next = newest ? values.at(-1) : values[0];
      if (next === undefined) return result === 0 ? [state] : [];
      if (Number(next) !== result) return [];
      if (kind === PEEK) return [state];
      return [(newest ? values.slice(0, -1) : values.slice(1)).join(' ')];
    },
    text: ({ kind, value, result }) => `${names[kind]}${kind <= PUSH_OVER ? ` ${value}` : ''} -> ${result | 0}`,
  };
}
