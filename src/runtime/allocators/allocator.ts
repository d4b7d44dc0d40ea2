/** Allocators as control code holds them: made, filled ahead, merged, looked at, closed. What they are: plane/assembly/slab/allocator.ts. */
import { InputError } from '../../errors.ts';
import { ALLOCATOR_ID, ALLOCATOR_MERGE, ALLOCATOR_NEXT, ALLOCATOR_REFERENCES } from '../../plane/layout/allocator.ts';
import { ROOT, ROOT_ALLOCATORS, ROOT_GLOBAL_ALLOCATOR } from '../../plane/layout/memory.ts';
import type { PlaneInstance } from '../plane.ts';
import type { Runtime } from '../runtime.ts';
import { type HeapSlab, readHeap } from './heap.ts';
import { type AllocatorStats, readStats } from './stats.ts';

export interface AllocatorOptions {
  /** Most bytes that may be live, by size class, waiting or set apart; none by default. Exact: nothing below it is refused for it. */
  readonly quota?: number;
  /** Shares slabs with all others that say so, with no quota or the same one, and the same group (default false). */
  readonly merge?: boolean;
  /** Number from 1 of those that share one quota; 0, the default: the quota, and with one the slabs, are its own. */
  readonly group?: number;
  /** For reports. */
  readonly name?: string;
}

const errors: Readonly<Record<number, string>> = { 11: 'EAGAIN', 12: 'ENOMEM', 16: 'EBUSY', 22: 'EINVAL' };
const names = new WeakMap<PlaneInstance, Map<number, string>>();

function isAddress(result: number): boolean {
  return result >>> 0 < 0xffff_f001;
}

/** The one that is there without being asked for, once something came from it. */
export function isGlobalAllocator(plane: PlaneInstance, address: number): boolean {
  return address !== 0 && address === plane.view().getUint32(ROOT + ROOT_GLOBAL_ALLOCATOR, true);
}

/** What stands for an allocator in reports: its name, or its number. */
export function allocatorName(plane: PlaneInstance, address: number): string {
  const id = plane.view().getUint32(address + ALLOCATOR_ID, true);
  return names.get(plane)?.get(id) ?? (isGlobalAllocator(plane, address) ? 'global' : `#${id}`);
}

/** Addresses of all allocators that are there, oldest first; those that nobody holds and of which nothing is live go before. */
export function allocatorAddresses(plane: PlaneInstance): number[] {
  plane.exports.allocators_settle();
  const view = plane.view();
  const found: number[] = [];
  for (let at = view.getUint32(ROOT + ROOT_ALLOCATORS, true); at !== 0; at = view.getUint32(at + ALLOCATOR_NEXT, true))
    found.unshift(at);
  return found;
}

export class Allocator {
  readonly plane: PlaneInstance;
  readonly address: number;
  readonly id: number;
  #closed = false;

  private constructor(plane: PlaneInstance, address: number, name: string | undefined) {
    this.plane = plane;
    this.address = address;
    this.id = plane.view().getUint32(address + ALLOCATOR_ID, true);
    if (name === undefined) return;
    const known = names.get(plane) ?? new Map<number, string>();
    names.set(plane, known.set(this.id, name));
  }

  /** Throws InputError `SLUICE_ALLOCATOR_QUOTA`, `SLUICE_ALLOCATOR_GROUP` for numbers out of range, `SLUICE_ALLOCATOR_ENOMEM` where the memory is full. */
  static create(runtime: Runtime, options: AllocatorOptions = {}): Allocator {
    const { quota = 0, merge = false, group = 0, name } = options;
    if (!Number.isSafeInteger(quota) || quota < 0)
      throw new InputError('SLUICE_ALLOCATOR_QUOTA', `a quota is a number of bytes, not ${quota}`);
    if (!Number.isInteger(group) || group < 0 || group > 0xffff_ffff)
      throw new InputError('SLUICE_ALLOCATOR_GROUP', `the number of a group is 0 to 2^32 - 1, not ${group}`);
    const { plane } = runtime;
    const flags = merge ? ALLOCATOR_MERGE : 0;
    const made = plane.exports.allocator_create_in(quota >>> 0, Math.floor(quota / 2 ** 32), flags, group);
    if (!isAddress(made))
      throw new InputError('SLUICE_ALLOCATOR_ENOMEM', 'the linear memory has no room for an allocator: ENOMEM');
    return new Allocator(plane, made >>> 0, name);
  }

  /** The allocator that is always there, without quota; the handle is one more that holds it. */
  static global(runtime: Runtime): Allocator {
    const address = runtime.plane.exports.allocator_global() >>> 0;
    if (address === 0)
      throw new InputError('SLUICE_ALLOCATOR_ENOMEM', 'the linear memory has no room for an allocator: ENOMEM');
    return Allocator.at(runtime, address);
  }

  /** One more handle of an allocator that is there, such as that of a map's elements. */
  static at(runtime: Runtime, address: number): Allocator {
    runtime.plane.exports.allocator_hold(address);
    return new Allocator(runtime.plane, address, undefined);
  }

  get name(): string {
    return (
      names.get(this.plane)?.get(this.id) ?? (this.isThere ? allocatorName(this.plane, this.address) : `#${this.id}`)
    );
  }

  /**
   * Sets `count` objects of at least `size` bytes apart, in slabs of their own: for the program with the number `holder` alone, or for all who ask this allocator (0,
   * the default). They are used where nothing else is left, are there again when they are freed, and count against the quota at once. Throws InputError
   * `SLUICE_ALLOCATOR_ENOMEM`, and has set nothing apart, where the quota or the memory has no room for all of them, `SLUICE_ALLOCATOR_SIZE` for a size without a class.
   */
  prefill(size: number, count: number, holder = 0): void {
    const result = this.#live().plane.exports.allocator_prefill(this.address, size, count, holder);
    if (result === 0) return;
    if (errors[-result] === 'EINVAL')
      throw new InputError('SLUICE_ALLOCATOR_SIZE', `objects have 1 to 4 MiB, not ${size} bytes: EINVAL`);
    const { quota, chargedBytes } = this.stats();
    const bytes = count * this.plane.exports.allocator_rounded(size);
    const over = quota !== undefined && chargedBytes + bytes > quota;
    throw new InputError(
      'SLUICE_ALLOCATOR_ENOMEM',
      over
        ? `${count} objects of ${size} bytes take ${bytes} bytes, and the quota of allocator ${this.name} leaves ${quota - chargedBytes} of ${quota}: ENOMEM`
        : `the linear memory has no room for ${count} objects of ${size} bytes: ENOMEM`,
    );
  }

  /** Ends what is set apart for a holder. Its live objects stay, and count as all others. */
  unreserve(holder: number): void {
    this.#live().plane.exports.allocator_unreserve(this.address, holder);
  }

  /**
   * Shares slabs with another allocator from now on: what the one has free, the other can take. Live objects stay where they are, and each allocator's own. Throws
   * InputError `SLUICE_ALLOCATOR_MERGE` where their quotas or groups differ, or a CPU is at work for longer than a second.
   */
  merge(other: Allocator): void {
    const result = this.#live().plane.exports.allocator_merge(this.address, other.#live().address);
    if (result === 0) return;
    const why =
      errors[-result] === 'EBUSY'
        ? 'a CPU does not end its run'
        : errors[-result] === 'ENOMEM'
          ? 'the linear memory has no room for owners'
          : 'they need the same quota and group, or none, and together must not be over it';
    throw new InputError(
      'SLUICE_ALLOCATOR_MERGE',
      `allocators ${this.name} and ${other.name} cannot be merged: ${why}`,
    );
  }

  /** Exact while no program runs. Of an allocator that is gone: state dead, and zeros. */
  stats(): AllocatorStats {
    if (this.isThere) return readStats(this.plane, this.address);
    return {
      state: 'dead',
      references: 0,
      live: 0,
      liveBytes: 0,
      slabBytes: 0,
      sharers: 0,
      waiting: 0,
      waitingBytes: 0,
      reserved: 0,
      reservedBytes: 0,
      quota: undefined,
      chargedBytes: 0,
      fragmentation: 0,
      classes: [],
    };
  }

  /** Its slabs, and which of their objects are live; with merged allocators all that they share. */
  heap(): readonly HeapSlab[] {
    return this.isThere ? readHeap(this.plane, this.address) : [];
  }

  /** False once nobody holds it and its last object is gone. */
  get isThere(): boolean {
    return (
      allocatorAddresses(this.plane).includes(this.address) &&
      this.plane.view().getUint32(this.address + ALLOCATOR_ID, true) === this.id
    );
  }

  /** Handles, maps and programs that hold it. */
  get references(): number {
    return this.isThere ? this.plane.view().getUint32(this.address + ALLOCATOR_REFERENCES, true) : 0;
  }

  /** Lets go of it. With the last that holds it nothing more is allocated, and what is live stays until it is freed: never waits. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.plane.exports.allocator_release(this.address);
  }

  #live(): this {
    if (this.#closed) throw new InputError('SLUICE_ALLOCATOR_CLOSED', `allocator ${this.name} is closed: make another`);
    return this;
  }
}
