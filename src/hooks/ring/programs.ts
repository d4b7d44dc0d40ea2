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
} from '../../plane/layout/ring.ts';
import { isArray } from '../../runtime/handles.ts';
import type { UserObject } from '../../runtime/load.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { type RingCallback, RingContext } from './context.ts';
import { addFunction } from './functions.ts';

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

  constructor(runtime: Runtime, ring: number, capacity: number, regionCapacity: number, threaded = false) {
    this.#threaded = threaded;
    this.#runtime = runtime;
    this.#ring = ring;
    this.#capacity = capacity;
    this.#regionCapacity = regionCapacity;
  }

  /**
   * Attaches the ring programs of an object, in the order of the object, and shares the memory of its arrays with them: requests of programs may name
   * variables and array values. The object must live in the ring's runtime, and not be closed before the ring. Returns numbers by name.
   */
  attach(object: UserObject): ReadonlyMap<string, number> {
    if (object.runtime !== this.#runtime)
      throw new InputError(
        'SLUICE_RING_RUNTIME',
        'the object was loaded for another runtime than the ring: load(object, { runtime: ring.runtime })',
      );
    const numbers = new Map<string, number>();
    for (const program of Object.values(object.programs)) {
      if (program.type !== 'iouring') continue;
      const { executable } = program;
      const call = (context: number) => Number(BigInt.asUintN(32, executable.run(context)));
      numbers.set(program.name, this.#add(program.name, executable.entry, executable.entry === 0 ? call : undefined));
    }
    if (numbers.size === 0)
      throw new InputError('SLUICE_RING_NO_PROGRAM', 'the object has no program for rings: SEC("iouring") makes one');
    for (const map of Object.values(object.maps)) {
      if (!isArray(map)) continue;
      // Values with timers, locks or objects are nobody's to read and write.
      if (!map.inPlace) continue;
      const bytes = map.bytes();
      if (bytes.length > 0) this.share(bytes.byteOffset, bytes.length);
    }
    return numbers;
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

  close(): void {
    for (const number of this.#functions.splice(0)) this.#runtime.plane.ringFunctions.delete(number);
  }

  #add(name: string, entry: number, call: ((context: number) => number) | undefined): number {
    if (this.#names.has(name)) throw new InputError('SLUICE_RING_PROGRAM', `the ring has a program ${name} already`);
    if (call !== undefined && this.#threaded)
      throw new InputError(
        'SLUICE_RING_DRIVER',
        `${name} is JavaScript, which the ring's thread cannot run: create the ring with driver 'inline', or load programs with engine 'jit'`,
      );
    const view = this.#runtime.view();
    const count = view.getUint32(this.#ring + RING_PROGRAM_COUNT, true);
    if (count >= this.#capacity)
      throw new InputError('SLUICE_RING_PROGRAMS', `the ring has ${count} programs: create it with more { programs }`);
    const at = view.getUint32(this.#ring + RING_PROGRAMS, true) + count * RING_PROGRAM_SIZE;
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
