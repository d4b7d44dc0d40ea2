/**
 * What the JIT works on: the operations of one function with jumps resolved to blocks. Registers 0 to 10 are BPF's; numbers
 * from 11 on are stack slots that live in registers (stack-slots.ts).
 */
import type { HelperPrototype } from '../abi/prototype.ts';
import type { AccessSize, AluOp, AtomicOp, JumpOp, Width } from '../isa/operation.ts';
import type { MapFacts } from '../object/resolved.ts';

export type Register = number;
export const NO_REGISTER = -1;
export const FIRST_SLOT_REGISTER = 11;
/** Where BPF_LD ABS and IND have the context. */
export const CONTEXT_REGISTER = 6;

/** The second operand: a register, or with NO_REGISTER the constant `imm`, sign-extended. */
interface SecondOperand {
  readonly b: Register;
  readonly imm: number;
}

export type Op = {
  readonly slot: number;
} /** `address`: the constant is one of an object (map, map value), and arithmetic on it gives addresses. */ & (
  | {
      readonly kind: 'const';
      readonly dst: Register;
      readonly value: bigint;
      readonly map: MapFacts | undefined;
      readonly address: boolean;
    }
  /** Table index of the function at slot `target`. */
  | { readonly kind: 'function'; readonly dst: Register; readonly target: number }
  | { readonly kind: 'mov'; readonly dst: Register; readonly src: Register }
  /** The low `bits` of src, sign- or zero-extended to `width`, then zero-extended to 64. */
  | {
      readonly kind: 'extend';
      readonly dst: Register;
      readonly src: Register;
      readonly bits: 8 | 16 | 32;
      readonly signed: boolean;
      readonly width: Width;
      /** addr_space_cast into the address space of the program: accesses are bounded by the arena. */
      readonly arena?: true;
    }
  | ({ readonly kind: 'alu'; readonly op: BinaryOp; readonly width: Width; readonly dst: Register } & SecondOperand)
  | { readonly kind: 'neg'; readonly width: Width; readonly dst: Register }
  | { readonly kind: 'swap'; readonly bits: 16 | 32 | 64; readonly dst: Register }
  | {
      readonly kind: 'load';
      readonly dst: Register;
      readonly base: Register;
      readonly off: number;
      readonly size: AccessSize;
      readonly signed: boolean;
    }
  | ({
      readonly kind: 'store';
      readonly base: Register;
      readonly off: number;
      readonly size: AccessSize;
    } & SecondOperand)
  | {
      readonly kind: 'atomic';
      readonly op: AtomicOp;
      readonly fetch: boolean;
      readonly base: Register;
      readonly off: number;
      readonly size: 4 | 8;
      readonly src: Register;
    }
  | {
      readonly kind: 'load-acquire';
      readonly dst: Register;
      readonly base: Register;
      readonly off: number;
      readonly size: AccessSize;
    }
  | {
      readonly kind: 'store-release';
      readonly src: Register;
      readonly base: Register;
      readonly off: number;
      readonly size: AccessSize;
    }
  | { readonly kind: 'helper'; readonly prototype: HelperPrototype }
  | { readonly kind: 'kfunc'; readonly name: string; readonly args: number }
  /** The helper whose number the register holds, of those given; any other number traps. Only raw programs have it. */
  | { readonly kind: 'helper-indirect'; readonly id: Register; readonly prototypes: readonly HelperPrototype[] }
  /**
   * BPF_LD ABS and IND: big-endian from the packet at `imm`, plus `index` unless that is NO_REGISTER; beyond the packet the function
   * returns 0. The packet is that of the __sk_buff in r6, or for raw programs the memory that the program was entered with.
   */
  | {
      readonly kind: 'load-packet';
      readonly size: 1 | 2 | 4;
      readonly index: Register;
      readonly imm: number;
      readonly fromContext: boolean;
    }
  /** `args`: how many of r1 to r5 the callee reads. */
  | { readonly kind: 'call'; readonly target: number; readonly args: number }
  /** bpf_map_lookup_elem in an array: `key` is NO_REGISTER where the key is in memory at r2, else a register that holds it. */
  | { readonly kind: 'array-lookup'; readonly map: MapFacts; readonly key: Register }
  /** bpf_loop with the callback at slot `target`; undefined: the one whose table index is in r2. */
  | { readonly kind: 'loop'; readonly target: number | undefined }
);

export type BinaryOp = Exclude<AluOp, 'mov'>;

export type Terminator =
  | { readonly kind: 'goto'; readonly target: number }
  | ({
      readonly kind: 'branch';
      readonly op: JumpOp;
      readonly width: Width;
      readonly a: Register;
      readonly taken: number;
      readonly otherwise: number;
    } & SecondOperand)
  /** To `taken` once the function's budget of BPF_MAX_LOOPS is used up. */
  | { readonly kind: 'may-goto'; readonly taken: number; readonly otherwise: number }
  /** gotox: `targets[i]` is the block at slot `slots[i]`; any other value faults. */
  | {
      readonly kind: 'switch';
      readonly value: Register;
      readonly slots: readonly number[];
      readonly targets: readonly number[];
    }
  | { readonly kind: 'exit' }
  /** Made by reducible.ts: remember where to go on, and go there from the dispatch block. */
  | { readonly kind: 'route'; readonly variable: number; readonly value: number; readonly target: number }
  | { readonly kind: 'dispatch'; readonly variable: number; readonly targets: readonly number[] };

/** Blocks are numbered; terminators name blocks by number. */
export interface Block {
  /** First slot; -1 for blocks that reducible.ts made. */
  readonly slot: number;
  readonly ops: readonly Op[];
  readonly end: Terminator;
}

export function successors(end: Terminator): readonly number[] {
  switch (end.kind) {
    case 'goto':
    case 'route':
      return [end.target];
    case 'branch':
    case 'may-goto':
      return end.taken === end.otherwise ? [end.taken] : [end.taken, end.otherwise];
    case 'switch':
    case 'dispatch':
      return [...new Set(end.targets)];
    case 'exit':
      return [];
  }
}

/** Register that an operation writes, NO_REGISTER if none. */
export function definition(op: Op): Register {
  switch (op.kind) {
    case 'store':
    case 'store-release':
      return NO_REGISTER;
    case 'atomic':
      return !op.fetch ? NO_REGISTER : op.op === 'cmpxchg' ? 0 : op.src;
    case 'helper':
    case 'kfunc':
    case 'call':
    case 'loop':
    case 'array-lookup':
    case 'helper-indirect':
    case 'load-packet':
      return 0;
    default:
      return op.dst;
  }
}

/** Calls `visit` for each register that an operation reads. */
export function visitUses(op: Op, visit: (register: Register) => void): void {
  switch (op.kind) {
    case 'const':
    case 'function':
      return;
    case 'mov':
    case 'extend':
      visit(op.src);
      return;
    case 'alu':
      visit(op.dst);
      if (op.b !== NO_REGISTER) visit(op.b);
      return;
    case 'neg':
    case 'swap':
      visit(op.dst);
      return;
    case 'load':
    case 'load-acquire':
      visit(op.base);
      return;
    case 'store':
      visit(op.base);
      if (op.b !== NO_REGISTER) visit(op.b);
      return;
    case 'store-release':
      visit(op.base);
      visit(op.src);
      return;
    case 'atomic':
      visit(op.base);
      visit(op.src);
      if (op.op === 'cmpxchg') visit(0);
      return;
    case 'array-lookup':
      visit(op.key === NO_REGISTER ? 2 : op.key);
      return;
    case 'helper-indirect': {
      const count = Math.max(0, ...op.prototypes.map(({ args }) => args.length));
      visit(op.id);
      for (let register = 1; register <= count; register++) visit(register);
      return;
    }
    case 'load-packet':
      if (op.index !== NO_REGISTER) visit(op.index);
      if (op.fromContext) visit(CONTEXT_REGISTER);
      return;
    case 'loop':
      for (const register of op.target === undefined ? [1, 2, 3, 4] : [1, 3, 4]) visit(register);
      return;
    case 'helper':
    case 'kfunc':
    case 'call': {
      const count = op.kind === 'helper' ? op.prototype.args.length : op.args;
      for (let register = 1; register <= count; register++) visit(register);
    }
  }
}

/** As visitUses, for the end of a block. */
export function visitEndUses(end: Terminator, visit: (register: Register) => void): void {
  switch (end.kind) {
    case 'branch':
      visit(end.a);
      if (end.b !== NO_REGISTER) visit(end.b);
      return;
    case 'switch':
      visit(end.value);
      return;
    case 'exit':
      visit(0);
      return;
  }
}
