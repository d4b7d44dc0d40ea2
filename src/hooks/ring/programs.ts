/** Programs and functions on a ring: what completions run (`callback`), and program requests (IORING_OP_BPF). */
import { InputError } from '../../errors.ts';
import {
  REGION_END,
  REGION_START,
  RING_MESSAGES,
  RING_PROGRAM_COUNT,
  RING_PROGRAM_ENTRY,
  RING_PROGRAM_FUNCTION,
  RING_PROGRAM_SIZE,
  RING_PROGRAMS,
  RING_REGION_COUNT,
  RING_REGION_SIZE,
  RING_REGIONS,
  RING_SLOT_COUNT,
  RING_SLOT_SIZE,
  RING_SLOTS,
  SLOT_FREE,
  SLOT_GENERATION,
  SLOT_STATE,
} from '../../plane/layout/ring.ts';
import { isArray } from '../../runtime/handles.ts';
import type { Executable } from '../../runtime/hook.ts';
import type { UserObject } from '../../runtime/load.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { type RingCallback, RingContext } from './context.ts';
import { addFunction } from './functions.ts';

const LONGEST_PAUSE_MS = 10;

/** Throws InputError `SLUICE_RING_NO_PROGRAM` where there is none. */
function ringPrograms(object: UserObject): { readonly name: string; readonly executable: Executable }[] {
  const programs = Object.values(object.programs).filter(({ type }) => type === 'iouring');
  if (programs.length === 0)
    throw new InputError('SLUICE_RING_NO_PROGRAM', 'the object has no program for rings: SEC("iouring") makes one');
  return programs.map(({ name, executable }) => ({ name, executable }));
}

const callOf = (executable: Executable) => (context: number) => Number(BigInt.asUintN(32, executable.run(context)));

const notThere = (name: string) =>
  new InputError(
    'SLUICE_RING_DRIVER',
    `${name} is JavaScript, which the ring's thread cannot run: create the ring with driver 'inline', or load programs with engine 'jit'`,
  );

/** Attached programs by name; numbers count from 1, as `callback` takes them. In IORING_OP_BPF (`off`) they count from 0. */
export class RingPrograms {
  readonly #runtime: Runtime;
  readonly #ring: number;
  /** Another thread turns the ring: it runs compiled programs alone. */
  readonly #threaded: boolean;
  readonly #capacity: number;
  readonly #regionCapacity: number;
  readonly #names = new Map<string, number>();
  readonly #functions: number[] = [];
  readonly #freeRegions: number[] = [];
  /** Entries in the function table that are held, by number; numbers of the programs whose maps a region is, by region. */
  readonly #held = new Map<number, number>();
  readonly #regionsOf = new Map<number, readonly number[]>();
  #closed = false;

  constructor(runtime: Runtime, ring: number, capacity: number, regionCapacity: number, threaded = false) {
    this.#threaded = threaded;
    this.#runtime = runtime;
    this.#ring = ring;
    this.#capacity = capacity;
    this.#regionCapacity = regionCapacity;
  }

  /**
   * Attaches the ring programs of an object, in the order of the object, and shares the memory of its arrays with them: requests of programs may name
   * variables and array values. The object must live in the ring's runtime. Compiled programs, and their maps, stay while the ring has them, whether the object is closed
   * or not; one of the interpreter must not be closed before. Returns numbers by name.
   */
  attach(object: UserObject): ReadonlyMap<string, number> {
    if (object.runtime !== this.#runtime)
      throw new InputError(
        'SLUICE_RING_RUNTIME',
        'the object was loaded for another runtime than the ring: load(object, { runtime: ring.runtime })',
      );
    const numbers = new Map<string, number>();
    for (const { name, executable } of ringPrograms(object)) {
      const { entry } = executable;
      const number = this.#add(name, entry, entry === 0 ? callOf(executable) : undefined);
      if (entry !== 0) this.#hold(number, entry);
      numbers.set(name, number);
    }
    this.#shareMaps(object, [...numbers.values()]);
    return numbers;
  }

  /**
   * Puts the object's programs in the place of those of the same names, under the same numbers, while the ring runs: runs that have begun end in the old ones, every
   * later one is of the new ones, and no completion is lost. Resolves when nothing of the old ones is in use: no run, and no request that was under way before, which
   * may name their memory. Throws InputError `SLUICE_NO_PROGRAM` where the ring has no program of a name, and what `attach` throws.
   */
  async replace(object: UserObject): Promise<void> {
    if (object.runtime !== this.#runtime)
      throw new InputError('SLUICE_RING_RUNTIME', 'the object was loaded for another runtime than the ring');
    const programs = ringPrograms(object).map((program) => ({ ...program, number: this.number(program.name) }));
    if (this.#threaded && programs.some(({ executable }) => executable.entry === 0)) throw notThere(programs[0]!.name);
    const numbers = programs.map(({ number }) => number);
    const old = numbers.map((number) => this.#held.get(number));
    const regions = [...this.#regionsOf].filter(([, of]) => of.every((number) => numbers.includes(number)));
    this.#shareMaps(object, numbers);
    for (const { number, executable } of programs) {
      const { entry } = executable;
      const at = this.#at(number);
      if (entry === 0) {
        const call = addFunction(this.#runtime, callOf(executable));
        this.#functions.push(call);
        this.#runtime.view().setUint32(at + RING_PROGRAM_FUNCTION, call, true);
      }
      // One word decides.
      Atomics.store(new Int32Array(this.#runtime.plane.memory.buffer), (at + RING_PROGRAM_ENTRY) / 4, entry);
      this.#held.delete(number);
      if (entry !== 0) this.#hold(number, entry);
    }
    await this.#runtime.synchronize();
    for (const [region] of regions) {
      this.#regionsOf.delete(region);
      if (!this.#closed) this.unshare(region);
    }
    await this.#ended();
    for (const entry of old) if (entry !== undefined) this.#runtime.lives.release(entry);
  }

  /** Ends when every request has ended that is under way now. */
  async #ended(): Promise<void> {
    const live = new Map<number, number>();
    const view = this.#runtime.view();
    const slots = view.getUint32(this.#ring + RING_SLOTS, true);
    const count = view.getUint32(this.#ring + RING_SLOT_COUNT, true);
    const words = new Int32Array(view.buffer);
    for (let at = slots; at < slots + count * RING_SLOT_SIZE; at += RING_SLOT_SIZE)
      if (words[(at + SLOT_STATE) / 4] !== SLOT_FREE) live.set(at, words[(at + SLOT_GENERATION) / 4]!);
    for (let ms = 0; !this.#closed; ms = Math.min(ms + 1, LONGEST_PAUSE_MS)) {
      for (const [at, generation] of live)
        if (words[(at + SLOT_GENERATION) / 4] !== generation || words[(at + SLOT_STATE) / 4] === SLOT_FREE)
          live.delete(at);
      if (live.size === 0) return;
      await new Promise((resolve) => setTimeout(resolve, ms));
    }
  }

  #hold(number: number, entry: number): void {
    if (this.#runtime.lives.hold(entry)) this.#held.set(number, entry);
  }

  #shareMaps(object: UserObject, numbers: readonly number[]): void {
    for (const map of Object.values(object.maps)) {
      if (!isArray(map)) continue;
      // Values with timers, locks or objects are nobody's to read and write.
      if (!map.inPlace) continue;
      const bytes = map.bytes();
      if (bytes.length > 0) this.#regionsOf.set(this.share(bytes.byteOffset, bytes.length), numbers);
    }
  }

  /** A function in the place of a program: the same context, the same calls. */
  add(name: string, callback: RingCallback): number {
    const context = new RingContext(this.#runtime);
    return this.#add(name, 0, (at) => callback(context.at(at)) ?? 0);
  }

  /** Number by name. Throws InputError `SLUICE_NO_PROGRAM`. */
  number(name: string): number {
    const number = this.#names.get(name);
    if (number === undefined) {
      const known = [...this.#names.keys()].join(', ') || 'none';
      throw new InputError('SLUICE_NO_PROGRAM', `no program ${name} on the ring; attached: ${known}`);
    }
    return number;
  }

  /** Program that messages run which name none, files of other rings among them: by number or name; 0: none, and they are posted to queue 0 (default). */
  onMessage(program: number | string): void {
    const number = typeof program === 'string' ? this.number(program) : program;
    const view = this.#runtime.view();
    if (!(Number.isInteger(number) && number >= 0 && number <= view.getUint32(this.#ring + RING_PROGRAM_COUNT, true)))
      throw new InputError('SLUICE_NO_PROGRAM', `no program ${number} on the ring`);
    view.setUint32(this.#ring + RING_MESSAGES, number, true);
  }

  get names(): readonly string[] {
    return [...this.#names.keys()];
  }

  /** Memory that requests of programs may name and that they may reach by address. Returns the region's number, as bpf_ring_region takes it. */
  share(address: number, length: number): number {
    const view = this.#runtime.view();
    const count = view.getUint32(this.#ring + RING_REGION_COUNT, true);
    const region = this.#freeRegions.pop() ?? count;
    if (region >= this.#regionCapacity)
      throw new InputError('SLUICE_RING_REGIONS', `the ring has ${count} regions: create it with more { regions }`);
    const at = view.getUint32(this.#ring + RING_REGIONS, true) + region * RING_REGION_SIZE;
    view.setUint32(at + REGION_START, address, true);
    view.setUint32(at + REGION_END, address + length, true);
    if (region === count) view.setUint32(this.#ring + RING_REGION_COUNT, count + 1, true);
    return region;
  }

  /** Takes a region back from programs; requests that name it already go on. Its number is given to another one. */
  unshare(region: number): void {
    const view = this.#runtime.view();
    const at = view.getUint32(this.#ring + RING_REGIONS, true) + region * RING_REGION_SIZE;
    view.setUint32(at + REGION_START, 0, true);
    view.setUint32(at + REGION_END, 0, true);
    this.#freeRegions.push(region);
  }

  /** The ring runs no program any more. */
  close(): void {
    this.#closed = true;
    for (const entry of this.#held.values()) this.#runtime.lives.release(entry);
    this.#held.clear();
    for (const number of this.#functions.splice(0)) this.#runtime.plane.ringFunctions.delete(number);
  }

  #at(number: number): number {
    return this.#runtime.view().getUint32(this.#ring + RING_PROGRAMS, true) + (number - 1) * RING_PROGRAM_SIZE;
  }

  #add(name: string, entry: number, call: ((context: number) => number) | undefined): number {
    if (this.#names.has(name)) throw new InputError('SLUICE_RING_PROGRAM', `the ring has a program ${name} already`);
    if (call !== undefined && this.#threaded) throw notThere(name);
    const view = this.#runtime.view();
    const count = view.getUint32(this.#ring + RING_PROGRAM_COUNT, true);
    if (count >= this.#capacity)
      throw new InputError('SLUICE_RING_PROGRAMS', `the ring has ${count} programs: create it with more { programs }`);
    const at = this.#at(count + 1);
    view.setUint32(at + RING_PROGRAM_ENTRY, entry, true);
    if (call !== undefined) {
      const number = addFunction(this.#runtime, call);
      this.#functions.push(number);
      view.setUint32(at + RING_PROGRAM_FUNCTION, number, true);
    }
    view.setUint32(this.#ring + RING_PROGRAM_COUNT, count + 1, true);
    this.#names.set(name, count + 1);
    return count + 1;
  }
}
