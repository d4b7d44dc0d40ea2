/** What the types of functions have to be, whether they are reached or not (check_btf_func); and references that cannot be resolved. */
import { CALL_SOURCE, CLASS, MODE, OPCODE } from '../../isa/opcodes.ts';
import type { Verification } from '../verification.ts';

/** Loads from the packet may end a function early, with 0 as its result; and tail calls end it. */
export function checkFunctionTypes(v: Verification): void {
  const { code, btf } = v;
  for (let slot = 0; slot < code.length; slot++) {
    const opcode = code.op[slot]!;
    if (opcode === OPCODE.LDDW) {
      if (code.src[slot] === 1 && code.mapAt[slot]! < 0)
        v.refuse(
          'no-map',
          'Program Structure',
          `fd ${code.imm[slot]} is not pointing to valid bpf_map`,
          'The instruction refers to a map by a number, and no map has it.',
          slot,
        );
      slot++;
      continue;
    }
    const packetLoad = (opcode & 7) === CLASS.LD && ((opcode & 0xe0) === MODE.ABS || (opcode & 0xe0) === MODE.IND);
    const tailCall = opcode === OPCODE.CALL && code.src[slot] === CALL_SOURCE.HELPER && code.imm[slot] === 12;
    if (!packetLoad && !tailCall) continue;
    const fn = code.functionAt[slot]!;
    const { btfId } = code.functions[fn]!;
    if (fn === 0 || btf === undefined || btfId === undefined) continue;
    const func = btf.type(btfId);
    const proto = func?.kind === 'func' ? btf.type(func.type) : undefined;
    const result = proto?.kind === 'func_proto' ? btf.resolve(proto.returns).type : undefined;
    if (result?.kind === 'enum' || result?.kind === 'enum64') continue;
    if (result?.kind === 'int' && result.size <= 8) continue;
    v.refuse(
      'function-result',
      'Program Structure',
      `${packetLoad ? 'LD_ABS' : 'tail_call'} is only allowed in functions that return 'int'.`,
      'The instruction may end the function, which then returns a number.',
      slot,
    );
  }
}
