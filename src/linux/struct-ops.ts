/**
 * struct_ops: structs of the kernel whose functions programs are (tcp_congestion_ops, …). An object has its own idea of the struct, with the members that it
 * knows; here it is put into the kernel's, member by member, by name. Facts: kernel/bpf/bpf_struct_ops.c; the rules of libbpf's bpf_map__init_kern_struct_ops.
 */
import type { Btf, BtfMember, BtfType } from '../btf/types.ts';
import { InputError, UnsupportedError } from '../errors.ts';
import { methodOf } from '../object/maps-struct-ops.ts';
import type { MapSpec, ProgramSpec } from '../object/spec.ts';
import { findKernelType, moduleBtf, vmlinuxBtf } from './btf-vmlinux.ts';

type Struct = Extract<BtfType, { readonly kind: 'struct' | 'union' }>;

export interface KernelStruct {
  readonly name: string;
  /** Of the struct, what programs are verified against; and of struct bpf_struct_ops_NAME, which is the map's value and has the struct in it. */
  readonly id: number;
  readonly valueId: number;
  /** Undefined: vmlinux. */
  readonly module: string | undefined;
  readonly btf: Btf;
  readonly type: Struct;
  readonly valueSize: number;
  /** Where in the value the struct lies. */
  readonly offset: number;
}

/** The kernel's struct of that name. UnsupportedError where it has none, or none that programs can implement. */
export function kernelStruct(name: string): KernelStruct {
  const value = findKernelType(`bpf_struct_ops_${name}`, 'struct');
  const btf = value?.module === undefined ? vmlinuxBtf() : moduleBtf(value.module);
  const id = btf.find(name, 'struct');
  const holder = value === undefined ? undefined : btf.type(value.id);
  const type = id === undefined ? undefined : btf.type(id);
  if (value === undefined || id === undefined || type?.kind !== 'struct' || holder?.kind !== 'struct')
    throw new UnsupportedError(`struct_ops ${name}`, `this kernel has no struct ${name} that programs can implement`);
  const data = holder.members.find((member) => btf.resolve(member.type).id === id);
  if (data === undefined)
    throw new UnsupportedError(`struct_ops ${name}`, `struct bpf_struct_ops_${name} of this kernel has none in it`);
  const { module } = value;
  return { name, id, valueId: value.id, module, btf, type, valueSize: holder.size, offset: data.bitOffset / 8 };
}

/** Name of the struct that a map's variable is of, without its flavor. */
export function structNameOf(spec: MapSpec, btf: Btf | undefined): string {
  const type = btf?.type(spec.valueTypeId);
  if (type?.kind !== 'struct')
    throw new InputError('SLUICE_MAP_DEFINITION', `map ${spec.name}: struct_ops are defined by BTF, and there is none`);
  return type.name.replace(/___.*$/, '');
}

/** What a program is verified against: the struct, and which member of it the program is. */
export function methodTarget(
  program: ProgramSpec,
  maps: ReadonlyMap<string, MapSpec>,
  btf: Btf | undefined,
): { readonly id: number; readonly module: string | undefined; readonly member: number } {
  const of = methodOf(program, maps, btf);
  if (of === undefined)
    throw new InputError(
      'SLUICE_STRUCT_OPS',
      `program ${program.name}: no struct_ops map of the object refers to it, so that it is no method of any struct`,
    );
  const kernel = kernelStruct(of.struct);
  const member = kernel.type.members.findIndex(({ name }) => name === of.method);
  if (of.method === undefined || member < 0)
    throw new UnsupportedError(
      `member ${of.method ?? `at ${of.offset}`} of struct ${of.struct}`,
      `program ${program.name} is ${of.method ?? 'a member'} of struct ${of.struct}, which this kernel's does not have`,
    );
  return { id: kernel.id, module: kernel.module, member };
}

/**
 * The map's value: `bytes`, which lie as the object's struct does, as the kernel's struct, with descriptors of programs for functions. A member that the kernel
 * does not have, or has otherwise, is UnsupportedError, unless it is zero.
 */
export function kernelValue(
  kernel: KernelStruct,
  spec: MapSpec,
  own: Btf,
  bytes: Uint8Array,
  descriptorOf: (program: string) => number,
): Uint8Array {
  const local = own.type(spec.valueTypeId);
  const programs = spec.contents.kind === 'struct-ops' ? spec.contents.programs : new Map<number, string>();
  const value = new Uint8Array(kernel.valueSize);
  if (local?.kind !== 'struct') return value;
  for (const member of local.members) {
    const from = member.bitOffset / 8;
    const program = programs.get(from);
    const size = own.sizeOf(member.type);
    const given = bytes.subarray(from, from + size);
    const there = kernel.type.members.find(({ name }) => name === member.name);
    if (there === undefined) {
      if (program === undefined && given.every((byte) => byte === 0)) continue;
      throw otherwise(kernel, member, 'does not have');
    }
    const to = kernel.offset + there.bitOffset / 8;
    if (program !== undefined) new DataView(value.buffer).setBigUint64(to, BigInt(descriptorOf(program)), true);
    else if (isFunction(own, member.type)) continue;
    else if (!alike(own, member, kernel.btf, there)) throw otherwise(kernel, member, 'has in another form');
    else value.set(given, to);
  }
  return value;
}

function otherwise({ name }: KernelStruct, member: BtfMember, how: string): UnsupportedError {
  const what = `member ${member.name} of struct ${name}`;
  return new UnsupportedError(what, `${what}: this kernel ${how} it`);
}

function isFunction(btf: Btf, id: number): boolean {
  const { type } = btf.resolve(id);
  return type?.kind === 'ptr' && btf.resolve(type.type).type?.kind === 'func_proto';
}

function alike(own: Btf, member: BtfMember, kernel: Btf, there: BtfMember): boolean {
  if (member.bitSize !== 0 || there.bitSize !== 0) return false;
  const kinds = [own.resolve(member.type).type?.kind, kernel.resolve(there.type).type?.kind];
  return kinds[0] === kinds[1] && own.sizeOf(member.type) === kernel.sizeOf(there.type);
}
