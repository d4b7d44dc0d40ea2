/**
 * What Linux's verifier would log (kernel/bpf/verifier.c, log.c), so that tools which read its logs read ours: level 1 tells the path
 * that was refused, level 2 all paths; 4 may be added for the times.
 */
import { helperName } from '../abi/helpers/index.ts';
import { insnSlots } from '../isa/insn-slots.ts';
import { kernelSyntax } from '../isa/kernel-syntax.ts';
import { OPCODE } from '../isa/opcodes.ts';
import { MAX_INSTRUCTIONS } from './explore.ts';
import type { Observer } from './recorder.ts';
import { frameText } from './register-text.ts';
import type { SavedState } from './state.ts';
import type { Verdict, VerifyStats } from './verify.ts';
import type { Verification } from './verification.ts';

/** Most characters kept, as UINT_MAX / 4 bounds the kernel's buffer; what is over is cut at the front. */
const LIMIT = 64 << 20;
/** Columns at which a state stands beside its instruction. */
const COLUMN = 40;
const TAB = 8;

export class KernelLog implements Observer {
  readonly #level: number;
  #text = '';
  /** The instruction that was printed last, while its line is open for the state after it. */
  #open: { readonly slot: number; readonly from: number } | undefined;
  /** The state is at this instruction, which is printed as soon as it is known not to be covered. */
  #due: number | undefined;
  #depth = 0;
  #slot = -1;
  /** Source line printed last. */
  #line = -1;
  /** Printed at the next arrival: where the state was left, or what a return leads from. */
  #from: number | undefined;
  #fresh = true;
  #v: Verification | undefined;
  readonly #marks = new WeakMap<SavedState, { readonly length: number; readonly slot: number }>();

  /** `level`: 1 or 2, as log_level of BPF_PROG_LOAD. */
  constructor(level: number) {
    this.#level = level;
  }

  arrive(v: Verification): void {
    this.#v = v;
    const depth = v.state.depth;
    this.#print();
    if (this.#fresh) this.#begin(v);
    else if (depth > this.#depth) this.#called(v);
    else if (depth < this.#depth) this.#returned(v);
    else if (this.#open !== undefined) this.#beside(v, this.#open.slot);
    this.#depth = depth;
    this.#slot = v.slot;
    this.#due = v.slot;
  }

  covered(): void {
    this.#due = undefined;
    if (this.#from === undefined) this.#write(`${this.#slot}: safe\n`);
    else if (this.#level >= 2) this.#write(`\nfrom ${this.#from} to ${this.#slot}: safe\n`);
    this.#from = undefined;
  }

  saved(): void {}

  pushed(copy: SavedState): void {
    this.#print();
    this.#marks.set(copy, { length: this.#text.length, slot: this.#slot });
  }

  resumed(copy: SavedState): void {
    this.#print();
    this.#close();
    const mark = this.#marks.get(copy);
    if (this.#level < 2 && mark !== undefined) this.#text = this.#text.slice(0, mark.length);
    this.#close();
    this.#from = mark?.slot;
    this.#fresh = true;
    this.#line = -1;
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

  #write(text: string): void {
    this.#text += text;
    if (this.#text.length > LIMIT) this.#text = this.#text.slice(-LIMIT);
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
    this.#source(v, slot);
    const from = this.#text.length;
    this.#write(`${slot}: ${insnText(v, slot)}`);
    this.#open = { slot, from };
  }

  #source(v: Verification, slot: number): void {
    const at = v.program.lines.findLastIndex((line) => line.slot <= slot);
    const line = v.program.lines[at];
    if (line === undefined || at === this.#line) return;
    this.#line = at;
    this.#write(`; ${line.text.trim()} @ ${line.file.slice(line.file.lastIndexOf('/') + 1)}:${line.line}\n`);
  }

  #begin(v: Verification): void {
    this.#fresh = false;
    const text = this.#frame(v, v.state.depth);
    if (this.#from !== undefined && this.#level >= 2) {
      // `safe` is all that is said of a state that turns out to be covered.
      this.#pendingFrom = text;
      return;
    }
    this.#write(`${v.slot}: ${text}\n`);
  }
  #pendingFrom: string | undefined;

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
    this.#write(`to caller at ${v.slot}:\n ${text}\n`);
    if (this.#level >= 2) this.#write(`\nfrom ${this.#slot} to ${v.slot}: ${text}\n`);
  }

  /** The state after the instruction, beside it. */
  #beside(v: Verification, slot: number): void {
    const text = frameText(v, v.state.depth, v.state.frames[v.state.depth]!.slots, insnSlots(v.program.insns, slot));
    const width = this.#text.length - this.#open!.from;
    if (text !== '') {
      const column = Math.ceil(Math.max(width + 5, COLUMN) / TAB) * TAB - 2;
      this.#write(`${' '.repeat(Math.max(1, column - width))}; ${text}`);
    }
    this.#close();
  }
}
