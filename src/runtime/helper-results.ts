/** Helpers whose results are set: in place of their bodies, functions of a small WebAssembly module that read the results from the memory. */
import { helpers } from '../abi/helpers/index.ts';
import { mapTypes } from '../abi/map-types.ts';
import type { ArgType, HelperPrototype } from '../abi/prototype.ts';
import { InputError, InternalError } from '../errors.ts';
import { Code } from '../jit/wasm/encoder.ts';
import { ModuleBuilder } from '../jit/wasm/module.ts';
import { I32, I64, wasm } from '../jit/wasm/opcodes.ts';
import type { PlaneInstance } from './plane.ts';

/**
 * Results by the helper's name with its prefix: a constant, or what the calls of all programs of the runtime get in turn; the last one stays.
 * As u64, or negative as s64.
 */
export type HelperResults = Readonly<Record<string, HelperResult | readonly HelperResult[]>>;
type HelperResult = bigint | number;

/** Arguments that a helper writes through or takes over, or a function that it calls: without its body they would be as they were. */
const effects: ReadonlySet<ArgType> = new Set([
  ...(['map_value_uninit', 'mem_uninit', 'mem_write', 'mem_write_or_null'] as const),
  ...(['fixed_mem_uninit', 'fixed_mem_write', 'int_ptr', 'long_ptr'] as const),
  ...(['dynptr_uninit', 'ringbuf_mem', 'dynptr', 'spin_lock', 'timer', 'kptr', 'func'] as const),
]);

/** What the helper does that a result alone does not; undefined: its result can be set. */
function refusal({ name, args, returns, changesPacketData, releases }: HelperPrototype): string | undefined {
  if (name === 'bpf_get_smp_processor_id') return 'its result is the CPU: set `cpu`';
  if (name === 'bpf_get_cgroup_classid') return 'it has an argument in some programs only';
  if (name === 'bpf_tail_call') return 'it goes on in another program';
  if (returns === 'void') return 'it has no result';
  if (returns !== 'integer') return 'its result is a pointer';
  if (releases !== undefined) return 'it releases what it is given';
  if (changesPacketData) return 'it changes the packet';
  const written = args.findIndex((arg) => effects.has(arg));
  return written < 0 ? undefined : `it does more than read its argument ${written + 1}`;
}

interface SetHelper {
  readonly name: string;
  readonly args: number;
  readonly values: readonly bigint[];
}

/** Throws InputError `SLUICE_HELPER_RESULT` for a helper that is not there or does more than return a number, and for no or bad results. */
function checked(results: HelperResults): SetHelper[] {
  const byName = new Map([...helpers.values()].map((prototype) => [prototype.name, prototype]));
  return Object.entries(results).map(([name, given]) => {
    const prototype = byName.get(name);
    if (prototype === undefined) throw bad(`there is no helper ${name}; names are as in bpf-helpers(7)`);
    const reason = refusal(prototype);
    if (reason !== undefined) throw bad(`the result of ${name} cannot be set: ${reason}`);
    const list = listOf(given);
    if (list.length === 0) throw bad(`${name} needs a result at least`);
    return { name, args: prototype.args.length, values: list.map((value) => u64(name, value)) };
  });
}

function u64(name: string, value: HelperResult): bigint {
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    throw bad(`${value} is no result of ${name}: whole numbers, beyond 2^53 as bigint`);
  const wide = BigInt(value);
  if (wide < -(1n << 63n) || wide >= 1n << 64n) throw bad(`${value} is no result of ${name}: 64 bits`);
  return BigInt.asUintN(64, wide);
}

function bad(problem: string): InputError {
  return new InputError('SLUICE_HELPER_RESULT', problem);
}

/** Bytes of u32 before the results: address of the next one. */
const HEAD = 8;

/**
 * The plane's functions with those of `results` in place of theirs; helpers that the plane lacks are there as well. The results lie in pages of the
 * memory that stay for its life.
 */
export function withHelperResults(plane: PlaneInstance, results: HelperResults): Readonly<Record<string, unknown>> {
  const set = checked(results);
  if (set.length === 0) return plane.exports;
  const sizes = set.map(({ values }) => HEAD + 8 * values.length);
  const pages = Math.ceil(sizes.reduce((sum, size) => sum + size, 0) / 65536);
  let at = plane.exports.pages_alloc(pages) >>> 0;
  if (at === 0) throw new InternalError(`the linear memory has no room for ${pages} pages of results`);
  const module = new ModuleBuilder();
  module.importSharedMemory('env', 'memory', 1, 65536);
  const view = plane.view();
  for (const [i, { name, args, values }] of set.entries()) {
    view.setUint32(at, at + HEAD, true);
    for (const [n, value] of values.entries()) view.setBigUint64(at + HEAD + 8 * n, value, true);
    const type = { parameters: new Array<typeof I64>(args).fill(I64), results: [I64] } as const;
    const index = module.declare(name, type);
    module.define(index, body(type.parameters, at, at + HEAD + 8 * (values.length - 1)));
    module.export(name, index);
    at += sizes[i]!;
  }
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish().slice().buffer), {
    env: { memory: plane.memory },
  });
  return { ...withoutOwn(plane.exports, results), ...instance.exports };
}

/** Gives the result that is next, and moves on to the one behind it unless it is the last. */
function body(parameters: readonly (typeof I64)[], head: number, last: number): Code {
  const code = new Code(parameters);
  const here = code.local(I32);
  code.i32(head);
  code.i32(head);
  code.memory(wasm.i32Load, 0);
  code.tee(here);
  code.i32(8);
  code.op(wasm.i32Add);
  code.get(here);
  code.get(here);
  code.i32(last);
  code.op(wasm.i32LtU);
  code.op(wasm.select);
  code.memory(wasm.i32Store, 0);
  code.get(here);
  code.memory(wasm.i64Load, 0);
  return code;
}

/** Without the operations of single map types, which the JIT calls in place of the helpers on maps that it knows. */
function withoutOwn(exports: Readonly<Record<string, unknown>>, results: HelperResults) {
  const own = new Set<string>();
  for (const type of Object.keys(mapTypes)) {
    if ('bpf_map_update_elem' in results) own.add(`${type}_update`);
    if ('bpf_map_delete_elem' in results) own.add(`${type}_delete`);
  }
  return Object.fromEntries(Object.entries(exports).filter(([name]) => !own.has(name)));
}

/** As texts, in lists, for `helperResultsFromJson`. */
export function helperResultsToJson(results: HelperResults): Record<string, string[]> {
  return Object.fromEntries(Object.entries(results).map(([name, given]) => [name, listOf(given).map(String)]));
}

function listOf(given: HelperResults[string]): readonly HelperResult[] {
  return typeof given === 'bigint' || typeof given === 'number' ? [given] : given;
}

/** Results as JSON has them: numbers, texts for 64 bits, lists. Throws InputError `SLUICE_HELPER_RESULT` naming `input`. */
export function helperResultsFromJson(json: unknown, input: string): HelperResults {
  const wrong = () =>
    new InputError('SLUICE_HELPER_RESULT', 'must be results by the names of helpers: numbers, texts, or lists', {
      input,
    });
  if (json === null || typeof json !== 'object' || Array.isArray(json)) throw wrong();
  const one = (value: unknown): HelperResult => {
    if (typeof value === 'number') return value;
    const parsed = typeof value === 'string' ? parseHelperResult(value) : undefined;
    if (parsed === undefined) throw wrong();
    return parsed;
  };
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => [name, Array.isArray(value) ? value.map(one) : one(value)]),
  );
}

/** Decimal or 0x…, with or without a sign; undefined for what is neither. */
export function parseHelperResult(text: string): bigint | undefined {
  const [, sign, digits] = /^(-?)(\d{1,20}|0x[0-9a-f]{1,16})$/i.exec(text) ?? [];
  if (digits === undefined) return undefined;
  return sign === '-' ? -BigInt(digits) : BigInt(digits);
}
