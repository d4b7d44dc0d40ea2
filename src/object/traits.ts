/**
 * Section `.traits`: names that the object gives to keys of packets' traits (bpf/include/sluice/trait.h). An array of struct trait_declaration, 24 bytes each: char name[16],
 * filled up with zeros; u32 length of values; u32 merge policy (MERGE_* of plane/layout/trait.ts) with flags << 8.
 *
 * The address of one is its key. As read, names have the keys that an empty registry would give them, so that the object can be looked at and verified by itself; whoever loads it
 * says the real ones (`withTraitKeys`).
 */
import { InputError } from '../errors.ts';
import { type MergePolicy, mergePolicies } from '../traits/declaration.ts';
import { TraitRegistry } from '../traits/registry.ts';
import type { Elf } from './elf.ts';
import type { ObjectSpec, ProgramSpec, TraitSpec } from './spec.ts';

const DECLARATION_BYTES = 24;
const NAME_BYTES = 16;

const policies = new Map<number, MergePolicy>(
  (Object.keys(mergePolicies) as MergePolicy[]).map((name) => [mergePolicies[name], name]),
);

export interface TraitSection {
  /** -1 without the section. */
  readonly index: number;
  /** By offset in the section. A name that stands there twice with one meaning is one trait. */
  readonly traits: ReadonlyMap<number, TraitSpec>;
}

/** Throws InputError `SLUICE_TRAITS` with the place of a declaration that is none. */
export function readTraits(elf: Elf): TraitSection {
  const section = elf.section('.traits');
  const traits = new Map<number, TraitSpec>();
  if (section === undefined) return { index: -1, traits };
  const bad = (why: string, offset: number) => elf.fault(why, section, offset, 'SLUICE_TRAITS');
  const { bytes } = section;
  if (bytes.length % DECLARATION_BYTES !== 0)
    throw bad(`${bytes.length} bytes are no whole number of declarations of ${DECLARATION_BYTES}`, 0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const registry = new TraitRegistry();
  for (let offset = 0; offset < bytes.length; offset += DECLARATION_BYTES) {
    const name = nameIn(bytes.subarray(offset, offset + NAME_BYTES));
    if (name === undefined) throw bad('a name is 1 to 16 bytes of UTF-8, filled up with zeros', offset);
    const size = view.getUint32(offset + 16, true);
    const word = view.getUint32(offset + 20, true);
    const policy = policies.get(word & 0xff);
    if (policy === undefined) throw bad(`trait ${name}: there is no merge policy ${word & 0xff}`, offset);
    const declaration = { name, size, policy, flags: word >>> 8 };
    try {
      traits.set(offset, { ...declaration, key: registry.hold([declaration]).keys.get(name)! });
    } catch (error) {
      throw error instanceof InputError ? bad(error.message, offset) : error;
    }
  }
  return { index: section.index, traits };
}

/** Each once, in the order of the section. */
export function traitsOf({ traits }: TraitSection): readonly TraitSpec[] {
  return [...new Map([...traits.values()].map((trait) => [trait.name, trait])).values()];
}

function nameIn(bytes: Uint8Array): string | undefined {
  const zero = bytes.indexOf(0);
  const end = zero < 0 ? bytes.length : zero;
  if (bytes.subarray(end).some((byte) => byte !== 0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, end));
  } catch {
    return undefined;
  }
}

/** The object with these keys, by name, in place of those that it was read with. */
export function withTraitKeys(object: ObjectSpec, keys: ReadonlyMap<string, bigint>): ObjectSpec {
  const traits = object.traits.map((trait) => ({ ...trait, key: keys.get(trait.name) ?? trait.key }));
  const programs = new Map([...object.programs].map(([name, program]) => [name, withKeys(program, traits)]));
  return { ...object, traits, programs };
}

function withKeys(program: ProgramSpec, traits: readonly TraitSpec[]): ProgramSpec {
  const keys = new Map(traits.map(({ name, key }) => [name, key]));
  const insns = program.insns.slice();
  for (const [slot, reference] of program.references) {
    const key = reference.kind === 'trait' ? keys.get(reference.name) : undefined;
    if (key === undefined) continue;
    const [low, high] = keyWords(key);
    insns[slot] = { ...insns[slot]!, imm: low };
    insns[slot + 1] = { ...insns[slot + 1]!, imm: high };
  }
  return { ...program, traits, insns };
}

/** Immediates of an LDDW. */
export function keyWords(key: bigint): readonly [low: number, high: number] {
  return [Number(BigInt.asIntN(32, key)), Number(BigInt.asIntN(32, key >> 32n))];
}
