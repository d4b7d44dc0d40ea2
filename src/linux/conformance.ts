/**
 * Conformance cases in the kernel. A case becomes an XDP program (sched_cls for the packet group): a prolog sets r1 and r2, each EXIT of its main
 * function becomes a jump to an epilogue that stores all 64 bits of r0 into a map value, as a test run returns only 32.
 */
import { UnsupportedError } from '../errors.ts';
import type { ConformanceCase } from '../isa/conformance.ts';
import type { Insn } from '../isa/insn.ts';
import { CALL_SOURCE, LDDW_SOURCE, OPCODE } from '../isa/opcodes.ts';
import { createMap, MapElements } from './bpf-maps.ts';
import { close } from './ffi.ts';
import { loadRaw } from './programs.ts';
import { SyscallError } from './syscall-error.ts';

export type ConformanceOutcome =
  | { readonly status: 'passed' }
  /** The kernel ran it and disagrees with the case. */
  | { readonly status: 'failed'; readonly reason: string }
  /** The kernel does not take the program: its verifier's last words. */
  | { readonly status: 'skipped'; readonly reason: string };

/** Runs one case. Throws UnsupportedError where bpf(2) is refused. */
export function runConformanceCase(test: ConformanceCase): ConformanceOutcome {
  if (test.jumpTables.length > 0) return { status: 'skipped', reason: 'needs map type insn_array (after Linux 6.18)' };
  const open: { close(): void }[] = [];
  const map = (valueSize: number, name: string) => {
    const fd = createMap({ type: 'array', keySize: 4, valueSize, maxEntries: 1, name });
    open.push({ close: () => close(fd) });
    return { fd, elements: new MapElements(fd, 4, valueSize) };
  };
  try {
    const result = map(8, 'result');
    const memory =
      test.memory === undefined || test.memory.length === 0 ? undefined : map(test.memory.length, 'memory');
    if (memory !== undefined) {
      memory.elements.value.set(test.memory!);
      memory.elements.update();
    }
    const packet = test.groups.has('packet');
    const insns = wrapped(test, result.fd, memory?.fd, packet);
    let program: ReturnType<typeof loadRaw>;
    try {
      program = loadRaw(insns, packet ? 'sched_cls' : 'xdp', 'GPL', { name: 'conformance' });
    } catch (error) {
      if (error instanceof UnsupportedError || !(error instanceof SyscallError)) throw error;
      if (test.expected === undefined) return { status: 'passed' };
      return { status: 'skipped', reason: error.message };
    }
    open.push(program);
    const data = new Uint8Array(Math.max(64, test.memory?.length ?? 0));
    if (packet && test.memory !== undefined) data.set(test.memory);
    program.run({ data });
    result.elements.lookup();
    const r0 = new DataView(result.elements.value.buffer).getBigUint64(0, true);
    if (test.expected === undefined)
      return { status: 'failed', reason: `accepted, r0 = 0x${r0.toString(16)}; must be refused: ${test.error ?? ''}` };
    if (r0 === test.expected) return { status: 'passed' };
    return { status: 'failed', reason: `r0 = 0x${r0.toString(16)}, expected 0x${test.expected.toString(16)}` };
  } finally {
    for (const each of open.reverse()) each.close();
  }
}

const insn = (opcode: number, dst: number, src: number, off: number, imm: number): Insn => ({
  opcode,
  dst,
  src,
  off,
  imm,
});
const MOV64_K = 0xb7;
const MOV64_X = 0xbf;
const STX_DW = 0x7b;

function valueAddress(register: number, fd: number): Insn[] {
  return [insn(OPCODE.LDDW, register, LDDW_SOURCE.MAP_VALUE, 0, fd), insn(0, 0, 0, 0, 0)];
}

function wrapped(test: ConformanceCase, resultFd: number, memoryFd: number | undefined, packet: boolean): Insn[] {
  const prolog = [
    // LD_ABS and LD_IND take the context from r6.
    ...(packet ? [insn(MOV64_X, 6, 1, 0, 0)] : []),
    ...(memoryFd === undefined ? [insn(MOV64_K, 1, 0, 0, 0)] : valueAddress(1, memoryFd)),
    insn(MOV64_K, 2, 0, 0, test.memory?.length ?? 0),
  ];
  const epilogue = [
    ...valueAddress(1, resultFd),
    insn(STX_DW, 1, 0, 0, 0),
    insn(MOV64_K, 0, 0, 0, 0),
    insn(OPCODE.EXIT, 0, 0, 0, 0),
  ];
  // The epilogue must stand inside the main function, that is before any other.
  const end = test.functions[1]?.start ?? test.insns.length;
  const main = test.insns.slice(0, end).map((each, slot) => {
    if (each.opcode === OPCODE.EXIT) return insn(OPCODE.JA32, 0, 0, 0, end - slot - 1);
    return refersTo(each, slot) >= end ? { ...each, imm: each.imm + epilogue.length } : each;
  });
  const others = test.insns.slice(end).map((each, index) => {
    const target = refersTo(each, end + index);
    return target >= 0 && target < end ? { ...each, imm: each.imm - epilogue.length } : each;
  });
  return [...prolog, ...main, ...epilogue, ...others];
}

/** Slot of the function that an instruction calls or takes the address of; -1 if neither. */
function refersTo(each: Insn, slot: number): number {
  const call = each.opcode === OPCODE.CALL && each.src === CALL_SOURCE.LOCAL;
  const address = each.opcode === OPCODE.LDDW && each.src === LDDW_SOURCE.FUNCTION;
  return call || address ? slot + 1 + each.imm : -1;
}
