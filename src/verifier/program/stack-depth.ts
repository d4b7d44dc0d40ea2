/** Stack of the functions on each chain of calls together, and what may not be on one (check_max_stack_depth). */
import { CALL_SOURCE, OPCODE } from '../../isa/opcodes.ts';
import { MAX_CALL_FRAMES } from '../../plane/layout/worker.ts';
import { MAX_STACK } from '../states/records.ts';
import type { Verification } from '../verification.ts';

/** Types whose larger frames get a stack of their own (bpf_enable_priv_stack); each is still limited. */
const ADAPTIVE = new Set<string>(['kprobe', 'tracepoint', 'perf_event', 'raw_tracepoint']);
const MIN_PRIVATE = 64;
const BEFORE_TAIL_CALL = 256;

interface Edge {
  readonly slot: number;
  /** -1 for a call of bpf_throw. */
  readonly fn: number;
  readonly called: boolean;
}

interface Body {
  readonly edges: readonly Edge[];
  readonly tailCall: boolean;
}

export function checkStackDepth(v: Verification): void {
  const { code } = v;
  const bodies = code.functions.map((_, fn) => bodyOf(v, fn));
  const own = code.functions.map((_, fn) => Math.ceil(v.stackDepth[fn]! / 16) * 16);
  const separate = ADAPTIVE.has(v.declaration.type) && !bodies.some(({ tailCall }) => tailCall);
  code.functions.forEach((_, fn) => {
    if (fn === 0 || v.asynchronousCallbacks.has(fn)) new Walk(v, bodies, own, separate).visit(fn, 0, 0);
  });
}

function bodyOf(v: Verification, fn: number): Body {
  const { code } = v;
  const { start, length } = code.functions[fn]!;
  const edges: Edge[] = [];
  let tailCall = false;
  for (let slot = start; slot < start + length; slot++) {
    const opcode = code.op[slot]!;
    if (opcode === OPCODE.CALL) {
      const source = code.src[slot]!;
      if (source === CALL_SOURCE.LOCAL) edges.push({ slot, fn: targetOf(v, slot), called: true });
      else if (source === CALL_SOURCE.HELPER) tailCall ||= code.imm[slot] === 12;
      else if (code.kfuncs.get(slot)?.name === 'bpf_throw') edges.push({ slot, fn: -1, called: true });
    } else if (opcode === OPCODE.LDDW) {
      if (code.src[slot] === 4) edges.push({ slot, fn: targetOf(v, slot), called: false });
      slot++;
    }
  }
  return { edges, tailCall };
}

function targetOf(v: Verification, slot: number): number {
  return v.code.functionByStart.get(slot + 1 + v.code.imm[slot]!)!;
}

class Walk {
  readonly #v: Verification;
  readonly #bodies: readonly Body[];
  readonly #own: readonly number[];
  readonly #separate: boolean;
  readonly #chain: number[] = [];

  constructor(v: Verification, bodies: readonly Body[], own: readonly number[], separate: boolean) {
    this.#v = v;
    this.#bodies = bodies;
    this.#own = own;
    this.#separate = separate;
  }

  /** @param above bytes of the frames that share the stack. @param frames above this one. */
  visit(fn: number, above: number, frames: number): void {
    const v = this.#v;
    const { start } = v.code.functions[fn]!;
    const { edges, tailCall } = this.#bodies[fn]!;
    const own = this.#own[fn]!;
    this.#chain.push(fn);
    if (this.#chain.length > 1 && tailCall && above >= BEFORE_TAIL_CALL)
      v.refuse(
        'tail-call-stack',
        'Verifier Limit',
        `tail_calls are not allowed when call stack of previous frames is ${above} bytes. Too large`,
        'A tail call from a function keeps the frames above it.',
        start,
      );
    const apart = this.#separate && own >= MIN_PRIVATE;
    const total = apart ? own : above + own;
    if (total > MAX_STACK)
      v.refuse(
        'stack-too-large',
        'Verifier Limit',
        apart
          ? `stack size of subprog ${fn} is ${own}. Too large`
          : `combined stack size of ${this.#chain.length} calls is ${total}. Too large`,
        `All frames on a chain of calls share ${MAX_STACK} bytes.`,
        start,
      );
    for (const edge of edges) this.#follow(edge, apart ? above : total, frames);
    this.#chain.pop();
  }

  #follow({ slot, fn, called }: Edge, above: number, frames: number): void {
    const v = this.#v;
    if (fn < 0) {
      const callback = this.#chain.find((each) => v.callbacks.has(each));
      if (callback === undefined) return;
      const current = this.#chain[this.#chain.length - 1]!;
      const problem = `bpf_throw kfunc (insn ${slot}) cannot be called from callback subprog ${current}`;
      v.refuse('throw-in-callback', 'Program Structure', problem, 'No frame of the kernel may be left by it.', slot);
    }
    if (v.asynchronousCallbacks.has(fn)) {
      // They do not run on the program's stack unless they are called.
      if (!called) return;
      if (fn === v.exceptionCallback)
        v.refuse(
          'exception-callback',
          'Program Structure',
          `insn ${slot} cannot call exception cb directly`,
          'Only bpf_throw enters the exception callback.',
          slot,
        );
    }
    const depth = frames + 1;
    if (depth >= MAX_CALL_FRAMES)
      v.refuse(
        'call-stack-too-deep',
        'Verifier Limit',
        `the call stack of ${depth} frames is too deep !`,
        `A program may have at most ${MAX_CALL_FRAMES} frames on its stack.`,
        slot,
      );
    this.visit(fn, above, depth);
  }
}
