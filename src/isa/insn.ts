/**
 * isa/: the BPF instruction set (RFC 9669 and what Linux added up to 6.18): tables, decode, encode, assembler,
 * disassembler. Pure; knows no object file and no machine.
 *
 * This file: one instruction as everyone passes it around.
 */

/**
 * One 8-byte instruction slot, RFC 9669 section 3. Programs are arrays indexed by slot, as jump offsets count slots:
 * a 16-byte instruction (LDDW) stands in two elements, the second with opcode, dst, src and off 0 and the upper 32
 * bits of the constant in `imm`.
 */
export interface Insn {
  /** 0 to 255. */
  readonly opcode: number;
  /** Register numbers, 0 to 15 as encoded; only 0 to 10 are valid. */
  readonly dst: number;
  readonly src: number;
  /** Signed 16 bits. */
  readonly off: number;
  /** Signed 32 bits. */
  readonly imm: number;
}
