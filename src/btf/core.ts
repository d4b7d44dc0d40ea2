/**
 * CO-RE (compile once, run everywhere): instructions that depend on the layout of another BTF's types are rewritten for it, with the
 * decisions of libbpf's relo_core.c: the same candidates, the same matching, the same values, the same poison.
 */
import { InputError } from '../errors.ts';
import type { Insn } from '../isa/insn.ts';
import { kindsCompatible, Matcher } from './core-match.ts';
import { patchInsn } from './core-patch.ts';
import { type CoreKind, type CoreSpec, describeSpec, matchSpec, parseSpec } from './core-spec.ts';
import { type CoreValue, coreValue } from './core-value.ts';
import { essentialName } from './names.ts';
import type { Btf, BtfType } from './types.ts';

export type { CoreKind } from './core-spec.ts';

/** What is needed of a program: object's ProgramSpec has it. */
export interface CoreProgram {
  readonly name: string;
  readonly insns: readonly Insn[];
  readonly coreRelocations: readonly {
    readonly slot: number;
    readonly typeId: number;
    readonly access: string;
    readonly kind: CoreKind;
  }[];
}

export interface CoreResult {
  readonly slot: number;
  readonly kind: CoreKind;
  /** What is asked for, as C would say it: `struct task_struct.pid`. */
  readonly wanted: string;
  /**
   * `patched`: the instruction has the target's value. `poisoned`: the target has no such thing, and the instruction now calls
   * a helper that does not exist; the program loads only if the verifier never reaches it.
   */
  readonly outcome: 'patched' | 'poisoned';
  /** What the compiler had put there, and what stands there now; undefined when poisoned. */
  readonly from: bigint | undefined;
  readonly to: bigint | undefined;
  /** Ids in the target of the types that matched. */
  readonly candidates: readonly number[];
}

/**
 * `insns` of the result are new where something changed; slots stay as they are. `objectBtf` is the BTF that the relocations speak
 * of, `targetBtf` the one to run against (a kernel's, or the object's own).
 *
 * Throws InputError `SLUICE_CORE` for a malformed relocation, for candidates that contradict each other, and for an
 * instruction that cannot hold the value.
 */
export function applyCoreRelocations(
  program: CoreProgram,
  objectBtf: Btf,
  targetBtf: Btf,
): { readonly insns: readonly Insn[]; readonly results: readonly CoreResult[] } {
  if (program.coreRelocations.length === 0) return { insns: program.insns, results: [] };
  const insns = program.insns.slice();
  const results: CoreResult[] = [];
  const matcher = new Matcher(objectBtf, targetBtf);
  // By type in the object; what one relocation rules out stays ruled out for the next (libbpf).
  const candidates = new Map<number, readonly number[]>();
  for (const relocation of program.coreRelocations) {
    const { slot, kind, typeId, access } = relocation;
    const fail = (why: string) =>
      new InputError(
        'SLUICE_CORE',
        `program ${program.name}, slot ${slot}: CO-RE ${kind} of type ${typeId} (${access}): ${why}`,
      );
    if (insns[slot] === undefined) throw fail('there is no such slot');
    const local = parseSpec(objectBtf, typeId, access, kind, fail);
    const wanted = describeSpec(objectBtf, local);
    let value: CoreValue;
    let matched: readonly number[] = [];
    if (kind === 'type_id_local') {
      value = { original: BigInt(typeId), value: BigInt(typeId), poison: false, validate: false, sizes: undefined };
    } else {
      let known = candidates.get(typeId);
      if (known === undefined) known = findCandidates(objectBtf, typeId, targetBtf, fail);
      const alone = objectBtf === targetBtf;
      const found = (alone ? decideAlone : decide)(local, known, matcher, fail);
      value = found.value;
      matched = found.matched;
      if (!alone && matched.length > 0) known = matched;
      candidates.set(typeId, known);
    }
    const { outcome, from } = patchInsn(insns, slot, value, fail);
    const to = outcome === 'patched' ? value.value : undefined;
    results.push({ slot, kind, wanted, outcome, from, to, candidates: matched });
  }
  return { insns, results };
}

type Fail = (why: string) => InputError;

function findCandidates(objectBtf: Btf, typeId: number, targetBtf: Btf, fail: Fail): readonly number[] {
  const local = objectBtf.type(typeId);
  if (local === undefined || local.name === '') throw fail('types without a name cannot be looked for');
  return coreCandidates(local, targetBtf);
}

/** Ids of the types of the target with the same kind and, flavors apart, the same name. */
export function coreCandidates(local: BtfType, target: Btf): readonly number[] {
  return target.findEssential(essentialName(local.name)).filter((id) => {
    const type = target.type(id);
    return type !== undefined && kindsCompatible(type.kind, local.kind);
  });
}

/**
 * Against the object's own types, flavors (`request___old`) are candidates of each other and would contradict: the type without a flavor stands for
 * the kernel's, and flavors count only for what it lacks, the asked one alone.
 */
function decideAlone(local: CoreSpec, candidates: readonly number[], matcher: Matcher, fail: Fail): Decision {
  const nameOf = (id: number) => matcher.target.type(id)?.name ?? '';
  const plain = decide(
    local,
    candidates.filter((id) => nameOf(id) === essentialName(nameOf(id))),
    matcher,
    fail,
  );
  if (plain.matched.length > 0) return plain;
  return decide(
    local,
    candidates.filter((id) => id === local.rootId),
    matcher,
    fail,
  );
}

interface Decision {
  readonly value: CoreValue;
  readonly matched: readonly number[];
}

function decide(local: CoreSpec, candidates: readonly number[], matcher: Matcher, fail: Fail): Decision {
  let first: { readonly spec: CoreSpec; readonly value: CoreValue } | undefined;
  const matched: number[] = [];
  for (const id of candidates) {
    const spec = matchSpec(local, matcher, id);
    if (spec === undefined) continue;
    const value = coreValue(matcher, local, spec, fail);
    matched.push(id);
    if (first === undefined) first = { spec, value };
    else if (first.spec.bitOffset !== spec.bitOffset)
      throw fail(
        `ambiguous: types ${matched.join(' and ')} have it at bits ${first.spec.bitOffset} and ${spec.bitOffset}`,
      );
    else if (first.value.poison !== value.poison || first.value.value !== value.value)
      throw fail(`ambiguous: types ${matched.join(' and ')} give ${first.value.value} and ${value.value}`);
  }
  return { value: first?.value ?? coreValue(matcher, local, undefined, fail), matched };
}
