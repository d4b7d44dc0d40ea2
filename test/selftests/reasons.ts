/**
 * Why some selftests give another value here than in the kernel, and would at another run there too: what they return is no function of
 * their input. Clocks and random numbers are seen in the program; the rest stands in the table.
 */
import type { ObjectSpec, ProgramSpec } from '../../src/object/spec.ts';

const pointerInPacket = 'writes part of a pointer into the packet';
const pointer = 'returns a pointer, or part of one';
const uninitialised = 'returns bytes of the stack that it never wrote: zero here';

const sockAsKernel = 'needs kfunc bpf_rdonly_cast: reads struct sock, whose layout is the kernel’s';
const largeArena = 'an arena of 4 GiB does not fit into a memory of 4 GiB';

const known: Readonly<Record<string, string>> = {
  'cgroup_ancestor.bpf.o:log_cgroup_id': sockAsKernel,
  'test_global_func16.bpf.o:global_func16': uninitialised,
  'verifier_arena_large.bpf.o:big_alloc1': largeArena,
  'verifier_basic_stack.bpf.o:uninitialized_stack2': uninitialised,
  'verifier_direct_packet_access.bpf.o:direct_packet_access_test4_write': pointerInPacket,
  'verifier_direct_packet_access.bpf.o:test18_imm_pkt_ptr_1': pointerInPacket,
  'verifier_direct_packet_access.bpf.o:test19_imm_pkt_ptr_2': pointerInPacket,
  'verifier_direct_packet_access.bpf.o:test22_x_pkt_ptr_3': pointerInPacket,
  'verifier_lwt.bpf.o:packet_write_for_lwt_xmit': pointerInPacket,
  'verifier_raw_stack.bpf.o:stack_no_skb_load_bytes': uninitialised,
  'verifier_search_pruning.bpf.o:state_equality_check_way_1': pointer,
  'verifier_search_pruning.bpf.o:state_equality_check_way_2': pointer,
  'verifier_spill_fill.bpf.o:check_corrupted_spill_fill_lsb': pointer,
  'verifier_spill_fill.bpf.o:check_corrupted_spill_fill_msb': pointer,
  'verifier_spill_fill.bpf.o:check_valid_spill_fill': pointer,
  'verifier_unpriv.bpf.o:unpriv_return_pointer': pointer,
};

const CALL = 0x85;
const byHelper: ReadonlyMap<number, string> = new Map([
  [5, 'returns what a clock gave'],
  [7, 'returns what a random number gave'],
]);

/** undefined: the two should agree. */
export function reasonToDiffer(object: ObjectSpec, program: ProgramSpec): string | undefined {
  const listed = known[`${object.name}:${program.name}`];
  if (listed !== undefined) return listed;
  const called = program.insns.find((insn) => insn.opcode === CALL && insn.src === 0 && byHelper.has(insn.imm));
  return called === undefined ? undefined : byHelper.get(called.imm);
}
