/**
 * verifier/recording/: what an exploration saw, kept and held against concrete runs.
 *
 * This file: a record of an exploration: every state that the verifier had, before each instruction, and how one led to the other. Off unless it is
 * asked for; what explains a refusal, follows a run beside the abstract states, and tests soundness reads it.
 */
import { INVALID, MISC, NOT_INIT, SCALAR } from '../kinds.ts';
import { BYTES, KIND, PRECISE, RECORD } from '../layout.ts';
import type { PrecisionObserver } from '../states/precision.ts';
import { frameAt, REGISTERS, words } from '../states/records.ts';
import type { Reference, SavedState } from '../states/state.ts';
import type { Verification } from '../verification.ts';

/** What an exploration tells while it goes on. */
export interface Observer {
  /** Sees how precision is walked back. */
  readonly precision?: PrecisionObserver | undefined;
  /** The state at hand is at `v.slot`; the instruction comes next, unless it is covered. */
  arrive(v: Verification): void;
  /** The state at hand needs no exploring: `old` stands for it. `whole`: all of it was compared, not only what matters. */
  covered(v: Verification, old: SavedState, whole: boolean): void;
  /** The state at hand was kept as `copy`, to be compared with. */
  saved(copy: SavedState): void;
  /** `copy` is left for later, out of the instruction at hand. */
  pushed(copy: SavedState): void;
  /** The exploration goes on with what was left. */
  resumed(copy: SavedState): void;
}

export interface RecordedFrame {
  readonly fn: number;
  readonly callsite: number;
  /** Records (layout.ts) of r0 to r10, then of the stack slots from the top down. */
  readonly data: Int32Array;
  readonly slots: number;
}

/** What a covering state knows about for certain: registers and slots of each frame as bits; the rest may differ. */
export interface Certain {
  /** All of it was compared, what nobody reads included. */
  readonly whole: boolean;
  readonly registers: Uint16Array;
  readonly low: Int32Array;
  readonly high: Int32Array;
}

export interface Node {
  readonly index: number;
  readonly slot: number;
  /** Function that is explored by itself: 0, or a global one. */
  readonly root: number;
  readonly frames: readonly RecordedFrame[];
  readonly references: readonly Reference[];
  /** Node before this one on the path, -1 at the start. */
  readonly previous: number;
  readonly next: number[];
  coveredBy: { readonly node: number; readonly certain: Certain } | undefined;
}

const WORDS = RECORD / 4;
const NO_FRAMES: readonly RecordedFrame[] = [];

/** @property truncated the limit was met; later states are not in `nodes`. */
export class Recorder implements Observer {
  readonly nodes: Node[] = [];
  truncated = false;
  /** First node by function explored by itself. */
  readonly roots = new Map<number, number>();
  readonly #limit: number;
  readonly #keep: ((index: number) => boolean) | undefined;
  readonly #pushed = new WeakMap<SavedState, number>();
  readonly #saved = new WeakMap<SavedState, number>();
  #at = -1;
  #root = -1;

  /** @param keep nodes whose registers are wanted (default: all). The numbers are the same each time that a program is explored. */
  constructor(limit: number, keep?: (index: number) => boolean) {
    this.#limit = limit;
    this.#keep = keep;
  }

  arrive(v: Verification): void {
    const index = this.nodes.length;
    if (index >= this.#limit) {
      this.truncated = true;
      this.#at = -2;
      return;
    }
    if (v.root !== this.#root) {
      this.#root = v.root;
      this.#at = -1;
      this.roots.set(v.root, index);
    }
    if (this.#at === -2) return;
    const kept = this.#keep === undefined || this.#keep(index);
    this.nodes.push({
      index,
      slot: v.slot,
      root: v.root,
      frames: kept ? framesOf(v) : NO_FRAMES,
      references: v.state.references,
      previous: this.#at,
      next: [],
      coveredBy: undefined,
    });
    if (this.#at >= 0) this.nodes[this.#at]!.next.push(index);
    this.#at = index;
  }

  covered(v: Verification, old: SavedState, whole: boolean): void {
    const node = this.#saved.get(old);
    if (this.#at >= 0 && node !== undefined)
      this.nodes[this.#at]!.coveredBy = { node, certain: certainOf(v, old, whole) };
  }

  saved(copy: SavedState): void {
    if (this.#at >= 0) this.#saved.set(copy, this.#at);
  }

  pushed(copy: SavedState): void {
    this.#pushed.set(copy, this.#at);
  }

  resumed(copy: SavedState): void {
    this.#at = this.#pushed.get(copy) ?? -2;
  }

  /** The nodes from the start to `index`. */
  pathTo(index: number): Node[] {
    const path: Node[] = [];
    for (let at = index; at >= 0; at = this.nodes[at]!.previous) path.push(this.nodes[at]!);
    return path.reverse();
  }
}

function framesOf(v: Verification): RecordedFrame[] {
  return v.state.frames.map(({ fn, callsite, slots }, depth) => {
    const at = frameAt(depth) >> 2;
    return { fn, callsite, slots, data: new Int32Array(words.subarray(at, at + (REGISTERS + slots) * WORDS)) };
  });
}

function certainOf(v: Verification, old: SavedState, whole: boolean): Certain {
  const count = old.frames.length;
  const certain = { whole, registers: new Uint16Array(count), low: new Int32Array(count), high: new Int32Array(count) };
  for (const [depth, frame] of old.frames.entries()) {
    const { data, slots, readLow, readHigh } = frame;
    const slot = depth === count - 1 ? old.slot : old.frames[depth + 1]!.callsite;
    const live = whole ? 0x7ff : v.code.live[slot]!;
    const matters = (at: number) => {
      const kind = data[at + KIND / 4]!;
      return kind !== NOT_INIT && (kind !== SCALAR || whole || data[at + PRECISE / 4] !== 0);
    };
    for (let i = 0; i < REGISTERS; i++)
      if ((live & (1 << i)) !== 0 && matters(i * WORDS)) certain.registers[depth]! |= 1 << i;
    for (let i = 0; i < slots; i++) {
      const read = i < 32 ? readLow & (1 << i) : readHigh & (1 << (i - 32));
      const at = (REGISTERS + i) * WORDS;
      const first = (data[at + BYTES / 4 + 1]! >>> 24) & 0xff;
      const spilled = first !== INVALID && first !== MISC && data[at + KIND / 4] !== NOT_INIT;
      if ((!whole && read === 0) || (spilled && !matters(at))) continue;
      if (i < 32) certain.low[depth]! |= 1 << i;
      else certain.high[depth]! |= 1 << (i - 32);
    }
  }
  return certain;
}
