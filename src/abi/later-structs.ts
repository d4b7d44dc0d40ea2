/**
 * Structs of kernels after 6.18 whose methods programs can be, for verifying and running such programs where the kernel's own types do not
 * have them: io_uring/bpf-ops.h and io_uring/loop.h of Linux 7.1.
 */
import type { Btf } from '../btf/types.ts';
import { BtfBuilder } from '../btf/write.ts';

/** struct io_uring_bpf_ops, by name: its only method, and where its words are. */
export const LOOP_OPS = 'io_uring_bpf_ops';
export const LOOP_STEP = 'loop_step';
/** Bytes. */
export const LOOP_OPS_SIZE = 24;
export const LOOP_OPS_RING_FD = 8;

export const laterStructs: ReadonlySet<string> = new Set([LOOP_OPS]);

const extended = new WeakMap<Btf, Btf>();
let alone: Btf | undefined;

/** Types with those structs: `kernel` itself if it has them, else on top of it, or by themselves. The same for the same `kernel`. */
export function withLaterStructs(kernel: Btf | undefined): Btf {
  if (kernel === undefined) {
    alone ??= build(undefined);
    return alone;
  }
  if (kernel.find(`bpf_struct_ops_${LOOP_OPS}`, 'struct') !== undefined) return kernel;
  let types = extended.get(kernel);
  if (types === undefined) {
    types = build(kernel);
    extended.set(kernel, types);
  }
  return types;
}

function build(base: Btf | undefined): Btf {
  const builder = new BtfBuilder(base);
  const int = (name: string, signed: boolean) =>
    builder.add({ kind: 'int', name, size: 4, bits: 32, offset: 0, signed, bool: false, char: false });
  const pointer = (type: number) => builder.add({ kind: 'ptr', name: '', type });
  const struct = (name: string, size: number, members: readonly (readonly [string, number, number])[]) =>
    builder.add({
      kind: 'struct',
      name,
      size,
      members: members.map(([member, type, offset]) => ({ name: member, type, bitOffset: offset * 8, bitSize: 0 })),
    });
  const s32 = int('int', true);
  const u32 = int('unsigned int', false);
  // Empty: programs hand it on and do not look into it.
  const context = struct('iou_ctx', 0, []);
  const params = struct('iou_loop_params', 4, [['cq_wait_idx', u32, 0]]);
  const step = builder.add({
    kind: 'func_proto',
    name: '',
    returns: s32,
    params: [
      { name: 'ctx', type: pointer(context) },
      { name: 'lp', type: pointer(params) },
    ],
  });
  const ops = struct(LOOP_OPS, LOOP_OPS_SIZE, [
    [LOOP_STEP, pointer(step), 0],
    ['ring_fd', u32, LOOP_OPS_RING_FD],
    ['priv', pointer(0), 16],
  ]);
  // What the kernel keeps of a registration; it stands for the struct being one that programs can implement.
  struct(`bpf_struct_ops_${LOOP_OPS}`, 64 + LOOP_OPS_SIZE, [['data', ops, 64]]);
  return builder.build();
}
