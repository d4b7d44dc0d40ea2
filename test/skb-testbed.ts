/** The same instructions over sk_buffs here (on both engines) and in the kernel, with everything that comes out held against each other. */
import { helperId, helpers } from '../src/abi/helpers/index.ts';
import type { AttachTypeName, ProgramTypeName } from '../src/abi/program-types.ts';
import { InputError } from '../src/errors.ts';
import { assemble } from '../src/isa/assembler.ts';
import { loadRaw } from '../src/linux/programs.ts';
import type { ResolvedProgram } from '../src/object/resolved.ts';
import type { EngineName } from '../src/runtime/engine.ts';
import type { RunInput, RunResult } from '../src/runtime/handles.ts';
import type { Executable, Hook } from '../src/runtime/hook.ts';
import { loadIntoInterpreter } from '../src/runtime/interpreter-engine.ts';
import { loadIntoJit } from '../src/runtime/jit-engine.ts';
import { Runtime } from '../src/runtime/runtime.ts';

const BUDGET = 1_000_000;

/** Where each thing is, as hex, so that a difference can be read. A refusal is its errno. */
export interface Observed {
  readonly refused?: string;
  readonly returnValue?: number;
  readonly data?: string;
  readonly context?: string;
}

export interface Subject {
  readonly name: string;
  run(input: RunInput): Observed;
  close(): void;
}

/** LLVM syntax, with helpers called by name: `call bpf_skb_pull_data`. */
export function assembleNamed(text: string): ReturnType<typeof assemble> {
  const numbered = text.replace(/call (bpf_\w+)/g, (_, name: string) => {
    const id = helperId(name);
    if (id === undefined) throw new RangeError(`no helper ${name}`);
    return `call ${id}`;
  });
  return assemble(numbered, { syntax: 'llvm' });
}

export function linuxSubject(type: ProgramTypeName, text: string, attachType?: AttachTypeName): Subject {
  const { insns } = assembleNamed(text);
  const program = loadRaw(insns, type, 'GPL', attachType === undefined ? {} : { expectedAttachType: attachType });
  return { name: 'linux', run: (input) => observe(() => program.run(input)), close: () => program.close() };
}

let shared: Runtime | undefined;

export async function userSubject(engine: EngineName, hook: Hook, text: string): Promise<Subject> {
  const runtime = (shared ??= new Runtime({ seed: 1n }));
  const { insns, functions } = assembleNamed(text);
  const { type } = hook.declaration;
  const called = insns.filter((insn) => insn.opcode === 0x85 && insn.src === 0).map((insn) => insn.imm);
  const program: ResolvedProgram = {
    name: 'parity',
    type,
    insns,
    functions: functions.map((fn) => ({ ...fn, linkage: 'static', btfId: undefined, callback: false })),
    mapsAt: new Map(),
    valuesAt: new Map(),
    jumpTables: [],
    helpers: new Map(called.map((id) => [id, helpers.get(id)!] as const)),
    kfuncs: [],
    lines: [],
  };
  const loaded =
    engine === 'jit'
      ? await loadIntoJit(runtime, [program], { fuel: BUDGET })
      : await loadIntoInterpreter(runtime, [{ program, declaration: hook.declaration }], { budget: BUDGET });
  const executable: Executable = loaded.programs.get('parity')!;
  return {
    name: engine,
    run: (input) => observe(() => hook.testRun(runtime, executable, input)),
    close: () => loaded.close(),
  };
}

function observe(run: () => RunResult): Observed {
  try {
    const { returnValue, data, context } = run();
    return {
      returnValue,
      ...(data === undefined ? {} : { data: Buffer.from(data).toString('hex') }),
      ...(context === undefined ? {} : { context: Buffer.from(context).toString('hex') }),
    };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return {
      refused:
        /\bE[A-Z0-9]+\b/.exec(error.code.startsWith('SLUICE_LINUX_') ? error.code.slice(13) : error.message)?.[0] ??
        error.message,
    };
  }
}

/** struct __sk_buff with some fields set. */
export function skbContext(fields: { readonly [offset: number]: number }, size = 192): Uint8Array {
  const context = new Uint8Array(size);
  const view = new DataView(context.buffer);
  for (const [offset, value] of Object.entries(fields)) view.setUint32(Number(offset), value, true);
  return context;
}
