/** The way in: a program and what it refers to -> a verdict. Pure; one verification at a time (records.ts). */
import { laterStructs, withLaterStructs } from '../abi/later-structs.ts';
import { objectKfuncs } from '../abi/object-kfuncs.ts';
import type { ProgramDeclaration } from '../abi/program-declaration.ts';
import type { ProgramTypeName } from '../abi/program-types.ts';
import { programDeclarations } from '../abi/programs/index.ts';
import { structsProblem } from '../btf/field-rules.ts';
import { structFields, valueFields } from '../btf/special-fields.ts';
import type { Btf } from '../btf/types.ts';
import { methodOf } from '../object/maps-struct-ops.ts';
import type { MapSpec, ProgramSpec } from '../object/spec.ts';
import { findExceptionCallback } from './calls/exceptions.ts';
import { type Diagnostic, Refusal, Unfollowed } from './diagnostic.ts';
import { explore } from './explore.ts';
import { checkOneArena } from './memory/arena.ts';
import { checkKsyms } from './memory/ksym.ts';
import type { Ownership } from './ownership.ts';
import { findAttachTarget } from './program/attach-target.ts';
import { checkPacketChanges, findReplaced, type Replaced } from './program/extension.ts';
import { checkFunctionTypes } from './program/function-types.ts';
import { findPacketChanges } from './program/packet-changes.ts';
import { type Code, prepare } from './program/program.ts';
import { checkStackDepth } from './program/stack-depth.ts';
import { checkStructure } from './program/structure.ts';
import type { Observer } from './recording/recorder.ts';
import { Verification } from './verification.ts';

export interface VerifyInput {
  /** As read, with CO-RE relocations applied to its instructions. */
  readonly program: ProgramSpec;
  /** Maps by the names that the program refers to. */
  readonly maps: ReadonlyMap<string, MapSpec>;
  readonly license: string;
  /** The object's own types; without, all functions are taken for static. */
  readonly btf: Btf | undefined;
}

export interface VerifyOptions {
  /** In place of the declaration of the program's type. */
  readonly declaration?: ProgramDeclaration;
  /** BPF_F_STRICT_ALIGNMENT. */
  readonly strictAlignment?: boolean;
  /** BPF_F_TEST_STATE_FREQ: states are kept wherever they are compared. */
  readonly testStateFrequency?: boolean;
  /** Possible CPUs of the kernel: bounds bpf_get_smp_processor_id (default 8192, the most that x86 has). */
  readonly cpus?: number;
  /** Types of the kernel that the program is for (BTF of vmlinux); without, what needs them is `unsupported`. */
  readonly vmlinux?: Btf | undefined;
  /**
   * Loaded for one device (prog_ifindex with BPF_F_XDP_DEV_BOUND_ONLY): only then it may ask for the device's metadata. That is said at the
   * load, not in the object: by default (true) the program is taken to be bound.
   */
  readonly deviceBound?: boolean;
  /** Address of a symbol of that kernel, 0n where it is hidden, undefined for none; without, all are taken to be there. */
  readonly symbolAddress?: (name: string) => bigint | undefined;
  /** The kernel was built without a helper (name without `bpf_`) that programs of the type have elsewhere. */
  readonly lacksHelper?: (type: ProgramTypeName, name: string) => boolean;
  /** What a program of type ext replaces a function of; without, such programs are `unsupported`. */
  readonly replaces?: Replaced | undefined;
  /** Sees every state (recorder.ts); costs much time and memory. */
  readonly observer?: Observer;
}

export interface VerifyStats {
  /** Instructions followed, over all paths. */
  readonly insns: number;
  /** States kept to be compared with, in all; kept at the same time; and at one instruction. */
  readonly states: number;
  readonly peakStates: number;
  readonly maxStatesPerInsn: number;
}

export interface Verdict {
  readonly verdict: 'accept' | 'reject' | 'unsupported';
  readonly diagnostics: readonly Diagnostic[];
  /** What the program needs and the verifier does not follow, where the verdict is `unsupported`. */
  readonly feature?: string;
  readonly stats: VerifyStats;
  /**
   * Of an accepted program, by slot: 1 where a path leads to the instruction, 0 where none does. Sound, as every branch that is decided
   * makes what decides it precise: no state that would go the other way is taken for covered.
   */
  readonly reached?: Uint8Array;
  /** Of an accepted program: names of the fields of its context struct that it uses, on any path. */
  readonly contextFields?: readonly string[];
  /** Of an accepted program that has objects of its own types. */
  readonly ownership?: Ownership;
}

/**
 * Judges a program as Linux 6.18 would for a loader with all capabilities. Never throws for what is in the program; what it cannot follow
 * yet is `unsupported`, never `accept`.
 */
export function verify(input: VerifyInput, options: VerifyOptions = {}): Verdict {
  let v: Verification | undefined;
  const stats = (): VerifyStats => ({
    insns: v?.instructions ?? 0,
    states: v?.savedStates ?? 0,
    peakStates: v?.peakStates ?? 0,
    maxStatesPerInsn: v?.maxStatesPerInsn ?? 0,
  });
  try {
    let { program } = input;
    let declaration =
      options.declaration ?? (program.type === undefined ? undefined : programDeclarations.get(program.type));
    if (declaration === undefined) throw new Unfollowed(`program type ${program.type ?? 'of no hook'}`, undefined);
    const deferred = new Map<number, string>();
    const structure = checkStructure(
      { insns: program.insns, functions: program.functions, jumpTables: [] },
      { kernel: true, deferred },
    );
    if (structure.length > 0) {
      if (program.insns.some(({ opcode }) => opcode === 0x0d)) throw new Unfollowed('gotox', undefined);
      return { verdict: 'reject', diagnostics: structure.slice(0, 1), stats: stats() };
    }
    const replaced =
      program.type === 'ext' ? findReplaced(program, input.btf, options.replaces, options.vmlinux) : undefined;
    if (replaced !== undefined) {
      declaration = replaced.declaration;
      program = { ...program, attachType: options.replaces!.program.attachType };
    }
    checkLoad(program, declaration, input.license);
    const vmlinux = typesFor(program, declaration, input, options.vmlinux);
    const target = findAttachTarget(program, declaration, input.maps, input.btf, vmlinux);
    const code = prepare(program, input.maps, declaration.helpers);
    if (options.deviceBound === false) refuseMetadata(code);
    v = new Verification(code, program, declaration, input.license, input.btf, {
      strictAlignment: options.strictAlignment ?? false,
      vmlinux,
      symbolAddress: options.symbolAddress,
      lacksHelper: options.lacksHelper,
      target,
    });
    for (const [slot, text] of deferred) {
      v.problems.set(slot, text);
      v.hasProblem[slot] = 1;
    }
    v.keepAll = options.testStateFrequency ?? false;
    v.cpus = options.cpus ?? 8192;
    v.observer = options.observer;
    checkFunctionTypes(v);
    checkOneArena(v);
    checkStructs(v);
    checkKsyms(v);
    findPacketChanges(v);
    if (replaced !== undefined) checkPacketChanges(v, replaced);
    findExceptionCallback(v);
    explore(v, 0);
    for (let i = 0; i < v.globalsToVerify.length; i++) explore(v, v.globalsToVerify[i]!);
    checkStackDepth(v);
    const ownership = v.provenance.facts;
    return {
      verdict: 'accept',
      diagnostics: [],
      stats: stats(),
      reached: v.reached,
      contextFields: [...v.contextFields],
      ...(ownership === undefined ? {} : { ownership }),
    };
  } catch (error) {
    if (error instanceof Refusal) return { verdict: 'reject', diagnostics: [error.diagnostic], stats: stats() };
    if (error instanceof Unfollowed)
      return {
        verdict: 'unsupported',
        feature: error.feature,
        diagnostics: [
          {
            id: 'unsupported',
            category: 'Verifier Limit',
            problem: `${error.feature} is not supported yet`,
            reason: 'The verifier does not follow this, so it does not say that the program is safe.',
            slot: error.slot,
          },
        ],
        stats: stats(),
      };
    throw error;
  }
}

/** Methods of structs that only later kernels have are verified by the types that those kernels have. */
function typesFor(
  program: ProgramSpec,
  declaration: ProgramDeclaration,
  { maps, btf }: VerifyInput,
  vmlinux: Btf | undefined,
): Btf | undefined {
  if (declaration.type !== 'struct_ops') return vmlinux;
  const struct = methodOf(program, maps, btf)?.struct;
  return struct !== undefined && laterStructs.has(struct) ? withLaterStructs(vmlinux) : vmlinux;
}

/** Linux loads no BTF with a struct in it that breaks the rules of special fields, and without BTF there are no objects and fields. */
function checkStructs({ btf, code }: Verification): void {
  if (btf === undefined) return;
  const problem = structsProblem(btf, (struct) => structFields(btf, struct));
  if (problem === undefined) return;
  const uses =
    [...code.kfuncs.values()].some(({ name }) => objectKfuncs.has(name)) ||
    code.maps.some(({ valueTypeId }) => valueTypeId !== 0 && valueFields(btf, valueTypeId).length > 0);
  if (!uses) return;
  throw new Refusal({
    id: 'struct-fields',
    category: 'Policy',
    problem: `the types of the program are refused: ${problem.text} (${problem.errno})`,
    reason: 'Linux does not load such types (BPF_BTF_LOAD), and a program without them has no objects of its own.',
    slot: undefined,
  });
}

/** Kfuncs of one device are refused wherever the call stands (bpf_dev_bound_kfunc_check). */
function refuseMetadata(code: Code): void {
  for (const [slot, { name }] of code.kfuncs)
    if (name.startsWith('bpf_xdp_metadata_'))
      throw new Refusal({
        id: 'device-bound',
        category: 'Policy',
        problem: 'metadata kfuncs require device-bound program',
        reason: `${name} is a function of a device's driver: which one is said where the program is loaded.`,
        slot,
      });
}

const gplMessages: Partial<Record<ProgramDeclaration['type'], string>> = {
  lsm: 'LSM programs must have a GPL compatible license',
  struct_ops: 'struct ops programs must have a GPL compatible license',
};

/** What is checked before the instructions are looked at (bpf_prog_load). */
function checkLoad(program: ProgramSpec, declaration: ProgramDeclaration, license: string): void {
  const refuse = (id: string, problem: string, reason: string): never => {
    throw new Refusal({ id, category: 'Policy', problem, reason, slot: undefined });
  };
  const { attachType } = program;
  if (declaration.context.layout === 'target') throw new Unfollowed(`programs of type ${declaration.type}`, undefined);
  if (declaration.attachTypeRequired && attachType !== undefined && !declaration.attachTypes.includes(attachType))
    refuse('attach-type', `attach type ${attachType} is not for ${declaration.type}`, 'Linux refuses the combination.');
  const refusedSleep =
    declaration.sleepable === 'never' || (declaration.type === 'tracing' && attachType === 'trace_raw_tp');
  if (declaration.type === 'syscall' && !program.sleepable)
    refuse('sleepable', 'Syscall programs can only be sleepable', 'They run in the context of the caller.');
  if (program.sleepable && refusedSleep)
    refuse(
      'sleepable',
      'Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable',
      'Programs of this type may not sleep.',
    );
  if (declaration.gplOnly && !/GPL/.test(license))
    refuse(
      'gpl-only',
      gplMessages[declaration.type] ?? 'programs of this type must be GPL-compatible',
      'Linux refuses the type without such a license.',
    );
}
