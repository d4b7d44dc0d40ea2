/**
 * The programs that elements of prog arrays may be: those that are loaded, by their index in the function table, and of the kind of the array's owner, the first
 * program that uses the array or is put there. __bpf_prog_map_compatible, kernel/bpf/core.c.
 */
import type { ProgramSpec } from '../../object/spec.ts';
import type { PlaneInstance } from '../plane.ts';
import type { PlaneMap } from './plane-map.ts';

export class TailTargets {
  readonly #kinds = new Map<number, string>();
  /** By the array's address. */
  readonly #owners = new Map<number, string>();

  /** A program can be called at `entry`, until `remove`. */
  add(entry: number, kind: string): void {
    this.#kinds.set(entry, kind);
  }

  remove(entry: number): void {
    this.#kinds.delete(entry);
  }

  /** The errno that `entry` is refused with as an element of `map`; undefined if it may be one. */
  refusal(map: PlaneMap, entry: number): 'EBADF' | 'EINVAL' | undefined {
    const kind = this.#kinds.get(entry);
    if (kind === undefined) return 'EBADF';
    return (this.#owners.get(map.address) ?? kind) === kind ? undefined : 'EINVAL';
  }

  /** `entry` is an element now: it owns a map that had no owner. */
  settle(map: PlaneMap, entry: number): void {
    const kind = this.#kinds.get(entry);
    if (kind !== undefined) this.claim(map, kind);
  }

  /** A program of this kind uses the array: false if those in it are of another kind. */
  claim(map: PlaneMap, kind: string): boolean {
    const owner = this.#owners.get(map.address);
    if (owner !== undefined) return owner === kind;
    this.#owners.set(map.address, kind);
    map.onRelease(() => this.#owners.delete(map.address));
    return true;
  }
}

const targets = new WeakMap<PlaneInstance, TailTargets>();

export function tailTargetsOf(plane: PlaneInstance): TailTargets {
  let there = targets.get(plane);
  if (there === undefined) {
    there = new TailTargets();
    targets.set(plane, there);
  }
  return there;
}

/** Programs of one kind can go on in each other. An engine is to us what being compiled is to Linux. */
export function tailKind(engine: string, { type, attachType, frags }: ProgramSpec): string {
  return `${engine} ${type} ${attachType ?? ''}${frags ? ' frags' : ''}`;
}
