/** The allocators of a memory, the programs that use them, and the policy that they live under. */
import { mapTypes } from '../../abi/map-types.ts';
import { InputError } from '../../errors.ts';
import {
  MAP_ELEM_ALLOCATOR,
  MAP_ID,
  MAP_KPTR_ALLOCATOR,
  MAP_NEXT,
  MAP_RECORD,
  MAP_TYPE,
} from '../../plane/layout/map.ts';
import { ROOT, ROOT_ELEMENT_ALLOCATOR, ROOT_MAPS } from '../../plane/layout/memory.ts';
import { mapError } from '../maps/errno.ts';
import type { PlaneInstance } from '../plane.ts';
import { allocatorName, isGlobalAllocator } from './allocator.ts';
import { conflictError } from './conflict.ts';
import { contentsOf, innerMapsOf } from './contents.ts';
import type { AllocatorRef, Field, ProgramFacts, Surroundings } from './facts.ts';
import { KnownAllocator } from './known-allocator.ts';
import { type Binding, getAlong, isConflict, type PolicyName, policies } from './policy.ts';

interface LiveProgram {
  readonly facts: ProgramFacts;
  readonly policy: PolicyName;
  readonly makes: ReadonlyMap<number, KnownAllocator>;
}

export interface AdmitOptions {
  readonly policy: PolicyName;
  /** Allocators that are alike may be made one where two meet that may not. */
  readonly merge: boolean;
  /** Allocators that the load makes one, if its programs are admitted. */
  readonly alike?: readonly (readonly [KnownAllocator, KnownAllocator])[];
}

/** What is taken to be so when programs are judged. */
interface Supposed extends Partial<Pick<AdmitOptions, 'merge' | 'alike'>> {
  /** Maps that are in maps of maps. */
  readonly added?: readonly (readonly [outer: number, inner: number])[];
}

const ofMemory = new WeakMap<WebAssembly.Memory, AllocatorStore>();

export function allocatorsOf(plane: PlaneInstance): AllocatorStore {
  let store = ofMemory.get(plane.memory);
  if (store === undefined) {
    store = new AllocatorStore(plane);
    ofMemory.set(plane.memory, store);
  }
  return store;
}

export class AllocatorStore {
  readonly plane: PlaneInstance;
  /** By number. */
  readonly #known = new Map<number, KnownAllocator>();
  readonly #programs = new Map<number, LiveProgram>();
  /** Of maps, by id, for messages; and what their values look like. */
  readonly #maps = new Map<number, { readonly name: string; readonly fieldAt: (offset: number) => Field }>();

  constructor(plane: PlaneInstance) {
    this.plane = plane;
  }

  get global(): KnownAllocator {
    const address = this.plane.exports.allocator_global() >>> 0;
    if (address === 0)
      throw new InputError('SLUICE_MAP_ENOMEM', 'the linear memory has no room for an allocator: ENOMEM');
    return this.at(address)!;
  }

  /** The allocator at an address, undefined for 0. */
  at(address: number): KnownAllocator | undefined {
    if (address === 0) return undefined;
    const made = new KnownAllocator(this.plane, address, this.#nameOf(address), isGlobalAllocator(this.plane, address));
    const known = this.#known.get(made.id);
    if (known !== undefined) return known;
    this.#known.set(made.id, made);
    return made;
  }

  #nameOf(address: number): string {
    if (isGlobalAllocator(this.plane, address)) return 'the global allocator';
    const common = this.plane.view().getUint32(ROOT + ROOT_ELEMENT_ALLOCATOR, true);
    return address === common ? 'the common allocator of elements' : allocatorName(this.plane, address);
  }

  /** A new one, which the caller gives to a map and then lets go of (`release`). `quota` in bytes, 0n: none. */
  create(name: string, quota: bigint): KnownAllocator {
    const low = Number(BigInt.asIntN(32, quota));
    const high = Number(BigInt.asIntN(32, quota >> 32n));
    const address = this.plane.exports.allocator_create(low, high);
    if (address < 0 && address >= -4095) throw mapError(address, `allocator ${name}: create`);
    const allocator = new KnownAllocator(this.plane, address >>> 0, name);
    this.#known.set(allocator.id, allocator);
    return allocator;
  }

  release({ address }: KnownAllocator): void {
    this.plane.exports.allocator_release(address);
  }

  /** A map that an object defines, so that messages can name its fields. */
  introduce(id: number, name: string, fieldAt: (offset: number) => Field): void {
    if (!this.#maps.has(id)) this.#maps.set(id, { name, fieldAt });
  }

  /** The policies of the programs that live here; undefined without programs that make objects or pass them on. */
  get policy(): PolicyName | undefined {
    for (const { policy, facts } of this.#programs.values()) if (concerned(facts)) return policy;
    return undefined;
  }

  /**
   * Lets programs live here, or none of them. Gives for each, by slot, where the objects that it makes come from. Throws InputError
   * `SLUICE_ALLOCATOR_CONFLICT`, and `SLUICE_ALLOCATOR_POLICY` where others live under a policy that this one does not get along with.
   */
  admit(
    programs: readonly ProgramFacts[],
    { policy, merge, alike = [] }: AdmitOptions,
  ): ReadonlyMap<number, ReadonlyMap<number, KnownAllocator>> {
    if (!programs.some(concerned)) {
      for (const [a, b] of alike) a.mergeWith(b);
      const makes: ReadonlyMap<number, KnownAllocator> = new Map();
      for (const facts of programs) this.#programs.set(facts.id, { facts, policy, makes });
      return new Map(programs.map(({ id }) => [id, makes]));
    }
    for (const { policy: other, facts } of this.#programs.values())
      if (concerned(facts) && !getAlong(policy, other))
        throw new InputError(
          'SLUICE_ALLOCATOR_POLICY',
          `program ${facts.program} of ${facts.object} lives here under the policy ${other}, which does not get along with ${policy}: load with policy ${other}, unload it first, or use another runtime`,
        );
    const live = [...this.#programs.values()].map(({ facts }) => facts);
    const binding = this.#bind(policy, [...live, ...programs], { merge, alike });
    const bound = new Map<number, ReadonlyMap<number, KnownAllocator>>();
    for (const [a, b] of alike) a.mergeWith(b);
    for (const [a, b] of binding.merges)
      if (!this.#own(a).isOneWith(this.#own(b))) this.#own(a).mergeWith(this.#own(b));
    for (const facts of programs) {
      const refs = binding.programs.get(facts.id)!.makes;
      const makes = new Map([...refs].map(([slot, ref]) => [slot, this.#own(ref)]));
      for (const allocator of new Set(makes.values())) this.plane.exports.allocator_hold(allocator.address);
      this.#programs.set(facts.id, { facts, policy, makes });
      bound.set(facts.id, makes);
    }
    return bound;
  }

  /** The program is gone: with it go its reservations, and what only it said. */
  leave(id: number): void {
    const program = this.#programs.get(id);
    if (program === undefined) return;
    this.#programs.delete(id);
    for (const allocator of new Set(program.makes.values())) {
      this.plane.exports.allocator_unreserve(allocator.address, id);
      this.plane.exports.allocator_release(allocator.address);
    }
    for (const [number, allocator] of this.#known) if (allocator.state === 'dead') this.#known.delete(number);
  }

  /** Whether a map may go into a map of maps: throws `SLUICE_ALLOCATOR_CONFLICT` where its fields hold what others must not. */
  admitInner(outer: number, inner: number): void {
    const { policy } = this;
    if (policy === undefined || getAlong(policy, 'dynamic')) return;
    const live = [...this.#programs.values()].map(({ facts }) => facts);
    this.#bind(policy, live, { added: [[outer, inner]] });
  }

  /** What the policy makes of the programs that live here now; undefined without a policy. */
  get binding(): Binding | undefined {
    const { policy } = this;
    if (policy === undefined) return undefined;
    return this.#bind(
      policy,
      [...this.#programs.values()].map(({ facts }) => facts),
      { merge: true },
    );
  }

  get programs(): readonly LiveProgram[] {
    return [...this.#programs.values()];
  }

  /** Every allocator that maps, programs or live objects have to do with. */
  all(): readonly KnownAllocator[] {
    const found = new Map<number, KnownAllocator>();
    const add = (allocator: KnownAllocator | undefined) => {
      if (allocator !== undefined && allocator.state !== 'dead') found.set(allocator.id, allocator);
    };
    for (const allocator of this.#known.values()) add(allocator);
    for (const { elem, kptr } of this.maps()) for (const each of [elem, kptr]) add(each);
    return [...found.values()].sort((a, b) => a.id - b.id);
  }

  /** Maps of the memory that have to do with allocators. */
  *maps(): Generator<{
    readonly id: number;
    readonly address: number;
    readonly name: string;
    readonly isAllocator: boolean;
    readonly record: number;
    readonly elem: KnownAllocator | undefined;
    readonly kptr: KnownAllocator | undefined;
  }> {
    const word = (at: number) => this.plane.view().getUint32(at, true);
    for (let map = word(ROOT + ROOT_MAPS); map !== 0; map = word(map + MAP_NEXT)) {
      const id = word(map + MAP_ID);
      yield {
        id,
        address: map,
        name: this.#maps.get(id)?.name ?? `map ${id}`,
        isAllocator: word(map + MAP_TYPE) === mapTypes.allocator,
        record: word(map + MAP_RECORD),
        elem: this.at(word(map + MAP_ELEM_ALLOCATOR)),
        kptr: this.at(word(map + MAP_KPTR_ALLOCATOR)),
      };
    }
  }

  #own(ref: AllocatorRef): KnownAllocator {
    return this.#known.get(ref.id)!;
  }

  #bind(policy: PolicyName, programs: readonly ProgramFacts[], supposed: Supposed): Binding {
    const result = policies[policy].bind(programs, this.#surroundings(policy, programs, supposed));
    if (isConflict(result)) throw conflictError(policy, result, (a, b) => this.#own(a).differsFrom(this.#own(b)));
    return result;
  }

  #surroundings(
    policy: PolicyName,
    programs: readonly ProgramFacts[],
    { merge = false, alike = [], added = [] }: Supposed,
  ): Surroundings {
    const { global } = this;
    const isStatic = policy === 'per-field' || policy === 'per-map';
    const maps = new Map<string, { name: string; allocator: KnownAllocator }>();
    for (const { id, name, kptr, isAllocator } of this.maps())
      if (kptr !== undefined && !isAllocator) maps.set(String(id), { name, allocator: kptr });
    const fieldOf = (map: number, offset: number): Field =>
      this.#maps.get(map)?.fieldAt(offset) ?? {
        key: `${map}:${offset}`,
        text: `map ${map}, byte ${offset}`,
        map: String(map),
      };
    return {
      global,
      maps,
      contents: isStatic && this.all().some((each) => !each.global) ? contentsOf(this, fieldOf) : [],
      inner: isStatic ? innerMapsOf(this.plane, programs, added, fieldOf) : [],
      bound: (program, slot) => this.#programs.get(program)?.makes.get(slot),
      canMerge: (a, b) => {
        const [one, other] = [this.#own(a), this.#own(b)];
        return one.isOneWith(other) || (merge && one.differsFrom(other) === undefined) || areJoined(one, other, alike);
      },
    };
  }
}

/** Whether the two will be one once all pairs are. */
function areJoined(a: KnownAllocator, b: KnownAllocator, pairs: Supposed['alike'] & object): boolean {
  const reached = new Set([a]);
  for (const from of reached)
    for (const [x, y] of pairs) {
      if (x.isOneWith(from)) reached.add(y);
      if (y.isOneWith(from)) reached.add(x);
    }
  return [...reached].some((each) => each.isOneWith(b));
}

/** The program makes objects or passes them on. */
function concerned({ sites, flows, taken }: ProgramFacts): boolean {
  return sites.length + flows.length + taken.length > 0;
}
