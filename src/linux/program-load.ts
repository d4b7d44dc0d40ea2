/**
 * ProgramSpec -> program of the kernel: CO-RE against the kernel's types, descriptors and BTF ids in place of names, function and line records.
 */
import { type AttachTypeName, isLinuxProgramType } from '../abi/program-types.ts';
import { applyCoreRelocations } from '../btf/core.ts';
import type { Btf } from '../btf/types.ts';
import { InputError, InternalError, UnsupportedError } from '../errors.ts';
import { encodeInsns } from '../isa/encode.ts';
import type { Insn } from '../isa/insn.ts';
import { CALL_SOURCE, LDDW_SOURCE } from '../isa/opcodes.ts';
import { POISONED_KFUNC_CALL } from '../object/resolved.ts';
import type { MapSpec, ProgramSpec, Reference } from '../object/spec.ts';
import { funcInfoRecord, lineInfoRecord } from './attr.ts';
import { type LoadedFd, loadProgram, type ProgramLoad } from './bpf.ts';
import { findKernelType, openModuleBtf, vmlinuxBtf } from './btf-vmlinux.ts';
import { lacksProgramType } from './features.ts';
import { close } from './ffi.ts';
import { kernelSymbols } from './kernel-symbols.ts';
import type { ObjectBtf } from './object-btf.ts';
import { noAllocators } from './object-maps.ts';
import { KernelProgram } from './programs.ts';
import { methodTarget } from './struct-ops.ts';
import { ProgramRefusedError } from './syscall-error.ts';

export const BPF_F_SLEEPABLE = 1 << 4;
export const BPF_F_XDP_HAS_FRAGS = 1 << 5;
const BPF_F_XDP_DEV_BOUND_ONLY = 1 << 6;

/** What the programs of one object share. */
export interface LoadContext {
  readonly object: string;
  readonly license: string;
  readonly kernelVersion: number;
  readonly btf: Btf | undefined;
  /** `btf` in the kernel; undefined if there is none, or the kernel refused it. */
  readonly kernelBtf: ObjectBtf | undefined;
  /** Types that CO-RE resolves against. */
  readonly targetBtf: () => Btf;
  /** Descriptor by map name. */
  readonly mapFd: (name: string) => number;
  /** The object's, by name: struct_ops programs are what these say. */
  readonly maps: ReadonlyMap<string, MapSpec>;
  /** BPF_F_* besides those that the section name implies. */
  readonly flags: number;
  /** Interface that XDP programs are bound to. */
  readonly device: number | undefined;
  readonly logLevel: number | undefined;
}

/** Throws InputError, UnsupportedError and ProgramRefusedError (with the verifier's log). */
export function loadProgramSpec(program: ProgramSpec, context: LoadContext): KernelProgram {
  const { type } = program;
  if (type === undefined)
    throw new InputError(
      'SLUICE_UNKNOWN_SECTION',
      `program ${program.name}: section ${program.section} names no program type`,
      {
        input: context.object,
      },
    );
  if (!isLinuxProgramType(type))
    throw new UnsupportedError(
      `programs of type ${type} in the kernel`,
      `program ${program.name}: type ${type} is Sluice's own, and no kernel loads it; run it in user space`,
    );
  const modules = new ModuleBtfs();
  const device = type === 'xdp' ? context.device : undefined;
  try {
    const insns = resolveReferences(program, relocated(program, context), context, modules);
    const attach = attachTarget(program, context);
    const { fd, log } = loadKnown({
      type,
      insns: encodeInsns(insns),
      license: context.license,
      name: program.name,
      kernelVersion: context.kernelVersion,
      flags:
        context.flags |
        (program.sleepable ? BPF_F_SLEEPABLE : 0) |
        (program.frags ? BPF_F_XDP_HAS_FRAGS : 0) |
        (device === undefined ? 0 : BPF_F_XDP_DEV_BOUND_ONLY),
      ...(device === undefined ? undefined : { ifindex: device }),
      ...(program.attachType === undefined ? undefined : { expectedAttachType: program.attachType }),
      ...(attach === undefined ? undefined : { attachBtfId: attach.id, attachFd: modules.fd(attach.module) }),
      ...(attach?.member === undefined ? undefined : { structMember: attach.member }),
      ...(modules.fdArray === undefined ? undefined : { fdArray: modules.fdArray }),
      ...(context.logLevel === undefined ? undefined : { logLevel: context.logLevel }),
      ...records(program, context.kernelBtf),
    });
    return new KernelProgram(fd, program.name, type, log, program);
  } finally {
    modules.close();
  }
}

/** A kernel that does not know the type at all says the same EINVAL, without a log, as to a program that it refuses. */
function loadKnown(load: ProgramLoad): LoadedFd {
  try {
    return loadProgram(load);
  } catch (error) {
    if (error instanceof ProgramRefusedError && error.log === '' && lacksProgramType(load.type))
      throw new UnsupportedError(
        `programs of type ${load.type}`,
        `this kernel was built without programs of type ${load.type}`,
      );
    if (error instanceof ProgramRefusedError && error.log === '' && load.ifindex !== undefined)
      throw new UnsupportedError(
        'XDP metadata kfuncs of a driver',
        `program ${load.name} cannot be bound to interface ${load.ifindex} (${error.errno}): its driver has no rx metadata`,
        undefined,
        { cause: error },
      );
    throw error;
  }
}

function relocated(program: ProgramSpec, context: LoadContext): Insn[] {
  if (program.coreRelocations.length === 0) return program.insns.slice();
  if (context.btf === undefined) throw new InternalError(`CO-RE relocations of ${program.name} without BTF`);
  return applyCoreRelocations(program, context.btf, context.targetBtf()).insns.slice();
}

/** BTFs of kernel modules by their place in the load's array of descriptors; place 0 stands for vmlinux. */
class ModuleBtfs {
  readonly #places = new Map<string, number>();
  readonly #fds: number[] = [0];

  /** Index for CALL's off; 0 for vmlinux. */
  place(module: string | undefined): number {
    if (module === undefined) return 0;
    let place = this.#places.get(module);
    if (place === undefined) {
      const fd = openModuleBtf(module);
      if (fd === undefined)
        throw new UnsupportedError(`BTF of module ${module}`, `the kernel has no BTF of module ${module} any more`);
      place = this.#fds.push(fd) - 1;
      this.#places.set(module, place);
    }
    return place;
  }

  fd(module: string | undefined): number {
    return this.#fds[this.place(module)]!;
  }

  get fdArray(): Int32Array | undefined {
    return this.#fds.length > 1 ? Int32Array.from(this.#fds) : undefined;
  }

  close(): void {
    for (const fd of this.#fds.slice(1)) close(fd);
  }
}

function resolveReferences(program: ProgramSpec, insns: Insn[], context: LoadContext, modules: ModuleBtfs): Insn[] {
  for (const [slot, reference] of program.references)
    resolveReference(insns, slot, reference, program, context, modules);
  return insns;
}

function resolveReference(
  insns: Insn[],
  slot: number,
  reference: Reference,
  program: ProgramSpec,
  context: LoadContext,
  modules: ModuleBtfs,
): void {
  const wide = (source: number, low: number, high: number) => {
    insns[slot] = { ...insns[slot]!, src: source, imm: low | 0 };
    insns[slot + 1] = { ...insns[slot + 1]!, imm: high | 0 };
  };
  switch (reference.kind) {
    case 'map':
      wide(LDDW_SOURCE.MAP_FD, context.mapFd(reference.map), 0);
      break;
    case 'map-allocator':
      throw noAllocators(`program ${program.name}`);
    case 'map-value':
      wide(LDDW_SOURCE.MAP_VALUE, context.mapFd(reference.map), reference.offset);
      break;
    case 'kconfig':
      wide(LDDW_SOURCE.MAP_VALUE, context.mapFd('.kconfig'), reference.offset);
      break;
    case 'function':
    case 'call':
    case 'trait':
      break; // linked by the object reader, keys written by load.ts
    case 'kfunc': {
      const found = findKernelType(reference.name, 'func');
      if (found !== undefined)
        insns[slot] = { ...insns[slot]!, src: CALL_SOURCE.KFUNC, imm: found.id, off: modules.place(found.module) };
      else if (reference.weak)
        insns[slot] = { ...insns[slot]!, src: CALL_SOURCE.HELPER, off: 0, imm: POISONED_KFUNC_CALL };
      else throw missing('kfunc', reference.name, program);
      break;
    }
    case 'ksym': {
      const found = reference.typed
        ? (findKernelType(reference.name, 'var') ?? findKernelType(reference.name, 'func'))
        : undefined;
      const address = reference.typed ? undefined : kernelSymbols().get(reference.name);
      if (found !== undefined) wide(LDDW_SOURCE.BTF_ID, found.id, modules.fd(found.module));
      else if (address !== undefined) wide(LDDW_SOURCE.CONSTANT, Number(address & 0xffffffffn), Number(address >> 32n));
      else if (reference.weak) wide(LDDW_SOURCE.CONSTANT, 0, 0);
      else throw missing('ksym', reference.name, program);
      break;
    }
    default:
      reference satisfies never;
  }
}

function missing(kind: string, name: string, program: ProgramSpec): UnsupportedError {
  return new UnsupportedError(
    `${kind} ${name}`,
    `program ${program.name} refers to ${name}, which this kernel does not have`,
  );
}

/** What a tracing, LSM or struct_ops program is verified against, from its section name (libbpf: libbpf_find_attach_btf_id) or its map. */
function attachTarget(
  program: ProgramSpec,
  { maps, btf }: LoadContext,
): { readonly id: number; readonly module: string | undefined; readonly member?: number } | undefined {
  const { type, attachType, attachTo } = program;
  if (type === 'struct_ops') return methodTarget(program, maps, btf);
  if (type === 'ext')
    throw new UnsupportedError(
      `program type ${type}`,
      `program ${program.name}: programs of type ${type} cannot be loaded yet`,
    );
  if ((type !== 'tracing' && type !== 'lsm') || attachTo === undefined || attachTo === '') return undefined;
  if (type === 'tracing' && attachType === 'trace_raw_tp') {
    const id = vmlinuxBtf().find(`btf_trace_${attachTo}`, 'typedef');
    if (id === undefined) throw missing('tracepoint', attachTo, program);
    return { id, module: undefined };
  }
  const prefix =
    type === 'lsm' ? 'bpf_lsm_' : attachType === ('trace_iter' satisfies AttachTypeName) ? 'bpf_iter_' : '';
  const found = findKernelType(prefix + attachTo, 'func');
  if (found === undefined) throw missing('function', prefix + attachTo, program);
  return found;
}

/** func_info and line_info, where BTF was loaded and they are complete: the kernel wants a record at the start of each function. */
function records(
  program: ProgramSpec,
  btf: ObjectBtf | undefined,
): { readonly btfFd?: number; readonly funcInfo?: Uint8Array; readonly lineInfo?: Uint8Array } {
  if (btf === undefined || program.functions.some(({ btfId }) => btfId === undefined)) return {};
  const functions = new DataView(new ArrayBuffer(program.functions.length * funcInfoRecord.size));
  program.functions.forEach(({ start, btfId }, index) => {
    const at = index * funcInfoRecord.size;
    functions.setUint32(at + funcInfoRecord.insnOffset, start, true);
    functions.setUint32(at + funcInfoRecord.typeId, btfId!, true);
  });
  const starts = new Set(program.lines.map(({ slot }) => slot));
  const base = { btfFd: btf.fd, funcInfo: new Uint8Array(functions.buffer) };
  if (!program.functions.every(({ start }) => starts.has(start))) return base;
  const lines = new DataView(new ArrayBuffer(program.lines.length * lineInfoRecord.size));
  program.lines.forEach(({ slot, file, text, line, column }, index) => {
    const at = index * lineInfoRecord.size;
    lines.setUint32(at + lineInfoRecord.insnOffset, slot, true);
    lines.setUint32(at + lineInfoRecord.fileNameOffset, btf.stringOffset(file), true);
    lines.setUint32(at + lineInfoRecord.lineOffset, btf.stringOffset(text), true);
    lines.setUint32(at + lineInfoRecord.lineColumn, ((line << 10) | (column & 0x3ff)) >>> 0, true);
  });
  return { ...base, lineInfo: new Uint8Array(lines.buffer) };
}
