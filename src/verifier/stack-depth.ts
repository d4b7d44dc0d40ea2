/** Stack of the functions on the deepest chain of calls together (check_max_stack_depth). */
import { CALL_SOURCE, OPCODE } from '../isa/opcodes.ts';
import { MAX_STACK } from './records.ts';
import type { Verification } from './verification.ts';

/** Types whose larger frames get a stack of their own (bpf_enable_priv_stack); each is still limited. */
const ADAPTIVE = new Set<string>(['kprobe', 'tracepoint', 'perf_event', 'raw_tracepoint']);
const BEFORE_TAIL_CALL = 256;

export function checkStackDepth(v: Verification): void {
  const { code } = v;
  const callees = code.functions.map(({ start, length }) => {
    const found = new Set<number>();
    for (let slot = start; slot < start + length; slot++) {
      const opcode = code.op[slot]!;
      const calls = opcode === OPCODE.CALL && code.src[slot] === CALL_SOURCE.LOCAL;
      const refers = opcode === OPCODE.LDDW && code.src[slot] === 4;
      if (calls || refers) found.add(code.functionByStart.get(slot + 1 + code.imm[slot]!)!);
      if (opcode === OPCODE.LDDW) slot++;
    }
    return [...found];
  });
  const tails = code.functions.map(({ start, length }) => {
    for (let slot = start; slot < start + length; slot++) {
      if (code.op[slot] === OPCODE.CALL && code.src[slot] === CALL_SOURCE.HELPER && code.imm[slot] === 12) return true;
      if (code.op[slot] === OPCODE.LDDW) slot++;
    }
    return false;
  });
  const visit = (fn: number, above: number, frames: number): void => {
    // JITs align each frame to 16 bytes.
    const own = Math.ceil(Math.max(v.stackDepth[fn]!, 1) / 16) * 16;
    const apart = ADAPTIVE.has(v.declaration.type) && own >= 64;
    const total = apart ? Math.max(above, own) : above + own;
    if (total > MAX_STACK)
      v.refuse(
        'stack-too-large',
        'Verifier Limit',
        `combined stack size of ${frames} calls is ${total}. Too large`,
        `All frames on a chain of calls share ${MAX_STACK} bytes.`,
        code.functions[fn]!.start,
      );
    if (frames > 1 && tails[fn] === true && above >= BEFORE_TAIL_CALL)
      v.refuse(
        'tail-call-stack',
        'Verifier Limit',
        `tail_calls are not allowed when call stack of previous frames is ${above} bytes. Too large`,
        'A tail call from a function keeps the frames above it.',
        code.functions[fn]!.start,
      );
    for (const callee of callees[fn]!) visit(callee, apart ? above : total, frames + 1);
  };
  visit(0, 0, 1);
}
