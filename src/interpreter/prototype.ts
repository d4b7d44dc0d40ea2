/** Rules of calls from the prototypes of helpers. */
import type { ArgType, HelperPrototype, ReturnType } from '../abi/prototype.ts';
import type { CallRules } from './call-rules.ts';
import * as layout from './layout.ts';

interface ArgumentRule {
  readonly kind: number;
  /** Bytes, for memory of one fixed size. */
  readonly size?: number;
  /** What the kernel's message says was expected (compatible_reg_types in kernel/bpf/verifier.c). */
  readonly expected: string;
}

const memory = 'fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem';

const argumentRules: Readonly<Record<ArgType, ArgumentRule>> = {
  dontcare: { kind: layout.ARGUMENT_DONTCARE, expected: '' },
  anything: { kind: layout.ARGUMENT_ANYTHING, expected: 'scalar' },
  const_map_ptr: { kind: layout.ARGUMENT_MAP, expected: 'map_ptr' },
  map_key: { kind: layout.ARGUMENT_MAP_KEY, expected: memory },
  map_value: { kind: layout.ARGUMENT_MAP_VALUE, expected: memory },
  map_value_uninit: { kind: layout.ARGUMENT_MAP_VALUE_UNINIT, expected: memory },
  map_value_or_null: { kind: layout.ARGUMENT_MAP_VALUE_OR_NULL, expected: memory },
  mem: { kind: layout.ARGUMENT_MEM, expected: memory },
  mem_or_null: { kind: layout.ARGUMENT_MEM_OR_NULL, expected: memory },
  mem_uninit: { kind: layout.ARGUMENT_MEM_UNINIT, expected: memory },
  mem_write: { kind: layout.ARGUMENT_MEM_WRITE, expected: memory },
  mem_write_or_null: { kind: layout.ARGUMENT_MEM_WRITE_OR_NULL, expected: memory },
  fixed_mem_write: { kind: layout.ARGUMENT_FIXED_MEM_WRITE, expected: memory },
  fixed_mem: { kind: layout.ARGUMENT_FIXED_MEM, expected: memory },
  fixed_mem_uninit: { kind: layout.ARGUMENT_FIXED_MEM_UNINIT, expected: memory },
  const_size: { kind: layout.ARGUMENT_SIZE, expected: 'scalar' },
  const_size_or_zero: { kind: layout.ARGUMENT_SIZE_OR_ZERO, expected: 'scalar' },
  const_alloc_size: { kind: layout.ARGUMENT_ALLOC_SIZE, expected: 'scalar' },
  ctx: { kind: layout.ARGUMENT_CONTEXT, expected: 'ctx' },
  ctx_or_null: { kind: layout.ARGUMENT_CONTEXT_OR_NULL, expected: 'ctx' },
  ringbuf_mem: { kind: layout.ARGUMENT_RINGBUF_MEM, expected: 'ringbuf_mem' },
  dynptr: { kind: layout.ARGUMENT_DYNPTR, size: 16, expected: 'fp' },
  dynptr_uninit: { kind: layout.ARGUMENT_DYNPTR_UNINIT, size: 16, expected: 'fp' },
  spin_lock: { kind: layout.ARGUMENT_IN_MAP_VALUE, size: 4, expected: 'map_value' },
  timer: { kind: layout.ARGUMENT_IN_MAP_VALUE, size: 16, expected: 'map_value' },
  kptr: { kind: layout.ARGUMENT_KPTR, size: 8, expected: 'map_value' },
  func: { kind: layout.ARGUMENT_FUNCTION, expected: 'func' },
  stack_or_null: { kind: layout.ARGUMENT_STACK_OR_NULL, expected: 'fp' },
  const_str: { kind: layout.ARGUMENT_STRING, expected: 'map_value' },
  socket: { kind: layout.ARGUMENT_ANYTHING, expected: 'sock' },
  socket_or_null: { kind: layout.ARGUMENT_ANYTHING, expected: 'sock' },
  sock_common: { kind: layout.ARGUMENT_ANYTHING, expected: 'sock_common, sock, tcp_sock, xdp_sock' },
  btf_id_sock_common: { kind: layout.ARGUMENT_ANYTHING, expected: 'sock_common, sock, tcp_sock, xdp_sock, ptr_' },
  btf_id_sock_common_or_null: {
    kind: layout.ARGUMENT_ANYTHING,
    expected: 'sock_common, sock, tcp_sock, xdp_sock, ptr_',
  },
  btf_id: { kind: layout.ARGUMENT_ANYTHING, expected: 'ptr_' },
  btf_id_or_null: { kind: layout.ARGUMENT_ANYTHING, expected: 'ptr_' },
  percpu_btf_id: { kind: layout.ARGUMENT_PERCPU_OBJECT, expected: 'percpu_ptr_' },
  long_ptr: { kind: layout.ARGUMENT_FIXED_MEM_UNINIT, size: 8, expected: memory },
  int_ptr: { kind: layout.ARGUMENT_FIXED_MEM_UNINIT, size: 4, expected: memory },
};

const returnRules: Readonly<Record<ReturnType, number>> = {
  integer: layout.RETURN_INTEGER,
  void: layout.RETURN_VOID,
  map_value_or_null: layout.RETURN_MAP_VALUE,
  map_value: layout.RETURN_MAP_VALUE,
  ringbuf_mem_or_null: layout.RETURN_RINGBUF_MEM,
  dynptr_mem_or_null: layout.RETURN_DYNPTR_MEM,
  socket_or_null: layout.RETURN_SOCKET,
  sock_common_or_null: layout.RETURN_SOCKET,
  tcp_sock_or_null: layout.RETURN_OPAQUE,
  btf_id_or_null: layout.RETURN_OPAQUE,
  btf_id: layout.RETURN_OPAQUE,
  trusted_btf_id: layout.RETURN_OPAQUE,
  mem_or_btf_id: layout.RETURN_PERCPU_COPY,
  mem_or_btf_id_or_null: layout.RETURN_PERCPU_COPY,
};

/** What helpers do with dynptrs and callbacks, by name. */
const ownFlags: Readonly<Record<string, number>> = {
  bpf_dynptr_from_mem: layout.HELPER_DYNPTR_OF_MEMORY,
  bpf_ringbuf_reserve_dynptr: layout.HELPER_DYNPTR_OF_RECORD,
  bpf_ringbuf_submit_dynptr: layout.HELPER_RELEASES_DYNPTR,
  bpf_ringbuf_discard_dynptr: layout.HELPER_RELEASES_DYNPTR,
  bpf_timer_set_callback: layout.HELPER_KEEPS_CALLBACK,
};

export function helperRules(prototype: HelperPrototype): CallRules {
  const flags =
    (prototype.changesPacketData ? layout.HELPER_CHANGES_PACKET : 0) |
    // Of references only ringbuf records are counted: their memory is handed over by the call.
    (prototype.releases === 0 && prototype.args[0] === 'ringbuf_mem' ? layout.HELPER_RELEASES : 0) |
    (ownFlags[prototype.name] ?? 0);
  return {
    id: prototype.id,
    name: prototype.name,
    args: prototype.args.map((type, at) => {
      const rule = argumentRules[type];
      return { kind: rule.kind, size: prototype.fixedSize?.[at] ?? rule.size ?? 0 };
    }),
    returns: prototype.name === 'bpf_kptr_xchg' ? layout.RETURN_EXCHANGED : returnRules[prototype.returns],
    returnsSize: 0,
    flags,
  };
}

/** What a fault says that argument `number` (from 1) should have been. */
export function expectedArgument(prototype: HelperPrototype | undefined, number: number): string {
  const type = prototype?.args[number - 1];
  return type === undefined ? 'nothing' : argumentRules[type].expected;
}
