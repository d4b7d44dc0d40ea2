/** Instructions as Linux's verifier log and `bpftool prog dump` print them (kernel/bpf/disasm.c): `(61) r2 = *(u32 *)(r1 +4)`. */
import type { Insn } from './insn.ts';
import { type AluOp, type AtomicOp, type JumpOp, lddwValue, type Operation, type Width } from './operation.ts';
import { describeInsn } from './operation-decode.ts';

const aluText: Readonly<Record<AluOp, string>> = {
  add: '+=',
  sub: '-=',
  mul: '*=',
  div: '/=',
  sdiv: 's/=',
  or: '|=',
  and: '&=',
  lsh: '<<=',
  rsh: '>>=',
  mod: '%=',
  smod: 's%=',
  xor: '^=',
  mov: '=',
  arsh: 's>>=',
};
const jumpText: Readonly<Record<JumpOp, string>> = {
  eq: '==',
  gt: '>',
  ge: '>=',
  set: '&',
  ne: '!=',
  sgt: 's>',
  sge: 's>=',
  lt: '<',
  le: '<=',
  slt: 's<',
  sle: 's<=',
};
const lockedText: Readonly<Partial<Record<AtomicOp, string>>> = { add: '+=', or: '|=', and: '&=', xor: '^=' };

export interface KernelSyntaxOptions {
  /** Name of a helper by its number. */
  readonly helper?: (id: number) => string | undefined;
  /** Name of what a call of a kfunc calls. */
  readonly kfunc?: string;
}

/** `next`: the second slot of an LDDW. What is no instruction is `BUG_` with the opcode, as the kernel says it. */
export function kernelSyntax(insn: Insn, next?: Insn, options: KernelSyntaxOptions = {}): string {
  const code = insn.opcode.toString(16).padStart(2, '0');
  const operation = describeInsn(insn, next);
  return operation === undefined ? `BUG_${code}` : `(${code}) ${textOf(operation, options)}`;
}

const register = (width: Width, number: number) => `${width === 64 ? 'r' : 'w'}${number}`;
const distance = (off: number) => `pc${off < 0 ? '' : '+'}${off}`;
const place = (size: number, base: number, off: number, sign: 'u' | 's' = 'u') =>
  `(${sign}${size * 8} *)(r${base} ${off < 0 ? '' : '+'}${off})`;

function textOf(o: Operation, { helper, kfunc }: KernelSyntaxOptions): string {
  switch (o.kind) {
    case 'alu':
      return `${register(o.width, o.dst)} ${aluText[o.op]} ${o.source === 'reg' ? register(o.width, o.src) : o.imm}`;
    case 'neg':
      return `${register(o.width, o.dst)} = -${register(o.width, o.dst)}`;
    case 'movsx':
      return `${register(o.width, o.dst)} = (s${o.from})${register(o.width, o.src)}`;
    case 'endian':
      return `r${o.dst} = ${o.op.replace('to-', '')}${o.bits} r${o.dst}`;
    case 'addr-space-cast':
      return `r${o.dst} = addr_space_cast(r${o.src}, ${o.to}, ${o.from})`;
    case 'load':
      return `r${o.dst} = *${place(o.size, o.src, o.off, o.signed ? 's' : 'u')}`;
    case 'store':
      return `*${place(o.size, o.dst, o.off)} = ${o.source === 'reg' ? `r${o.src}` : o.imm}`;
    case 'atomic': {
      const where = place(o.size, o.dst, o.off);
      if (!o.fetch && lockedText[o.op] !== undefined) return `lock *${where} ${lockedText[o.op]} r${o.src}`;
      const name = `atomic${o.size === 8 ? '64' : ''}_`;
      if (o.op === 'cmpxchg') return `r0 = ${name}cmpxchg(${where}, r0, r${o.src})`;
      return `r${o.src} = ${name}${o.op === 'xchg' ? 'xchg' : `fetch_${o.op}`}(${where}, r${o.src})`;
    }
    case 'load-acquire':
      return `r${o.dst} = load_acquire(${place(o.size, o.src, o.off)})`;
    case 'store-release':
      return `store_release(${place(o.size, o.dst, o.off)}, r${o.src})`;
    case 'jump':
      return `${o.long ? 'gotol' : 'goto'} ${distance(o.off)}`;
    case 'branch': {
      const right = o.source === 'reg' ? register(o.width, o.src) : `0x${(o.imm >>> 0).toString(16)}`;
      return `if ${register(o.width, o.dst)} ${jumpText[o.op]} ${right} goto ${distance(o.off)}`;
    }
    case 'may-goto':
      return `may_goto ${distance(o.off)}`;
    case 'jump-indirect':
      return `gotox r${o.dst}`;
    case 'call':
      if (o.target === 'local') return `call ${distance(o.imm)}`;
      if (o.target === 'kfunc') return `call ${kfunc ?? 'kernel-function'}#${o.imm}`;
      return `call ${helper?.(o.imm) ?? 'unknown'}#${o.imm}`;
    case 'call-register':
      return `callx r${o.dst}`;
    case 'exit':
      return 'exit';
    case 'lddw':
      // Addresses are not told to everyone.
      return `r${o.dst} = 0x${o.source === 0 ? lddwValue(o.low, o.high).toString(16) : '0'}`;
    case 'load-packet': {
      const type = `*(u${o.size * 8} *)skb`;
      return o.mode === 'absolute' ? `r0 = ${type}[${o.imm}]` : `r0 = ${type}[r${o.src} + ${o.imm}]`;
    }
  }
}
