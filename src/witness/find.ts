/**
 * The search for a witness: an input on which the checked engine really stops the program that the verifier refused. Guided by the refused
 * path: where a run leaves it, the comparison that decided is solved for the input; at its end the operand that failed is pushed out
 * of its bounds. What remains of the time goes into random inputs. Whatever is found has been run.
 */
import type { ProgramTypeName } from '../abi/program-types.ts';
import { InputError, UnsupportedError } from '../errors.ts';
import { JUMP, mirroredJump } from '../isa/opcodes.ts';
import { generatePackets } from '../net/generator.ts';
import { type Random, random } from '../net/random.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import type { Hook } from '../runtime/hook.ts';
import { loadUser, type UserObject } from '../runtime/load.ts';
import { Runtime } from '../runtime/runtime.ts';
import type { Diagnostic } from '../verifier/diagnostic.ts';
import { Recorder } from '../verifier/recording/recorder.ts';
import { type VerifyOptions, verify } from '../verifier/verify.ts';
import { checkedRun, type RunEnd } from './checked-run.ts';
import { changed, contextNumbers, contextSize, fill, resized, runInput, type TrialInput } from './input.ts';
import { solve, u64 } from './origin.ts';
import { type Decision, Tracer, toHex } from './tracer.ts';

export interface Witness {
  /** Packet and context, where the program takes them. */
  readonly data: Uint8Array | undefined;
  readonly context: Uint8Array | undefined;
  /** Contents of maps: value by hex of the key, by map. Maps that are not here are as they are created. */
  readonly maps: Readonly<Record<string, Readonly<Record<string, Uint8Array>>>>;
  /** Of the random numbers that the program sees. */
  readonly seed: bigint;
  /** What happened. `result`: it returned what its hook does not take. */
  readonly end:
    | { readonly kind: 'fault'; readonly code: string; readonly slot: number | undefined; readonly message: string }
    | { readonly kind: 'result'; readonly r0: bigint; readonly least: number; readonly most: number };
}

export type WitnessResult =
  | { readonly kind: 'found'; readonly witness: Witness; readonly runs: number; readonly milliseconds: number }
  /** Nothing within the time: the verifier may have been imprecise, or the input is hard to find. */
  | { readonly kind: 'not-found'; readonly runs: number; readonly milliseconds: number }
  /** The checked engine cannot run it, or there is nothing to run. */
  | { readonly kind: 'impossible'; readonly reason: string };

export interface WitnessOptions {
  readonly hooks: readonly Hook[];
  /** Time for the search, ms (default 1000). */
  readonly milliseconds?: number;
  /** Options of the verification that refused. */
  readonly verify?: VerifyOptions;
}

const SEED = 1n;
const RUN_BUDGET = 100_000;
const LOOP_BUDGET = 1_000_000;
const MAX_TRACE = 6000;
const MAX_NODES = 60_000;
const ROUNDS = 60;
/** How much longer the search goes on for a fault at the refused instruction, once there is one at another. */
const ELSEWHERE_MS = 250;

const overContext: ReadonlySet<ProgramTypeName> = new Set(['raw_tracepoint', 'syscall', 'sk_lookup']);
const packetTypes: ReadonlySet<ProgramTypeName> = new Set([
  ...(['xdp', 'sched_cls', 'sched_act', 'socket_filter', 'cgroup_skb', 'sk_skb', 'flow_dissector'] as const),
  ...(['lwt_in', 'lwt_out', 'lwt_xmit', 'lwt_seg6local'] as const),
]);
const endless = new Set(['infinite-loop', 'too-many-instructions', 'too-many-branches']);

/** Refusals of what harms nothing when it is run, or that no run shows. */
const rules: Readonly<Record<string, string>> = {
  'too-many-branches': 'it is a limit of the verifier that was met, not something that the program does',
  'map-helper': 'which helper takes which map is a rule, and what others would do with it is not defined',
  'gpl-only': 'it is a matter of the license',
  'pointer-arithmetic': 'arithmetic alone faults nowhere; the rule keeps addresses from being computed with',
  'under-lock': 'a lock that is kept is no fault in one run: the next that wants it waits for ever',
  'spin-lock': 'a lock that is kept is no fault in one run: the next that wants it waits for ever',
};

/** Steps after which a run for a witness of this refusal is a fault. */
export function witnessBudget({ id }: Diagnostic): number {
  return endless.has(id) ? LOOP_BUDGET : RUN_BUDGET;
}

/**
 * Searches for an input. `program` has its CO-RE relocations applied; `diagnostic` is what `verify` said of it. Throws only for what is
 * wrong with Sluice.
 */
export async function findWitness(
  object: ObjectSpec,
  program: ProgramSpec,
  diagnostic: Diagnostic,
  options: WitnessOptions,
): Promise<WitnessResult> {
  if (diagnostic.slot === undefined)
    return { kind: 'impossible', reason: 'what is refused is the program as a whole, not something that it does' };
  const rule = rules[diagnostic.id];
  if (rule !== undefined) return { kind: 'impossible', reason: rule };
  const search = new Search(object, program, diagnostic, options);
  try {
    await search.load();
  } catch (error) {
    if (error instanceof InputError || error instanceof UnsupportedError)
      return { kind: 'impossible', reason: `the checked engine does not run it: ${error.message}` };
    throw error;
  }
  try {
    return await search.run();
  } catch (error) {
    // Types whose programs something else than a run starts, such as a ring.
    if (error instanceof UnsupportedError) return { kind: 'impossible', reason: error.message };
    throw error;
  } finally {
    search.close();
  }
}

/** Loads the one program, refused or not, into the checked engine of a runtime of its own. */
export function loadChecked(
  object: ObjectSpec,
  program: ProgramSpec,
  hooks: readonly Hook[],
  budget: number,
  runtime = new Runtime({ seed: SEED, clock: { at: 1_000_000_000n, step: 1000 } }),
): Promise<UserObject> {
  const alone: ObjectSpec = { ...object, programs: new Map([[program.name, { ...program, coreRelocations: [] }]]) };
  return loadUser(runtime, hooks, alone, { engine: 'interpreter', programs: [program.name], budget, unverified: true });
}

class Search {
  readonly #object: ObjectSpec;
  readonly #program: ProgramSpec;
  readonly #diagnostic: Diagnostic;
  readonly #options: WitnessOptions;
  readonly #started = performance.now();
  #until = 0;
  readonly #seen = new Set<string>();
  #loaded: UserObject | undefined;
  #runs = 0;
  #path: readonly number[] = [];

  constructor(object: ObjectSpec, program: ProgramSpec, diagnostic: Diagnostic, options: WitnessOptions) {
    this.#object = object;
    this.#program = program;
    this.#diagnostic = diagnostic;
    this.#options = options;
  }

  async load(): Promise<void> {
    const budget = witnessBudget(this.#diagnostic);
    this.#loaded = await loadChecked(this.#object, this.#program, this.#options.hooks, budget);
  }

  close(): void {
    this.#loaded?.close();
  }

  get #late(): boolean {
    return performance.now() > this.#until;
  }

  async run(): Promise<WitnessResult> {
    this.#path = this.#refusedPath();
    // Making the engine and following the path once more take longer than many runs: they are not counted.
    this.#until = performance.now() + (this.#options.milliseconds ?? 1000);
    const rng = random(1);
    const starts = this.#starts(rng);
    let elsewhere: Witness | undefined;
    for (let at = 0; !this.#late; at++) {
      const start = starts[at] ?? this.#mutated(starts[rng.below(starts.length)]!, rng);
      const found = this.#guide(start);
      if (found === undefined || (elsewhere !== undefined && !this.#isWhereRefused(found))) continue;
      if (!(await this.#confirmed(found))) continue;
      if (this.#isWhereRefused(found)) return this.#result(await this.#surely(found));
      // It fails at another instruction, too: what was refused is worth a little more time.
      elsewhere = found;
      this.#until = Math.min(this.#until, performance.now() + ELSEWHERE_MS);
    }
    if (elsewhere !== undefined) return this.#result(await this.#surely(elsewhere));
    return { kind: 'not-found', runs: this.#runs, milliseconds: Math.round(performance.now() - this.#started) };
  }

  #isWhereRefused({ end }: Witness): boolean {
    return end.kind === 'result' || end.slot === this.#diagnostic.slot;
  }

  #result(witness: Witness): WitnessResult {
    const milliseconds = Math.round(performance.now() - this.#started);
    return { kind: 'found', witness, runs: this.#runs, milliseconds };
  }

  /** Slots that the verifier went over, to the refusal. */
  #refusedPath(): readonly number[] {
    const { maps, license, btf } = this.#object;
    const recorder = new Recorder(MAX_NODES, () => false);
    verify({ program: this.#program, maps, license, btf }, { ...this.#options.verify, observer: recorder });
    if (recorder.truncated) return [];
    const path = recorder.pathTo(recorder.nodes.length - 1);
    return path[0]?.root === 0 && path.length < MAX_TRACE ? path.map(({ slot }) => slot) : [];
  }

  #starts(rng: Random): TrialInput[] {
    const { type } = this.#program;
    const size = contextSize(type);
    if (type !== undefined && overContext.has(type))
      return this.#contexts(rng).map((context) => ({ data: undefined, context, maps: {} }));
    const packets = [...generatePackets({ seed: 11, count: 6 })].map(({ data }) => data);
    const all = [new Uint8Array(64), new Uint8Array(14), ...packets, new Uint8Array(1500).fill(0xff)];
    const plain = all.map((data): TrialInput => ({ data, context: undefined, maps: {} }));
    if (type === undefined || packetTypes.has(type) || size === 0) return plain;
    // Sockets and control groups: with data or without, whichever the hook takes.
    const contexts = [undefined, ...this.#contexts(rng)];
    return [undefined, new Uint8Array(64), new Uint8Array(), packets[0]!].flatMap((data) =>
      contexts.map((context) => ({ data, context, maps: {} })),
    );
  }

  #contexts(rng: Random): Uint8Array[] {
    const { type } = this.#program;
    const size = contextSize(type);
    const numbers = type === 'raw_tracepoint' || type === 'syscall' ? [[0, size] as const] : contextNumbers(type);
    const make = (value: () => number) => {
      const context = new Uint8Array(size);
      for (const [from, to] of numbers) for (let at = from; at < to; at++) context[at] = value();
      return context;
    };
    return [make(() => 0), make(() => rng.below(256)), make(() => 0xff)];
  }

  /** Runs the input, and inputs that are made of it to follow the refused path; a witness if one of them is. */
  #guide(start: TrialInput): Witness | undefined {
    let input = start;
    let best = -1;
    const queue: TrialInput[] = [];
    for (let round = 0; round < ROUNDS && !this.#late; round++) {
      const run = this.#try(input);
      if (run !== undefined) {
        const witness = this.#judge(run.end, input);
        if (witness !== undefined) return witness;
        const reached = common(this.#path, run.tracer.slots);
        if (reached > best) {
          best = reached;
          queue.length = 0;
        }
        if (reached >= best) queue.push(...this.#proposals(input, run.tracer, reached));
      }
      const next = queue.shift();
      if (next === undefined) return undefined;
      input = next;
    }
    return undefined;
  }

  #try(input: TrialInput): { readonly end: RunEnd; readonly tracer: Tracer } | undefined {
    const { runtime, programs } = this.#loaded!;
    const key = fingerprint(input);
    if (this.#seen.has(key)) return undefined;
    this.#seen.add(key);
    const { maps } = this.#object;
    const tracer = new Tracer(
      this.#program,
      (address, size) => runtime.bytes().slice(address, address + size),
      (map) => maps.get(map)?.keySize ?? 0,
      MAX_TRACE,
    );
    try {
      fill(this.#loaded!, input);
      this.#runs++;
      const handle = programs[this.#program.name]!;
      // Programs that may not end are not followed: a million steps are to be run.
      const visit = endless.has(this.#diagnostic.id) ? undefined : tracer.visit.bind(tracer);
      return { end: checkedRun(runtime, handle, runInput(input, this.#program.type), visit), tracer };
    } catch (error) {
      if (error instanceof InputError) return undefined;
      throw error;
    }
  }

  #judge(end: RunEnd, input: TrialInput): Witness | undefined {
    const { maps } = input;
    const { data, context } = runInput(input, this.#program.type);
    const is = (what: Witness['end']): Witness => ({ data, context, maps, seed: SEED, end: what });
    if (end.kind === 'fault') {
      const { code, message } = end.fault;
      if (code === 'SLUICE_FAULT_UNSUPPORTED') return undefined;
      if (code === 'SLUICE_FAULT_BUDGET' && !endless.has(this.#diagnostic.id)) return undefined;
      const [, slot] = /, insn (\d+)/.exec(message) ?? [];
      return is({ kind: 'fault', code, slot: slot === undefined ? undefined : Number(slot), message });
    }
    const { id, problem } = this.#diagnostic;
    const [, least, most] = /in \[(-?\d+), (-?\d+)\]/.exec(problem) ?? [];
    if (id !== 'result' || least === undefined || !problem.startsWith('At program exit')) return undefined;
    const r0 = BigInt.asIntN(32, end.r0);
    if (r0 >= BigInt(least) && r0 <= BigInt(most!)) return undefined;
    return is({ kind: 'result', r0, least: Number(least), most: Number(most) });
  }

  /** The simplest that is confirmed. */
  async #surely(witness: Witness): Promise<Witness> {
    const simpler = this.#simpler(witness);
    return simpler !== witness && (await this.#confirmed(simpler)) ? simpler : witness;
  }

  /** With what does not matter left out: contents of the packet, its length, map entries; each run before it is believed. */
  #simpler(witness: Witness): Witness {
    let best = witness;
    const attempt = (input: TrialInput | undefined) => {
      if (input === undefined) return;
      const run = this.#try(input);
      const found = run === undefined ? undefined : this.#judge(run.end, input);
      if (found !== undefined && sameEnd(found, witness)) best = found;
    };
    if (best.context !== undefined && best.data !== undefined) attempt({ ...best, context: undefined });
    for (const map of Object.keys(best.maps)) {
      const { [map]: _, ...rest } = best.maps;
      attempt({ ...best, maps: rest });
    }
    for (const [map, values] of Object.entries(best.maps))
      for (const [key, value] of Object.entries(values))
        for (const keep of [0, 4, 8, 16])
          if (value.subarray(keep).some((byte) => byte !== 0)) {
            const shorter = new Uint8Array(value.length);
            shorter.set(value.subarray(0, keep));
            attempt({ ...best, maps: { ...best.maps, [map]: { ...best.maps[map], [key]: shorter } } });
          }
    const { data } = best;
    if (data !== undefined) {
      for (const length of [64, 34, 14]) if (length < data.length) attempt(resized(best, length));
      const length = best.data?.length ?? 0;
      attempt({ ...best, data: new Uint8Array(length) });
      for (const keep of [54, 34, 14])
        if (best.data !== undefined && keep < best.data.length) {
          const zeroed = new Uint8Array(best.data.length);
          zeroed.set(best.data.subarray(0, keep));
          attempt({ ...best, data: zeroed });
        }
    }
    return best;
  }

  /** The same input in an engine where nothing has run before. */
  async #confirmed(witness: Witness): Promise<boolean> {
    const budget = witnessBudget(this.#diagnostic);
    const loaded = await loadChecked(this.#object, this.#program, this.#options.hooks, budget);
    try {
      fill(loaded, witness);
      const end = checkedRun(
        loaded.runtime,
        loaded.programs[this.#program.name]!,
        runInput(witness, this.#program.type),
        undefined,
      );
      const again = this.#judge(end, witness);
      return again !== undefined && sameEnd(again, witness);
    } finally {
      loaded.close();
    }
  }

  /** Inputs that go the other way at the first place where the run left the path; at its end, ones that push the operands out. */
  #proposals(input: TrialInput, tracer: Tracer, reached: number): TrialInput[] {
    const specs = this.#object.maps;
    const { type } = this.#program;
    const found: TrialInput[] = [];
    const put = (decision: Decision['leftSymbol'], target: bigint) => {
      if (decision === undefined) return;
      if (decision.source.kind === 'presence') {
        const next = changed(input, decision.source, target, specs, type);
        if (next !== undefined) found.push(next);
        return;
      }
      const value = solve(decision, target);
      const next = value === undefined ? undefined : changed(input, decision.source, value, specs, type);
      if (next !== undefined) found.push(next);
    };
    const flip = (decision: Decision) => {
      const { left, right, leftSymbol, rightSymbol, operation, narrow, taken } = decision;
      for (const target of targets(operation, right, !taken, narrow)) put(leftSymbol, target);
      for (const target of targets(mirroredJump(operation), left, !taken, narrow)) put(rightSymbol, target);
    };
    if (reached < this.#path.length) {
      // The last decision before the ways part.
      const parting = tracer.decisions.findLast(({ step }) => step < reached);
      if (parting !== undefined) flip(parting);
      for (const decision of tracer.decisions.filter(({ step }) => step < reached).slice(-6, -1)) flip(decision);
    } else {
      // The refused instruction, or what comes of its result later.
      const last = tracer.operands.filter(({ step }) => step >= this.#path.length - 1).slice(0, 8);
      for (const { register, symbol, size, off } of last.flatMap(({ operands }) => operands)) {
        const { object } = register;
        if (symbol?.source.kind === 'presence') put(symbol, 0n);
        if (object === undefined) {
          for (const target of [1n << 32n, (1n << 64n) - 1n, 0n, 513n, 4096n, 1n << 29n, 65536n]) put(symbol, target);
          continue;
        }
        const end = BigInt(object.base + object.size - off);
        const first = end - BigInt(Math.max(1, size)) + 1n;
        // Just outside: each of the first addresses at which a byte of the access lies behind the object, then further away.
        const outside = [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 64n, 0x7fffn, 0x7fff_ff00n].map((by) => first + by);
        for (const target of [...outside, BigInt(object.base - off) - 1n]) put(symbol, u64(target));
      }
    }
    if (this.#path.length === 0) for (const decision of tracer.decisions.slice(-12)) flip(decision);
    // Shorter packets that still come as far.
    if (input.data !== undefined && reached >= this.#path.length) {
      const [, off, size] = /off=(-?\d+) size=(\d+)/.exec(this.#diagnostic.problem) ?? [];
      const all = Number(off ?? 0) + Number(size ?? 0);
      for (const length of [all - 1, all - Number(size ?? 1), 14, 15, input.data.length - 1, input.data.length >> 1]) {
        const next = resized(input, length);
        if (next !== undefined) found.push(next);
      }
    }
    return found;
  }

  #mutated(input: TrialInput, rng: Random): TrialInput {
    const { type } = this.#program;
    const byte = () => (rng.chance(1, 3) ? rng.pick([0, 1, 6, 17, 127, 128, 255]) : rng.below(256));
    let { data, context } = input;
    if (data !== undefined && data.length > 0) {
      data = data.slice(0, Math.max(14, rng.chance(1, 2) ? data.length : rng.below(data.length + 1)));
      for (let i = rng.below(12); i > 0; i--) data[rng.below(data.length)] = byte();
    }
    const numbers = contextNumbers(type);
    if (context !== undefined || (numbers.length > 0 && rng.chance(1, 3))) {
      context = context?.slice() ?? new Uint8Array(contextSize(type));
      for (let i = 1 + rng.below(3); i > 0; i--) {
        const [from, to] = numbers[rng.below(numbers.length)] ?? [0, context.length];
        context[rng.chance(1, 2) ? from : from + rng.below(to - from)] = byte();
      }
    }
    const maps: Record<string, Record<string, Uint8Array>> = {};
    for (const spec of this.#object.maps.values()) {
      if (!/^(array|hash|lru_hash)$/.test(spec.type) || spec.name.startsWith('.') || !rng.chance(1, 2)) continue;
      const key = new Uint8Array(spec.keySize);
      key[0] = rng.below(Math.min(4, spec.maxEntries));
      maps[spec.name] = { [toHex(key)]: rng.bytes(spec.valueSize) };
    }
    return { data, context, maps };
  }
}

function sameEnd({ end: a }: Witness, { end: b }: Witness): boolean {
  return a.kind === 'fault' && b.kind === 'fault' ? a.code === b.code && a.slot === b.slot : a.kind === b.kind;
}

/** Steps that a run has in common with the path. */
function common(path: readonly number[], slots: readonly number[]): number {
  let i = 0;
  while (i < path.length && path[i] === slots[i]) i++;
  return i;
}

function fingerprint({ data, context, maps }: TrialInput): string {
  const entries = Object.entries(maps).map(([map, values]) => [
    map,
    Object.entries(values).map(([key, value]) => [key, toHex(value)]),
  ]);
  return JSON.stringify([data === undefined ? '' : toHex(data), context === undefined ? '' : toHex(context), entries]);
}

/** Values x for which `x operation c` is as wanted. */
function targets(operation: number, constant: bigint, holds: boolean, narrow: boolean): bigint[] {
  const c = narrow ? BigInt.asUintN(32, constant) : constant;
  const equal = [c];
  const above = [c + 1n, c + 2n, c + 4n, c + 64n];
  const below = [c - 1n, c - 2n, c - 4n, 0n];
  const pick = (): bigint[] => {
    switch (operation) {
      case JUMP.JEQ:
        return holds ? equal : [...above, ...below];
      case JUMP.JNE:
        return holds ? [...above, ...below] : equal;
      case JUMP.JGT:
      case JUMP.JSGT:
        return holds ? above : [...equal, ...below];
      case JUMP.JGE:
      case JUMP.JSGE:
        return holds ? [...equal, ...above] : below;
      case JUMP.JLT:
      case JUMP.JSLT:
        return holds ? below : [...equal, ...above];
      case JUMP.JLE:
      case JUMP.JSLE:
        return holds ? [...equal, ...below] : above;
      case JUMP.JSET:
        return holds ? [c, c & -c] : [0n, ~c];
      default:
        return [];
    }
  };
  return pick().map((value) => BigInt.asUintN(narrow ? 32 : 64, value));
}
