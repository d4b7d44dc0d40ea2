/** The maps of an object in the kernel: created, pinned or found, filled. */
import { InputError, InternalError, UnsupportedError } from '../errors.ts';
import { kconfigLayout } from '../object/externs.ts';
import type { MapSpec, ObjectSpec } from '../object/spec.ts';
import type { KconfigValues } from '../runtime/kconfig.ts';
import { openPinned, pinObject } from './bpf.ts';
import { mapInfoOf } from './info.ts';
import { kernelKconfigBytes } from './kconfig.ts';
import { BPF_F_RDONLY_PROG, KernelMap } from './maps.ts';
import type { ObjectBtf } from './object-btf.ts';
import { SyscallError } from './syscall-error.ts';

export interface ObjectMapOptions {
  readonly btf: ObjectBtf | undefined;
  readonly kconfig: KconfigValues;
  /** Folder of a bpf file system for maps that are pinned by name. */
  readonly pinFolder: string;
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
    for (const map of wanted) maps.set(map.name, openMap(map, options));
    for (const map of maps.values()) if (map.type === 'arena') map.mapped();
    for (const map of wanted) fill(spec, map, maps, options);
    return maps;
  } catch (error) {
    for (const map of maps.values()) map.close();
    throw error;
  }
}

function openMap(spec: MapSpec, options: ObjectMapOptions): KernelMap {
  if (spec.type === 'insn_array' || spec.type === 'struct_ops')
    throw new UnsupportedError(
      `map type ${spec.type}`,
      `map ${spec.name}: Linux maps of type ${spec.type} cannot be made yet`,
    );
  const path = spec.pinning === 'by-name' ? `${options.pinFolder}/${spec.name}` : undefined;
  if (path !== undefined) {
    const pinned = findPinned(spec, path);
    if (pinned !== undefined) return pinned;
  }
  const map = create(spec, options.btf);
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

function findPinned(spec: MapSpec, path: string): KernelMap | undefined {
  let fd: number;
  try {
    fd = openPinned(path);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === 'ENOENT') return undefined;
    throw error;
  }
  const map = new KernelMap(fd, spec);
  const info = mapInfoOf(fd);
  if (info.keySize === spec.keySize && info.valueSize === spec.valueSize && info.maxEntries === spec.maxEntries)
    return map;
  map.close();
  throw new InputError('SLUICE_LINUX_PIN', `the map at ${path} has other sizes than ${spec.name} of the object`);
}

function create(spec: MapSpec, btf: ObjectBtf | undefined): KernelMap {
  const inner = spec.inner === undefined ? undefined : create(spec.inner, btf);
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
      options.contents[map.name] ?? (map.name === '.kconfig' ? kconfig(spec, map, options) : contents.bytes);
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

function kconfig(spec: ObjectSpec, map: MapSpec, options: ObjectMapOptions): Uint8Array {
  const bytes = new Uint8Array(map.valueSize);
  for (const [name, offset] of kconfigLayout(spec.externs).offsets)
    bytes.set(kernelKconfigBytes(spec.externs.get(name)!, options.kconfig), offset);
  return bytes;
}
