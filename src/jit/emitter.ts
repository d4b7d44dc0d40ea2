/**
 * Values of one function as WebAssembly sees them: each register has at most one i32 and one i64 local, and each web lives in
 * one of the two, or in none where it is a constant, a frame address or a function.
 */
import { InternalError } from '../errors.ts';
import { FRAME_SIZE } from '../plane/layout/memory.ts';
import { WORKER_FUEL, WORKER_STACK_TOP, WORKER_TAIL_CALLS } from '../plane/layout/worker.ts';
import type { FunctionAnalysis } from './analysis.ts';
import { constant, type Fact } from './fact.ts';
import { definition, NO_REGISTER, type Op, type Register } from './ir.ts';
import type { ModuleScope } from './scope.ts';
import type { Code } from './wasm/encoder.ts';
import { I32, I64, type ValueType, wasm } from './wasm/opcodes.ts';
import type { WebCursor } from './webs.ts';

/** Programs whose bodies stand in one function, each where the one before goes on in it. */
export interface Chain {
  readonly programs: readonly ModuleScope[];
  /** Operations that the function still takes; one for all of its chains. */
  readonly room: { left: number };
  writeBody(e: Emitter): void;
}

/** Of a function that a hook or a tail call enters. */
export interface Entry {
  /** Local that holds the tail calls so far; undefined: they are counted in the worker block. */
  readonly tailCount: number | undefined;
  readonly chain: Chain;
}

/** A local with the first byte of the frame of a program that is entered from outside. */
export function pushEntryFrame(code: Code, { worker }: ModuleScope): number {
  const frame = code.local(I32);
  code.global(worker);
  code.memory(wasm.i32Load, WORKER_STACK_TOP);
  code.i32(FRAME_SIZE);
  code.op(wasm.i32Sub);
  code.set(frame);
  return frame;
}

export class Emitter {
  readonly code: Code;
  readonly analysis: FunctionAnalysis;
  readonly scope: ModuleScope;
  /** undefined: called by CALL. The frame of an entry is at the top of the stack. */
  readonly entry: Entry | undefined;
  readonly #locals = new Map<number, number>();
  readonly #scratch = new Map<string, number>();
  readonly #frame: number | undefined;
  readonly fuelLocal: number | undefined;
  #cursor: WebCursor;

  /**
   * @param parameters local of each of r1, r2, … that is given as i64.
   * @param frame local with the address of the first byte of the frame, undefined if there is no need for one.
   */
  constructor(
    code: Code,
    analysis: FunctionAnalysis,
    scope: ModuleScope,
    parameters: readonly number[],
    frame: number | undefined,
    entry: Entry | undefined,
  ) {
    this.code = code;
    this.analysis = analysis;
    this.scope = scope;
    this.#frame = frame;
    this.entry = entry;
    this.#cursor = analysis.webs.cursor(0);
    this.fuelLocal = scope.fuel && analysis.burnsFuel ? code.local(I32) : undefined;
    parameters.forEach((local, at) => {
      const register = at + 1;
      if (!analysis.webs.isLive(0, register)) return;
      const web = analysis.webs.atStart(0, register);
      if (analysis.facts.isRematerialised(web)) return;
      if (!analysis.facts.isNarrow(web)) {
        this.#locals.set(register * 2 + 1, local);
        return;
      }
      code.get(local);
      code.op(wasm.i32WrapI64);
      code.set(this.#local(register, I32));
    });
  }

  enterBlock(block: number): void {
    this.#cursor = this.analysis.webs.cursor(block);
  }

  step(op: Op): void {
    this.#cursor.step(op);
  }

  #local(register: Register, type: ValueType): number {
    const key = register * 2 + (type === I32 ? 0 : 1);
    let local = this.#locals.get(key);
    if (local === undefined) {
      local = this.code.local(type);
      this.#locals.set(key, local);
    }
    return local;
  }

  /** A local that no register lives in. */
  scratch(name: string, type: ValueType): number {
    const key = `${name}:${type}`;
    let local = this.#scratch.get(key);
    if (local === undefined) {
      local = this.code.local(type);
      this.#scratch.set(key, local);
    }
    return local;
  }

  fact(register: Register): Fact {
    return this.analysis.facts.of(this.#cursor.web(register));
  }

  /** Fact of a second operand. */
  factOf(operand: { readonly b: Register; readonly imm: number }): Fact {
    return operand.b === NO_REGISTER ? constant(BigInt(operand.imm)) : this.fact(operand.b);
  }

  /** The register points into the program's arena. */
  isArena(register: Register): boolean {
    return this.analysis.arenaWebs.size > 0 && this.analysis.arenaWebs.has(this.#cursor.web(register));
  }

  isNarrow(register: Register): boolean {
    return this.analysis.facts.isNarrow(this.#cursor.web(register));
  }

  /** Type in which the operation's result will be kept. */
  resultType(): ValueType {
    return this.analysis.facts.isNarrow(this.#cursor.defined()) ? I32 : I64;
  }

  /** The operation's only effect is a value that nobody reads or that is written out where it is read. */
  isSuperfluous(op: Op): boolean {
    return this.analysis.isSuperfluous(op, this.#cursor);
  }

  /** Pushes a register: as i64 its value, as i32 its lower half. */
  push(register: Register, type: ValueType): void {
    const { code } = this;
    const fact = this.fact(register);
    if (fact.kind === 'const') {
      code.constant(type, fact.value);
      return;
    }
    if (fact.kind === 'frame' || fact.kind === 'function') {
      if (fact.kind === 'frame') this.pushFrame(fact.offset);
      else {
        code.global(this.scope.tableBase);
        code.i32(this.scope.tableElement(fact.target));
        code.op(wasm.i32Add);
      }
      if (type === I64) code.op(wasm.i64ExtendI32U);
      return;
    }
    const held = this.isNarrow(register) ? I32 : I64;
    code.get(this.#local(register, held));
    if (held === type) return;
    code.op(type === I64 ? wasm.i64ExtendI32U : wasm.i32WrapI64);
  }

  /** Pushes a second operand. */
  pushOperand(operand: { readonly b: Register; readonly imm: number }, type: ValueType): void {
    if (operand.b === NO_REGISTER) this.code.constant(type, BigInt(operand.imm));
    else this.push(operand.b, type);
  }

  /** Takes the result of `op` from the stack; an i32 stands for its zero-extension. */
  define(op: Op, type: ValueType): void {
    const web = this.#cursor.defined();
    if (!this.analysis.facts.isUsed(web) || this.analysis.facts.isRematerialised(web)) {
      this.code.op(wasm.drop);
      return;
    }
    const held = this.resultType();
    if (held !== type) this.code.op(held === I64 ? wasm.i64ExtendI32U : wasm.i32WrapI64);
    this.code.set(this.#local(definition(op), held));
  }

  /** Pushes the i32 address r10 + offset. */
  pushFrame(offset: number): void {
    this.pushFrameBase();
    if (offset === -FRAME_SIZE) return;
    this.code.i32(FRAME_SIZE + offset);
    this.code.op(wasm.i32Add);
  }

  pushFrameBase(): void {
    if (this.#frame === undefined) throw new InternalError(`${this.analysis.spec.name}: its frame was not planned for`);
    this.code.get(this.#frame);
  }

  /** Pushes an i32 such that it and the returned static offset make the address register + off. */
  pushAddress(register: Register, off: number): number {
    const { code } = this;
    const fact = this.fact(register);
    if (fact.kind === 'const') {
      code.i32(Number(BigInt.asIntN(32, fact.value)) + off);
      return 0;
    }
    if (fact.kind === 'frame' && fact.offset + off + FRAME_SIZE >= 0) {
      this.pushFrameBase();
      return fact.offset + off + FRAME_SIZE;
    }
    this.push(register, I32);
    if (off >= 0) return off;
    code.i32(off);
    code.op(wasm.i32Add);
    return 0;
  }

  loadWorker(offset: number): void {
    this.code.global(this.scope.worker);
    this.code.memory(wasm.i32Load, offset);
  }

  /** Stores what `push` leaves (an i32) into the worker block. */
  storeWorker(offset: number, push: () => void): void {
    this.code.global(this.scope.worker);
    push();
    this.code.memory(wasm.i32Store, offset);
  }

  /** Runs `call` with WORKER_STACK_TOP below the frame, for callbacks, and puts back what was there. */
  withStackTop(call: () => void): void {
    this.keepingStackTop(() => {
      this.storeWorker(WORKER_STACK_TOP, () => this.pushFrameBase());
      call();
    });
  }

  /** Runs `call`, which may leave WORKER_STACK_TOP changed. */
  keepingStackTop(call: () => void): void {
    const saved = this.scratch('stack-top', I32);
    this.loadWorker(WORKER_STACK_TOP);
    this.code.set(saved);
    call();
    this.storeWorker(WORKER_STACK_TOP, () => this.code.get(saved));
  }

  fetchFuel(): void {
    if (this.fuelLocal === undefined) return;
    this.loadWorker(WORKER_FUEL);
    this.code.set(this.fuelLocal);
  }

  storeFuel(): void {
    const { fuelLocal } = this;
    if (fuelLocal !== undefined) this.storeWorker(WORKER_FUEL, () => this.code.get(fuelLocal));
  }

  /** Before the program returns: a function that went on in it may make tail calls again in what called the function. */
  storeTailCount(): void {
    const tailCount = this.entry?.tailCount;
    if (tailCount !== undefined) this.storeWorker(WORKER_TAIL_CALLS, () => this.code.get(tailCount));
  }

  /** Takes one unit, or branches out: what stops the program is kept out of loops. */
  burnFuelOr(depth: number): void {
    const { fuelLocal, code } = this;
    if (fuelLocal === undefined) return;
    code.get(fuelLocal);
    code.op(wasm.i32Eqz);
    code.branch(wasm.brIf, depth);
    this.#takeFuel(fuelLocal);
  }

  #takeFuel(fuelLocal: number): void {
    const { code } = this;
    code.get(fuelLocal);
    code.i32(1);
    code.op(wasm.i32Sub);
    code.set(fuelLocal);
  }

  /** Takes one unit, or stops the program with WORKER_FUEL at 0. */
  burnFuel(): void {
    const { fuelLocal, code } = this;
    if (fuelLocal === undefined) return;
    code.get(fuelLocal);
    code.op(wasm.i32Eqz);
    code.open(wasm.if);
    this.storeFuel();
    code.op(wasm.unreachable);
    code.end();
    this.#takeFuel(fuelLocal);
  }
}
