/** ObjectSpec -> programs and maps of the kernel. */
import type { Btf } from '../btf/types.ts';
import { InputError } from '../errors.ts';
import type { MapSpec, ObjectSpec, ProgramSpec } from '../object/spec.ts';
import type { LoadedObject, MapHandle } from '../runtime/handles.ts';
import type { KconfigValues } from '../runtime/kconfig.ts';
import { holdTraitsOf } from '../runtime/object-traits.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { TraitRegistry } from '../traits/registry.ts';
import { vmlinuxBtf } from './btf-vmlinux.ts';
import type { LinuxMap } from './linux-map.ts';
import { linuxMap } from './map-handles.ts';
import type { KernelMap } from './maps.ts';
import { interfaceIndex } from './netdev.ts';
import { ObjectBtf } from './object-btf.ts';
import { createObjectMaps, setDescriptor } from './object-maps.ts';
import { type LoadContext, loadProgramSpec } from './program-load.ts';
import type { KernelProgram } from './programs.ts';
import { LinuxStructOps } from './struct-ops-map.ts';
import { SyscallError } from './syscall-error.ts';

export interface LinuxLoadOptions {
  /** Names of the programs to load; by default all that the object loads by itself. */
  readonly programs?: readonly string[];
  /** Types that CO-RE relocations are resolved against; by default those of the running kernel. */
  readonly targetBtf?: Btf;
  /** Kernel options for `.kconfig` externs, in place of the running kernel's. */
  readonly kconfig?: KconfigValues;
  /** Folder of a mounted bpf file system for maps that are pinned by name (default /sys/fs/bpf). */
  readonly pinFolder?: string;
  /** Maps of this target in place of the object's own, by name: shared with whoever else holds them. */
  readonly maps?: Readonly<Record<string, MapHandle>>;
  /** A runtime here that is to share the arenas of the object: they are mapped into its memory. */
  readonly runtime?: Runtime;
  /** Initial content of global sections by map name (`.rodata`, …), in place of the object's; of exactly their size. */
  readonly contents?: Readonly<Record<string, Uint8Array>>;
  /** BPF_F_* of BPF_PROG_LOAD besides those that the section names imply, such as BPF_F_TEST_RND_HI32. */
  readonly flags?: number;
  /**
   * Interface that XDP programs are bound to (BPF_F_XDP_DEV_BOUND_ONLY, Linux 6.3): they may call the rx metadata kfuncs of its driver, and are
   * attached nowhere else, in native mode. Throws UnsupportedError where the driver has none.
   */
  readonly device?: string | number;
  /** Names of packets' traits; by default those of `runtime`, else of all objects that the process loads into the kernel. */
  readonly traits?: TraitRegistry;
  /** Level of the verifier's log to keep of accepted programs (default none). */
  readonly logLevel?: number;
}

export interface LinuxObject extends LoadedObject {
  readonly target: 'linux';
  readonly programs: Readonly<Record<string, KernelProgram>>;
  readonly maps: Readonly<Record<string, LinuxMap>>;
  /** Why the kernel did not take the object's BTF; undefined if it did, or there is none. */
  readonly btfRefusal: string | undefined;
}

/**
 * Loads an object. Programs, maps and BTF live until `close()`, and beyond it for as long as a link or a pin holds them.
 *
 * Throws ProgramRefusedError with the verifier's log; UnsupportedError where bpf(2) is refused, and for what this kernel or
 * Sluice does not have, by name; InputError for what the object asks in vain; SyscallError for any other refusal.
 */
export function loadLinux(given: ObjectSpec, options: LinuxLoadOptions = {}): LinuxObject {
  const registry = options.traits ?? options.runtime?.traits ?? kernelTraits;
  const { object, release } = holdTraitsOf(registry, given);
  try {
    return loadNamed(object, options, release);
  } catch (error) {
    release();
    throw error;
  }
}

/** Names of the traits that objects in the kernel use, where nobody gives a registry: those of one process agree. */
const kernelTraits = new TraitRegistry();

function loadNamed(spec: ObjectSpec, options: LinuxLoadOptions, releaseTraits: () => void): LinuxObject {
  const chosen = choosePrograms(spec, options.programs);
  const names = new Set(chosen.map(({ name }) => name));
  const wanted = [...spec.maps.values()].filter(
    // Sections `?.struct_ops` are for kernels that have the struct: as libbpf they are left alone.
    ({ contents, section }) =>
      (contents.kind !== 'jump-table' || names.has(contents.program)) &&
      !(contents.kind === 'struct-ops' && section.startsWith('?')),
  );
  const open: { close(): void }[] = [{ close: releaseTraits }];
  const closeAll = () => {
    for (const each of open.splice(0).reverse()) each.close();
  };
  try {
    const { btf, refusal } = loadObjectBtf(spec);
    if (btf !== undefined) open.push(btf);
    const kernelMaps = createObjectMaps(spec, wanted, {
      btf,
      kconfig: options.kconfig ?? {},
      pinFolder: options.pinFolder ?? '/sys/fs/bpf',
      contents: options.contents ?? {},
      given: options.maps ?? {},
      runtime: options.runtime,
    });
    const maps: Record<string, LinuxMap> = {};
    for (const map of wanted) {
      maps[map.name] = linuxMap(kernelMaps.get(map.name)!, map, spec.btf);
      open.push(maps[map.name]!);
    }
    const context: LoadContext = {
      object: spec.name,
      license: spec.license,
      kernelVersion: spec.kernelVersion,
      btf: spec.btf,
      kernelBtf: btf,
      targetBtf: () => options.targetBtf ?? vmlinuxBtf(),
      mapFd: (name) => mapFd(kernelMaps, name, spec),
      maps: spec.maps,
      flags: options.flags ?? 0,
      device: typeof options.device === 'string' ? interfaceIndex(options.device) : options.device,
      logLevel: options.logLevel,
    };
    const programs: Record<string, KernelProgram> = {};
    for (const program of chosen) {
      programs[program.name] = loadProgramSpec(program, context);
      open.push(programs[program.name]!);
    }
    connectPrograms(wanted, kernelMaps, programs);
    for (const map of Object.values(maps)) if (map instanceof LinuxStructOps) map.connect(programs);
    return { target: 'linux', programs, maps, btfRefusal: refusal, close: closeAll };
  } catch (error) {
    closeAll();
    throw error;
  }
}

function choosePrograms(spec: ObjectSpec, names: readonly string[] | undefined): readonly ProgramSpec[] {
  if (names === undefined) return [...spec.programs.values()].filter(({ autoload }) => autoload);
  return names.map((name) => {
    const program = spec.programs.get(name);
    if (program !== undefined) return program;
    const known = [...spec.programs.keys()].join(', ') || 'none';
    throw new InputError('SLUICE_NO_PROGRAM', `no program ${name}; its programs: ${known}`, { input: spec.name });
  });
}

/** A kernel that does not know the object's types can still run most programs: its refusal is kept, not thrown. */
function loadObjectBtf(spec: ObjectSpec): {
  readonly btf: ObjectBtf | undefined;
  readonly refusal: string | undefined;
} {
  if (spec.btf === undefined) return { btf: undefined, refusal: undefined };
  try {
    return { btf: ObjectBtf.load(spec, spec.btf), refusal: undefined };
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    return { btf: undefined, refusal: error.message };
  }
}

function mapFd(maps: ReadonlyMap<string, KernelMap>, name: string, spec: ObjectSpec): number {
  const map = maps.get(name);
  if (map === undefined) throw new InputError('SLUICE_NO_MAP', `no map ${name}`, { input: spec.name });
  return map.fd;
}

/** Puts programs into the arrays that the object fills; those that were not loaded leave their place empty. */
function connectPrograms(
  specs: readonly MapSpec[],
  maps: ReadonlyMap<string, KernelMap>,
  programs: Readonly<Record<string, KernelProgram>>,
): void {
  for (const { name, type, contents } of specs) {
    if (type !== 'prog_array' || contents.kind !== 'references') continue;
    for (const [index, program] of contents.targets) {
      const fd = programs[program]?.fd;
      if (fd !== undefined) setDescriptor(maps.get(name)!, index, fd);
    }
  }
}
