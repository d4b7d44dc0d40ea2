/** One-off programs that ask the kernel's verifier a question, for tests that hold abi/ against the kernel of this machine. */
import type { AttachTypeName, LinuxProgramTypeName } from '../src/abi/program-types.ts';
import { UnsupportedError } from '../src/errors.ts';
import { encodeInsns } from '../src/isa/encode.ts';
import type { Insn } from '../src/isa/insn.ts';
import { loadProgram, type ProgramLoad } from '../src/linux/bpf.ts';
import { close } from '../src/linux/ffi.ts';
import { ProgramRefusedError, SyscallError } from '../src/linux/syscall-error.ts';

export interface Question {
  readonly type: LinuxProgramTypeName;
  readonly attachType?: AttachTypeName | undefined;
  readonly license?: string;
  readonly flags?: number;
  readonly log?: boolean;
}

export type Answer =
  | { readonly kind: 'accepted' | 'refused'; readonly log: string }
  /** Not judged: the load failed before the verifier. */
  | { readonly kind: 'not judged'; readonly errno: string };

export function ask(insns: readonly Insn[], question: Question): Answer {
  const load: ProgramLoad = {
    type: question.type,
    insns: encodeInsns(insns),
    license: question.license ?? 'GPL',
    name: 'sluice_probe',
    // A refusal's log comes with the first try.
    logLevel: question.log === true ? 2 : 1,
    logSize: 8192,
    ...(question.attachType === undefined ? undefined : { expectedAttachType: question.attachType }),
    flags: (question.flags ?? 0) | (question.type === 'syscall' ? SLEEPABLE : 0),
  };
  try {
    const { fd, log } = loadProgram(load);
    close(fd);
    return { kind: 'accepted', log };
  } catch (error) {
    if (error instanceof ProgramRefusedError && error.log !== '') return { kind: 'refused', log: error.log };
    const cause = error instanceof UnsupportedError ? error.cause : error;
    if (cause instanceof SyscallError) return { kind: 'not judged', errno: cause.errno };
    throw error;
  }
}

export const SLEEPABLE = 1 << 4;

const insn = (opcode: number, dst: number, src: number, off: number, imm: number): Insn => ({
  opcode,
  dst,
  src,
  off,
  imm,
});
const sizeBits: Readonly<Record<number, number>> = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 };

export const exit = insn(0x95, 0, 0, 0, 0);
export const call = (helper: number): Insn => insn(0x85, 0, 0, 0, helper);
/** dst = imm, 64 bits. */
export const set = (dst: number, imm: number): Insn => insn(0xb7, dst, 0, 0, imm);
export const move = (dst: number, src: number): Insn => insn(0xbf, dst, src, 0, 0);
export const add = (dst: number, imm: number): Insn => insn(0x07, dst, 0, 0, imm);
export const load = (size: number, dst: number, src: number, off: number): Insn =>
  insn(0x61 | sizeBits[size]!, dst, src, off, 0);
export const store = (size: number, dst: number, src: number, off: number): Insn =>
  insn(0x63 | sizeBits[size]!, dst, src, off, 0);
/** if dst > src goto +off */
export const jumpAbove = (dst: number, src: number, off: number): Insn => insn(0x2d, dst, src, off, 0);
/** r0 = byte 0 of the packet, network order; needs the context in r6. */
export const loadAbsolute = insn(0x30, 0, 0, 0, 0);
