/**
 * Maps of the kernel inside the program memory: their pages are mapped over pages of the linear memory, so that programs here and in the kernel
 * work on the same bytes at once.
 *
 * Array: with BPF_F_MMAPABLE. Arena: mapped when the kernel's object is loaded (`loadLinux(spec, { runtime })`), as an arena has one place in a process.
 * Rings have one side each: a ring buffer of the kernel is a user ring buffer here, which programs drain, and the other way round.
 */
import { InputError, UnsupportedError } from '../errors.ts';
import type { MapSpec } from '../object/spec.ts';
import { MAP_MAX_ENTRIES, MAP_VALUES } from '../plane/layout/map.ts';
import { ARENA_BITMAP, ARENA_DELTA, ARENA_NEWEST, ARENA_PAGE, ARENA_TAKEN } from '../plane/layout/map-arena.ts';
import { RINGBUF_CONSUMER_AT, RINGBUF_PRODUCER_AT, RINGBUF_SHARED } from '../plane/layout/map-ringbuf.ts';
import type { MapHandle } from '../runtime/handles.ts';
import { createMap, type PlaneMap } from '../runtime/maps/plane-map.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { PROT_READ, PROT_WRITE, pageSize } from './ffi.ts';
import { MappedPages } from './mapped-pages.ts';
import { BPF_F_MMAPABLE, KernelMap } from './maps.ts';

/** What a memory may still take up once a ring is mapped into it, whose other side can only be read. */
const ROOM = 2 ** 30;
/** Runs of pages that an arena may need to try: one lies across a multiple of 4 GiB of the process at most. */
const ATTEMPTS = 2;

/** The kernel's map as one of this runtime, for an object that defines it as `spec`. The descriptor may be closed afterwards. */
export function shareKernelMap(runtime: Runtime, handle: MapHandle, spec: MapSpec): PlaneMap {
  const kernel = handle.raw;
  if (!(kernel instanceof KernelMap))
    throw new InputError('SLUICE_MAP_SHARE', `map ${handle.name} is not of the kernel`);
  if (kernel.type === 'array') return shareArray(runtime, kernel);
  if (kernel.type === 'arena') return shareArena(runtime, kernel);
  if (kernel.type === 'ringbuf' || kernel.type === 'user_ringbuf') return shareRing(runtime, kernel, spec);
  throw new UnsupportedError(
    `sharing maps of type ${kernel.type}`,
    `map ${kernel.name}: memory of maps of type ${kernel.type} cannot be mapped: only arrays with BPF_F_MMAPABLE, rings and arenas can`,
  );
}

function shareArray(runtime: Runtime, kernel: KernelMap): PlaneMap {
  if ((kernel.flags & BPF_F_MMAPABLE) === 0)
    throw new InputError('SLUICE_MAP_SHARE', `map ${kernel.name}: only arrays with BPF_F_MMAPABLE can be mapped`);
  const pages = new MappedPages(runtime, ((kernel.valueSize + 7) & ~7) * kernel.maxEntries);
  pages.map(kernel.fd, 0, pages.size, 0, PROT_READ | PROT_WRITE);
  return back(pages, kernel, kernel.type, (map, view) => view.setUint32(map.address + MAP_VALUES, pages.address, true));
}

/** kernel/bpf/ringbuf.c: a page with the consumer's position, one with the producer's, then the data, twice in a row. */
function shareRing(runtime: Runtime, kernel: KernelMap, spec: MapSpec): PlaneMap {
  const type = kernel.type === 'ringbuf' ? 'user_ringbuf' : 'ringbuf';
  if (spec.type !== type)
    throw new InputError(
      'SLUICE_MAP_SHARE',
      `map ${spec.name}: what is a ${kernel.type} in the kernel is a ${type} here`,
    );
  const page = pageSize();
  const data = 2 * kernel.maxEntries;
  const pages = new MappedPages(runtime, 2 * page + data, runtime.holdSize(ROOM));
  const [consumer, producer] = type === 'user_ringbuf' ? [PROT_WRITE, 0] : [0, PROT_WRITE];
  pages.map(kernel.fd, 0, page, 0, PROT_READ | consumer);
  pages.map(kernel.fd, page, page + data, page, PROT_READ | producer);
  return back(pages, kernel, type, (map, view) => {
    view.setUint32(map.address + MAP_VALUES, pages.address + 2 * page, true);
    view.setUint32(map.address + RINGBUF_CONSUMER_AT, pages.address, true);
    view.setUint32(map.address + RINGBUF_PRODUCER_AT, pages.address + page, true);
    view.setUint32(map.address + RINGBUF_SHARED, 1, true);
  });
}

const arenas = new WeakMap<KernelMap, { readonly runtime: Runtime; readonly pages: MappedPages }>();

/** Gives a new arena of the kernel its place in the process: in the memory of a runtime. Before any program that uses it is loaded. */
export function placeArena(runtime: Runtime, kernel: KernelMap): void {
  const size = kernel.maxEntries * ARENA_PAGE;
  const passed: MappedPages[] = [];
  let pages = new MappedPages(runtime, size);
  const crosses = () =>
    Math.floor(pages.machineAddress / 2 ** 32) !== Math.floor((pages.machineAddress + size - 1) / 2 ** 32);
  for (let i = 0; crosses() && i < ATTEMPTS; i++) {
    passed.push(pages);
    pages = new MappedPages(runtime, size);
  }
  for (const each of passed) each.release();
  pages.map(kernel.fd, 0, size, 0, PROT_READ | PROT_WRITE);
  kernel.place(pages.machineAddress, size, () => pages.release());
  arenas.set(kernel, { runtime, pages });
}

function shareArena(runtime: Runtime, kernel: KernelMap): PlaneMap {
  const placed = arenas.get(kernel);
  if (placed === undefined || placed.runtime.plane.memory !== runtime.plane.memory)
    throw new InputError(
      'SLUICE_MAP_SHARE',
      `map ${kernel.name}: an arena is shared with the runtime that its object was loaded for: load(object, { target: 'linux', runtime })`,
    );
  const { pages } = placed;
  pages.hold();
  return back(pages, kernel, 'arena', (map, view) => {
    view.setUint32(map.address + MAP_VALUES, pages.address, true);
    view.setUint32(map.address + ARENA_DELTA, (pages.address - (pages.machineAddress % 2 ** 32)) >>> 0, true);
    // The kernel knows which pages are taken, and takes those that are touched: none is free to be taken by programs here.
    view.setUint32(map.address + ARENA_TAKEN, kernel.maxEntries, true);
    view.setUint32(map.address + ARENA_NEWEST, 0, true);
    const bitmap = view.getUint32(map.address + ARENA_BITMAP, true);
    const words = Math.ceil(view.getUint32(map.address + MAP_MAX_ENTRIES, true) / 32);
    runtime.bytes().fill(0xff, bitmap, bitmap + words * 4);
  });
}

/** A map of this runtime whose memory the pages are, which `connect` tells it. */
function back(
  pages: MappedPages,
  kernel: KernelMap,
  type: PlaneMap['type'],
  connect: (map: PlaneMap, view: DataView) => void,
): PlaneMap {
  try {
    const { name, keySize, valueSize, maxEntries, flags } = kernel;
    const map = createMap(pages.runtime.plane, { name, type, keySize, valueSize, maxEntries, flags });
    connect(map, pages.runtime.view());
    map.onRelease(() => pages.release());
    return map;
  } catch (error) {
    pages.release();
    throw error;
  }
}
