// Methods of io_uring_bpf_ops (Linux 7.1), verified without a kernel that has the struct.
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LOOP_OPS, withLaterStructs } from '../abi/later-structs.ts';
import { parseBtf } from '../btf/parse.ts';
import type { Btf } from '../btf/types.ts';
import { BtfBuilder } from '../btf/write.ts';
import { functionsOf } from '../isa/functions.ts';
import type { Insn } from '../isa/insn.ts';
import type { MapSpec, ProgramSpec, Reference } from '../object/spec.ts';
import { map, type Short } from './testbed.ts';
import { verify } from './verify.ts';

/** The struct as an object has it: with fewer members than the kernel's, and its own name for a flavor of it. */
function objectTypes(name: string): { readonly btf: Btf; readonly struct: number } {
  const builder = new BtfBuilder();
  const method = builder.add({ kind: 'ptr', name: '', type: 0 });
  const struct = builder.add({
    kind: 'struct',
    name,
    size: 8,
    members: [{ name: 'loop_step', type: method, bitOffset: 0, bitSize: 0 }],
  });
  return { btf: builder.build(), struct };
}

interface Question {
  readonly kfuncs?: Readonly<Record<number, string>>;
  readonly struct?: string;
  readonly sleepable?: boolean;
  readonly vmlinux?: Btf;
}

function judge(code: readonly Short[], question: Question = {}): string {
  const { kfuncs = {}, struct = LOOP_OPS, sleepable = true, vmlinux } = question;
  const types = objectTypes(struct);
  const insns: Insn[] = code.map(([opcode, dst = 0, src = 0, off = 0, imm = 0]) => ({ opcode, dst, src, off, imm }));
  const program: ProgramSpec = {
    name: 'step',
    section: 'struct_ops.s/step',
    autoload: true,
    type: 'struct_ops',
    attachType: undefined,
    attachTo: 'step',
    sleepable,
    frags: false,
    insns,
    functions: functionsOf(insns).map((range) => ({ name: 'step', linkage: 'static', btfId: undefined, ...range })),
    references: new Map(
      Object.entries(kfuncs).map(([slot, name]): [number, Reference] => [
        Number(slot),
        { kind: 'kfunc', name, weak: true },
      ]),
    ),
    coreRelocations: [],
    lines: [],
  };
  const ops: MapSpec = {
    ...map,
    name: 'ops',
    type: 'struct_ops',
    keySize: 4,
    valueSize: 8,
    maxEntries: 1,
    valueTypeId: types.struct,
    contents: { kind: 'struct-ops', bytes: new Uint8Array(8), programs: new Map([[0, 'step']]) },
  };
  const result = verify({ program, maps: new Map([['ops', ops]]), license: 'GPL', btf: types.btf }, { vmlinux });
  if (result.verdict === 'accept') return 'accept';
  return `${result.verdict} ${result.diagnostics[0]!.slot}: ${result.diagnostics[0]!.problem}`;
}

const STOP: readonly Short[] = [[0xb7, 0, 0, 0, 1], [0x95]];
const KFUNC: Short = [0x85, 0, 2, 0, 0];
/** r6 = ring, r7 = params. */
const ARGUMENTS: readonly Short[] = [
  [0x79, 6, 1, 0],
  [0x79, 7, 1, 8],
];
/** r0 = region 1 of `size` bytes. */
const region = (size: number): readonly Short[] => [
  ...ARGUMENTS,
  [0xbf, 1, 6],
  [0xb7, 2, 0, 0, 1],
  [0xb7, 3, 0, 0, size],
  KFUNC,
];
const REGION = { 5: 'bpf_io_uring_get_region' };

describe('loop_step', () => {
  it('says what to wait for, in cq_wait_idx and nowhere else', () => {
    expect(judge([...ARGUMENTS, [0x62, 7, 0, 0, 3], ...STOP])).toBe('accept');
    expect(judge([...ARGUMENTS, [0x61, 0, 7, 0], [0x95]])).toBe('accept');
    expect(judge([...ARGUMENTS, [0x62, 7, 0, 4, 3], ...STOP])).toBe(
      'reject 2: no write support to iou_loop_params at off 4',
    );
    expect(judge([...ARGUMENTS, [0x7a, 7, 0, 0, 3], ...STOP])).toBe(
      'reject 2: write access at off 0 with size 8 beyond the member of iou_loop_params ended at 4',
    );
    expect(judge([...ARGUMENTS, [0x61, 0, 7, 4], [0x95]])).toBe(
      'reject 2: access beyond struct iou_loop_params at off 4 size 4',
    );
  });

  it('does not look into the ring, nor write to it', () => {
    expect(judge([...ARGUMENTS, [0x79, 0, 6, 0], [0x95]])).toBe(
      'reject 2: access beyond struct iou_ctx at off 0 size 8',
    );
    expect(judge([...ARGUMENTS, [0x7a, 6, 0, 0, 3], ...STOP])).toBe(
      'reject 2: only cq_wait_idx of struct iou_loop_params may be written',
    );
  });

  it('has two arguments', () =>
    expect(judge([[0x79, 6, 1, 16], ...STOP])).toBe(
      "reject 0: func 'loop_step' doesn't have 3-th argument\ninvalid bpf_context access off=16 size=8",
    ));

  it('reads and writes regions that it has compared with NULL, to the size that it has asked for', () => {
    const checked = (off: number): readonly Short[] => [...region(64), [0x15, 0, 0, 1], [0x72, 0, 0, off, 1], ...STOP];
    expect(judge(checked(63), { kfuncs: REGION })).toBe('accept');
    expect(judge(checked(64), { kfuncs: REGION })).toMatch(/^reject 7: invalid access to memory, .*off=64 size=1/);
    expect(judge([...region(64), [0x71, 0, 0, 0], [0x95]], { kfuncs: REGION })).toBe(
      "reject 6: R0 invalid mem access 'mem_or_null'",
    );
  });

  it('submits where it may sleep, with the ring that it was given', () => {
    const submit: readonly Short[] = [...ARGUMENTS, [0xbf, 1, 6], [0xb7, 2, 0, 0, 1], KFUNC, [0x95]];
    const kfuncs = { 4: 'bpf_io_uring_submit_sqes' };
    expect(judge(submit, { kfuncs })).toBe('accept');
    expect(judge(submit, { kfuncs, sleepable: false })).toBe(
      'reject 4: program must be sleepable to call sleepable kfunc bpf_io_uring_submit_sqes',
    );
    const params = submit.with(2, [0xbf, 1, 7]);
    expect(judge(params, { kfuncs })).toBe(
      'reject 4: kernel function bpf_io_uring_submit_sqes args#0 expected pointer to STRUCT iou_ctx but R1 has a pointer to STRUCT iou_loop_params',
    );
  });

  it('is known by its struct, flavors apart; others need the kernel', () => {
    expect(judge(STOP, { struct: 'io_uring_bpf_ops___old' })).toBe('accept');
    expect(judge(STOP, { struct: 'tcp_congestion_ops' })).toMatch(/^unsupported .* without the kernel's types/);
  });

  const path = '/sys/kernel/btf/vmlinux';
  it.skipIf(!existsSync(path))('has the types of this kernel beside its own', () => {
    const kernel = parseBtf(new Uint8Array(readFileSync(path)));
    const types = withLaterStructs(kernel);
    expect(types.find('task_struct', 'struct')).toBe(kernel.find('task_struct', 'struct'));
    expect(withLaterStructs(kernel)).toBe(types);
    expect(judge([...ARGUMENTS, [0x62, 7, 0, 0, 3], ...STOP], { vmlinux: kernel })).toBe('accept');
  });
});
