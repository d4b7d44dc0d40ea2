/**
 * Is there an order of a history's operations, one that keeps each operation between its start and its end, in which a sequential model gives the results that were
 * recorded? Wing and Gong's search in the form of Lowe's "just in time" linearization: the events are walked in order of their stamps with the set of all
 * configurations (a state, and which of the operations under way have already taken effect in it), and an operation is given its place no later than at its end. The
 * set is never larger than states times subsets of the operations under way, and the event at which it is empty ends the shortest prefix that no order explains.
 */
import { NEVER, type Operation } from './history.ts';

/** A sequential specification. States are compared as they are: write what has parts as a string. */
export interface Model<State extends string | number> {
  readonly initial: State;
  /** The states that may follow when `operation` takes effect in `state` with the results that were recorded; none where it cannot have had them. */
  apply(state: State, operation: Operation): readonly State[];
  /** What can be judged alone, as a key of a map where operations on keys know nothing of each other; by default all is one part. */
  part?(operation: Operation): number | string;
  /**
   * Where an operation takes effect in more than one step, each between its start and its end: the steps, which `apply` is given in its place. That a step needs
   * an earlier one is the state's to say. Default: itself alone.
   */
  steps?(operation: Operation): readonly Operation[];
  /** False for states in which nothing may end. */
  final?(state: State): boolean;
  /** An operation as text, without its stamps. */
  text?(operation: Operation): string;
}

/** Most steps under way at once. */
const MOST_PENDING = 30;
/** Configurations beyond which a model is taken to be wrong. */
const MOST_CONFIGURATIONS = 2_000_000;
/** Operations of a window that are printed. */
const MOST_PRINTED = 40;

/** Throws an error that shows the shortest window of the history that no order explains. Otherwise the number of operations that were judged. */
export function checkLinearizable<State extends string | number>(
  model: Model<State>,
  history: readonly Operation[],
): number {
  const parts = new Map<number | string, Operation[]>();
  for (const operation of history) {
    const name = model.part?.(operation) ?? 0;
    const part = parts.get(name);
    if (part === undefined) parts.set(name, [operation]);
    else part.push(operation);
  }
  for (const [name, part] of parts) {
    const message = refute(model, part);
    if (message !== undefined) throw new Error(model.part === undefined ? message : `part ${name}: ${message}`);
  }
  return history.length;
}

/** A configuration: a state, and a bit for each step under way that has taken effect in it. */
interface Configuration<State> {
  readonly state: State;
  readonly done: number;
}

interface Event {
  readonly at: number;
  readonly operation: Operation;
  readonly ends: boolean;
}

function eventsOf(history: readonly Operation[]): Event[] {
  const events: Event[] = [];
  for (const operation of history) {
    events.push({ at: operation.start, operation, ends: false });
    if (operation.end !== NEVER) events.push({ at: operation.end, operation, ends: true });
  }
  return events.sort((a, b) => a.at - b.at);
}

function refute<State extends string | number>(model: Model<State>, history: readonly Operation[]): string | undefined {
  let configurations: Configuration<State>[] = [{ state: model.initial, done: 0 }];
  const slots: (Operation | undefined)[] = [];
  const slotsOf = new Map<Operation, number>();
  // The window: what began since nothing was under way, and the states there.
  let window: Operation[] = [];
  let before: readonly State[] = [model.initial];
  for (const { operation, ends } of eventsOf(history)) {
    if (!ends) {
      if (slotsOf.size === 0) {
        window = [];
        before = configurations.map(({ state }) => state);
      }
      window.push(operation);
      slotsOf.set(operation, occupy(slots, model.steps?.(operation) ?? [operation]));
      continue;
    }
    const needed = slotsOf.get(operation)!;
    slotsOf.delete(operation);
    const reached = linearize(model, configurations, slots, needed);
    if (reached.length === 0) return explain(model, window, before, operation);
    release(slots, needed);
    configurations = reached;
  }
  if (model.final !== undefined && slotsOf.size === 0) {
    const ended = configurations.filter(({ state }) => model.final!(state));
    if (ended.length === 0) return `nothing may end in ${names(configurations.map(({ state }) => state))}`;
  }
  return undefined;
}

function occupy(slots: (Operation | undefined)[], steps: readonly Operation[]): number {
  let mask = 0;
  for (const step of steps) {
    let slot = slots.indexOf(undefined);
    if (slot < 0) slot = slots.length;
    if (slot >= MOST_PENDING) throw new Error(`more than ${MOST_PENDING} steps are under way`);
    slots[slot] = step;
    mask |= 1 << slot;
  }
  return mask;
}

function release(slots: (Operation | undefined)[], mask: number): void {
  for (let slot = 0; slot < slots.length; slot++) if (mask & (1 << slot)) slots[slot] = undefined;
}

/** All configurations in which the steps `needed` have taken effect, after whatever of the others had to come before; their bits are cleared. */
function linearize<State extends string | number>(
  model: Model<State>,
  from: readonly Configuration<State>[],
  slots: readonly (Operation | undefined)[],
  needed: number,
): Configuration<State>[] {
  const seen = new Set<string>();
  const reached = new Map<string, Configuration<State>>();
  const stack = [...from];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    const { state, done } = at;
    if ((done & needed) === needed) {
      const rest = done & ~needed;
      reached.set(`${rest} ${state}`, { state, done: rest });
      continue;
    }
    const name = `${done} ${state}`;
    if (seen.has(name)) continue;
    seen.add(name);
    if (seen.size > MOST_CONFIGURATIONS) throw new Error('too many configurations: the model has too many states');
    for (let slot = 0; slot < slots.length; slot++) {
      const step = slots[slot];
      if (step === undefined || done & (1 << slot)) continue;
      for (const next of model.apply(state, step)) stack.push({ state: next, done: done | (1 << slot) });
    }
  }
  return [...reached.values()];
}

function names(states: readonly (string | number)[]): string {
  const known = [...new Set(states)];
  return known.length === 1 ? `state ${known[0]}` : `one of the states ${known.slice(0, 8).join(', ')}`;
}

function explain<State extends string | number>(
  model: Model<State>,
  window: readonly Operation[],
  before: readonly State[],
  last: Operation,
): string {
  const text = (operation: Operation) => model.text?.(operation) ?? JSON.stringify(operation);
  // What began after the end of `last` is no part of it, and what is printed begins as late as the window's own order allows.
  const rows = window
    .filter((operation) => operation.start < last.end)
    .sort((a, b) => a.start - b.start)
    .map((operation) => {
      const end = operation.end > last.end ? '…' : operation.end;
      return `  CPU ${operation.cpu} [${operation.start}, ${end}] ${text(operation)}${operation === last ? '   <- cannot be placed' : ''}`;
    });
  const left = rows.length > MOST_PRINTED ? [`  … ${rows.length - MOST_PRINTED} more before`] : [];
  return [`no order explains these operations from ${names(before)}:`, ...left, ...rows.slice(-MOST_PRINTED)].join(
    '\n',
  );
}
