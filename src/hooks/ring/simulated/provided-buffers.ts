/** Where the buffers are that a ring has been given, seen from outside of it: what a recording needs to know of them. */
import { opcodes } from '../../../abi/io-uring/opcodes.ts';
import { registerOpcodes } from '../../../abi/io-uring/ring-flags.ts';
import type { LinearMemory } from './memory.ts';
import type { Request } from './request.ts';

const ENTRY_SIZE = 16;

interface Ring {
  readonly address: number;
  readonly entries: number;
}

export class ProvidedBuffers {
  readonly #memory: LinearMemory;
  readonly #base: bigint;
  readonly #rings = new Map<number, Ring>();
  /** Buffers provided by requests: address and length by group and number. */
  readonly #lists = new Map<string, readonly [number, number]>();

  constructor(memory: LinearMemory, base: bigint) {
    this.#memory = memory;
    this.#base = base;
  }

  /** A registration that went well. */
  register(opcode: number, argument: number): void {
    if (opcode !== registerOpcodes.PBUF_RING && opcode !== registerOpcodes.UNPBUF_RING) return;
    this.#memory.refresh();
    const { view } = this.#memory;
    const group = view.getUint16(argument + 12, true);
    if (opcode === registerOpcodes.UNPBUF_RING) this.#rings.delete(group);
    else this.#rings.set(group, { address: this.#linear(argument), entries: view.getUint32(argument + 8, true) });
  }

  /** A request that went well. */
  provide(request: Request): void {
    if (request.opcode !== opcodes.provide_buffers.number) return;
    const first = Number((BigInt(request.addrHigh) << 32n) + BigInt(request.addrLow) - this.#base);
    for (let index = 0; index < request.fd; index++)
      this.#lists.set(`${request.bufIndex}:${request.off + index}`, [first + index * request.len, request.len]);
  }

  /** Address and length of what `length` bytes fill, from buffer `id` on; nothing where that is unknown. */
  parts(group: number, id: number, length: number): number[] {
    const listed = this.#lists.get(`${group}:${id}`);
    if (listed !== undefined) return length > 0 ? [listed[0], Math.min(length, listed[1])] : [];
    const ring = this.#rings.get(group);
    if (ring === undefined) return [];
    const { view } = this.#memory;
    const place = (index: number) => ring.address + (index % ring.entries) * ENTRY_SIZE;
    let at = 0;
    while (at < ring.entries && view.getUint16(place(at) + 12, true) !== id) at++;
    if (at === ring.entries) return [];
    const parts: number[] = [];
    for (let left = length; left > 0 && parts.length < 2 * ring.entries; at++) {
      const part = Math.min(left, view.getUint32(place(at) + 8, true));
      parts.push(this.#linear(place(at)), part);
      left -= part;
    }
    return parts.every((word) => word >= 0 && word < this.#memory.bytes.length) ? parts : [];
  }

  /** The u64 address at a place, in linear memory. */
  #linear(at: number): number {
    return Number(this.#memory.view.getBigUint64(at, true) - this.#base);
  }
}
