/** Opcodes that the kernel itself treats apart. */
import { opcodes } from '../../../../abi/io-uring/opcodes.ts';

export const OP_TIMEOUT = opcodes.timeout.number;
export const OP_LINK_TIMEOUT = opcodes.link_timeout.number;
export const OP_POLL_ADD = opcodes.poll_add.number;
const SEND_ZC = opcodes.send_zc.number;
const SENDMSG_ZC = opcodes.sendmsg_zc.number;

export function isZeroCopy(opcode: number): boolean {
  return opcode === SEND_ZC || opcode === SENDMSG_ZC;
}
