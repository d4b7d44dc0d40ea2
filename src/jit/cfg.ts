/** Basic blocks of one function: leaders, operations, ends. Only what can be reached from the entry is kept. */
import { enginesExpand } from '../abi/helpers/index.ts';
import { programDeclarations } from '../abi/programs/index.ts';
import type { HelperPrototype } from '../abi/prototype.ts';
import { InputError, UnsupportedError } from '../errors.ts';
import { FRAME_POINTER } from '../isa/opcodes.ts';
import { lddwValue, type Operation } from '../isa/operation.ts';
import { describeInsn } from '../isa/operation-decode.ts';
import { isPoisonedHelper, type ResolvedProgram } from '../object/resolved.ts';
import type { FunctionSpec } from '../object/spec.ts';
import { THROW } from './call-plan.ts';
import { type Block, NO_REGISTER, type Op, type Terminator } from './ir.ts';

/** What a function's operations need to know of the world. */
export interface Surroundings {
  /** How many arguments the kfunc of that name takes; undefined if it is not there. */
  kfuncArguments(name: string): number | undefined;
  /** How many of r1 to r5 the function at that slot reads. */
  functionArguments(slot: number): number;
}

/** The first block is the entry. */
export function buildBlocks(program: ResolvedProgram, fn: FunctionSpec, around: Surroundings): Block[] {
  const operations = readOperations(program, fn);
  const leaders = findLeaders(program, fn, operations);
  const numbers = new Map<number, number>();
  const slots: number[] = [];
  const blocks: Block[] = [];
  const blockAt = (slot: number): number => {
    const known = numbers.get(slot);
    if (known !== undefined) return known;
    numbers.set(slot, slots.length);
    slots.push(slot);
    return slots.length - 1;
  };
  blockAt(fn.start);
  for (let number = 0; number < slots.length; number++) {
    blocks.push(readBlock(program, fn, operations, leaders, slots[number]!, blockAt, around));
  }
  return blocks;
}

function fault(program: ResolvedProgram, slot: number, message: string): InputError {
  return new InputError('SLUICE_JIT_PROGRAM', `insn ${slot}: ${message}`, { input: program.name });
}

function readOperations(program: ResolvedProgram, fn: FunctionSpec): Map<number, Operation> {
  const operations = new Map<number, Operation>();
  const end = fn.start + fn.length;
  for (let slot = fn.start; slot < end; slot++) {
    const insn = program.insns[slot];
    const operation = insn === undefined ? undefined : describeInsn(insn, program.insns[slot + 1]);
    if (operation === undefined) throw fault(program, slot, `unknown opcode ${insn?.opcode.toString(16)}`);
    operations.set(slot, operation);
    if (operation.kind === 'lddw') slot++;
  }
  return operations;
}

/** Slot that a jump at `slot` goes to. */
function destination(
  program: ResolvedProgram,
  fn: FunctionSpec,
  operations: ReadonlyMap<number, Operation>,
  slot: number,
  off: number,
): number {
  const target = slot + 1 + off;
  if (target < fn.start || target >= fn.start + fn.length || !operations.has(target))
    throw fault(program, slot, `jump to slot ${target}, which is no instruction of ${fn.name}`);
  return target;
}

/** Slots of the program's jump tables that lie in the function, ascending. */
function tableTargets(
  program: ResolvedProgram,
  fn: FunctionSpec,
  operations: ReadonlyMap<number, Operation>,
): number[] {
  const inside = new Set<number>();
  for (const { slots } of program.jumpTables)
    for (const slot of slots)
      if (slot >= fn.start && slot < fn.start + fn.length && operations.has(slot)) inside.add(slot);
  return [...inside].sort((a, b) => a - b);
}

function findLeaders(
  program: ResolvedProgram,
  fn: FunctionSpec,
  operations: ReadonlyMap<number, Operation>,
): Set<number> {
  const leaders = new Set<number>([fn.start]);
  for (const [slot, operation] of operations) {
    switch (operation.kind) {
      case 'jump':
      case 'branch':
      case 'may-goto':
        leaders.add(destination(program, fn, operations, slot, operation.off));
        break;
      case 'jump-indirect':
        for (const target of tableTargets(program, fn, operations)) leaders.add(target);
        break;
    }
  }
  return leaders;
}

function readBlock(
  program: ResolvedProgram,
  fn: FunctionSpec,
  operations: ReadonlyMap<number, Operation>,
  leaders: ReadonlySet<number>,
  start: number,
  blockAt: (slot: number) => number,
  around: Surroundings,
): Block {
  const ops: Op[] = [];
  const done = (end: Terminator): Block => ({ slot: start, ops, end });
  for (let slot = start; ; ) {
    if (program.reached?.[slot] === 0) {
      ops.push(trap(slot));
      return done({ kind: 'exit' });
    }
    const operation = operations.get(slot);
    if (operation === undefined) throw fault(program, slot, `control runs past the end of ${fn.name}`);
    const next = slot + (operation.kind === 'lddw' ? 2 : 1);
    switch (operation.kind) {
      case 'exit':
        return done({ kind: 'exit' });
      case 'jump':
        return done({ kind: 'goto', target: blockAt(slot + 1 + operation.off) });
      case 'may-goto':
        requireNext(program, operations, next, fn);
        return done({ kind: 'may-goto', otherwise: blockAt(next), taken: blockAt(slot + 1 + operation.off) });
      case 'branch': {
        requireNext(program, operations, next, fn);
        const { op, width, dst, src, source, imm } = operation;
        const b = source === 'reg' ? src : NO_REGISTER;
        const otherwise = blockAt(next);
        return done({ kind: 'branch', op, width, a: dst, b, imm, otherwise, taken: blockAt(slot + 1 + operation.off) });
      }
      case 'jump-indirect': {
        const slots = tableTargets(program, fn, operations);
        return done({ kind: 'switch', value: operation.dst, slots, targets: slots.map(blockAt) });
      }
      default:
        lower(program, slot, operation, around, ops);
    }
    if (leaders.has(next)) return done({ kind: 'goto', target: blockAt(next) });
    slot = next;
  }
}

function requireNext(
  program: ResolvedProgram,
  operations: ReadonlyMap<number, Operation>,
  slot: number,
  fn: FunctionSpec,
): void {
  if (!operations.has(slot)) throw fault(program, slot, `control runs past the end of ${fn.name}`);
}

function constant(slot: number, dst: number, value: bigint): Op {
  return { slot, kind: 'const', dst, value: BigInt.asUintN(64, value), map: undefined, address: false };
}

/** A call of none of no helpers traps. */
function trap(slot: number): Op {
  return { slot, kind: 'helper-indirect', id: FRAME_POINTER, prototypes: [] };
}

type Straight = Exclude<Operation, { kind: 'exit' | 'jump' | 'may-goto' | 'branch' | 'jump-indirect' }>;

function lower(program: ResolvedProgram, slot: number, o: Straight, around: Surroundings, ops: Op[]): void {
  switch (o.kind) {
    case 'alu': {
      const { op, width, dst, src, imm } = o;
      const fromRegister = o.source === 'reg';
      if (op !== 'mov') ops.push({ slot, kind: 'alu', op, width, dst, b: fromRegister ? src : NO_REGISTER, imm });
      else if (!fromRegister) ops.push(constant(slot, dst, BigInt(width === 64 ? imm : imm >>> 0)));
      else if (width === 64) ops.push({ slot, kind: 'mov', dst, src });
      else ops.push({ slot, kind: 'extend', dst, src, bits: 32, signed: false, width: 64 });
      return;
    }
    case 'neg':
      ops.push({ slot, kind: 'neg', width: o.width, dst: o.dst });
      return;
    case 'movsx':
      ops.push({ slot, kind: 'extend', dst: o.dst, src: o.src, bits: o.from, signed: true, width: o.width });
      return;
    case 'addr-space-cast':
      ops.push({
        ...{ slot, kind: 'extend', dst: o.dst, src: o.src, bits: 32, signed: false, width: 64 },
        ...(o.to === 0 ? { arena: true } : undefined),
      });
      return;
    case 'endian':
      if (o.op !== 'to-le') ops.push({ slot, kind: 'swap', bits: o.bits, dst: o.dst });
      else if (o.bits !== 64)
        ops.push({ slot, kind: 'extend', dst: o.dst, src: o.dst, bits: o.bits, signed: false, width: 64 });
      return;
    case 'load':
      ops.push({ slot, kind: 'load', dst: o.dst, base: o.src, off: o.off, size: o.size, signed: o.signed });
      return;
    case 'store': {
      const b = o.source === 'reg' ? o.src : NO_REGISTER;
      ops.push({ slot, kind: 'store', base: o.dst, off: o.off, size: o.size, b, imm: o.imm });
      return;
    }
    case 'atomic':
      ops.push({ slot, kind: 'atomic', op: o.op, fetch: o.fetch, base: o.dst, off: o.off, size: o.size, src: o.src });
      return;
    case 'load-acquire':
      ops.push({ slot, kind: 'load-acquire', dst: o.dst, base: o.src, off: o.off, size: o.size });
      return;
    case 'store-release':
      ops.push({ slot, kind: 'store-release', src: o.src, base: o.dst, off: o.off, size: o.size });
      return;
    case 'lddw':
      if (o.source === 4) ops.push({ slot, kind: 'function', dst: o.dst, target: slot + 1 + o.low });
      else if (o.source === 0) {
        const map = program.mapsAt.get(slot);
        const address = map !== undefined || program.valuesAt.has(slot);
        ops.push({ slot, kind: 'const', dst: o.dst, value: lddwValue(o.low, o.high), map, address });
      } else throw fault(program, slot, `unresolved reference (lddw source ${o.source})`);
      return;
    case 'call':
      // The argument registers hold nothing after the call in any case.
      for (const [argument, value] of program.passed?.get(slot) ?? []) ops.push(constant(slot, argument, value));
      ops.push(lowerCall(program, slot, o, around));
      return;
    case 'call-register':
      if (program.type !== undefined) throw fault(program, slot, 'callx is reserved (RFC 9669 section 4.3)');
      ops.push({ slot, kind: 'helper-indirect', id: o.dst, prototypes: callableByNumber(program) });
      return;
    case 'load-packet': {
      const index = o.mode === 'indirect' ? o.src : NO_REGISTER;
      ops.push({
        slot,
        kind: 'load-packet',
        size: o.size,
        index,
        imm: o.imm,
        fromContext: packetContext(program, slot),
      });
      return;
    }
  }
}

/** Helpers that change the flow of the program itself, or call back into it, are not called by number. */
function callableByNumber({ helpers }: ResolvedProgram): HelperPrototype[] {
  return [...helpers.values()]
    .filter(({ name, args }) => !enginesExpand.has(name) && !args.includes('func'))
    .sort((a, b) => a.id - b.id);
}

function packetContext(program: ResolvedProgram, slot: number): boolean {
  if (program.type === undefined) return false;
  if (programDeclarations.get(program.type)?.packetLoads === true) return true;
  throw fault(program, slot, 'BPF_LD_[ABS|IND] instructions not allowed for this program type');
}

function lowerCall(
  program: ResolvedProgram,
  slot: number,
  call: Extract<Operation, { kind: 'call' }>,
  around: Surroundings,
): Op {
  if (call.target === 'local') {
    const target = slot + 1 + call.imm;
    return { slot, kind: 'call', target, args: around.functionArguments(target) };
  }
  if (call.target === 'kfunc') {
    const name = program.kfuncs[call.imm];
    if (name === undefined) throw fault(program, slot, `no kfunc ${call.imm}`);
    const args = name === THROW ? 1 : around.kfuncArguments(name);
    if (args === undefined) throw new UnsupportedError(`kfunc ${name}`, `${program.name}: insn ${slot}: kfunc ${name}`);
    return { slot, kind: 'kfunc', name, args };
  }
  const prototype = program.helpers.get(call.imm);
  // No path leads to it, which is for the verifier to prove.
  if (prototype === undefined && isPoisonedHelper(call.imm)) return trap(slot);
  if (prototype === undefined)
    throw new UnsupportedError(`helper ${call.imm}`, `${program.name}: insn ${slot}: unknown func unknown#${call.imm}`);
  return { slot, kind: 'helper', prototype };
}
