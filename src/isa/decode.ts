/** Bytes to instruction slots, little-endian; the object reader has swapped a big-endian section before. */
import { InputError } from '../errors.ts';
import type { Insn } from './insn.ts';

export const INSN_SIZE = 8;

/**
 * Splits machine code into slots; nothing is judged but the length (`checkInsns` does that).
 *
 * @throws InputError SLUICE_CODE_LENGTH if the length is no multiple of 8.
 */
export function decodeInsns(bytes: Uint8Array): Insn[] {
  if (bytes.length % INSN_SIZE !== 0)
    throw new InputError('SLUICE_CODE_LENGTH', `${bytes.length} bytes of code are no whole number of 8-byte slots`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = bytes.length / INSN_SIZE;
  const insns = new Array<Insn>(count);
  for (let slot = 0, at = 0; slot < count; slot++, at += INSN_SIZE) {
    const registers = bytes[at + 1]!;
    insns[slot] = {
      opcode: bytes[at]!,
      dst: registers & 15,
      src: registers >> 4,
      off: view.getInt16(at + 2, true),
      imm: view.getInt32(at + 4, true),
    };
  }
  return insns;
}
