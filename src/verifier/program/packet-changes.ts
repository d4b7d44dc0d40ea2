/** Functions that may move the packet's data, themselves or through what they call: after a call of one, packet pointers are void. */
import { CALL_SOURCE, OPCODE } from '../../isa/opcodes.ts';
import type { Verification } from '../verification.ts';

export function findPacketChanges(v: Verification): void {
  const { code, declaration, changesPacket } = v;
  for (let changed = true; changed; ) {
    changed = false;
    code.functions.forEach(({ start, length }, fn) => {
      if (changesPacket[fn] === 1) return;
      for (let slot = start; slot < start + length; slot++) {
        const opcode = code.op[slot]!;
        let changes = false;
        if (opcode === OPCODE.CALL) {
          if (code.src[slot] === CALL_SOURCE.HELPER)
            changes = declaration.helpers.get(code.imm[slot]!)?.changesPacketData === true;
          else if (code.src[slot] === CALL_SOURCE.LOCAL)
            changes = changesPacket[code.functionByStart.get(slot + 1 + code.imm[slot]!) ?? fn] === 1;
        } else if (opcode === OPCODE.LDDW) {
          if (code.src[slot] === 4)
            changes = changesPacket[code.functionByStart.get(slot + 1 + code.imm[slot]!) ?? fn] === 1;
          slot++;
        }
        if (!changes) continue;
        changesPacket[fn] = 1;
        changed = true;
        break;
      }
    });
  }
}
