/** Pointers to typed structs as arguments of helpers: which flags, which struct (check_reg_type). */
import type { ArgType, HelperPrototype } from '../../abi/prototype.ts';
import * as k from '../kinds.ts';
import { btfOf, btfPointerAccess, isStruct, kernelStruct, structName } from '../memory/btf-pointer.ts';
import { checkPlain } from '../memory/memory.ts';
import { auxOf, flagsOf, offsetOf } from '../states/records.ts';
import type { Verification } from '../verification.ts';

/** Flags that a pointer may have, all else equal. */
const allowed: Partial<Record<ArgType, readonly number[]>> = {
  btf_id: [0, k.TRUSTED, k.RCU],
  btf_id_or_null: [0, k.TRUSTED, k.RCU],
  btf_id_sock_common: [0, k.TRUSTED],
  btf_id_sock_common_or_null: [0, k.TRUSTED],
  percpu_btf_id: [k.PERCPU, k.PERCPU | k.RCU, k.PERCPU | k.TRUSTED],
  mem: [k.TRUSTED],
  mem_or_null: [k.TRUSTED],
  mem_uninit: [k.TRUSTED],
  mem_write: [k.TRUSTED],
  mem_write_or_null: [k.TRUSTED],
  fixed_mem: [k.TRUSTED],
  fixed_mem_uninit: [k.TRUSTED],
  fixed_mem_write: [k.TRUSTED],
  map_key: [k.TRUSTED],
  map_value: [k.TRUSTED],
  map_value_or_null: [k.TRUSTED],
  map_value_uninit: [k.TRUSTED],
  spin_lock: [k.ALLOC],
  kptr: [k.ALLOC],
};

/** Arguments that a helper only reads from (MEM_RDONLY). */
const readOnly = new Set<ArgType>(['mem', 'mem_or_null', 'fixed_mem']);

/** How the pointers that the argument may be are called in messages. */
export function btfNames(type: ArgType): readonly string[] {
  return (allowed[type] ?? []).map((flags) => k.kindName(k.BTF_ID, flags));
}

/** False: a pointer like this is not for such an argument at all. Refuses the wrong struct. */
export function checkBtfArgument(
  v: Verification,
  prototype: HelperPrototype,
  index: number,
  type: ArgType,
  number: number,
  r: number,
): boolean {
  let flags = flagsOf(r);
  const orNull = type.endsWith('_or_null');
  if (orNull) flags &= ~k.MAYBE_NULL;
  const exchanged = prototype.name === 'bpf_kptr_xchg' && index === 1;
  if (exchanged && (flags & k.ALLOC) !== 0) flags &= ~(k.ALLOC | k.PERCPU);
  if (!(allowed[type]?.includes(flags) ?? false)) return false;
  if (type.startsWith('mem') || type.startsWith('fixed_mem') || type.startsWith('map_')) {
    if (!readOnly.has(type))
      v.refuse(
        'argument-kind',
        'Call Type Safety',
        `${prototype.name.replace(/^bpf_/, '')}() may write into memory pointed by R${number} type=${k.kindName(k.BTF_ID, flagsOf(r))}`,
        "Helpers do not write to the kernel's structs.",
      );
    return true;
  }
  if (type === 'percpu_btf_id' || type === 'spin_lock' || type === 'kptr') return true;
  if ((flagsOf(r) & k.MAYBE_NULL) !== 0 && prototype.releases === index)
    v.refuse(
      'argument-null',
      'Call Type Safety',
      `Possibly NULL pointer passed to helper arg${number}`,
      'Compare the pointer with 0 first.',
    );
  if (!exchanged) checkStruct(v, prototype, index, type, number, r);
  if (prototype.releases === index) return true;
  checkPlain(v, number, r, true);
  return true;
}

function checkStruct(
  v: Verification,
  prototype: HelperPrototype,
  index: number,
  type: ArgType,
  number: number,
  r: number,
): void {
  const names = type.startsWith('btf_id_sock_common') ? ['sock_common'] : prototype.btfIds?.[index];
  if (names === undefined) v.unfollowed(`struct of argument ${number} of ${prototype.name}`);
  const strict = prototype.releases === index && prototype.name !== 'bpf_sk_release';
  if (names.some((name) => isStruct(v, r, offsetOf(r), kernelStruct(v, name), strict))) return;
  v.refuse(
    'argument-struct',
    'Call Type Safety',
    `R${number} is of type ${structName(v, r)} but ${names[0]} is expected`,
    `${prototype.name} takes pointers to struct ${names.join(' or ')}.`,
  );
}

/** A helper reads `size` bytes of the struct. */
export function checkBtfMemory(v: Verification, number: number, r: number, size: number): void {
  btfPointerAccess(v, number, r, offsetOf(r), size, false, -1, false);
}

/** What per_cpu_ptr and this_cpu_ptr give: the struct of one CPU, or so many bytes. */
export function percpuTarget(
  v: Verification,
  r: number,
): { readonly struct: number; readonly types: number; readonly size: number; readonly allocated: boolean } {
  const btf = btfOf(v, r);
  const { id, type } = btf.resolve(auxOf(r));
  const allocated = (flagsOf(r) & k.RCU) !== 0;
  const types = btf === v.vmlinux ? k.KERNEL_TYPES : k.PROGRAM_TYPES;
  if (type?.kind === 'struct' || type?.kind === 'union') return { struct: id, types, size: 0, allocated };
  return { struct: 0, types, size: btf.sizeOf(id), allocated };
}
