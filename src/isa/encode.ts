/** Instruction slots to little-endian bytes. */
import { INSN_SIZE } from './decode.ts';
import type { Insn } from './insn.ts';

/** Fields are taken modulo their width: whoever makes an Insn keeps its ranges. */
export function encodeInsns(insns: readonly Insn[]): Uint8Array {
  const bytes = new Uint8Array(insns.length * INSN_SIZE);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const insn of insns) {
    bytes[at] = insn.opcode;
    bytes[at + 1] = (insn.src << 4) | insn.dst;
    view.setInt16(at + 2, insn.off, true);
    view.setInt32(at + 4, insn.imm, true);
    at += INSN_SIZE;
  }
  return bytes;
}
