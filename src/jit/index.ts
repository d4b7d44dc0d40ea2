/**
 * jit/: programs with all addresses in place -> one WebAssembly module over the shared memory.
 *
 * Imports of the module: `env.memory` (shared), `env.table` (funcref), `env.worker` (immutable i32: the worker block of this
 * CPU), `env.table_base` (immutable i32: first of `tableSize` elements that the module fills), and what programs call of
 * `plane`. The same programs give the same bytes.
 */
import { UnsupportedError } from '../errors.ts';
import type { ResolvedProgram } from '../object/resolved.ts';
import { WORKER_TAIL_CALLS } from '../plane/layout/worker.ts';
import { analyseProgram } from './analysis.ts';
import { ARENA_AT } from './arena.ts';
import { type CallPlan, HELPER, plainCall, planHelper, THROW, typeOf } from './call-plan.ts';
import { type Analysed, CALLBACK_TYPE, declarePrograms, tailEntryOf, throws, usesTailCalls } from './declared.ts';
import { writeAdapter, writeEntry, writeGuard, writeInternal } from './function.ts';
import type { ModuleScope, TailEntry, TraitConfiguration } from './scope.ts';
import { Code } from './wasm/encoder.ts';
import { type FunctionType, ModuleBuilder } from './wasm/module.ts';
import { I64, wasm } from './wasm/opcodes.ts';

export interface CompileOptions {
  /**
   * For programs that no verifier has accepted: every pass of a loop's header (up to MOST_COPIES rounds of a small loop, unroll.ts) and
   * every call takes one unit of WORKER_FUEL; at 0 the program traps
   * (`unreachable`) and leaves WORKER_FUEL at 0. Nothing is then assumed of pointers. Without it a loop runs for as long as it does.
   */
  readonly fuel: boolean;
  /** CPUs that run programs over the memory, 1: no other than this one. Without it there may be several. */
  readonly cpus?: number;
  /** Names that the plane exports. A program that calls a helper or kfunc which is not among them is refused. */
  readonly planeExports: ReadonlySet<string>;
  /** Number of i64 arguments of a kfunc's export; undefined for one that is not known. Without it all kfuncs are refused. */
  readonly kfuncArguments?: (name: string) => number | undefined;
  /** How packets keep their traits. Without it they are the plane's alone. */
  readonly traits?: TraitConfiguration;
}

export interface CompiledProgram {
  readonly name: string;
  /** Exports: (i64 ctx) -> i64; raw programs (i64 memory, i64 length) -> i64. The second keeps the count of tail calls. */
  readonly entry: string;
  readonly tailEntry: string;
  /** Table elements of the two, counted from env.table_base. */
  readonly entryElement: number;
  readonly tailElement: number;
}

export interface CompiledModule {
  readonly bytes: Uint8Array;
  readonly imports: readonly { readonly module: string; readonly name: string }[];
  /** In the order given. */
  readonly programs: readonly CompiledProgram[];
  /** Elements from env.table_base on that the module fills when it is instantiated. */
  readonly tableSize: number;
}

/** Pages of 64 KiB that env.memory has at least and at most. */
const MEMORY_MINIMUM = 64;
const MEMORY_MAXIMUM = 65536;

/**
 * @throws InputError SLUICE_JIT_PROGRAM: an unknown instruction, a jump or call to nowhere; UnsupportedError: a helper or kfunc
 * that the plane does not have.
 */
export function compileModule(programs: readonly ResolvedProgram[], options: CompileOptions): CompiledModule {
  const module = new ModuleBuilder();
  module.importSharedMemory('env', 'memory', MEMORY_MINIMUM, MEMORY_MAXIMUM);
  module.importTable('env', 'table');
  const worker = module.importGlobal('env', 'worker');
  const tableBase = module.importGlobal('env', 'table_base');
  const analysed = programs.map((program) => ({
    program,
    functions: analyseProgram(program, {
      verified: !options.fuel,
      kfuncArguments: options.kfuncArguments ?? (() => undefined),
    }),
  }));
  const planeFunctions = importPlane(module, analysed, options);
  const entryType = module.type({ parameters: [I64], results: [I64] });
  const callbackType = module.type(CALLBACK_TYPE);
  const declared = declarePrograms(module, analysed);
  const tag = declared.some(({ functions }) => throws(functions)) ? module.tag([I64]) : undefined;
  const elements: number[] = [];
  const compiled: CompiledProgram[] = [];
  const scopes = new Map<string, ModuleScope>();
  const tails = new Map<string, TailEntry>();
  for (const each of declared) {
    const { program, functions, indices, adapters, element } = each;
    const adapterSlots = [...adapters.keys()];
    const scope: ModuleScope = {
      fuel: options.fuel,
      objects: program.objects ?? new Map(),
      concurrent: options.cpus !== 1,
      traits: options.traits,
      worker,
      tableBase,
      tag,
      entryType,
      callbackType,
      plane: (name) => planeFunctions.get(name)!,
      callee: (slot) => ({ index: indices.get(slot)!, analysis: functions.get(slot)! }),
      tableElement: (slot) => element + 2 + adapterSlots.indexOf(slot),
      tailEntry: (name) => tails.get(name),
    };
    scopes.set(program.name, scope);
    // Raw programs take two arguments and are not tail-called.
    if (program.type !== undefined) tails.set(program.name, tailEntryOf(each, scope));
  }
  for (const { program, functions, type, tailEntry, counted, guarded, indices, adapters, element } of declared) {
    const entryAnalysis = functions.get(program.functions[0]!.start)!;
    const scope = scopes.get(program.name)!;
    const body = writeEntry(entryAnalysis, scope, options.planeExports, type.parameters.length, counted !== undefined);
    module.define(guarded ?? counted ?? tailEntry, body);
    if (guarded !== undefined && tag !== undefined) {
      const slot = program.functions.find(({ exceptionCallback }) => exceptionCallback === true)?.start;
      const callback = slot === undefined ? undefined : { analysis: functions.get(slot)!, index: indices.get(slot)! };
      module.define(tailEntry, writeGuard(type.parameters.length, guarded, callback, worker, tag));
    }
    for (const [slot, index] of indices)
      module.define(index, writeInternal(functions.get(slot)!, scope, options.planeExports));
    for (const [slot, index] of adapters)
      module.define(index, writeAdapter(functions.get(slot)!, indices.get(slot)!, worker, tag));
    const entry =
      counted !== undefined
        ? countingEntries(module, program, type, tailEntry, counted, worker)
        : usesTailCalls(functions)
          ? resettingEntry(module, program, type, tailEntry, worker)
          : tailEntry;
    compiled.push({
      name: program.name,
      entry: program.name,
      tailEntry: `${program.name}:tail`,
      entryElement: element,
      tailElement: element + 1,
    });
    module.export(program.name, entry);
    module.export(`${program.name}:tail`, tailEntry);
    elements.push(entry, tailEntry, ...adapters.values());
  }
  module.elements(tableBase, elements);
  return { bytes: module.finish(), imports: module.imports, programs: compiled, tableSize: elements.length };
}

/** Imports every plane function that is called, in the order of the calls. */
function importPlane(
  module: ModuleBuilder,
  analysed: readonly Analysed[],
  options: CompileOptions,
): ReadonlyMap<string, number> {
  const indices = new Map<string, number>();
  const add = (plan: CallPlan, feature: string): void => {
    if (indices.has(plan.name)) return;
    if (!options.planeExports.has(plan.name)) throw new UnsupportedError(feature, `${feature} is not there`);
    indices.set(plan.name, module.importFunction('plane', plan.name, typeOf(plan)));
  };
  for (const { functions } of analysed) {
    for (const { webs, facts, arenaWebs } of functions.values()) {
      if (arenaWebs.size > 0) add(ARENA_AT, 'arenas');
      for (const number of webs.graph.order) {
        const cursor = webs.cursor(number);
        for (const op of webs.blocks[number]!.ops) {
          if (op.kind === 'kfunc' && op.name !== THROW) add(plainCall(op.name, op.args), `kfunc ${op.name}`);
          if (op.kind === 'helper-indirect')
            for (const { name, args } of op.prototypes)
              if (options.planeExports.has(name)) add(plainCall(name, args.length), `helper ${name}`);
          if (op.kind === 'helper' && !isExpanded(op.prototype.id)) {
            const plan = planHelper(op.prototype, (register) => facts.of(cursor.web(register)), options.planeExports);
            add(plan, `helper ${op.prototype.name}`);
          }
          cursor.step(op);
        }
      }
    }
  }
  return indices;
}

function isExpanded(helper: number): boolean {
  return helper === HELPER.SMP_PROCESSOR_ID || helper === HELPER.TAIL_CALL || helper === HELPER.KPTR_XCHG;
}

/** The two entries of a body that takes the count: the first begins at 0, the tail entry with what the worker block says. */
function countingEntries(
  module: ModuleBuilder,
  program: ResolvedProgram,
  type: FunctionType,
  tailEntry: number,
  body: number,
  worker: number,
): number {
  const tail = new Code(type.parameters);
  tail.get(0);
  tail.global(worker);
  tail.memory(wasm.i32Load, WORKER_TAIL_CALLS);
  tail.returnCall(body);
  module.define(tailEntry, tail);
  const index = module.declare(`${program.name}:first`, type);
  const first = new Code(type.parameters);
  first.get(0);
  first.i32(0);
  first.returnCall(body);
  module.define(index, first);
  return index;
}

/** The entry of a program that makes tail calls: begins to count them. */
function resettingEntry(
  module: ModuleBuilder,
  program: ResolvedProgram,
  type: FunctionType,
  tailEntry: number,
  worker: number,
): number {
  const index = module.declare(`${program.name}:first`, type);
  const code = new Code(type.parameters);
  code.global(worker);
  code.i32(0);
  code.memory(wasm.i32Store, WORKER_TAIL_CALLS);
  type.parameters.forEach((_, at) => {
    code.get(at);
  });
  code.returnCall(tailEntry);
  module.define(index, code);
  return index;
}
