/** Numbers of an allocator as the plane counts them (layout/allocator.ts, STATS_): exact while no program runs. */
import { InternalError } from '../../errors.ts';
import {
  ALLOCATOR_DRAINING,
  ALLOCATOR_OPEN,
  CLASS_COUNT,
  STATS_CHARGED,
  STATS_CLASS,
  STATS_CLASS_CACHED,
  STATS_CLASS_FREE,
  STATS_CLASS_LIVE,
  STATS_CLASS_SLABS,
  STATS_CLASSES,
  STATS_LIVE,
  STATS_LIVE_BYTES,
  STATS_MEMBERS,
  STATS_QUOTA,
  STATS_REFERENCES,
  STATS_RESERVED,
  STATS_RESERVED_BYTES,
  STATS_SIZE,
  STATS_SLAB_BYTES,
  STATS_STATE,
  STATS_WAITING,
  STATS_WAITING_BYTES,
} from '../../plane/layout/allocator.ts';
import type { PlaneInstance } from '../plane.ts';

export type AllocatorState = 'open' | 'draining' | 'dead';

export interface ClassStats {
  /** Bytes of its objects. */
  readonly size: number;
  /** Live objects of this allocator. */
  readonly live: number;
  /** Free objects in caches of CPUs and in slabs, and slabs: of all allocators that share them. */
  readonly cached: number;
  readonly free: number;
  readonly slabs: number;
}

export interface AllocatorStats {
  readonly state: AllocatorState;
  /** Maps, programs and handles that hold it. */
  readonly references: number;
  /** Live objects, and their bytes by size class. */
  readonly live: number;
  readonly liveBytes: number;
  /** Memory that its slabs take; with merged allocators, that of all `sharers`. */
  readonly slabBytes: number;
  /** Allocators that share its slabs, itself included. */
  readonly sharers: number;
  /** Freed objects that wait until no CPU can read them. */
  readonly waiting: number;
  readonly waitingBytes: number;
  /** Objects that are set apart. */
  readonly reserved: number;
  readonly reservedBytes: number;
  /** Bytes that may be out, undefined: no quota; bytes that count against it: live, waiting, set apart, and cached ones until they are asked for. */
  readonly quota: number | undefined;
  readonly chargedBytes: number;
  /** Part of the slabs' bytes that no live object of this allocator is in, 0 to 1. */
  readonly fragmentation: number;
  /** Classes that have slabs. */
  readonly classes: readonly ClassStats[];
}

/** Bytes of the objects of a class (layout/allocator.ts). */
export function classBytes(number: number): number {
  return number < 4 ? (number + 1) * 8 : ((number & 3) + 5) * 2 ** ((number >> 2) + 2);
}

export function readStats(plane: PlaneInstance, allocator: number): AllocatorStats {
  const at = plane.scratch(STATS_SIZE);
  if (plane.exports.allocator_stats(allocator, at) !== 0)
    throw new InternalError('no memory to count live objects of merged allocators in');
  const view = plane.view();
  const u32 = (offset: number) => view.getUint32(at + offset, true);
  const u64 = (offset: number) => Number(view.getBigUint64(at + offset, true));
  const classes: ClassStats[] = [];
  for (let number = 0; number < CLASS_COUNT; number++) {
    const row = STATS_CLASSES + number * STATS_CLASS;
    const slabs = u32(row + STATS_CLASS_SLABS);
    if (slabs === 0) continue;
    classes.push({
      size: classBytes(number),
      live: u32(row + STATS_CLASS_LIVE),
      cached: u32(row + STATS_CLASS_CACHED),
      free: u32(row + STATS_CLASS_FREE),
      slabs,
    });
  }
  const state = u32(STATS_STATE);
  const quota = u64(STATS_QUOTA);
  const slabBytes = u64(STATS_SLAB_BYTES);
  const liveBytes = u64(STATS_LIVE_BYTES);
  return {
    state: state === ALLOCATOR_OPEN ? 'open' : state === ALLOCATOR_DRAINING ? 'draining' : 'dead',
    references: u32(STATS_REFERENCES),
    live: u64(STATS_LIVE),
    liveBytes,
    slabBytes,
    sharers: u32(STATS_MEMBERS),
    waiting: u64(STATS_WAITING),
    waitingBytes: u64(STATS_WAITING_BYTES),
    reserved: u64(STATS_RESERVED),
    reservedBytes: u64(STATS_RESERVED_BYTES),
    quota: quota === 0 ? undefined : quota,
    chargedBytes: u64(STATS_CHARGED),
    fragmentation: slabBytes === 0 ? 0 : 1 - liveBytes / slabBytes,
    classes,
  };
}
