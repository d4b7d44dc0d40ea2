/** Follows a run in the checked engine and keeps, for registers and memory, where their numbers came from; remembers what was decided by them. */
import { helpers } from '../abi/helpers/index.ts';
import { programDeclarations } from '../abi/programs/index.ts';
import type { HelperPrototype } from '../abi/prototype.ts';
import type { Insn } from '../isa/insn.ts';
import { CALL_SOURCE, CLASS, JUMP, MODE, OPCODE } from '../isa/opcodes.ts';
import type { ProgramSpec } from '../object/spec.ts';
import type { ConcreteRegister } from '../verifier/recording/containment.ts';
import type { ConcreteState } from '../verifier/recording/shadow.ts';
import { after, type Origin, u64 } from './origin.ts';

/** A conditional jump that was run. */
export interface Decision {
  /** Number of the step. */
  readonly step: number;
  readonly slot: number;
  readonly taken: boolean;
  readonly operation: number;
  readonly narrow: boolean;
  readonly left: bigint;
  readonly right: bigint;
  readonly leftSymbol: Origin | undefined;
  readonly rightSymbol: Origin | undefined;
}

/** A register that memory was reached through, or an argument, with its symbol. */
export interface Operand {
  readonly register: ConcreteRegister;
  readonly symbol: Origin | undefined;
  /** Bytes of the access, 0 for an argument. */
  readonly size: number;
  /** Displacement of the access. */
  readonly off: number;
}

const sizes = [4, 2, 1, 8];
const MAP_LOOKUP = 1;
const names: Readonly<Record<number, Parameters<typeof after>[1]>> = {
  0: 'add',
  16: 'sub',
  32: 'mul',
  48: 'div',
  64: 'or',
  80: 'and',
  96: 'shl',
  112: 'shr',
  144: 'mod',
  160: 'xor',
  192: 'sar',
};
const U32 = 0xffff_ffffn;

export class Tracer {
  readonly slots: number[] = [];
  readonly decisions: Decision[] = [];
  /** Operands of instructions that reach memory, call a helper or end the run, by step. */
  readonly operands: { readonly step: number; readonly operands: readonly Operand[] }[] = [];
  readonly #program: ProgramSpec;
  /** Helpers of its type. */
  readonly #own: ReadonlyMap<number, HelperPrototype> | undefined;
  readonly #bytes: (address: number, size: number) => Uint8Array;
  readonly #keySize: (map: string) => number;
  #registers: (Origin | undefined)[] = new Array<Origin | undefined>(11).fill(undefined);
  readonly #saved: (Origin | undefined)[][] = [];
  /** By address of the first byte. */
  readonly #memory = new Map<number, { readonly size: number; readonly symbol: Origin }>();
  /** Map and key by address of the value. */
  readonly #values = new Map<number, { readonly map: string; readonly key: string }>();
  #before: ConcreteState | undefined;
  readonly #limit: number;

  /** @param limit steps after which nothing is followed any more. */
  constructor(
    program: ProgramSpec,
    bytes: (address: number, size: number) => Uint8Array,
    keySize: (map: string) => number,
    limit: number,
  ) {
    this.#program = program;
    this.#own = program.type === undefined ? undefined : programDeclarations.get(program.type)?.helpers;
    this.#bytes = bytes;
    this.#keySize = keySize;
    this.#limit = limit;
  }

  visit(state: ConcreteState): void {
    if (this.slots.length >= this.#limit) return;
    if (this.#before !== undefined) this.#follow(this.#before, state);
    const insn = this.#program.insns[state.slot]!;
    const operands = this.#operands(insn, state);
    if (operands.length > 0) this.operands.push({ step: this.slots.length, operands });
    this.#begin(insn, state);
    this.slots.push(state.slot);
    this.#before = state;
  }

  /** What is remembered before the instruction runs: lookups need their key. */
  #begin(insn: Insn, state: ConcreteState): void {
    if (insn.opcode !== OPCODE.CALL || insn.src !== CALL_SOURCE.HELPER || insn.imm !== MAP_LOOKUP) {
      this.#lookup = undefined;
      return;
    }
    const map = state.registers[1]?.object?.name;
    const key = state.registers[2]?.value;
    if (map === undefined || key === undefined || key < 65536n) return;
    const size = this.#keySize(map);
    const at = Number(key);
    this.#lookup = { map, key: toHex(this.#bytes(at, size)), by: this.#memory.get(at)?.symbol };
  }
  #lookup: { readonly map: string; readonly key: string; readonly by: Origin | undefined } | undefined;

  #operands(insn: Insn, state: ConcreteState): Operand[] {
    const of = (number: number, size: number, off: number): Operand[] => {
      const register = state.registers[number];
      return register === undefined ? [] : [{ register, symbol: this.#registers[number], size, off }];
    };
    const kind = insn.opcode & 7;
    const size = sizes[(insn.opcode >> 3) & 3]!;
    if (kind === CLASS.LDX) return of(insn.src, size, insn.off);
    if (kind === CLASS.ST || kind === CLASS.STX) return of(insn.dst, size, insn.off);
    if (insn.opcode === OPCODE.CALL && insn.src === CALL_SOURCE.HELPER) {
      const count = (this.#own?.get(insn.imm) ?? helpers.get(insn.imm))?.args.length ?? 5;
      return Array.from({ length: count }, (_, i) => of(i + 1, 0, 0)).flat();
    }
    return insn.opcode === OPCODE.EXIT ? of(0, 0, 0) : [];
  }

  #follow(before: ConcreteState, now: ConcreteState): void {
    const insn = this.#program.insns[before.slot]!;
    const { opcode, dst, src, off, imm } = insn;
    const r = this.#registers;
    const wide = (opcode & 7) === CLASS.ALU64;
    const fromRegister = (opcode & 8) !== 0;
    const value = (number: number) => before.registers[number]?.value ?? 0n;
    switch (opcode & 7) {
      case CLASS.ALU:
      case CLASS.ALU64:
        r[dst] = this.#alu(insn, wide, fromRegister, value);
        return;
      case CLASS.LDX: {
        const size = sizes[(opcode >> 3) & 3]!;
        const loaded = this.#loaded(before.registers[src], off, size, now.registers[dst]);
        r[dst] = (opcode & 0xe0) === MODE.MEMSX ? after(loaded, 'sext', BigInt(size * 8)) : loaded;
        return;
      }
      case CLASS.ST:
      case CLASS.STX: {
        const size = sizes[(opcode >> 3) & 3]!;
        const at = Number(u64(value(dst) + BigInt(off)));
        for (let byte = at - 7; byte < at + size; byte++) {
          const known = this.#memory.get(byte);
          if (known !== undefined && byte + known.size > at) this.#memory.delete(byte);
        }
        const atomic = (opcode & 7) === CLASS.STX && (opcode & 0xe0) === MODE.ATOMIC;
        const symbol = (opcode & 7) === CLASS.STX && !atomic ? r[src] : undefined;
        if (symbol !== undefined)
          this.#memory.set(at, {
            size,
            symbol: size === 8 ? symbol : (after(symbol, 'and', (1n << BigInt(size * 8)) - 1n) ?? symbol),
          });
        if (atomic && (imm & 1) !== 0) r[imm === 0xf1 ? 0 : src] = undefined;
        return;
      }
      case CLASS.LD:
        if (opcode === OPCODE.LDDW) r[dst] = undefined;
        else for (let i = 0; i < 6; i++) r[i] = undefined;
        return;
      default:
        this.#jump(insn, before, now, value);
    }
  }

  #alu(
    { opcode, dst, src, off, imm }: Insn,
    wide: boolean,
    fromRegister: boolean,
    value: (number: number) => bigint,
  ): Origin | undefined {
    const r = this.#registers;
    const operation = opcode & 0xf0;
    const cut = (symbol: Origin | undefined) => (wide ? symbol : after(symbol, 'and', U32));
    if (operation === 0xb0) {
      if (!fromRegister) return undefined;
      return cut(off === 0 ? r[src] : after(r[src], 'sext', BigInt(off)));
    }
    if (operation === 0x80) return cut(after(r[dst], 'from', 0n));
    if (operation === 0xd0) {
      const swap = wide || fromRegister;
      return after(r[dst], swap ? 'swap' : 'and', swap ? BigInt(imm) : (1n << BigInt(imm)) - 1n);
    }
    const name = names[operation];
    if (name === undefined || off !== 0) return undefined;
    const constant = fromRegister ? value(src) : BigInt(imm);
    const other = fromRegister ? r[src] : undefined;
    const narrow = (x: bigint) => (wide ? u64(x) : x & U32);
    // Whether a key is there says nothing of an address that was computed from its value's.
    const own = r[dst]?.source.kind === 'presence' ? undefined : r[dst];
    if (own !== undefined) {
      const by = name === 'shl' || name === 'shr' || name === 'sar' ? constant & (wide ? 63n : 31n) : narrow(constant);
      const start = wide ? own : after(own, name === 'sar' ? 'sext' : 'and', name === 'sar' ? 32n : U32);
      return cut(after(start, name, by));
    }
    if (other === undefined) return undefined;
    const start = cut(other);
    switch (name) {
      case 'add':
      case 'mul':
      case 'and':
      case 'or':
      case 'xor':
        return cut(after(start, name, narrow(value(dst))));
      case 'sub':
        return cut(after(start, 'from', narrow(value(dst))));
      default:
        return undefined;
    }
  }

  #loaded(
    pointer: ConcreteRegister | undefined,
    off: number,
    size: number,
    result: ConcreteRegister | undefined,
  ): Origin | undefined {
    if (pointer?.object === undefined || result === undefined) return undefined;
    const { object } = pointer;
    const at = Number(u64(pointer.value + BigInt(off)));
    const known = this.#memory.get(at);
    if (known !== undefined) {
      if (known.size === size) return known.symbol;
      return known.size > size ? after(known.symbol, 'and', (1n << BigInt(size * 8)) - 1n) : undefined;
    }
    const offset = at - object.base;
    const from = (source: Origin['source']): Origin => ({ source, operations: [], value: u64(result.value) });
    switch (object.kind) {
      case 'packet':
        return from({ kind: 'data', offset, size });
      case 'context':
        if (result.object?.kind === 'packet') {
          const { base, size: length } = result.object;
          if (result.value !== BigInt(base + length)) return undefined;
          return {
            source: { kind: 'length' },
            operations: [{ name: 'add', constant: BigInt(base) }],
            value: BigInt(length),
          };
        }
        return result.object === undefined ? from({ kind: 'context', offset, size }) : undefined;
      case 'map value': {
        const value = this.#values.get(object.base);
        return value === undefined ? undefined : from({ kind: 'map', ...value, offset, size });
      }
      case 'global data':
        return object.name === undefined
          ? undefined
          : from({ kind: 'map', map: object.name, key: '00000000', offset, size });
      default:
        return undefined;
    }
  }

  #jump(
    { opcode, dst, src, imm }: Insn,
    before: ConcreteState,
    now: ConcreteState,
    value: (number: number) => bigint,
  ): void {
    const r = this.#registers;
    if (opcode === OPCODE.CALL) {
      if (src === CALL_SOURCE.LOCAL) {
        this.#saved.push([...r]);
        r.fill(undefined, 6);
        r[0] = undefined;
        return;
      }
      for (let i = 0; i < 6; i++) r[i] = undefined;
      const result = now.registers[0];
      if (this.#lookup !== undefined && result !== undefined) {
        const { map, key, by } = this.#lookup;
        r[0] = { source: { kind: 'presence', map, key, by }, operations: [], value: u64(result.value) };
        if (result.object !== undefined && result.value !== 0n) this.#values.set(result.object.base, { map, key });
      }
      return;
    }
    if (opcode === OPCODE.EXIT) {
      const result = r[0];
      const saved = this.#saved.pop();
      if (saved !== undefined) this.#registers = saved;
      for (let i = 0; i < 6; i++) this.#registers[i] = undefined;
      this.#registers[0] = result;
      return;
    }
    const operation = opcode & 0xf0;
    if (operation === JUMP.JA || operation === JUMP.JCOND) return;
    const fromRegister = (opcode & 8) !== 0;
    this.decisions.push({
      step: this.slots.length - 1,
      slot: before.slot,
      taken: now.slot !== before.slot + 1,
      operation,
      narrow: (opcode & 7) === CLASS.JMP32,
      left: value(dst),
      right: fromRegister ? value(src) : u64(BigInt(imm)),
      leftSymbol: r[dst],
      rightSymbol: fromRegister ? r[src] : undefined,
    });
  }
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
