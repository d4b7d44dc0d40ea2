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
  /** Memory whose size is in the next argument; `_uninit` is written by the helper and need not be initialised. */
  | 'mem'
  | 'mem_or_null'
  | 'mem_uninit'
  /** Memory of fixed size, given in `fixedSize`. */
  | 'fixed_mem'
  | 'fixed_mem_uninit'
  /** Size of the memory in the argument before; `_or_zero` may be 0. */
  | 'const_size'
  | 'const_size_or_zero'
  /** A known constant that the helper allocates (ringbuf_reserve). */
  | 'const_alloc_size'
  | 'ctx'
  | 'ctx_or_null'
  /** Memory that ringbuf_reserve returned. */
  | 'ringbuf_mem'
  | 'dynptr'
  | 'dynptr_uninit'
  | 'spin_lock'
  | 'timer'
  | 'kptr'
  /** A function of the same program. */
  | 'func'
  | 'stack_or_null'
  | 'const_str'
  | 'socket'
  | 'socket_or_null'
  | 'btf_id'
  | 'percpu_btf_id'
  /** A readable long in memory, or one that the helper writes. */
  | 'long_ptr'
  | 'int_ptr';

export type ReturnType =
  | 'integer'
  | 'void'
  | 'map_value_or_null'
  | 'ringbuf_mem_or_null'
  | 'socket_or_null'
  | 'dynptr_mem_or_null'
  | 'btf_id_or_null'
  | 'btf_id'
  | 'mem_or_btf_id'
  | 'mem_or_btf_id_or_null';

/** Stable: kept for every object built against this or a later version. Experimental: may change with any version. */
export type Stability = { readonly level: 'stable' | 'experimental'; readonly since: string };

export interface HelperPrototype {
  /** Number in `enum bpf_func_id`. */
  readonly id: number;
  /** With the prefix: `bpf_map_lookup_elem`. */
  readonly name: string;
  /** At most five. */
  readonly args: readonly ArgType[];
  readonly returns: ReturnType;
  /** Only programs with a GPL-compatible license may call it. */
  readonly gplOnly: boolean;
  /** Sizes in bytes of fixed_mem arguments, by argument index. */
  readonly fixedSize?: Readonly<Record<number, number>>;
  /** Packet pointers that a program holds are void after the call. */
  readonly changesPacketData: boolean;
  readonly stability: Stability;
}
