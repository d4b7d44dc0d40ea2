/** Bytes of a WebAssembly binary as they grow: LEB128 numbers, names, and the instructions of one function body. */
import { ATOMIC_PREFIX, I32, type ValueType, wasm } from './opcodes.ts';

const utf8 = new TextEncoder();

export class ByteBuffer {
  #bytes = new Uint8Array(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The bytes so far; valid until the next write. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.view());
    this.#bytes = grown;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  bytes(values: Uint8Array): void {
    this.#reserve(values.length);
    this.#bytes.set(values, this.#length);
    this.#length += values.length;
  }

  /** Unsigned LEB128 of an integer below 2^53. */
  unsigned(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  /** Signed LEB128 of a 32-bit number, given signed or unsigned. */
  signed32(value: number): void {
    let rest = value | 0;
    while (rest < -64 || rest > 63) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>= 7;
    }
    this.byte(rest & 0x7f);
  }

  /** Signed LEB128 of a 64-bit number, given signed or unsigned. */
  signed64(value: bigint): void {
    let rest = BigInt.asIntN(64, value);
    while (rest < -64n || rest > 63n) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.byte(Number(rest & 0x7fn));
  }

  name(text: string): void {
    const encoded = utf8.encode(text);
    this.unsigned(encoded.length);
    this.bytes(encoded);
  }

  /** Length in bytes, then the bytes: a section's or a body's content. */
  sized(content: ByteBuffer): void {
    this.unsigned(content.length);
    this.bytes(content.view());
  }
}

/** A function body: its locals and its instructions, without the closing `end`. */
export class Code {
  readonly #out = new ByteBuffer();
  readonly #parameters: readonly ValueType[];
  readonly #locals: ValueType[] = [];

  constructor(parameters: readonly ValueType[]) {
    this.#parameters = parameters;
  }

  /** Index of a new local, zero at entry. */
  local(type: ValueType): number {
    this.#locals.push(type);
    return this.#parameters.length + this.#locals.length - 1;
  }

  op(opcode: number): void {
    this.#out.byte(opcode);
  }

  #indexed(opcode: number, index: number): void {
    this.#out.byte(opcode);
    this.#out.unsigned(index);
  }

  get(local: number): void {
    this.#indexed(wasm.localGet, local);
  }

  set(local: number): void {
    this.#indexed(wasm.localSet, local);
  }

  tee(local: number): void {
    this.#indexed(wasm.localTee, local);
  }

  global(index: number): void {
    this.#indexed(wasm.globalGet, index);
  }

  i32(value: number): void {
    this.#out.byte(wasm.i32Const);
    this.#out.signed32(value);
  }

  i64(value: bigint): void {
    this.#out.byte(wasm.i64Const);
    this.#out.signed64(value);
  }

  /** A constant of the given type; the lower half where that is i32. */
  constant(type: ValueType, value: bigint): void {
    if (type === I32) this.i32(Number(BigInt.asIntN(32, value)));
    else this.i64(value);
  }

  /** `block`, `loop` or `if` without results. */
  open(opcode: typeof wasm.block | typeof wasm.loop | typeof wasm.if): void {
    this.#out.byte(opcode);
    this.#out.byte(0x40);
  }

  /** `if` with one result. */
  openIf(type: ValueType): void {
    this.#out.byte(wasm.if);
    this.#out.byte(type);
  }

  /** `block` with one result. */
  openBlock(type: ValueType): void {
    this.#out.byte(wasm.block);
    this.#out.byte(type);
  }

  /** `try` with one result. */
  openTry(type: ValueType): void {
    this.#out.byte(wasm.try);
    this.#out.byte(type);
  }

  /** Leaves the tag's values. */
  catch(tag: number): void {
    this.#indexed(wasm.catch, tag);
  }

  throw(tag: number): void {
    this.#indexed(wasm.throw, tag);
  }

  end(): void {
    this.#out.byte(wasm.end);
  }

  branch(opcode: typeof wasm.br | typeof wasm.brIf, depth: number): void {
    this.#indexed(opcode, depth);
  }

  branchTable(depths: readonly number[], otherwise: number): void {
    this.#indexed(wasm.brTable, depths.length);
    for (const depth of depths) this.#out.unsigned(depth);
    this.#out.unsigned(otherwise);
  }

  call(index: number): void {
    this.#indexed(wasm.call, index);
  }

  returnCall(index: number): void {
    this.#indexed(wasm.returnCall, index);
  }

  /** Through table 0, as `returnCallIndirect`. */
  callIndirect(type: number): void {
    this.#indexed(wasm.callIndirect, type);
    this.#out.byte(0);
  }

  returnCallIndirect(type: number): void {
    this.#indexed(wasm.returnCallIndirect, type);
    this.#out.byte(0);
  }

  /** A load or store; `offset` is a static offset, which does not wrap. BPF promises no alignment, so the hint is 1 byte. */
  memory(opcode: number, offset: number): void {
    this.#out.byte(opcode);
    this.#out.unsigned(0);
    this.#out.unsigned(offset);
  }

  /** An atomic access of `size` bytes; traps where the address is not a multiple of it. */
  atomic(opcode: number, size: number, offset: number): void {
    this.#out.byte(ATOMIC_PREFIX);
    this.#out.unsigned(opcode);
    this.#out.unsigned(Math.log2(size));
    this.#out.unsigned(offset);
  }

  /** The body as it stands in the code section. */
  finish(): ByteBuffer {
    const body = new ByteBuffer();
    const runs: { type: ValueType; count: number }[] = [];
    for (const type of this.#locals) {
      const last = runs.at(-1);
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    body.unsigned(runs.length);
    for (const { type, count } of runs) {
      body.unsigned(count);
      body.byte(type);
    }
    body.bytes(this.#out.view());
    body.byte(wasm.end);
    return body;
  }
}
