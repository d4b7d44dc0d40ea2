/**
 * abi/: what programs may see: program types with their contexts and return values, helper and kfunc prototypes, map rules,
 * each with its stability. Pure declarations, one file a program type, no code behind them.
 *
 * This file: the vocabulary of prototypes. Names follow enum bpf_arg_type and enum bpf_return_type of the kernel
 * (include/linux/bpf.h), so that the verifier's messages can be compared.
 */

export type ArgType =
  | 'dontcare'
  /** Any initialised register. */
  | 'anything'
  /** Address of a map, from an LDDW that refers to it. */
  | 'const_map_ptr'
  /** Readable memory of the key size / value size of the map in the const_map_ptr argument. */
  | 'map_key'
  | 'map_value'
  /** As map_value, but written by the helper. */
  | 'map_value_uninit'
  /** As map_value, or NULL: the first contents of a storage element. */
  | 'map_value_or_null'
  /**
   * Memory whose size is in the next argument: read by the helper; `_uninit` is written and need not be initialised; `_write` is
   * written, and must be initialised because the helper may read it too (MEM_WRITE without MEM_UNINIT).
   */
  | 'mem'
  | 'mem_or_null'
  | 'mem_uninit'
  | 'mem_write'
  | 'mem_write_or_null'
  /** Memory of fixed size, given in `fixedSize`; endings as above. */
  | 'fixed_mem'
  | 'fixed_mem_uninit'
  | 'fixed_mem_write'
  /** Size of the memory in the argument before; `_or_zero` may be 0. */
  | 'const_size'
  | 'const_size_or_zero'
  /** A known constant that the helper allocates (ringbuf_reserve) or gives access to (dynptr_data); may be 0. */
  | 'const_alloc_size'
  | 'ctx'
  | 'ctx_or_null'
  /** Memory that ringbuf_reserve returned. */
  | 'ringbuf_mem'
  /** A dynptr on the stack, which the call does not change; of the type in `dynptrType` if one is given. */
  | 'dynptr'
  /** Place on the stack for a dynptr that the helper makes. */
  | 'dynptr_uninit'
  /** Those three: fields of a map value, at a known offset in it; a spin lock and a kptr also of an allocated object. */
  | 'spin_lock'
  | 'timer'
  | 'kptr'
  /** A function of the same program. */
  | 'func'
  | 'stack_or_null'
  /** A NUL-terminated string in a read-only map value. */
  | 'const_str'
  /** struct bpf_sock of a full socket. */
  | 'socket'
  | 'socket_or_null'
  /** struct bpf_sock of any kind, request and time-wait sockets too: PTR_TO_SOCK_COMMON, PTR_TO_SOCKET, PTR_TO_TCP_SOCK. */
  | 'sock_common'
  /** As sock_common, or a BTF pointer to a struct that begins with sock_common. */
  | 'btf_id_sock_common'
  | 'btf_id_sock_common_or_null'
  /** Trusted pointer to a kernel struct, named in `btfIds`. */
  | 'btf_id'
  | 'btf_id_or_null'
  | 'percpu_btf_id'
  /** A readable long in memory, or one that the helper writes. */
  | 'long_ptr'
  | 'int_ptr';

export type ReturnType =
  | 'integer'
  | 'void'
  | 'map_value_or_null'
  | 'map_value'
  | 'ringbuf_mem_or_null'
  | 'socket_or_null'
  | 'sock_common_or_null'
  | 'tcp_sock_or_null'
  | 'dynptr_mem_or_null'
  /** Pointer to the kernel struct in `returnsBtfId`; `trusted_` may be passed on as an argument. */
  | 'btf_id_or_null'
  | 'btf_id'
  | 'trusted_btf_id'
  /** What the percpu variable in argument 1 is: read-only memory, or a struct. */
  | 'mem_or_btf_id'
  | 'mem_or_btf_id_or_null';

/** Stable: kept for every object built against this or a later version. Experimental: may change with any version. */
export type Stability = { readonly level: 'stable' | 'experimental'; readonly since: string };

export interface HelperPrototype {
  /** Number in `enum bpf_func_id`. */
  readonly id: number;
  /** With the prefix: `bpf_map_lookup_elem`. */
  readonly name: string;
  /** The plane's function, where it is not of that name: helpers that do the same under two numbers. */
  readonly body?: string;
  /** At most five. */
  readonly args: readonly ArgType[];
  readonly returns: ReturnType;
  /** Only programs with a GPL-compatible license may call it. */
  readonly gplOnly: boolean;
  /** Sizes in bytes of fixed_mem arguments, by argument index. */
  readonly fixedSize?: Readonly<Record<number, number>>;
  /** Fixed_mem arguments, by index, that must be aligned to their size. */
  readonly aligned?: readonly number[];
  /** Packet pointers that a program holds are void after the call (bpf_helper_changes_pkt_data, net/core/filter.c). */
  readonly changesPacketData: boolean;
  /** Memory arguments may point into the packet (`pkt_access`). */
  readonly packetAccess?: boolean;
  /** Only sleepable programs may call it, and only outside of RCU and non-preemptible sections (`might_sleep`). */
  readonly sleepable?: boolean;
  /** May be called without clobbering r1 to r5 where the JIT inlines it (`allow_fastcall`). */
  readonly fastcall?: boolean;
  /** Index of the argument whose reference the call ends (OBJ_RELEASE). */
  readonly releases?: number;
  /** What it returns is a reference that must be released on every path (is_acquire_function, kernel/bpf/verifier.c). */
  readonly acquires?: boolean;
  /** Kernel structs that BTF arguments may point to, by argument index. Absent for kptr_xchg, where the field decides. */
  readonly btfIds?: Readonly<Record<number, readonly string[]>>;
  /** Kernel struct that a btf_id return points to. Absent for kptr_xchg. */
  readonly returnsBtfId?: string;
  /** Type of the dynptr argument, where only one will do. */
  readonly dynptrType?: 'local' | 'ringbuf';
  readonly stability: Stability;
}
