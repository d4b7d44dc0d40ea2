/** Programs without an object or a hook: conformance cases and snippets. r1 is the address of their memory, r2 its length. */
import { helpers } from '../abi/helpers/index.ts';
import { InputError, UnsupportedError } from '../errors.ts';
import type { Insn } from '../isa/insn.ts';
import type { JumpTable, ResolvedProgram } from '../object/resolved.ts';
import { checkStructure } from '../verifier/program/structure.ts';
import type { EngineName } from './engine.ts';
import { loadIntoInterpreter } from './interpreter-engine.ts';
import { loadIntoJit } from './jit-engine.ts';
import { isRunnable } from './resolve.ts';
import type { Runtime } from './runtime.ts';

/** What the assembler or the parser of conformance cases gives. */
export interface RawProgram {
  readonly name: string;
  readonly insns: readonly Insn[];
  readonly functions: readonly {
    readonly name: string;
    readonly start: number;
    readonly length: number;
    readonly callback?: boolean;
  }[];
  readonly jumpTables?: readonly { readonly slots: readonly number[]; readonly references: readonly number[] }[];
}

const BUDGET = 100_000_000;

/**
 * Runs once and returns r0 as u64. `memory` is copied in, and what the program left there is copied back. Throws InputError
 * `SLUICE_PROGRAM_REFUSED` for bad structure, UnsupportedError for a helper that Linux has and Sluice has not, ProgramFault where the engine stopped it.
 */
export async function runRaw(
  runtime: Runtime,
  engine: EngineName,
  program: RawProgram,
  memory: Uint8Array | undefined,
): Promise<bigint> {
  const tables = program.jumpTables ?? [];
  const tableBytes = tables.reduce((sum, { slots }) => sum + slots.length * 8, 0);
  const length = memory?.length ?? 0;
  // Memory first, so that its end is not next to anything; jump tables on a page of their own.
  const size = Math.ceil((length + 1) / 65536) * 65536 + tableBytes + 8;
  const address = runtime.allocatePages(size);
  try {
    if (memory !== undefined) runtime.bytes().set(memory, address);
    const resolved = resolve(runtime, program, address + size - tableBytes - ((size - tableBytes) % 8));
    refuse(resolved, new Set(Object.keys(runtime.functions)));
    const loaded =
      engine === 'jit'
        ? await loadIntoJit(runtime, [resolved], { fuel: BUDGET })
        : await loadIntoInterpreter(runtime, [{ program: resolved, declaration: undefined }], { budget: BUDGET });
    try {
      const r0 = loaded.programs.get(program.name)!.run(memory === undefined ? 0 : address, length);
      memory?.set(runtime.bytes().subarray(address, address + length));
      return r0;
    } finally {
      loaded.close();
    }
  } finally {
    runtime.freePages(address, size);
  }
}

function resolve(runtime: Runtime, program: RawProgram, tablesAt: number): ResolvedProgram {
  const insns = program.insns.slice();
  const view = runtime.view();
  const jumpTables: JumpTable[] = [];
  const valuesAt = new Map<number, ResolvedProgram['valuesAt'] extends ReadonlyMap<number, infer V> ? V : never>();
  let address = tablesAt;
  for (const [index, { slots, references }] of (program.jumpTables ?? []).entries()) {
    for (const [i, slot] of slots.entries()) view.setBigUint64(address + i * 8, BigInt(slot), true);
    for (const slot of references) {
      insns[slot] = { ...insns[slot]!, src: 0, imm: address | 0 };
      insns[slot + 1] = { ...insns[slot + 1]!, imm: 0 };
      valuesAt.set(slot, {
        map: `jump table ${index}`,
        address,
        base: address,
        size: slots.length * 8,
        readOnly: true,
      });
    }
    jumpTables.push({ address, slots });
    address += slots.length * 8;
  }
  const called = new Set(insns.filter((insn) => insn.opcode === 0x85 && insn.src === 0).map((insn) => insn.imm));
  // `call %rN` may call any helper that has a body.
  const byNumber = insns.some((insn) => insn.opcode === 0x8d);
  const exports = new Set(Object.keys(runtime.functions));
  return {
    name: program.name,
    type: undefined,
    insns,
    functions: program.functions.map((fn) => ({
      name: fn.name,
      start: fn.start,
      length: fn.length,
      linkage: 'static',
      btfId: undefined,
      callback: fn.callback ?? false,
    })),
    mapsAt: new Map(),
    valuesAt,
    jumpTables,
    helpers: new Map([...helpers].filter(([id, { name }]) => called.has(id) || (byNumber && exports.has(name)))),
    kfuncs: [],
    lines: [],
  };
}

function refuse(program: ResolvedProgram, exports: ReadonlySet<string>): void {
  const [first] = checkStructure(program, { kernel: false, callx: true });
  const unknown = program.insns.findIndex(
    (insn) => insn.opcode === 0x85 && insn.src === 0 && !program.helpers.has(insn.imm),
  );
  if (first === undefined && unknown < 0) {
    const missing = [...program.helpers.values()].find((prototype) => !isRunnable(prototype, exports));
    if (missing === undefined) return;
    throw new UnsupportedError(
      `helper ${missing.name}`,
      `${program.name} calls helper ${missing.name}, which the user-space target does not have yet`,
    );
  }
  const slot = first?.slot ?? unknown;
  const problem = first?.problem ?? `invalid func unknown#${program.insns[unknown]!.imm}`;
  throw new InputError('SLUICE_PROGRAM_REFUSED', `insn ${slot}: ${problem}`, { input: program.name });
}
