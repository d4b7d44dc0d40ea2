/** ObjectSpec -> programs and maps of the user-space target: creates maps, resolves references, checks structure, hands over to an engine. */
import type { ProgramDeclaration } from '../abi/program-declaration.ts';
import { applyCoreRelocations } from '../btf/core.ts';
import type { Btf } from '../btf/types.ts';
import { InputError, UnsupportedError } from '../errors.ts';
import { FRAME_POINTER_WRITTEN } from '../isa/check.ts';
import type { Insn } from '../isa/insn.ts';
import { OPCODE } from '../isa/opcodes.ts';
import { POISONED_CORE_CALL, type ResolvedProgram } from '../object/resolved.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import { checkStructure } from '../verifier/program/structure.ts';
import type { Verdict } from '../verifier/verify.ts';
import { admit } from './admission.ts';
import type { ProgramFacts } from './allocators/facts.ts';
import type { PolicyName } from './allocators/policy.ts';
import { programFacts } from './allocators/program-facts.ts';
import { allocatorsOf } from './allocators/store.ts';
import type { EngineName, LoadedPrograms } from './engine.ts';
import type { LoadedObject } from './handles.ts';
import type { Hook } from './hook.ts';
import { loadIntoInterpreter } from './interpreter-engine.ts';
import { loadIntoJit } from './jit-engine.ts';
import { type KconfigValues, withKconfig } from './kconfig.ts';
import { mapFieldViews } from './map-struct.ts';
import { tailKind, tailTargetsOf } from './maps/tail-targets.ts';
import { withObjectCalls } from './object-calls.ts';
import { createObjectMaps, type ObjectMapOptions } from './object-maps.ts';
import { holdTraits } from './object-traits.ts';
import { UserProgram } from './program.ts';
import { resolveProgram } from './resolve.ts';
import type { Runtime } from './runtime.ts';

export interface UserLoadOptions extends Pick<ObjectMapOptions, 'pinFolder' | 'maps' | 'share' | 'allocators'> {
  /** Default `jit`. */
  readonly engine?: EngineName;
  /** Names of the programs to load; by default all that the object loads by itself. */
  readonly programs?: readonly string[];
  /** Types that CO-RE relocations are resolved against; by default the object's own. */
  readonly targetBtf?: Btf;
  /**
   * Types of the kernel, for programs that the verifier cannot judge without (pointers to kernel structs); asked for only then.
   * By default `targetBtf`, else those of the machine, where it has any.
   */
  readonly kernelTypes?: () => Promise<Btf | undefined>;
  /** Kernel options for `.kconfig` externs. */
  readonly kconfig?: KconfigValues;
  /**
   * Back edges and calls after which one run in the JIT is stopped, instructions in the interpreter. Verified programs end by themselves,
   * but may take long: bpf_loop, may_goto and iterators go on for millions of rounds, nested for ever. Default 1e9.
   */
  readonly budget?: number;
  /**
   * Runs programs that the verifier has not judged: those that it refuses or does not follow. They reach what is in the sandbox, the maps of
   * other programs included, and nothing beyond it. Default false.
   */
  readonly unverified?: boolean;
  /**
   * Which allocators objects may come from and meet in fields (docs/allocators.md). Default: that of the runtime's other programs; else `dynamic` for an object
   * that names allocators, `global` as Linux for others.
   */
  readonly policy?: PolicyName;
  /** Where two allocators meet that may not, makes them one if they are alike: no quota, or a common one. Default false. */
  readonly merge?: boolean;
}

function policyOf(spec: ObjectSpec, { policy }: UserLoadOptions, inForce: PolicyName | undefined): PolicyName {
  const named = () =>
    [...spec.maps.values()].some(({ type, allocators }) => type === 'allocator' || allocators !== undefined);
  if (policy !== undefined) return policy;
  // Global and dynamic get along.
  if (inForce !== undefined && inForce !== 'global') return inForce;
  return named() ? 'dynamic' : 'global';
}

const DEFAULT_BUDGET = 1_000_000_000;

export interface UserObject extends LoadedObject {
  readonly runtime: Runtime;
  readonly programs: Readonly<Record<string, UserProgram>>;
}

/**
 * Throws UnsupportedError naming the program type, map type, helper or kfunc that is not there, or what the verifier does not follow;
 * InputError `SLUICE_PROGRAM_REFUSED` with the verifier's first diagnostic, or every structural fault of an unverified program.
 */
export async function loadUser(
  runtime: Runtime,
  hooks: readonly Hook[],
  given: ObjectSpec,
  options: UserLoadOptions = {},
): Promise<UserObject> {
  const named = holdTraits(runtime, given);
  try {
    return await loadNamed(runtime, hooks, named.object, options, named.release);
  } catch (error) {
    named.release();
    throw error;
  }
}

async function loadNamed(
  runtime: Runtime,
  hooks: readonly Hook[],
  spec: ObjectSpec,
  options: UserLoadOptions,
  releaseTraits: () => void,
): Promise<UserObject> {
  const chosen = chooseHooks(spec, choosePrograms(spec, options.programs), hooks);
  const maps = createObjectMaps(
    runtime,
    spec,
    chosen.map(({ program }) => program),
    options,
  );
  const tails = tailTargetsOf(runtime.plane);
  const allocators = allocatorsOf(runtime.plane);
  const admitted: number[] = [];
  let loaded: LoadedPrograms | undefined;
  // Programs that something else holds run on, with the maps that they use.
  const gone = () => {
    for (const { tailEntry } of loaded?.programs.values() ?? []) tails.remove(tailEntry);
    for (const id of admitted) allocators.leave(id);
    maps.close();
    releaseTraits();
  };
  const close = () => {
    maps.leave();
    if (loaded === undefined) gone();
    else loaded.close(gone);
  };
  try {
    const exports = new Set(Object.keys(runtime.functions));
    const judgements: {
      readonly program: ResolvedProgram;
      readonly verdict: Verdict | undefined;
      readonly declaration: ProgramDeclaration;
      readonly refused: readonly number[];
      readonly facts: ProgramFacts;
    }[] = [];
    for (const { program, hook } of chosen) {
      const insns = relocate(spec, program, options.targetBtf);
      const { declaration } = hook;
      const mapFields = mapFieldViews(spec, program, insns);
      const result = resolveProgram(program, mapFields?.here ?? insns, {
        maps: maps.addresses,
        declaration,
        exports,
      });
      const asked = [...program.references.values()].some(({ kind }) => kind === 'kconfig');
      const judged = asked ? withKconfig(spec, options.kconfig ?? {}) : spec;
      const { kernelTypes, unverified } = options;
      const kernel = mapFields === undefined || unverified === true ? undefined : await kernelTypes?.();
      const verdict =
        unverified === true
          ? undefined
          : await admit(judged, program, (kernel && mapFields?.judged(kernel)) ?? insns, {
              declaration,
              cpus: runtime.cpus,
              kernelTypes,
            });
      judgements.push({
        program: withFacts(result, program, verdict),
        verdict,
        declaration,
        refused: refuseBadStructure(spec, result),
        facts: programFacts(program, verdict?.ownership, {
          id: runtime.nextProgram(),
          spec,
          maps: maps.placed,
          claims: maps.claims,
        }),
      });
    }
    // All or none: what one program makes may be what the next one may not meet.
    const sources = allocators.admit(
      judgements.map(({ facts }) => facts),
      {
        policy: policyOf(spec, options, allocators.policy),
        merge: options.merge === true,
        alike: maps.settlement.alike,
      },
    );
    admitted.push(...judgements.map(({ facts }) => facts.id));
    const resolved = judgements.map(({ program, verdict, declaration, refused, facts: { id } }) => ({
      program: withObjectCalls(program, verdict?.ownership, verdict !== undefined, {
        runtime,
        records: maps.records,
        holder: id,
        allocator: (slot) => sources.get(id)?.get(slot)?.address,
      }),
      declaration,
      refused,
    }));
    const budget = options.budget ?? DEFAULT_BUDGET;
    loaded =
      options.engine === 'interpreter'
        ? await loadIntoInterpreter(runtime, resolved, { budget })
        : await loadIntoJit(
            runtime,
            resolved.map(({ program, refused }) => poison(program, refused)),
            { fuel: budget },
          );
    for (const { program } of chosen) {
      const kind = tailKind(options.engine ?? 'jit', program);
      tails.add(loaded.programs.get(program.name)!.tailEntry, kind);
      for (const map of maps.progArraysOf(program))
        if (!tails.claim(map, kind))
          throw new InputError(
            'SLUICE_TAIL_CALL',
            `program ${program.name}: the prog array ${map.name} is one of programs of another kind: EINVAL`,
            { input: spec.name },
          );
    }
    maps.connectPrograms((name) => loaded!.programs.get(name)?.tailEntry);
    maps.settlement.keep();
  } catch (error) {
    maps.settlement.undo();
    close();
    throw error;
  }
  const programs = Object.fromEntries(
    chosen.map(({ program, hook }) => [
      program.name,
      new UserProgram(runtime, hook, program, loaded!.programs.get(program.name)!),
    ]),
  );
  return {
    target: 'user',
    runtime,
    programs,
    maps: maps.handles,
    close,
  };
}

function choosePrograms(spec: ObjectSpec, names: readonly string[] | undefined): readonly ProgramSpec[] {
  if (names === undefined) return [...spec.programs.values()].filter((program) => program.autoload);
  return names.map((name) => {
    const program = spec.programs.get(name);
    if (program === undefined) {
      const known = [...spec.programs.keys()].join(', ') || 'none';
      throw new InputError('SLUICE_NO_PROGRAM', `no program ${name}; its programs: ${known}`, { input: spec.name });
    }
    return program;
  });
}

function chooseHooks(spec: ObjectSpec, programs: readonly ProgramSpec[], hooks: readonly Hook[]) {
  return programs.map((program) => {
    if (program.type === undefined) {
      throw new InputError(
        'SLUICE_UNKNOWN_SECTION',
        `program ${program.name}: section name ${program.section} says no program type: name it xdp, tc, … as libbpf does`,
        { input: spec.name },
      );
    }
    const hook = hooks.find(({ declaration }) => declaration.type === program.type);
    if (hook === undefined) {
      throw new UnsupportedError(
        `program type ${program.type}`,
        `program ${program.name}: the user-space target does not run programs of type ${program.type}`,
      );
    }
    const against = hook.refuses?.(program, spec);
    if (against !== undefined)
      throw new UnsupportedError(
        `program type ${program.type}`,
        `program ${program.name}: the user-space target does not run it: ${against}`,
      );
    return { program, hook };
  });
}

const poisonedCall: Insn = { opcode: OPCODE.CALL, dst: 0, src: 0, off: 0, imm: POISONED_CORE_CALL };

function relocate(spec: ObjectSpec, program: ProgramSpec, targetBtf: Btf | undefined): readonly Insn[] {
  if (program.coreRelocations.length === 0 || spec.btf === undefined) return program.insns;
  return applyCoreRelocations(program, spec.btf, targetBtf ?? spec.btf).insns;
}

/** Returns the slots of instructions that only the verifier may let stand, in code that no path leads to. */
function refuseBadStructure(spec: ObjectSpec, program: ResolvedProgram): readonly number[] {
  const deferred = new Map<number, string>();
  const problems: { readonly slot: number | undefined; readonly problem: string }[] = [
    ...checkStructure(program, { kernel: false, deferred }),
  ];
  const dead: number[] = [];
  for (const [slot, text] of deferred) {
    if (text === FRAME_POINTER_WRITTEN) dead.push(slot);
    else problems.push({ slot, problem: text });
  }
  if (problems.length === 0) return dead;
  const list = problems
    .map(({ slot, problem }) => `${slot === undefined ? '' : `insn ${slot}: `}${problem}`)
    .join('; ');
  throw new InputError('SLUICE_PROGRAM_REFUSED', `program ${program.name}: ${list}`, { input: spec.name });
}

/**
 * What the verifier has proven. Not of programs that ask what there is (weak symbols): it answers for the kernel, and branches differ
 * where the runtime lacks it.
 */
function withFacts(resolved: ResolvedProgram, program: ProgramSpec, verdict: Verdict | undefined): ResolvedProgram {
  for (const reference of program.references.values()) if ('weak' in reference && reference.weak) return resolved;
  return verdict?.reached === undefined ? resolved : { ...resolved, reached: verdict.reached };
}

/** For the JIT, which has no code for them; the interpreter faults there by itself. */
function poison(program: ResolvedProgram, slots: readonly number[]): ResolvedProgram {
  if (slots.length === 0) return program;
  const insns = program.insns.map((insn, slot) => (slots.includes(slot) ? poisonedCall : insn));
  return { ...program, insns };
}
