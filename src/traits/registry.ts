/**
 * traits/: what the keys of packets' traits mean: names, lengths, owners, what becomes of values where packets are merged, and who uses them.
 *
 * This file: the registry. It knows nothing of packets: a runtime mirrors it into its memory (runtime/trait-table.ts).
 */
import { TRAIT_KEYS } from '../plane/layout/trait.ts';
import { checkDeclaration, refusal, TRAIT_PERSISTENT, type TraitDeclaration } from './declaration.ts';
import { FlightEpochs } from './flight-epochs.ts';
import { wellKnownTrait } from './well-known.ts';

export interface TraitRequest extends TraitDeclaration {
  /** The key that it shall have; by default a free one. */
  readonly key?: number;
  /** Who asks, in words (default ''); the first one's stays. */
  readonly owner?: string;
}

export interface RegisteredTrait extends Required<TraitDeclaration> {
  /** 0 to 63. */
  readonly key: number;
  readonly owner: string;
  /** How many loaded objects use it. */
  readonly references: number;
  /** False: it is there for the objects that use it, and goes with the last of them. */
  readonly kept: boolean;
}

/** A key that was freed. */
export interface FreedTrait {
  readonly key: number;
  /** The epoch that began when it was freed: values of packets of earlier epochs are void. */
  readonly epoch: number;
  /** Packets of earlier epochs are still in flight: the key is not given out. */
  readonly waits: boolean;
}

/** What an object holds until `release`. */
export interface TraitHold {
  /** By name: 0 to 63, or 2^63 + n for well-known ones. */
  readonly keys: ReadonlyMap<string, bigint>;
  /** Gives the references back; a second call does nothing. */
  release(): void;
}

type Entry = { -readonly [K in keyof RegisteredTrait]: RegisteredTrait[K] };

/**
 * Names and keys. Where a packet's value was set while its key belonged to another name, it is void: freeing a key begins an epoch, packets of earlier epochs have no value of it, and the
 * key is given to nobody while any of them is in flight (`flights`). Throws InputError `SLUICE_TRAIT_EINVAL`, `_EEXIST`, `_ENOSPC`, `_ENOENT`, `_EBUSY`.
 */
export class TraitRegistry {
  /** Packets in flight by epoch: whoever holds packets between two runs enters and leaves. */
  readonly flights: FlightEpochs;
  readonly #byName = new Map<string, Entry>();
  readonly #byKey = new Map<number, Entry>();
  /** Epoch by key, for keys that were freed at some time. */
  readonly #voidBefore = new Map<number, number>();
  readonly #listeners = new Set<() => void>();

  /** `epoch` and `freed` go on from an earlier registry (registry-file.ts). */
  constructor({ epoch = 0, freed = [] }: { epoch?: number; freed?: Iterable<Omit<FreedTrait, 'waits'>> } = {}) {
    this.flights = new FlightEpochs(epoch);
    for (const each of freed) this.#voidBefore.set(each.key, each.epoch);
  }

  /** How often a key was freed. */
  get epoch(): number {
    return this.flights.epoch;
  }

  /**
   * Key of the name from now on, until `unregister`. A name that is registered with an equal declaration is shared: its key comes back. EEXIST: another declaration, or the
   * key is another's; EBUSY: packets with the key that is asked for are in flight; ENOSPC: no key is free.
   */
  register(request: TraitRequest): number {
    const entry = this.#shared(request) ?? this.#create(request);
    entry.kept = true;
    this.#changed();
    return entry.key;
  }

  /** Frees the key. ENOENT; EBUSY: loaded objects use it. */
  unregister(name: string): void {
    const entry = this.#byName.get(name);
    if (entry === undefined) throw refusal('ENOENT', `no trait is named ${name}`);
    if (entry.references > 0)
      throw refusal(
        'EBUSY',
        `trait ${name} (key ${entry.key}) is used by ${entry.references} loaded object${entry.references === 1 ? '' : 's'}: close them first`,
      );
    this.#free(entry);
    this.#changed();
  }

  /** For an object that names traits: a reference to each, with keys for those that have none. All or none; throws as `register` does. */
  hold(declarations: Iterable<TraitDeclaration>, owner = ''): TraitHold {
    const keys = new Map<string, bigint>();
    const held: Entry[] = [];
    const drop = () => {
      for (const entry of held.splice(0)) {
        entry.references--;
        if (entry.references === 0 && !entry.kept && (entry.flags & TRAIT_PERSISTENT) === 0) this.#free(entry);
      }
      this.#changed();
    };
    try {
      for (const { name, size, policy = 'KEEP_FIRST', flags = 0 } of declarations) {
        const system = wellKnownTrait(name);
        if (system !== undefined) {
          if (system.size !== size)
            throw refusal('EEXIST', `trait ${name} is the system's, of ${system.size} bytes, not ${size}`);
          keys.set(name, system.key);
          continue;
        }
        // Not whatever else is in it, such as a key.
        const declaration = { name, size, policy, flags };
        const entry = this.#shared(declaration) ?? this.#create({ ...declaration, owner });
        entry.references++;
        held.push(entry);
        keys.set(name, BigInt(entry.key));
      }
    } catch (error) {
      drop();
      throw error;
    }
    this.#changed();
    return { keys, release: drop };
  }

  get(name: string): RegisteredTrait | undefined {
    return this.#byName.get(name);
  }

  /** By key, 0 to 63. */
  at(key: number): RegisteredTrait | undefined {
    return this.#byKey.get(key);
  }

  /** In the order of their keys. */
  traits(): readonly RegisteredTrait[] {
    return [...this.#byKey.values()].sort((a, b) => a.key - b.key).map((entry) => ({ ...entry }));
  }

  /** Keys that are nobody's and were somebody's. */
  freed(): readonly FreedTrait[] {
    return [...this.#voidBefore]
      .filter(([key]) => !this.#byKey.has(key))
      .sort(([a], [b]) => a - b)
      .map(([key, epoch]) => ({ key, epoch, waits: this.flights.anyBefore(epoch) }));
  }

  /** Epoch before which values of the key are void, 0: none are. Registered again or not. */
  voidBefore(key: number): number {
    return this.#voidBefore.get(key) ?? 0;
  }

  /** Calls `listener` after each change. Returns what ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  /** The name's entry if it may be shared. */
  #shared(request: TraitRequest): Entry | undefined {
    const entry = this.#byName.get(request.name);
    if (entry === undefined) return undefined;
    const { name, size, policy = 'KEEP_FIRST', flags = 0, key = entry.key } = request;
    const differs: string[] = [];
    if (size !== entry.size) differs.push(`${entry.size} bytes, not ${size}`);
    if (policy !== entry.policy) differs.push(`policy ${entry.policy}, not ${policy}`);
    if (flags !== entry.flags) differs.push(`flags ${entry.flags}, not ${flags}`);
    if (key !== entry.key) differs.push(`key ${entry.key}, not ${key}`);
    if (differs.length > 0)
      throw refusal(
        'EEXIST',
        `trait ${name} is registered${entry.owner === '' ? '' : ` by ${entry.owner}`} with ${differs.join('; ')}`,
      );
    return entry;
  }

  #create(request: TraitRequest): Entry {
    checkDeclaration(request);
    if (wellKnownTrait(request.name) !== undefined)
      throw refusal('EEXIST', `trait ${request.name} is the system's: it has a key without being registered`);
    const { name, size, policy = 'KEEP_FIRST', flags = 0, owner = '' } = request;
    const key = request.key === undefined ? this.#freeKey(name) : this.#givenKey(name, request.key);
    const entry: Entry = { name, key, size, policy, flags, owner, references: 0, kept: false };
    this.#byName.set(name, entry);
    this.#byKey.set(key, entry);
    return entry;
  }

  #givenKey(name: string, key: number): number {
    if (!(Number.isInteger(key) && key >= 0 && key < TRAIT_KEYS))
      throw refusal('EINVAL', `trait ${name}: keys are 0 to ${TRAIT_KEYS - 1}, not ${key}`);
    const other = this.#byKey.get(key);
    if (other !== undefined) throw refusal('EEXIST', `trait ${name}: key ${key} is that of ${other.name}`);
    const epoch = this.voidBefore(key);
    if (this.flights.anyBefore(epoch))
      throw refusal('EBUSY', `trait ${name}: key ${key} was freed, and packets of that time are still in flight`);
    return key;
  }

  /** The lowest that nobody ever had, else the one that was freed first. */
  #freeKey(name: string): number {
    let oldest: FreedTrait | undefined;
    let waiting = 0;
    for (let key = 0; key < TRAIT_KEYS; key++) if (!this.#byKey.has(key) && !this.#voidBefore.has(key)) return key;
    for (const freed of this.freed()) {
      if (freed.waits) waiting++;
      else if (oldest === undefined || freed.epoch < oldest.epoch) oldest = freed;
    }
    if (oldest !== undefined) return oldest.key;
    throw refusal(
      'ENOSPC',
      waiting === 0
        ? `trait ${name}: all ${TRAIT_KEYS} keys are registered`
        : `trait ${name}: no key is free: ${TRAIT_KEYS - waiting} are registered, ${waiting} were freed while packets with them are in flight`,
    );
  }

  #free(entry: Entry): void {
    this.#byName.delete(entry.name);
    this.#byKey.delete(entry.key);
    this.#voidBefore.set(entry.key, this.flights.advance());
  }
}
