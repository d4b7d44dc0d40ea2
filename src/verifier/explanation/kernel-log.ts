/**
 * What Linux's verifier would log (kernel/bpf/verifier.c, log.c), so that tools which read its logs read ours: level 1 tells the path
 * that was refused, level 2 all paths; 4 may be added for the times.
 */
import { helperNameIn } from '../../abi/context-access.ts';
import { kernelSyntax } from '../../isa/kernel-syntax.ts';
import { CALL_SOURCE, OPCODE } from '../../isa/opcodes.ts';
import { describeInsn } from '../../isa/operation-decode.ts';
import type { LineInfo } from '../../object/spec.ts';
import { MAX_INSTRUCTIONS } from '../explore.ts';
import { STACK } from '../kinds.ts';
import { CALLBACK_KFUNCS, helperCallsBack } from '../program/program.ts';
import type { Observer } from '../recording/recorder.ts';
import { auxOf, constantOf, isConstant, kindOf, MAX_STACK, offsetOf, registerAt } from '../states/records.ts';
import type { Frame, SavedState } from '../states/state.ts';
import type { Verification } from '../verification.ts';
import type { Verdict, VerifyStats } from '../verify.ts';
import { PrecisionLog } from './precision-log.ts';
import { frameText } from './register-text.ts';

/** Characters kept at least, as UINT_MAX / 4 bounds the kernel's buffer; from twice as many on they are cut at the front. */
const LIMIT = 16 << 20;
/** Columns at which a state stands beside its instruction. */
const COLUMN = 40;
const TAB = 8;

export class KernelLog implements Observer {
  readonly #level: number;
  #text = '';
  /** Characters that were cut off before it. */
  #cut = 0;
  /** The instruction that was printed last, while its line is open for the state after it. */
  #open: { readonly slot: number; readonly from: number } | undefined;
  /** The state is at this instruction, which is printed as soon as it is known not to be covered. */
  #due: number | undefined;
  #depth = 0;
  /** Stack slots of that frame, and the one that the instruction uses, -1 for none. */
  #slots = 0;
  #frameBefore: Frame | undefined;
  #used = -1;
  #slot = -1;
  /** Source line printed last. */
  #line: LineInfo | undefined;
  /** The path begins anew: where its state was left, and what the state is. Told only if it is not covered. */
  #from: number | undefined;
  #state = '';
  #fresh = true;
  /** The path came back from a function, where it left it: the state is told as soon as the path is known to go on. */
  #cameFrom: number | undefined;
  /** What the last instruction did, until it is told. */
  #after = '';
  /** Lines were told after the last instruction. */
  #noted = false;
  #v: Verification | undefined;
  readonly #marks = new WeakMap<SavedState, { readonly length: number; readonly slot: number }>();

  /** Told at level 2. */
  readonly precision: PrecisionLog | undefined;

  /** `level`: 1 or 2, as log_level of BPF_PROG_LOAD. */
  constructor(level: number) {
    this.#level = level;
    if (level >= 2) this.precision = new PrecisionLog((text, comparing) => this.#note(text, comparing), insnText);
  }

  arrive(v: Verification): void {
    this.#v = v;
    const depth = v.state.depth;
    this.#print();
    if (this.#fresh) this.#begin(v);
    else if (depth > this.#depth) this.#called(v);
    else if (depth < this.#depth) this.#returned(v);
    else if (this.#open !== undefined || this.#noted) this.#stateAfter(v);
    this.#depth = depth;
    this.#slots = v.state.frames[depth]!.slots;
    this.#frameBefore = v.state.frames[depth];
    this.#used = usedSlot(v);
    this.#slot = v.slot;
    this.#due = v.slot;
  }

  covered(): void {
    this.#due = undefined;
    this.#after = '';
    this.#noted = false;
    this.precision?.compared();
    this.#close();
    const from = this.#from ?? this.#cameFrom;
    if (from === undefined) this.#write(`${this.#slot}: safe\n`);
    else if (this.#level >= 2) this.#write(`\nfrom ${from} to ${this.#slot}: safe\n`);
    this.#from = this.#cameFrom = undefined;
  }

  saved(): void {}

  pushed(copy: SavedState): void {
    this.#print();
    this.#marks.set(copy, { length: this.#cut + this.#text.length, slot: this.#slot });
  }

  resumed(copy: SavedState): void {
    this.#print();
    this.#close();
    const mark = this.#marks.get(copy);
    if (this.#level < 2 && mark !== undefined) this.#text = this.#text.slice(0, Math.max(0, mark.length - this.#cut));
    this.#close();
    this.#from = mark?.slot;
    this.#fresh = true;
  }

  /** The whole log. `time_us` and the stack are told where they are given. */
  finish(verdict: Verdict, times?: { readonly time_us: number }): string {
    this.#print();
    this.#close();
    if (verdict.verdict === 'accept' && this.#level < 2) this.#text = '';
    for (const { problem } of verdict.diagnostics) this.#write(`${problem}\n`);
    if (times !== undefined) this.#write(`verification time ${times.time_us} usec\n`);
    this.#write(processed(verdict.stats));
    return this.#text;
  }

  /** Lines in between. What is told while a state is compared comes before it is known whether its instruction is run. */
  #note(text: string, comparing: boolean): void {
    if (!comparing) this.#print();
    this.#close();
    this.#noted = true;
    this.#write(text);
  }

  #write(text: string): void {
    this.#text += text;
    if (this.#text.length <= 2 * LIMIT) return;
    this.#cut += this.#text.length - LIMIT;
    this.#text = this.#text.slice(-LIMIT);
  }

  /** Ends the line of an instruction. */
  #close(): void {
    if (this.#open !== undefined || (this.#text !== '' && !this.#text.endsWith('\n'))) this.#write('\n');
    this.#open = undefined;
  }

  /** The instruction that is due. */
  #print(): void {
    const slot = this.#due;
    const v = this.#v;
    if (slot === undefined || v === undefined) return;
    this.#due = undefined;
    this.#beside(slot);
    if (this.#cameFrom !== undefined && this.#level >= 2)
      this.#write(`\nfrom ${this.#cameFrom} to ${slot}: ${this.#state}\n`);
    this.#cameFrom = undefined;
    if (this.#from !== undefined) {
      if (this.#level >= 2) this.#write(`\nfrom ${this.#from} to ${slot}: ${this.#state}\n`);
      this.#write(`${slot}: ${this.#state}\n`);
      this.#from = undefined;
    }
    this.#source(v, slot);
    const from = this.#text.length;
    this.#write(`${slot}: ${insnText(v, slot)}`);
    this.#open = { slot, from };
  }

  #source(v: Verification, slot: number): void {
    const line = v.program.lines.findLast((each) => each.slot <= slot);
    if (line === undefined || (line.line === this.#line?.line && line.file === this.#line.file)) return;
    this.#line = line;
    this.#write(`; ${line.text.trim()} @ ${line.file.slice(line.file.lastIndexOf('/') + 1)}:${line.line}\n`);
  }

  #begin(v: Verification): void {
    this.#fresh = false;
    const text = this.#frame(v, v.state.depth);
    if (this.#from === undefined) this.#write(`${v.slot}: ${text}\n`);
    else this.#state = text;
  }

  #frame(v: Verification, depth: number): string {
    return frameText(v, depth, v.state.frames[depth]?.slots ?? 0);
  }

  #called(v: Verification): void {
    this.#close();
    const depth = v.state.depth;
    this.#write(`caller:\n ${this.#frame(v, depth - 1)}\ncallee:\n ${this.#frame(v, depth)}\n`);
    this.#write(`${v.slot}: ${this.#frame(v, depth)}\n`);
  }

  #returned(v: Verification): void {
    this.#close();
    const text = this.#frame(v, v.state.depth);
    // What the callee left is still in the records.
    this.#write(`returning from callee:\n ${frameText(v, this.#depth, this.#slots, undefined, this.#frameBefore)}\n`);
    this.#write(`to caller at ${v.slot}:\n ${text}\n`);
    this.#cameFrom = this.#slot;
    this.#state = text;
  }

  /** What the instruction did: told as soon as the path is known to go on. */
  #stateAfter(v: Verification): void {
    const { depth } = v.state;
    const touched = { registers: namedRegisters(v, this.#slot), slot: this.#used };
    const { slots } = v.state.frames[depth]!;
    this.#after = callsBack(v, this.#slot) ? frameText(v, depth, slots) : frameText(v, depth, slots, touched);
  }

  /** The state after the instruction: beside it, or if lines came in between by itself, before the one at `slot`. */
  #beside(slot: number): void {
    const text = this.#after;
    this.#after = '';
    if (text !== '' && this.#open !== undefined) {
      const width = this.#text.length - this.#open.from;
      const column = Math.ceil(Math.max(width + 5, COLUMN) / TAB) * TAB - 2;
      this.#write(`${' '.repeat(Math.max(1, column - width))}; ${text}`);
    } else if (text !== '') this.#write(`${slot}: ${text}`);
    this.#close();
    this.#noted = false;
  }
}

/** After the call of a callback everything is told. */
function callsBack({ code }: Verification, slot: number): boolean {
  if (code.op[slot] !== OPCODE.CALL) return false;
  if (code.src[slot] === CALL_SOURCE.HELPER) return helperCallsBack(code, code.imm[slot]!);
  return CALLBACK_KFUNCS.has(code.kfuncs.get(slot)?.name ?? '');
}

function processed({ insns, states, peakStates, maxStatesPerInsn }: VerifyStats): string {
  const counts = `max_states_per_insn ${maxStatesPerInsn} total_states ${states} peak_states ${peakStates} mark_read 0`;
  return `processed ${insns} insns (limit ${MAX_INSTRUCTIONS}) ${counts}\n`;
}

function insnText(v: Verification, slot: number): string {
  const reference = v.program.references.get(slot);
  return kernelSyntax(v.program.insns[slot]!, v.program.insns[slot + 1], {
    helper: (id) => helperNameIn(v.declaration, id),
    ...(reference?.kind === 'kfunc' ? { kfunc: reference.name } : {}),
  });
}

/** What the kernel prints after an instruction, as bits: the registers that it names, of a call the result. */
function namedRegisters(v: Verification, slot: number): number {
  const operation = describeInsn(v.program.insns[slot]!, v.program.insns[slot + 1]);
  if (operation === undefined || operation.kind === 'call' || operation.kind === 'load-packet') return 1;
  let registers = 'dst' in operation ? 1 << operation.dst : 0;
  const immediate = 'source' in operation && (operation.source === 'imm' || operation.kind === 'lddw');
  if ('src' in operation && !immediate) registers |= 1 << operation.src;
  if (operation.kind === 'atomic' && operation.op === 'cmpxchg') registers |= 1;
  return registers;
}

/** The stack slot of its own frame that the instruction at hand loads from or stores to, -1 for none. */
function usedSlot(v: Verification): number {
  const operation = describeInsn(v.program.insns[v.slot]!, v.program.insns[v.slot + 1]);
  if (operation === undefined || !('off' in operation) || !('size' in operation)) return -1;
  const loads = operation.kind === 'load' || operation.kind === 'load-acquire';
  const base = registerAt(v.state.depth, loads ? operation.src : operation.dst);
  if (kindOf(base) !== STACK || auxOf(base) !== v.state.depth || !isConstant(base)) return -1;
  const offset = constantOf(base) + offsetOf(base) + operation.off;
  return offset < 0 && offset >= -MAX_STACK ? (-offset - 1) >> 3 : -1;
}
