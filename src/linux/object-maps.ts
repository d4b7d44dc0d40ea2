/** The maps of an object in the kernel: created, pinned or found, filled. */
import { mapTypes } from '../abi/map-types.ts';
import type { Btf } from '../btf/types.ts';
import { InputError, InternalError, UnsupportedError } from '../errors.ts';
import type { MapSpec, ObjectSpec } from '../object/spec.ts';
import type { MapHandle } from '../runtime/handles.ts';
import type { KconfigValues } from '../runtime/kconfig.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { openById, openPinned, pinObject } from './bpf.ts';
import { openModuleBtf } from './btf-vmlinux.ts';
import { close } from './ffi.ts';
import { mapInfoOf } from './info.ts';
import { kernelKconfig } from './kconfig.ts';
import { BPF_F_RDONLY_PROG, KernelMap } from './maps.ts';
import type { ObjectBtf } from './object-btf.ts';
import { placeArena } from './shared-maps.ts';
import { kernelStruct, structNameOf } from './struct-ops.ts';
import { SyscallError } from './syscall-error.ts';

export interface ObjectMapOptions {
  readonly btf: ObjectBtf | undefined;
  readonly kconfig: KconfigValues;
  /** Folder of a bpf file system for maps that are pinned by name. */
  readonly pinFolder: string;
  /** Maps in place of the object's own, by name. */
  /** Whose memory arenas are mapped into; by default they lie anywhere in the process. */
  readonly runtime: Runtime | undefined;
  readonly given: Readonly<Record<string, MapHandle>>;
  /** Initial content by map name, in place of the object's: bytes of `.rodata`, `.data`, … */
  readonly contents: Readonly<Record<string, Uint8Array>>;
}

/** By name, in order of the object. On an error nothing stays open. */
export function createObjectMaps(
  spec: ObjectSpec,
  wanted: readonly MapSpec[],
  options: ObjectMapOptions,
): Map<string, KernelMap> {
  const maps = new Map<string, KernelMap>();
  try {
    const fresh: MapSpec[] = [];
    for (const map of wanted) {
      const there = findMap(map, options);
      if (there === undefined) fresh.push(map);
      maps.set(map.name, there ?? makeMap(map, spec.btf, options));
    }
    for (const map of fresh)
      if (map.type === 'arena') {
        const arena = maps.get(map.name)!;
        if (options.runtime === undefined) arena.mapped();
        else placeArena(options.runtime, arena);
      }
    for (const map of fresh) fill(spec, map, maps, options);
    return maps;
  } catch (error) {
    for (const map of maps.values()) map.close();
    throw error;
  }
}

function pinPath(spec: MapSpec, { pinFolder }: ObjectMapOptions): string | undefined {
  return spec.pinning === 'by-name' ? `${pinFolder}/${spec.name}` : undefined;
}

/** The map that the caller gave, or the one that is pinned by this name. */
function findMap(spec: MapSpec, options: ObjectMapOptions): KernelMap | undefined {
  const given = options.given[spec.name];
  const path = pinPath(spec, options);
  if (given !== undefined) return alike(givenDescriptor(given), spec, `the map given for ${spec.name}`);
  if (path === undefined) return undefined;
  try {
    return alike(openPinned(path), spec, `the map at ${path}`);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === 'ENOENT') return undefined;
    throw error;
  }
}

/** A descriptor of its own. */
function givenDescriptor(map: MapHandle): number {
  const fd = map.raw instanceof KernelMap ? openById('map', mapInfoOf(map.raw.fd).id) : undefined;
  if (fd === undefined)
    throw new InputError(
      'SLUICE_MAP_SHARE',
      `map ${map.name} is of this process: programs of the kernel cannot reach it`,
    );
  return fd;
}

/** The map behind `fd`, if an object that defines it as `spec` can use it: what libbpf asks of a map that it is to use in place of its own. */
function alike(fd: number, spec: MapSpec, what: string): KernelMap {
  const map = new KernelMap(fd, spec);
  const info = mapInfoOf(fd);
  const wanted = { ...spec, type: mapTypes[spec.type] };
  const fields = ['type', 'keySize', 'valueSize', 'maxEntries', 'flags'] as const;
  const differs = fields
    .filter((field) => info[field] !== wanted[field] && !(field === 'maxEntries' && wanted[field] === 0))
    .map((field) => `${field} ${info[field]} and ${wanted[field]}`);
  if (differs.length === 0) return map;
  map.close();
  throw new InputError('SLUICE_MAP_PIN', `${what} is not like the object's: ${differs.join(', ')}`);
}

function makeMap(spec: MapSpec, types: Btf | undefined, options: ObjectMapOptions): KernelMap {
  if (spec.type === 'insn_array')
    throw new UnsupportedError(
      `map type ${spec.type}`,
      `map ${spec.name}: Linux maps of type ${spec.type} cannot be made yet`,
    );
  if (spec.type === 'allocator') throw noAllocators(`map ${spec.name}`);
  if (spec.allocators !== undefined)
    throw noAllocators(`map ${spec.name}: ${Object.keys(spec.allocators).join('_allocator and ')}_allocator`);
  // An arena in a runtime's memory lies where that memory has room, whatever address the object asks for.
  const place = spec.type === 'arena' && options.runtime !== undefined ? { ...spec, mapExtra: 0n } : spec;
  const map =
    spec.type === 'struct_ops' ? createStructOps(spec, types, options.btf) : createKernelMap(place, options.btf);
  const path = pinPath(spec, options);
  if (path !== undefined) {
    try {
      pinObject(path, map.fd);
    } catch (error) {
      map.close();
      throw error;
    }
  }
  return map;
}

/** Linux has one allocator for all programs, and nothing that names one. */
export function noAllocators(what: string): UnsupportedError {
  return new UnsupportedError(
    'map type allocator',
    `${what}: Linux has no allocators to choose from; run it in user space (target user), or allocate with bpf_obj_new`,
  );
}

function createStructOps(spec: MapSpec, types: Btf | undefined, own: ObjectBtf | undefined): KernelMap {
  const struct = kernelStruct(structNameOf(spec, types));
  const btfFd = struct.module === undefined ? undefined : openModuleBtf(struct.module);
  try {
    const structOps = { ...struct, ...(btfFd === undefined ? {} : { btfFd }) };
    return KernelMap.create(spec, { structOps, ...(own === undefined ? {} : { btfFd: own.fd }) });
  } finally {
    if (btfFd !== undefined) close(btfFd);
  }
}

export function createKernelMap(spec: MapSpec, btf: ObjectBtf | undefined): KernelMap {
  const inner = spec.inner === undefined ? undefined : createKernelMap(spec.inner, btf);
  try {
    const innerMapFd = inner === undefined ? {} : { innerMapFd: inner.fd };
    if (btf === undefined) return KernelMap.create(spec, innerMapFd);
    try {
      return KernelMap.create(spec, { ...innerMapFd, btfFd: btf.fd });
    } catch (error) {
      // As libbpf: types that the map does not take are left out. What needs them (locks, timers, kptrs) the verifier will refuse.
      if (!(error instanceof SyscallError) || error.errno !== 'EINVAL') throw error;
      return KernelMap.create(spec, innerMapFd);
    }
  } finally {
    inner?.close();
  }
}

function fill(spec: ObjectSpec, map: MapSpec, maps: ReadonlyMap<string, KernelMap>, options: ObjectMapOptions): void {
  const { contents } = map;
  const kernelMap = maps.get(map.name)!;
  if (contents.kind === 'bytes') {
    const bytes =
      options.contents[map.name] ??
      (map.name === '.kconfig' ? kernelKconfig(spec.externs, options.kconfig) : contents.bytes);
    if (map.type === 'arena') {
      kernelMap.mapped().set(bytes);
      return;
    }
    kernelMap.update(new Uint8Array(map.keySize), bytes);
    if ((map.flags & BPF_F_RDONLY_PROG) !== 0) kernelMap.freeze();
    return;
  }
  // Programs are put into their arrays once they are loaded.
  if (contents.kind !== 'references' || map.type === 'prog_array') return;
  for (const [index, name] of contents.targets) setDescriptor(kernelMap, index, mapNamed(maps, name).fd);
}

function mapNamed(maps: ReadonlyMap<string, KernelMap>, name: string): KernelMap {
  const map = maps.get(name);
  if (map === undefined) throw new InternalError(`map ${name}, which another map holds, was not created`);
  return map;
}

/** An element that is a descriptor: of a program or of a map. */
export function setDescriptor(map: KernelMap, index: number, fd: number): void {
  const key = new Uint8Array(map.keySize);
  new DataView(key.buffer).setUint32(0, index, true);
  const value = new Uint8Array(4);
  new DataView(value.buffer).setInt32(0, fd, true);
  map.update(key, value);
}
