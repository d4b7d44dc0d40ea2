/** The JIT as the loader uses it: one WebAssembly module an object, instantiated against the memory, the plane and the table. */
import { InternalError } from '../errors.ts';
import { type CompiledProgram, compileModule } from '../jit/index.ts';
import type { ResolvedProgram } from '../object/resolved.ts';
import { WORKER_EPOCH_DEPTH, WORKER_FUEL, WORKER_STACK_TOP } from '../plane/layout/worker.ts';
import type { EngineProgram, LoadedPrograms } from './engine.ts';
import { ProgramFault } from './fault.ts';
import { leaveEpochs, takeMemoryFault } from './memory-fault.ts';
import type { PlaneInstance } from './plane.ts';
import { callbacksOf, type ProgramModule, type Runtime } from './runtime.ts';
import { traitConfiguration } from './traits.ts';

export interface JitOptions {
  /**
   * Loop rounds and calls that one entry into the program may take before it is stopped, at most 2^32 - 1 (of small loops, which are
   * unrolled, up to eight rounds count as one); undefined: no limit, for programs that a verifier has proven to end.
   */
  readonly fuel: number | undefined;
}

export async function loadIntoJit(
  runtime: Runtime,
  programs: readonly ResolvedProgram[],
  options: JitOptions,
): Promise<LoadedPrograms> {
  const { plane } = runtime;
  const {
    bytes,
    tableSize,
    programs: compiled,
  } = compileModule(programs, {
    fuel: options.fuel !== undefined,
    cpus: runtime.cpus,
    planeExports: new Set(Object.keys(runtime.functions)),
    // Functions that a module exports have as many parameters as their type.
    kfuncArguments: (name) => plane.exports[name]?.length,
    traits: traitConfiguration(runtime.view()),
  });
  const base = runtime.reserveEntries(tableSize);
  let added: ProgramModule | undefined;
  try {
    const module: ProgramModule = {
      module: await WebAssembly.compile(bytes),
      base,
      size: tableSize,
      programs: compiled,
      fuel: options.fuel,
    };
    const loaded = instantiateModule(runtime, module);
    added = module;
    await runtime.addModule(module);
    let closed = () => {};
    const release = runtime.lives.add(base, tableSize, callbacksOf(module), () => runtime.removeModule(module, closed));
    return {
      programs: loaded,
      close: (gone = () => {}) => {
        closed = gone;
        release();
      },
    };
  } catch (error) {
    if (added === undefined || !runtime.removeModule(added, () => {})) runtime.releaseEntries(base, tableSize);
    throw error;
  }
}

/** Puts the programs of a module into the table of this thread. */
export function instantiateModule(runtime: Runtime, module: ProgramModule): ReadonlyMap<string, EngineProgram> {
  const { base, fuel } = module;
  const instance = instantiatePrograms(runtime.plane, module, runtime.functions);
  return new Map(module.programs.map((each) => [each.name, new JitProgram(runtime, instance, each, base, fuel)]));
}

/** Puts the programs of a module into the plane's table, from `base` on, which grows where it is shorter. */
export function instantiatePrograms(
  plane: PlaneInstance,
  { module, base, size }: Pick<ProgramModule, 'module' | 'base' | 'size'>,
  functions: Readonly<Record<string, unknown>> = plane.exports,
): WebAssembly.Instance {
  const { table } = plane;
  if (table.length < base + size) table.grow(base + size - table.length);
  return new WebAssembly.Instance(module, {
    env: {
      memory: plane.memory,
      table: plane.table,
      worker: new WebAssembly.Global({ value: 'i32' }, plane.worker),
      table_base: new WebAssembly.Global({ value: 'i32' }, base),
    },
    plane: functions as WebAssembly.ModuleImports, // all of them are functions
  });
}

/** Empties what a module had filled of the table of this thread. */
export function dropPrograms({ table }: PlaneInstance, { base, size }: Pick<ProgramModule, 'base' | 'size'>): void {
  for (let i = base; i < base + size; i++) table.set(i, null);
}

class JitProgram implements EngineProgram {
  readonly entry: number;
  readonly tailEntry: number;
  readonly #name: string;
  readonly #runtime: Runtime;
  readonly #call: (...args: bigint[]) => bigint;
  readonly fuel: number | undefined;

  constructor(
    runtime: Runtime,
    instance: WebAssembly.Instance,
    compiled: CompiledProgram,
    base: number,
    fuel: number | undefined,
  ) {
    this.entry = base + compiled.entryElement;
    this.tailEntry = base + compiled.tailElement;
    this.#name = compiled.name;
    this.#runtime = runtime;
    const exported = instance.exports[compiled.entry];
    if (typeof exported !== 'function') throw new InternalError(`the module of ${compiled.name} does not export it`);
    this.#call = exported as (...args: bigint[]) => bigint; // entries take and return i64
    this.fuel = fuel;
  }

  run(...args: number[]): bigint {
    return this.enter(() => BigInt.asUintN(64, this.#call(...args.map(BigInt))));
  }

  enter<T>(call: () => T): T {
    const { worker, exports } = this.#runtime.plane;
    const view = this.#runtime.view();
    if (this.fuel !== undefined) view.setUint32(worker + WORKER_FUEL, this.fuel, true);
    const stackTop = view.getUint32(worker + WORKER_STACK_TOP, true);
    const depth = view.getUint32(worker + WORKER_EPOCH_DEPTH, true);
    try {
      exports.epoch_enter();
      const result = call();
      exports.epoch_exit();
      this.#runtime.timers.arm();
      return result;
    } catch (error) {
      const memory = takeMemoryFault(this.#runtime.plane, this.#name, error);
      leaveEpochs(this.#runtime.plane, depth);
      // RangeError: the functions of the program called each other until V8's stack was used up.
      if (!(error instanceof WebAssembly.RuntimeError || error instanceof RangeError)) throw error;
      const now = this.#runtime.view();
      now.setUint32(worker + WORKER_STACK_TOP, stackTop, true);
      if (memory !== undefined) throw memory;
      const exhausted = this.fuel !== undefined && now.getUint32(worker + WORKER_FUEL, true) === 0;
      throw exhausted
        ? new ProgramFault('SLUICE_FAULT_BUDGET', this.#name, `did not end within ${this.fuel} loop rounds and calls`, {
            cause: error,
          })
        : new ProgramFault(
            'SLUICE_FAULT_TRAP',
            this.#name,
            `stopped by the sandbox (${error.message}); run it in the interpreter to see the instruction and the address`,
            { cause: error },
          );
    }
  }
}
