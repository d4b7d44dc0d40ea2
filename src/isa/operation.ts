/** What an instruction means, as a discriminated union. The engines may use it or decode for themselves. */

export type Width = 32 | 64;
/** Bytes of a memory access. */
export type AccessSize = 1 | 2 | 4 | 8;

export type AluOp =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'sdiv'
  | 'or'
  | 'and'
  | 'lsh'
  | 'rsh'
  | 'mod'
  | 'smod'
  | 'xor'
  | 'mov'
  | 'arsh';
export type JumpOp = 'eq' | 'gt' | 'ge' | 'set' | 'ne' | 'sgt' | 'sge' | 'lt' | 'le' | 'slt' | 'sle';
export type AtomicOp = 'add' | 'or' | 'and' | 'xor' | 'xchg' | 'cmpxchg';
export type CallTarget = 'helper' | 'local' | 'kfunc';

/** `source` says which of `src` and `imm` counts; the other is 0. Distances (`off` of jumps) count slots from the next one. */
export type Operation =
  | AluOperation
  | { readonly kind: 'neg'; readonly width: Width; readonly dst: number }
  /** Sign extension of the low `from` bits to `width`; of 32 only the 64-bit form exists. */
  | {
      readonly kind: 'movsx';
      readonly width: Width;
      readonly from: 8 | 16 | 32;
      readonly dst: number;
      readonly src: number;
    }
  /** `to-le` and `to-be` depend on the machine's byte order (little-endian here), `bswap` does not; all zero-extend. */
  | {
      readonly kind: 'endian';
      readonly op: 'to-le' | 'to-be' | 'bswap';
      readonly bits: 16 | 32 | 64;
      readonly dst: number;
    }
  | {
      readonly kind: 'addr-space-cast';
      readonly dst: number;
      readonly src: number;
      readonly to: number;
      readonly from: number;
    }
  | {
      readonly kind: 'load';
      readonly size: AccessSize;
      readonly signed: boolean;
      readonly dst: number;
      readonly src: number;
      readonly off: number;
    }
  | {
      readonly kind: 'store';
      readonly size: AccessSize;
      readonly source: 'imm' | 'reg';
      readonly dst: number;
      readonly src: number;
      readonly imm: number;
      readonly off: number;
    }
  /** Memory at dst + off; the old value goes to src if `fetch`, to r0 for cmpxchg (which compares with r0). */
  | {
      readonly kind: 'atomic';
      readonly op: AtomicOp;
      readonly fetch: boolean;
      readonly size: 4 | 8;
      readonly dst: number;
      readonly src: number;
      readonly off: number;
    }
  /** dst = memory at src + off, zero-extended. */
  | {
      readonly kind: 'load-acquire';
      readonly size: AccessSize;
      readonly dst: number;
      readonly src: number;
      readonly off: number;
    }
  /** Memory at dst + off = src. */
  | {
      readonly kind: 'store-release';
      readonly size: AccessSize;
      readonly dst: number;
      readonly src: number;
      readonly off: number;
    }
  /** `long`: the 32-bit distance of class JMP32 (`gotol`). */
  | { readonly kind: 'jump'; readonly long: boolean; readonly off: number }
  | BranchOperation
  | { readonly kind: 'may-goto'; readonly off: number }
  /** `gotox`: the address of an instruction is in dst. */
  | { readonly kind: 'jump-indirect'; readonly dst: number }
  /** imm: helper id, slot distance, or BTF id of the kfunc (off: index of the module's BTF descriptor). */
  | { readonly kind: 'call'; readonly target: CallTarget; readonly imm: number; readonly off: number }
  | { readonly kind: 'call-register'; readonly dst: number }
  | { readonly kind: 'exit' }
  /** Two slots: the 32-bit halves as signed numbers, `source` as in LDDW_SOURCE. */
  | {
      readonly kind: 'lddw';
      readonly dst: number;
      readonly source: number;
      readonly low: number;
      readonly high: number;
    }
  /** r0 = packet bytes in network order at imm, or at src + imm. Scratches r1 to r5, and needs the context in r6. */
  | {
      readonly kind: 'load-packet';
      readonly size: 1 | 2 | 4;
      readonly mode: 'absolute' | 'indirect';
      readonly src: number;
      readonly imm: number;
    };

/** One member of the union by its kind. */
export type OperationOf<K extends Operation['kind']> = Extract<Operation, { readonly kind: K }>;

export interface AluOperation {
  readonly kind: 'alu';
  readonly op: AluOp;
  readonly width: Width;
  readonly source: 'imm' | 'reg';
  readonly dst: number;
  readonly src: number;
  readonly imm: number;
}

export interface BranchOperation {
  readonly kind: 'branch';
  readonly op: JumpOp;
  readonly width: Width;
  readonly source: 'imm' | 'reg';
  readonly dst: number;
  readonly src: number;
  readonly imm: number;
  readonly off: number;
}

/** The u64 that an LDDW loads, of its halves. */
export function lddwValue(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
