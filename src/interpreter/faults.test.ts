import { describe, expect, it } from 'vitest';
import { calledHelpers, emptyProgram, giveRecord, newInterpreter, prototype } from '../../test/interpreter-testbed.ts';
import { helpers } from '../abi/helpers/index.ts';
import { assemble } from '../isa/assembler.ts';
import type { Insn } from '../isa/insn.ts';
import type { MapFacts, ResolvedProgram } from '../object/resolved.ts';
import { STACK_AREA_SIZE, STACKS } from '../plane/layout/memory.ts';
import { FIELD_KPTR, FIELD_LIST_HEAD } from '../plane/layout/record.ts';
import { createMap } from '../runtime/maps/plane-map.ts';
import { describeFault, type Fault, faultCodes } from './fault.ts';
import type { Argument, RunOptions } from './index.ts';

const bed = newInterpreter(`
  (func (export "take") (param i64 i64) (result i64) i64.const 0)
  (func (export "fill") (param i64 i64) (result i64) i64.const 0)
  (func (export "update") (param i64 i64) (result i64) i64.const 0)
  (func (export "object") (result i64) i64.const 65536)
  (func (export "name") (param i64) (result i64) i64.const 0)
  (func (export "trap") (result i64) unreachable)`);
const testHelpers = [
  prototype('take', ['mem', 'const_size'], 'integer', 1000),
  prototype('fill', ['mem_uninit', 'const_size_or_zero'], 'integer', 1001),
  prototype('update', ['mem_write', 'const_size'], 'integer', 1005),
  prototype('object', [], 'btf_id', 1002),
  prototype('name', ['const_str'], 'integer', 1003),
  prototype('trap', [], 'integer', 1004),
];
const allHelpers = new Map([...helpers, ...testHelpers.map((helper) => [helper.id, helper] as const)]);

const maps = {
  array: createMap(bed.plane, { name: 'counters', type: 'array', keySize: 4, valueSize: 12, maxEntries: 3 }),
  locked: createMap(bed.plane, { name: 'limits', type: 'array', keySize: 4, valueSize: 8, maxEntries: 1, flags: 0x80 }),
  written: createMap(bed.plane, {
    name: 'sinks',
    type: 'array',
    keySize: 4,
    valueSize: 8,
    maxEntries: 1,
    flags: 0x100,
  }),
  hash: createMap(bed.plane, { name: 'flows', type: 'hash', keySize: 8, valueSize: 16, maxEntries: 4 }),
  ringbuf: createMap(bed.plane, { name: 'events', type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: 4096 }),
  owners: createMap(bed.plane, { name: 'owners', type: 'array', keySize: 4, valueSize: 32, maxEntries: 1 }),
};
// Values of `owners` begin with a list head, and have a pointer that they own behind it.
giveRecord(bed, maps.owners.address, [
  { kind: FIELD_LIST_HEAD, offset: 0, size: 16 },
  { kind: FIELD_KPTR, offset: 16, size: 8 },
]);
type MapName = keyof typeof maps;

function facts(name: MapName): MapFacts {
  const { name: mapName, type, address, keySize, valueSize, maxEntries, flags } = maps[name];
  return { name: mapName, type, address, keySize, valueSize, maxEntries, flags };
}

/** `map NAME` as a constant stands for the address of one of `maps`. */
function program(text: string, parts: Partial<ResolvedProgram> = {}): ResolvedProgram {
  const mapsAt = new Map<number, MapFacts>();
  const names: MapName[] = [];
  const source = text.replace(/map (\w+)/g, (_, name: MapName) => `0x7fffff${(names.push(name) + 15).toString(16)}`);
  const { insns: assembled } = assemble(source, { syntax: 'conformance' });
  const insns: Insn[] = assembled.map((insn, slot) => {
    const index = insn.opcode === 0x18 && insn.imm >= 0x7fffff10 ? insn.imm - 0x7fffff10 : -1;
    const name = names[index];
    if (name === undefined) return insn;
    mapsAt.set(slot, facts(name));
    return { ...insn, imm: maps[name].address };
  });
  return { ...emptyProgram('main', insns, { helpers: calledHelpers(insns, allHelpers), mapsAt }), ...parts };
}

const memory = bed.write(new Uint8Array(32));
const packet = bed.write(new Uint8Array(256).fill(7));
const context = bed.write(new Uint8Array(64));

/** A frame as the XDP helpers expect it: 64 bytes of packet after 100 of headroom, 4 of metadata. */
function xdpContext(): Argument {
  const view = bed.plane.view();
  const words = [packet + 100, packet + 164, packet + 96, 1, 2, 3, packet, 4096];
  for (const [at, word] of words.entries()) view.setUint32(context + at * 4, word, true);
  return { kind: 'context', address: context };
}

function faultOf(of: ResolvedProgram, args: readonly Argument[] = [], options: RunOptions = {}): Fault {
  const image = bed.interpreter.load(of);
  const outcome = bed.interpreter.run(image, args, options);
  bed.interpreter.unload(image);
  if (outcome.kind !== 'fault') throw new Error(`exit with ${outcome.r0}`);
  seen.add(outcome.fault.code);
  return outcome.fault;
}
const seen = new Set<string>();

const given: Argument = { kind: 'memory', address: memory, size: 32 };
const readOnly: Argument = { kind: 'memory', address: memory, size: 32, readOnly: true };
const stackTop = STACKS + STACK_AREA_SIZE;

/** r0: the first value of the map. */
function lookup(name: MapName): string {
  return `stw [%r10-4], 0\nmov %r2, %r10\nadd %r2, -4\nlddw %r1, map ${name}\ncall 1\n`;
}

/** Name; program; arguments, or `xdp` for an XDP context over a packet of 64 bytes; what the fault must be. Slots count from 0, LDDW takes two. */
const cases: readonly [
  string,
  string | ResolvedProgram,
  readonly Argument[] | 'xdp',
  { readonly [K in keyof Fault]?: unknown },
  RunOptions?,
][] = [
  [
    'a register never written',
    'mov %r0, %r3\nexit',
    [1, 2],
    { code: 'SLUICE_FAULT_UNINITIALISED_REGISTER', slot: 0, register: 3, problem: 'R3 !read_ok', access: 'none' },
  ],
  [
    'a list head in a map value',
    `${lookup('owners')}ldxdw %r0, [%r0+8]\nexit`,
    [],
    { code: 'SLUICE_FAULT_SPECIAL_FIELD', problem: 'direct access to bpf_list_head is disallowed', access: 'read' },
  ],
  [
    'a store over a pointer that a map value owns',
    `${lookup('owners')}stdw [%r0+16], 0\nexit`,
    [],
    { code: 'SLUICE_FAULT_SPECIAL_FIELD', problem: 'store to referenced kptr disallowed', access: 'write' },
  ],
  [
    'half of a pointer that a map value owns',
    `${lookup('owners')}ldxw %r0, [%r0+16]\nexit`,
    [],
    { code: 'SLUICE_FAULT_SPECIAL_FIELD', problem: 'kptr access size must be BPF_DW', access: 'read' },
  ],
  [
    'r0 at exit',
    'mov %r3, 0\nexit',
    [],
    { code: 'SLUICE_FAULT_UNINITIALISED_REGISTER', slot: 1, register: 0, problem: 'R0 !read_ok' },
  ],
  [
    'an argument register after a call',
    'call 8\nmov %r0, %r1\nexit',
    [1],
    { code: 'SLUICE_FAULT_UNINITIALISED_REGISTER', slot: 1, register: 1 },
  ],
  [
    "r6 of a function is not its caller's",
    'mov %r6, 1\ncall local f\nexit\nf:\nmov %r0, %r6\nexit',
    [],
    { code: 'SLUICE_FAULT_UNINITIALISED_REGISTER', slot: 3, register: 6, function: 'sub_3' },
  ],
  [
    'a jump compares nothing',
    'mov %r0, 0\njeq %r0, %r4, +1\nexit\nexit',
    [],
    { code: 'SLUICE_FAULT_UNINITIALISED_REGISTER', slot: 1, register: 4 },
  ],
  [
    'one byte past the memory',
    'mov %r0, 0\nldxw %r0, [%r1+29]\nexit',
    [given],
    {
      code: 'SLUICE_FAULT_OUT_OF_BOUNDS',
      slot: 1,
      register: 1,
      access: 'read',
      address: BigInt(memory + 29),
      size: 4,
      offset: 29n,
      object: { kind: 'memory', name: undefined, base: memory, size: 32 },
      problem: 'invalid access to memory, mem_size=32 off=29 size=4',
    },
  ],
  [
    'one byte before the memory',
    'stb [%r1-1], 0\nexit',
    [given],
    { code: 'SLUICE_FAULT_OUT_OF_BOUNDS', slot: 0, access: 'write', address: BigInt(memory - 1), size: 1, offset: -1n },
  ],
  [
    'an offset that wraps around',
    'mov %r2, -8\nadd %r1, %r2\nldxdw %r0, [%r1+4]\nexit',
    [given],
    { code: 'SLUICE_FAULT_OUT_OF_BOUNDS', slot: 2, offset: -4n, size: 8 },
  ],
  [
    'a pointer beyond 4 GiB',
    'lddw %r2, 0x100000000\nadd %r1, %r2\nldxb %r0, [%r1]\nexit',
    [given],
    { code: 'SLUICE_FAULT_OUT_OF_BOUNDS', slot: 3, address: BigInt(memory) + (1n << 32n) },
  ],
  [
    'below the frame',
    'stdw [%r10-520], 1\nexit',
    [],
    {
      code: 'SLUICE_FAULT_OUT_OF_BOUNDS',
      slot: 0,
      address: BigInt(stackTop - 520),
      offset: -520n,
      object: { kind: 'stack', name: undefined, base: stackTop - 512, size: 512 },
      problem: 'invalid write to stack R10 off=-520 size=8',
    },
  ],
  [
    'above the frame',
    'ldxb %r0, [%r10]\nexit',
    [],
    { code: 'SLUICE_FAULT_OUT_OF_BOUNDS', slot: 0, offset: 0n, problem: 'invalid read from stack R10 off=0 size=1' },
  ],
  [
    "past a map value, inside the next one's padding",
    'stw [%r10-4], 1\nmov %r2, %r10\nadd %r2, -4\nlddw %r1, map array\ncall 1\njeq %r0, 0, out\nldxdw %r1, [%r0+8]\nout:\nmov %r0, 0\nexit',
    [],
    {
      code: 'SLUICE_FAULT_OUT_OF_BOUNDS',
      slot: 7,
      register: 0,
      offset: 8n,
      size: 8,
      problem: 'invalid access to map value, value_size=12 off=8 size=8',
      object: { kind: 'map value', name: 'counters', base: arrayValue(1), size: 12 },
    },
  ],
  [
    'past the end of the packet',
    'ldxw %r2, [%r1]\nldxdw %r0, [%r2+57]\nexit',
    'xdp',
    {
      code: 'SLUICE_FAULT_OUT_OF_BOUNDS',
      slot: 1,
      register: 2,
      offset: 57n,
      object: { kind: 'packet', name: undefined, base: packet + 100, size: 64 },
      problem: 'invalid access to packet, off=57 size=8, R2(id=0,off=57,r=64)',
    },
  ],
  [
    'from metadata into the packet',
    'ldxw %r2, [%r1+8]\nldxdw %r0, [%r2]\nexit',
    'xdp',
    {
      code: 'SLUICE_FAULT_OUT_OF_BOUNDS',
      slot: 1,
      object: { kind: 'packet metadata', name: undefined, base: packet + 96, size: 4 },
    },
  ],
  [
    'an address of nothing',
    'lddw %r1, 0x12345678\nldxw %r0, [%r1+4]\nexit',
    [],
    {
      code: 'SLUICE_FAULT_NOT_A_POINTER',
      slot: 2,
      register: 1,
      address: 0x1234567cn,
      problem: "R1 invalid mem access 'scalar'",
      object: undefined,
    },
  ],
  [
    'NULL',
    'mov %r1, 0\nstw [%r1+8], 1\nexit',
    [],
    { code: 'SLUICE_FAULT_NOT_A_POINTER', slot: 1, address: 8n, access: 'write' },
  ],
  [
    'a lookup that found nothing',
    'stw [%r10-4], 9\nmov %r2, %r10\nadd %r2, -4\nlddw %r1, map array\ncall 1\nldxw %r0, [%r0+4]\nexit',
    [],
    {
      code: 'SLUICE_FAULT_NULL_POINTER',
      slot: 6,
      register: 0,
      address: 4n,
      problem: "R0 invalid mem access 'map_value_or_null'",
    },
  ],
  [
    'a read-only map value',
    'stw [%r10-4], 0\nmov %r2, %r10\nadd %r2, -4\nlddw %r1, map locked\ncall 1\njeq %r0, 0, out\nldxw %r1, [%r0]\nstw [%r0+4], 1\nout:\nmov %r0, 0\nexit',
    [],
    {
      code: 'SLUICE_FAULT_READ_ONLY',
      slot: 8,
      offset: 4n,
      problem: 'write into map forbidden, value_size=8 off=4 size=4',
    },
  ],
  [
    'read-only memory',
    'ldxb %r0, [%r1]\nstb [%r1], 1\nexit',
    [readOnly],
    { code: 'SLUICE_FAULT_READ_ONLY', slot: 1, address: BigInt(memory), problem: 'R1 cannot write into rdonly_mem' },
  ],
  [
    'a write-only map value',
    'stw [%r10-4], 0\nmov %r2, %r10\nadd %r2, -4\nlddw %r1, map written\ncall 1\njeq %r0, 0, out\nstw [%r0], 1\nldxw %r1, [%r0+4]\nout:\nmov %r0, 0\nexit',
    [],
    {
      code: 'SLUICE_FAULT_WRITE_ONLY',
      slot: 8,
      offset: 4n,
      problem: 'read from map forbidden, value_size=8 off=4 size=4',
    },
  ],
  [
    'stack never written',
    'stw [%r10-8], 1\nldxdw %r0, [%r10-8]\nexit',
    [],
    {
      code: 'SLUICE_FAULT_UNINITIALISED_STACK',
      slot: 1,
      offset: -8n,
      size: 8,
      problem: 'invalid read from stack off -8+4 size 8',
    },
  ],
  [
    'a helper reads stack never written',
    'stw [%r10-16], 1\nmov %r1, %r10\nadd %r1, -16\nmov %r2, 8\ncall 1000\nexit',
    [],
    { code: 'SLUICE_FAULT_UNINITIALISED_STACK', slot: 4, register: 1, offset: -16n, size: 8 },
  ],
  [
    'the frame of an earlier call',
    'call local f\ncall local g\nexit\nf:\nstdw [%r10-8], 1\nmov %r0, 0\nexit\ng:\nldxdw %r0, [%r10-8]\nexit',
    [],
    { code: 'SLUICE_FAULT_UNINITIALISED_STACK', slot: 6, function: 'sub_6' },
  ],
  [
    'a misaligned atomic',
    'mov %r2, 1\nlock add [%r1+4], %r2\nexit',
    [given],
    {
      code: 'SLUICE_FAULT_MISALIGNED_ATOMIC',
      slot: 1,
      access: 'atomic',
      address: BigInt(memory + 4),
      size: 8,
      problem: 'misaligned access off 4 size 8',
    },
  ],
  [
    'an atomic on the packet',
    'ldxw %r3, [%r1]\nmov %r2, 1\nlock add32 [%r3], %r2\nexit',
    'xdp',
    { code: 'SLUICE_FAULT_ATOMIC_OBJECT', slot: 2, problem: 'BPF_ATOMIC stores into R3 pkt is not allowed' },
  ],
  [
    'a submitted record',
    reserve('mov %r1, %r6\nmov %r2, 0\ncall 132\nldxw %r0, [%r6+4]\nexit'),
    [],
    {
      code: 'SLUICE_FAULT_RELEASED_MEMORY',
      slot: 10,
      register: 6,
      offset: 4n,
      problem: "R6 invalid mem access 'scalar'",
    },
  ],
  [
    'a discarded record, submitted',
    reserve('mov %r1, %r6\nmov %r2, 0\ncall 133\nmov %r1, %r6\nmov %r2, 0\ncall 132\nexit'),
    [],
    { code: 'SLUICE_FAULT_RELEASED_MEMORY', slot: 12, register: 1 },
  ],
  [
    'past a record',
    reserve('stdw [%r6+12], 1\nexit'),
    [],
    {
      code: 'SLUICE_FAULT_OUT_OF_BOUNDS',
      slot: 7,
      offset: 12n,
      object: { kind: 'ringbuf record', name: undefined, base: expect.any(Number), size: 16 },
    },
  ],
  [
    'a record kept at exit',
    reserve('mov %r0, 0\nexit'),
    [],
    {
      code: 'SLUICE_FAULT_UNRELEASED_REFERENCE',
      slot: 8,
      problem: 'BPF_EXIT instruction in main prog would lead to reference leak: Unreleased reference alloc_insn=4',
    },
  ],
  [
    'the stack of a function that returned',
    'mov %r1, %r10\nadd %r1, -8\ncall local f\nldxdw %r0, [%r10-8]\nldxdw %r0, [%r0]\nexit\nf:\nstdw [%r10-16], 5\nmov %r2, %r10\nadd %r2, -16\nstxdw [%r1], %r2\nmov %r0, 0\nexit',
    [],
    { code: 'SLUICE_FAULT_DEAD_FRAME', slot: 4, address: BigInt(stackTop - 512 - 16) },
  ],
  [
    'a context field that is not there',
    'ldxw %r0, [%r1+24]\nexit',
    'xdp',
    {
      code: 'SLUICE_FAULT_CONTEXT_ACCESS',
      slot: 0,
      offset: 24n,
      object: { kind: 'context', name: 'xdp_md', base: context, size: 24 },
      problem: 'invalid bpf_context access off=24 size=4',
    },
  ],
  [
    'a context pointer field in part',
    'ldxh %r0, [%r1]\nexit',
    'xdp',
    { code: 'SLUICE_FAULT_CONTEXT_ACCESS', slot: 0, size: 2 },
  ],
  [
    'a write to the context',
    'stw [%r1+16], 1\nexit',
    'xdp',
    { code: 'SLUICE_FAULT_CONTEXT_ACCESS', slot: 0, access: 'write' },
  ],
  [
    'two context fields at once',
    'ldxdw %r0, [%r1+12]\nexit',
    'xdp',
    { code: 'SLUICE_FAULT_CONTEXT_ACCESS', slot: 0, size: 8 },
  ],
  [
    'a packet pointer across adjust_tail',
    'ldxw %r6, [%r1]\nldxb %r0, [%r6]\nmov %r2, -1\ncall 65\nldxb %r0, [%r6]\nexit',
    'xdp',
    { code: 'SLUICE_FAULT_STALE_PACKET', slot: 4, register: 6, problem: "R6 invalid mem access 'scalar'" },
  ],
  [
    'a spilled packet pointer across adjust_tail',
    'ldxw %r6, [%r1]\nstxdw [%r10-8], %r6\nmov %r2, -1\ncall 65\nldxdw %r7, [%r10-8]\nldxb %r0, [%r7+2]\nexit',
    'xdp',
    { code: 'SLUICE_FAULT_STALE_PACKET', slot: 5, register: 7 },
  ],
  [
    'reading more of a map than struct bpf_map has',
    'lddw %r1, map array\nldxw %r0, [%r1+44]\nexit',
    [],
    {
      code: 'SLUICE_FAULT_OPAQUE_OBJECT',
      slot: 2,
      offset: 44n,
      problem: "R1 invalid mem access 'map_ptr'",
      object: { kind: 'map', name: 'counters', base: maps.array.address, size: 256 },
    },
  ],
  [
    'a jump out of the program',
    'mov %r0, 0\nja +5\nexit',
    [],
    { code: 'SLUICE_FAULT_JUMP_OUT', slot: 1, problem: 'jump out of range from insn 1 to 7' },
  ],
  [
    'a jump before the program',
    'mov %r0, 0\njeq %r0, 0, -4\nexit',
    [],
    { code: 'SLUICE_FAULT_JUMP_OUT', slot: 1, problem: 'jump out of range from insn 1 to -2' },
  ],
  [
    'a jump into another function',
    'mov %r0, 0\ncall local f\nja +1\nexit\nf:\nmov %r0, 1\nexit',
    [],
    { code: 'SLUICE_FAULT_JUMP_OUT', slot: 2 },
  ],
  [
    'a jump into the middle',
    'mov %r0, 0\nja +1\nlddw %r0, 5\nexit',
    [],
    { code: 'SLUICE_FAULT_JUMP_MIDDLE', slot: 1, problem: 'jump into the middle of ldimm64 insn 2' },
  ],
  [
    'no exit',
    'mov %r0, 0\nadd %r0, 1',
    [],
    { code: 'SLUICE_FAULT_FALL_OFF', slot: 1, problem: 'last insn is not an exit or jmp' },
  ],
  [
    'falling into the next function',
    'call local f\nmov %r0, 1\nf:\nmov %r0, 0\nexit',
    [],
    { code: 'SLUICE_FAULT_FALL_OFF', slot: 1 },
  ],
  [
    'gotox to no target',
    program('mov %r1, 3\ngotox %r1\nmov %r0, 0\nexit', { jumpTables: [{ address: memory, slots: [2] }] }),
    [],
    { code: 'SLUICE_FAULT_JUMP_TABLE', slot: 1, reason: expect.stringContaining('holds 3,') },
  ],
  [
    'recursion',
    'call local f\nexit\nf:\ncall local f\nexit',
    [],
    { code: 'SLUICE_FAULT_CALL_DEPTH', slot: 2, problem: 'the call stack of 9 frames is too deep !' },
  ],
  [
    'no stack left',
    'call local f\nexit\nf:\nmov %r0, 0\nexit',
    [],
    { code: 'SLUICE_FAULT_STACK_OVERFLOW', slot: 0, problem: 'combined stack size of 2 calls is 1024. Too large' },
    { stackSize: 600 },
  ],
  [
    'no end',
    'mov %r0, 0\nja -1\nexit',
    [],
    { code: 'SLUICE_FAULT_BUDGET', slot: 1, problem: 'BPF program is too large. Processed 1000 insn' },
    { budget: 1000 },
  ],
  [
    'no instruction',
    emptyProgram('main', [{ opcode: 0x8d, dst: 1, src: 0, off: 0, imm: 0 }], { type: 'xdp' }),
    [],
    { code: 'SLUICE_FAULT_INVALID_INSN', slot: 0, problem: 'unknown opcode 8d' },
  ],
  [
    'callx with the number of no helper',
    emptyProgram('main', [
      { opcode: 0xb7, dst: 2, src: 0, off: 0, imm: -1 },
      { opcode: 0x8d, dst: 2, src: 0, off: 0, imm: 0 },
    ]),
    [],
    { code: 'SLUICE_FAULT_UNSUPPORTED', slot: 1, problem: 'invalid func unknown#-1' },
  ],
  [
    'sdiv with an offset that is none',
    emptyProgram('main', [{ opcode: 0x3f, dst: 1, src: 2, off: 2, imm: 0 }]),
    [1, 2],
    { code: 'SLUICE_FAULT_INVALID_INSN', slot: 0 },
  ],
  [
    'a write to r10',
    emptyProgram('main', [{ opcode: 0xb7, dst: 10, src: 0, off: 0, imm: 0 }]),
    [],
    { code: 'SLUICE_FAULT_INVALID_INSN', slot: 0, problem: 'frame pointer is read only' },
  ],
  [
    'a call to the middle of nowhere',
    emptyProgram('main', [{ opcode: 0x85, dst: 0, src: 1, off: 0, imm: 50 }]),
    [],
    { code: 'SLUICE_FAULT_INVALID_INSN', slot: 0, problem: 'call to invalid destination' },
  ],
  [
    'a helper that nobody has',
    'call 999\nexit',
    [],
    { code: 'SLUICE_FAULT_UNSUPPORTED', slot: 0, problem: 'invalid func unknown#999' },
  ],
  [
    'a number for a map',
    'mov %r1, 5\nmov %r2, %r10\ncall 1\nexit',
    [],
    { code: 'SLUICE_FAULT_ARGUMENT_TYPE', slot: 2, register: 1, problem: 'R1 type=scalar expected=map_ptr' },
  ],
  [
    'NULL for memory',
    'mov %r1, 0\nmov %r2, 4\ncall 1000\nexit',
    [],
    { code: 'SLUICE_FAULT_ARGUMENT_TYPE', slot: 2, register: 1 },
  ],
  [
    'memory for the context',
    'mov %r2, 0\ncall 44\nexit',
    [given],
    { code: 'SLUICE_FAULT_ARGUMENT_TYPE', slot: 1, register: 1, problem: 'R1 type=mem expected=ctx' },
  ],
  [
    'a key that is too short',
    'stw [%r10-4], 1\nmov %r2, %r10\nadd %r2, -4\nlddw %r1, map hash\ncall 1\nexit',
    [],
    { code: 'SLUICE_FAULT_OUT_OF_BOUNDS', slot: 5, register: 2, size: 8, offset: -4n },
  ],
  [
    'a negative size',
    'mov %r2, -1\ncall 1000\nexit',
    [given],
    {
      code: 'SLUICE_FAULT_ARGUMENT_SIZE',
      slot: 1,
      register: 2,
      problem: "R2 min value is negative, either use unsigned or 'var &= const'",
    },
  ],
  [
    'size 0',
    'mov %r2, 0\ncall 1000\nexit',
    [given],
    { code: 'SLUICE_FAULT_ARGUMENT_SIZE', slot: 1, register: 2, problem: 'R2 invalid zero-sized read: u64=[0,0]' },
  ],
  [
    'a size that is too long',
    'mov %r2, 33\ncall 1000\nexit',
    [given],
    { code: 'SLUICE_FAULT_OUT_OF_BOUNDS', slot: 1, register: 1, size: 33 },
  ],
  [
    'a helper writes read-only memory',
    'mov %r2, 8\ncall 1001\nexit',
    [readOnly],
    { code: 'SLUICE_FAULT_READ_ONLY', slot: 1, access: 'write' },
  ],
  [
    'a helper that reads and writes, over stack never written',
    'mov %r1, %r10\nadd %r1, -8\nmov %r2, 8\ncall 1005\nexit',
    [],
    { code: 'SLUICE_FAULT_UNINITIALISED_STACK', slot: 3, register: 1, access: 'read' },
  ],
  [
    'a helper that reads and writes, over read-only memory',
    'mov %r2, 8\ncall 1005\nexit',
    [readOnly],
    { code: 'SLUICE_FAULT_READ_ONLY', slot: 1, register: 1, access: 'write' },
  ],
  [
    'a string without an end',
    'mov %r0, 0\ncall 1003\nexit',
    [{ kind: 'memory', address: packet, size: 8 }],
    { code: 'SLUICE_FAULT_OUT_OF_BOUNDS', slot: 1, size: 1, offset: 8n },
  ],
  [
    'a moved context',
    'add %r1, 4\nmov %r2, 0\ncall 44\nexit',
    'xdp',
    { code: 'SLUICE_FAULT_MODIFIED_POINTER', slot: 2, problem: 'dereference of modified ctx ptr R1 off=4 disallowed' },
  ],
  [
    'too many records',
    'mov %r7, 65\nagain:\nlddw %r1, map ringbuf\nmov %r2, 8\nmov %r3, 0\ncall 131\nsub %r7, 1\njne %r7, 0, again\nexit',
    [],
    { code: 'SLUICE_FAULT_TOO_MANY_REFERENCES', slot: 5 },
  ],
  [
    'a kernel object looked into',
    'call 1002\nldxw %r0, [%r0]\nexit',
    [],
    { code: 'SLUICE_FAULT_OPAQUE_OBJECT', slot: 1, problem: "R0 invalid mem access 'ptr_'" },
  ],
];

function arrayValue(index: number): number {
  return bed.plane.view().getUint32(maps.array.address + 44, true) + index * 16;
}

/** Reserves 16 bytes into r6, then goes on with `rest` at slot 7. */
function reserve(rest: string): ResolvedProgram {
  return program(`lddw %r1, map ringbuf\nmov %r2, 16\nmov %r3, 0\ncall 131\njeq %r0, 0, +0\nmov %r6, %r0\n${rest}`);
}

describe('every fault is at the exact access', () => {
  it.each(cases)('%s', (_, source, args, expected, options) => {
    const of = typeof source === 'string' ? program(source) : source;
    const fault =
      args === 'xdp' ? faultOf({ ...of, type: 'xdp' }, [xdpContext()], options) : faultOf(of, args, options);
    expect(fault).toMatchObject(expected);
  });

  it('has a case for every code', () => {
    expect(faultCodes.filter((code) => code !== undefined && !seen.has(code))).toEqual([]);
  });

  it('tells function, line and instruction', () => {
    const line = { slot: 0, file: 'a.c', text: '  return *p; ', line: 12, column: 3 };
    const fault = faultOf(program('ldxb %r0, [%r1+32]\nexit', { lines: [line] }), [given]);
    expect(describeFault(fault, 'r0 = *(u8 *)(r1 + 32)')).toBe(
      [
        'SLUICE_FAULT_OUT_OF_BOUNDS: invalid access to memory, mem_size=32 off=32 size=1',
        `  reason: it reads 1 byte at 0x${(memory + 32).toString(16)}, and the register points into memory [0x${memory.toString(16)}, 0x${(memory + 32).toString(16)})`,
        '  at: program main, function main, insn 0: r0 = *(u8 *)(r1 + 32)',
        '  source: a.c:12: return *p;',
      ].join('\n'),
    );
  });

  it('names a helper without a body at load', () => {
    const missing = prototype('nowhere', [], 'integer', 5);
    expect(() => bed.interpreter.load(program('call 5\nexit', { helpers: new Map([[5, missing]]) }))).toThrow(
      /nowhere/,
    );
  });

  it('a trap in a helper is our fault, and the next run is well', () => {
    const image = bed.interpreter.load(program('call 1004\nexit'));
    expect(() => bed.interpreter.run(image)).toThrow(/trapped/);
    const next = bed.interpreter.load(program('mov %r0, 3\nexit'));
    expect(bed.interpreter.run(next)).toMatchObject({ kind: 'exit', r0: 3n });
  });
});
