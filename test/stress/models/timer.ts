/**
 * bpf_timer and bpf_wq as a state machine, a key each: whether it has a callback, whether it waits, whether its callback runs. A cancellation takes effect twice: the
 * callback is taken off and it waits no more; and then, when no callback runs, it waits no more a second time. State: three bits, then cancellations between the two.
 */
import type { Operation } from '../history.ts';
import type { Model } from '../linearizability.ts';

export const SET = 1;
export const START = 2;
export const CANCEL = 3;
/** A callback begins, and ends. */
export const FIRE = 4;
export const RETURN = 5;
/** The two steps of a cancellation. */
export const CANCEL_FIRST = 6;
export const CANCEL_SECOND = 7;

export const EINVAL = -22 >>> 0;
export const EDEADLK = -35 >>> 0;

const HAS_CALLBACK = 1;
const WAITS = 2;
const RUNS = 4;

const names = ['', 'set callback', 'start', 'cancel', 'callback begins', 'callback ends', 'cancel, 1', 'cancel, 2'];

/** `value` of both steps is the number of the cancellation. */
function stepsOf(operation: Operation): readonly Operation[] {
  if (operation.kind !== CANCEL || operation.result === EDEADLK) return [operation];
  return [
    { ...operation, kind: CANCEL_FIRST, value: operation.start },
    { ...operation, kind: CANCEL_SECOND, value: operation.start },
  ];
}

export const timerModel: Model<string> = {
  initial: '0',
  part: ({ key }) => key,
  steps: stepsOf,
  apply(state, { kind, value, result }) {
    const [first, ...cancels] = state.split(' ');
    const bits = Number(first);
    const to = (next: number, others = cancels) => [[next, ...[...others].sort()].join(' ')];
    switch (kind) {
      case SET:
        return result === 0 ? to(bits | HAS_CALLBACK) : [];
      case START:
        if ((bits & HAS_CALLBACK) === 0) return result === EINVAL ? [state] : [];
        return result === 0 ? to(bits | WAITS) : [];
      case CANCEL:
        return [state];
      case CANCEL_FIRST:
        return to(bits & RUNS, [...cancels, `${value}:${(bits & WAITS) === 0 ? 0 : 1}`]);
      case CANCEL_SECOND: {
        const begun = cancels.find((each) => each.startsWith(`${value}:`));
        if (begun === undefined || (bits & RUNS) !== 0) return [];
        const waited = begun.endsWith(':1') || (bits & WAITS) !== 0 ? 1 : 0;
        const others = cancels.filter((each) => each !== begun);
        return waited === result ? to(bits & ~WAITS, others) : [];
      }
      case FIRE:
        return (bits & WAITS) !== 0 && (bits & RUNS) === 0 ? to((bits & ~WAITS) | RUNS) : [];
      case RETURN:
        return (bits & RUNS) !== 0 ? to(bits & ~RUNS) : [];
      default:
        throw new Error(`no operation ${kind}`);
    }
  },
  text: ({ kind, result }) => `${names[kind]}${kind <= CANCEL ? ` -> ${result | 0}` : ''}`,
};
