import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NEVER, type Operation } from './history.ts';
import { checkLinearizable, type Model } from './linearizability.ts';

const WRITE = 0;
const READ = 1;
const ADD = 2;
const TAKE = 3;

/** A register: reads give what was written last. */
const register: Model<number> = {
  initial: 0,
  apply: (state, { kind, value, result }) => (kind === WRITE ? [value] : state === result ? [state] : []),
  part: ({ key }) => key,
  text: ({ kind, value, result }) => (kind === WRITE ? `write ${value}` : `read ${result}`),
};

/** A queue as text: what is taken is what was added first, 0 where there is nothing. */
const queue: Model<string> = {
  initial: '',
  apply: (state, { kind, value, result }) => {
    if (kind === ADD) return [state + String.fromCharCode(value)];
    if (state === '') return result === 0 ? [''] : [];
    return state.charCodeAt(0) === result ? [state.slice(1)] : [];
  },
};

/** [CPU, kind, value or result, start, end] */
type Row = readonly [cpu: number, kind: number, number: number, start: number, end: number];

function history(...rows: readonly Row[]): Operation[] {
  return rows.map(([cpu, kind, number, start, end]) => ({
    cpu,
    kind,
    key: 0,
    value: number,
    result: number,
    extra: 0,
    start,
    end,
  }));
}

describe('histories that an order explains', () => {
  it('one after the other', () =>
    expect(checkLinearizable(register, history([1, WRITE, 5, 0, 1], [2, READ, 5, 2, 3]))).toBe(2));

  it('an operation under way is seen, and then not yet by one that ran beside both', () => {
    checkLinearizable(register, history([1, WRITE, 5, 0, 9], [2, READ, 5, 1, 4], [3, READ, 0, 2, 3]));
  });

  it('what was cut off may have taken effect or not', () => {
    const cut: Row = [1, WRITE, 5, 0, NEVER];
    checkLinearizable(register, history(cut, [2, READ, 0, 1, 2]));
    checkLinearizable(register, history(cut, [2, READ, 0, 1, 2], [2, READ, 5, 3, 4]));
  });

  it('a queue whose adders run beside each other', () => {
    checkLinearizable(queue, history([1, ADD, 1, 0, 3], [2, ADD, 2, 1, 2], [1, TAKE, 2, 4, 5], [1, TAKE, 1, 6, 7]));
    checkLinearizable(queue, history([1, ADD, 1, 0, 3], [2, ADD, 2, 1, 2], [1, TAKE, 1, 4, 5], [1, TAKE, 2, 6, 7]));
  });
});

describe('histories that none explains', () => {
  const refused = (model: Model<string> | Model<number>, rows: readonly Row[]) => {
    try {
      checkLinearizable(model as Model<string | number>, history(...rows));
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error('it was explained');
  };

  it('a value that was written over is read', () => {
    const message = refused(register, [
      [1, WRITE, 5, 0, 1],
      [1, WRITE, 6, 2, 3],
      [2, READ, 5, 4, 5],
    ]);
    expect(message).toContain('from state 6');
    expect(message).toContain('CPU 2 [4, 5] read 5   <- cannot be placed');
    // The window is the read alone: nothing was under way when it began.
    expect(message).not.toContain('write');
  });

  it('a value is seen and then gone again', () => {
    const message = refused(register, [
      [1, WRITE, 5, 0, 9],
      [2, READ, 5, 1, 2],
      [3, READ, 0, 3, 4],
      [3, READ, 5, 5, 6],
    ]);
    expect(message.split('\n').slice(1)).toEqual([
      '  CPU 1 [0, …] write 5',
      '  CPU 2 [1, 2] read 5',
      '  CPU 3 [3, 4] read 0   <- cannot be placed',
    ]);
  });

  it('a value that nobody wrote, and one of which the write begins later', () => {
    refused(register, [[1, READ, 7, 0, 1]]);
    refused(register, [
      [1, READ, 7, 0, 1],
      [2, WRITE, 7, 2, 3],
    ]);
  });

  it('a queue that gives the later one first, the same one twice, or loses one', () => {
    const added: Row[] = [
      [1, ADD, 1, 0, 1],
      [2, ADD, 2, 2, 3],
    ];
    refused(queue, [...added, [1, TAKE, 2, 4, 5]]);
    refused(queue, [...added, [1, TAKE, 1, 4, 7], [2, TAKE, 1, 5, 6]]);
    refused(queue, [...added, [1, TAKE, 1, 4, 7], [2, TAKE, 0, 8, 9]]);
  });

  it('nothing may end in a state that is not final', () => {
    const even: Model<number> = { ...register, final: (state) => state % 2 === 0 };
    expect(() => checkLinearizable(even, history([1, WRITE, 5, 0, 1]))).toThrow('nothing may end in state 5');
    checkLinearizable(even, history([1, WRITE, 5, 0, 3], [2, WRITE, 6, 1, 2]));
  });
});

it('operations in two steps: what is in between may be seen', () => {
  // A put takes room and then shows; `state` is what is shown and what is taken, of room for 1.
  const [TAKES, SHOWS] = [10, 11];
  const model: Model<string> = {
    initial: '0 0',
    steps: (operation) =>
      operation.kind === WRITE ? [TAKES, SHOWS].map((kind) => ({ ...operation, kind })) : [operation],
    apply: (state, { kind, result }) => {
      const [shown, taken] = state.split(' ').map(Number);
      if (kind === TAKES) return taken === 0 ? [`${shown} 1`] : [];
      if (kind === SHOWS) return taken === 1 ? ['1 1'] : [];
      return (kind === READ ? shown : taken) === result ? [state] : [];
    },
  };
  const FULL = 12;
  checkLinearizable(model, history([1, WRITE, 0, 0, 9], [2, FULL, 1, 1, 2], [2, READ, 0, 3, 4]));
  expect(() =>
    checkLinearizable(model, history([1, WRITE, 0, 0, 9], [2, READ, 1, 1, 2], [2, FULL, 0, 3, 4])),
  ).toThrow();
});

/** Histories that some order explains: operations take effect one by one, and their starts and ends are spread around that. */
function played(seeds: readonly number[]): Operation[] {
  let state = 0;
  const operations: Operation[] = [];
  const free = [0, 0, 0, 0];
  seeds.forEach((seed, i) => {
    const effect = (i + 1) * 10;
    const cpu = seed % 4;
    if (free[cpu]! >= effect) return;
    const kind = (seed >> 2) % 2 === 0 ? WRITE : READ;
    if (kind === WRITE) state = 1 + ((seed >> 3) % 5);
    const value = state;
    const start = Math.max(free[cpu]! + 1, effect - ((seed >> 6) % 40)) + cpu / 10;
    const end = effect + ((seed >> 12) % 40) + cpu / 10;
    free[cpu] = Math.ceil(end);
    operations.push({ cpu, kind, key: 0, value, result: value, extra: 0, start: Math.min(start, effect), end });
  });
  return operations;
}

/** By trying all orders. */
function explained(operations: readonly Operation[], state = 0): boolean {
  if (operations.length === 0) return true;
  return operations.some((operation) => {
    if (operations.some((other) => other.end < operation.start)) return false;
    const rest = operations.filter((other) => other !== operation);
    return register.apply(state, operation).some((next) => explained(rest, next));
  });
}

describe('random histories', () => {
  const seeds = fc.array(fc.nat(1 << 20), { maxLength: 60, size: 'max' });

  it('are explained where they were played', () =>
    fc.assert(fc.property(seeds, (numbers) => void checkLinearizable(register, played(numbers)))));

  it('agree with the trial of all orders once a result is changed', () => {
    let refused = 0;
    fc.assert(
      fc.property(
        fc.array(fc.nat(1 << 20), { maxLength: 9, size: 'max' }),
        fc.nat(8),
        fc.nat(5),
        (numbers, at, result) => {
          const operations = played(numbers).map((operation, i) =>
            i === at && operation.kind === READ ? { ...operation, result } : operation,
          );
          let message = '';
          try {
            checkLinearizable(register, operations);
          } catch (error) {
            message = (error as Error).message;
            refused++;
          }
          expect(message === '').toBe(explained(operations));
        },
      ),
      { numRuns: 500 },
    );
    expect(refused).toBeGreaterThan(10);
  });
});
