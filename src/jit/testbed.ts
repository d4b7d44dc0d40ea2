/** For tests: a memory with one worker block and one stack, in which compiled programs run without the runtime. */
import { InternalError } from '../errors.ts';
import type { Insn } from '../isa/insn.ts';
import type { ResolvedProgram } from '../object/resolved.ts';
import { HEAP, STACK_AREA_SIZE, STACKS, WASM_PAGE, WORKERS } from '../plane/layout/memory.ts';
import { WORKER_FUEL, WORKER_STACK_TOP } from '../plane/layout/worker.ts';
import { type CompileOptions, compileModule } from './index.ts';

export type PlaneFunction = (...args: bigint[]) => bigint;

/** A program of one function without maps, helpers or a type, but for what `parts` says. */
export function rawProgram(insns: readonly Insn[], parts: Partial<ResolvedProgram> = {}): ResolvedProgram {
  return {
    name: 'entry',
    type: undefined,
    insns,
    functions: [
      { name: 'entry', start: 0, length: insns.length, linkage: 'global', btfId: undefined, callback: false },
    ],
    mapsAt: new Map(),
    valuesAt: new Map(),
    jumpTables: [],
    helpers: new Map(),
    kfuncs: [],
    lines: [],
    ...parts,
  };
}

export class Testbed {
  readonly memory = new WebAssembly.Memory({ initial: HEAP / WASM_PAGE + 28, maximum: 65536, shared: true });
  readonly table = new WebAssembly.Table({ initial: 64, element: 'anyfunc' });
  readonly view = new DataView(this.memory.buffer);
  readonly bytes = new Uint8Array(this.memory.buffer);
  /** First byte that tests may use as they like, and the table element of the first program. */
  readonly free = HEAP;
  readonly tableBase = 8;

  constructor() {
    this.view.setUint32(WORKERS + WORKER_STACK_TOP, STACKS + STACK_AREA_SIZE, true);
  }

  /** Exports of the compiled programs. */
  load(
    programs: readonly ResolvedProgram[],
    plane: Readonly<Record<string, PlaneFunction>> = {},
    options: Partial<CompileOptions> = {},
  ): Record<string, (...args: bigint[]) => bigint> {
    const { bytes } = compileModule(programs, { fuel: false, planeExports: new Set(Object.keys(plane)), ...options });
    if (!WebAssembly.validate(bytes)) throw new InternalError('the module is not valid');
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      env: {
        memory: this.memory,
        table: this.table,
        worker: new WebAssembly.Global({ value: 'i32' }, WORKERS),
        table_base: new WebAssembly.Global({ value: 'i32' }, this.tableBase),
      },
      plane,
    });
    return exports as Record<string, (...args: bigint[]) => bigint>; // all exports of a compiled module have this type
  }

  set fuel(units: number) {
    this.view.setUint32(WORKERS + WORKER_FUEL, units, true);
  }

  get fuel(): number {
    return this.view.getUint32(WORKERS + WORKER_FUEL, true);
  }
}
