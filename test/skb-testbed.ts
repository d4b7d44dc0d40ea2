/** The same instructions over sk_buffs here (on both engines) and in the kernel, with everything that comes out held against each other. */
import { expect } from 'vitest';
import { helperId, helpers } from '../src/abi/helpers/index.ts';
import type { AttachTypeName, LinuxProgramTypeName } from '../src/abi/program-types.ts';
import { InputError } from '../src/errors.ts';
import { assemble } from '../src/isa/assembler.ts';
import { BPF_F_SLEEPABLE } from '../src/linux/program-load.ts';
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

export interface AgreeOptions {
  readonly sleepable?: boolean;
  readonly engines?: readonly EngineName[];
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

export function linuxSubject(
  type: LinuxProgramTypeName,
  text: string,
  attachType?: AttachTypeName,
  options: AgreeOptions = {},
): Subject {
  const { insns } = assembleNamed(text);
  const program = loadRaw(insns, type, 'GPL', {
    ...(attachType === undefined ? {} : { expectedAttachType: attachType }),
    ...(options.sleepable === true ? { flags: BPF_F_SLEEPABLE } : {}),
  });
  return { name: 'linux', run: (input) => observe(() => program.run(input)), close: () => program.close() };
}

const shared = new Runtime({ seed: 1n });

export async function userSubject(engine: EngineName, hook: Hook, text: string): Promise<Subject> {
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
      ? await loadIntoJit(shared, [program], { fuel: BUDGET })
      : await loadIntoInterpreter(shared, [{ program, declaration: hook.declaration }], { budget: BUDGET });
  const executable: Executable = loaded.programs.get('parity')!;
  return {
    name: engine,
    run: (input) => observe(() => hook.testRun(shared, executable, input)),
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

/** Offsets of cb[0] to cb[4]: words that go in, and come back, with every run. */
export const CB = [48, 52, 56, 60, 64] as const;

/** Runs compared by `agree` since the start. */
export let compared = 0;

/** Each input has the same result on both engines and in the kernel. Returns how many of them the kernel did not refuse. */
export async function agree(
  hook: Hook,
  text: string,
  inputs: Iterable<RunInput>,
  attachType?: AttachTypeName,
  options: AgreeOptions = {},
): Promise<number> {
  const subjects: Subject[] = [];
  let ran = 0;
  try {
    // Of packets: a type of Linux's.
    subjects.push(linuxSubject(hook.declaration.type as LinuxProgramTypeName, text, attachType, options));
    for (const engine of options.engines ?? (['jit', 'interpreter'] as const))
      subjects.push(await userSubject(engine, hook, text));
    for (const input of inputs) {
      const [linux, ...ours] = subjects.map((subject) => ({ engine: subject.name, outcome: subject.run(input) }));
      if (linux!.outcome.refused === undefined) ran++;
      for (const { engine, outcome } of ours) {
        compared++;
        if (JSON.stringify(outcome) === JSON.stringify(linux!.outcome)) continue;
        const hex = (bytes: Uint8Array | undefined) =>
          bytes === undefined ? undefined : Buffer.from(bytes).toString('hex');
        const where = {
          type: hook.declaration.type,
          text: text.split('\n').join('; '),
          engine,
          packet: hex(input.data),
          context: hex(input.context),
        };
        expect({ ...where, outcome }).toEqual({ ...where, outcome: linux!.outcome });
      }
    }
    return ran;
  } finally {
    for (const subject of subjects) subject.close();
  }
}
