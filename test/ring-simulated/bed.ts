/** A ring with memory to put things into, over the simulation or over the kernel: what scenarios run on, and know no difference. */

import { addressFamilies } from '../../src/abi/io-uring/call-flags.ts';
import { type OpcodeName, opcodeDeclaration, opcodes } from '../../src/abi/io-uring/opcodes.ts';
import type { RingBackend } from '../../src/hooks/ring/backend.ts';
import { type RawCompletion, type RawRequest, RawRing } from '../../src/hooks/ring/simulated/raw-ring.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';

const MEMORY = 1 << 20;

/** A request of a scenario: opcode, and words; addresses are linear. */
export type Step = readonly [OpcodeName | number, RawRequest?];

export class Bed {
  readonly runtime: Runtime;
  readonly backend: RingBackend;
  readonly ring: RawRing;
  /** In front of all paths. */
  readonly root: string;
  readonly #memory: number;
  #used = 4096;

  constructor(runtime: Runtime, backend: RingBackend, root: string) {
    this.runtime = runtime;
    this.backend = backend;
    this.root = root;
    this.ring = new RawRing(backend, runtime.plane.memory);
    this.#memory = runtime.allocatePages(MEMORY);
  }

  alloc(size: number, alignment = 64): number {
    this.#used = Math.ceil(this.#used / alignment) * alignment;
    const at = this.#memory + this.#used;
    this.#used += size;
    if (this.#used > MEMORY) throw new Error('the bed has no memory left');
    return at;
  }

  /** Address of a path below the root, ending with 0. */
  path(path: string): number {
    return this.text(`${this.root}${path}\0`);
  }

  text(text: string): number {
    const bytes = new TextEncoder().encode(text);
    const at = this.alloc(bytes.length, 1);
    this.runtime.bytes().set(bytes, at);
    return at;
  }

  read(at: number, length: number): string {
    return new TextDecoder().decode(this.runtime.bytes().slice(at, at + length));
  }

  /** What the kernel takes as an address inside of structures. */
  real(at: number): bigint {
    return at === 0 ? 0n : this.backend.base + BigInt(at);
  }

  /** struct iovec for each pair of address and length. */
  iovecs(...pairs: readonly (readonly [number, number])[]): number {
    const at = this.alloc(16 * pairs.length, 16);
    const view = this.runtime.view();
    for (const [index, [address, length]] of pairs.entries()) {
      view.setBigUint64(at + index * 16, this.real(address), true);
      view.setBigUint64(at + index * 16 + 8, BigInt(length), true);
    }
    return at;
  }

  /** struct __kernel_timespec. */
  time(ms: number): number {
    const at = this.alloc(16, 16);
    const view = this.runtime.view();
    view.setBigInt64(at, BigInt(Math.floor(ms / 1000)), true);
    view.setBigInt64(at + 8, BigInt((ms % 1000) * 1e6), true);
    return at;
  }

  /** struct sockaddr_un of a path below the root: address and length. */
  unix(path: string): { addr: number; off: number } {
    const at = this.alloc(110, 16);
    this.runtime.view().setUint16(at, addressFamilies.UNIX, true);
    this.runtime.bytes().set(new TextEncoder().encode(`${this.root}${path}`), at + 2);
    return { addr: at, off: 110 };
  }

  /** struct sockaddr_in of the loopback address. */
  inet(port: number): { addr: number; off: number } {
    const at = this.alloc(16, 16);
    const view = this.runtime.view();
    view.setUint16(at, addressFamilies.INET, true);
    view.setUint16(at + 2, port, false);
    view.setUint32(at + 4, 0x7f00_0001, false);
    return { addr: at, off: 16 };
  }

  push(opcode: OpcodeName | number, words: RawRequest = {}): void {
    const number = typeof opcode === 'number' ? opcode : opcodes[opcode].number;
    const translated: Record<string, bigint | number> = {};
    for (const word of opcodeDeclaration(number)?.addresses ?? []) {
      const value = BigInt(words[word] ?? 0);
      if (value > 0n) translated[word] = this.backend.base + value;
    }
    this.ring.push(opcode, { ...words, ...translated });
  }

  /** Submits the steps together, numbered from 0 as user_data where they name none, and waits for so many completions (default: one each). */
  run(steps: readonly Step[], count = steps.length): RawCompletion[] {
    for (const [index, [opcode, words]] of steps.entries()) this.push(opcode, { user: index, ...words });
    this.ring.submit(count, 2e9);
    return this.ring.take();
  }

  /** The same, as [user, result] in the order of completion. */
  results(steps: readonly Step[], count = steps.length): (readonly [number, number])[] {
    return this.run(steps, count).map(({ user, res }) => [user, res]);
  }

  one(opcode: OpcodeName | number, words: RawRequest = {}): number {
    return this.run([[opcode, words]])[0]?.res ?? Number.NaN;
  }

  /** Waits for more completions. */
  more(count: number): (readonly [number, number])[] {
    this.ring.submit(count, 2e9);
    return this.ring.take().map(({ user, res }) => [user, res]);
  }

  /** A file below the root, by requests alone. */
  file(path: string, content: string): void {
    const fd = this.open(path, 0o1101);
    this.one('write', { fd, addr: this.text(content), len: content.length });
    this.one('close', { fd });
  }

  open(path: string, flags: number, words: RawRequest = {}): number {
    return this.one('openat', { fd: -100, addr: this.path(path), opFlags: flags, len: 0o644, ...words });
  }

  pipe(): readonly [number, number] {
    const at = this.alloc(8);
    this.one('pipe', { addr: at });
    const view = this.runtime.view();
    return [view.getInt32(at, true), view.getInt32(at + 4, true)];
  }

  /** Two connected stream sockets, through a listener: TCP with a port, else by a name below the root. */
  sockets(port?: number): readonly [number, number] {
    const family = port === undefined ? addressFamilies.UNIX : addressFamilies.INET;
    const address = port === undefined ? this.unix('/pair') : this.inet(port);
    const listener = this.one('socket', { fd: family, off: 1 });
    this.one('bind', { fd: listener, ...address });
    this.one('listen', { fd: listener, len: 8 });
    const near = this.one('socket', { fd: family, off: 1 });
    const results = this.run([
      ['accept', { fd: listener, user: 1 }],
      ['connect', { fd: near, ...address, user: 2 }],
    ]);
    const far = results.find(({ user }) => user === 1)!.res;
    this.one('close', { fd: listener });
    return [near, far];
  }

  /** A ring of `count` buffers of `size` bytes, all of them provided. Returns where they begin. */
  bufferRing(group: number, count: number, size: number, flags = 0): number {
    const at = this.alloc(count * 16, 4096);
    const buffers = this.alloc(count * size);
    const view = this.runtime.view();
    for (let id = 0; id < count; id++) {
      view.setBigUint64(at + id * 16, this.real(buffers + id * size), true);
      view.setUint32(at + id * 16 + 8, size, true);
      view.setUint16(at + id * 16 + 12, id, true);
    }
    view.setUint16(at + 14, count, true);
    const argument = this.alloc(40);
    view.setBigUint64(argument, this.real(at), true);
    view.setUint32(argument + 8, count, true);
    view.setUint16(argument + 12, group, true);
    view.setUint16(argument + 14, flags, true);
    const result = this.backend.register(22, argument, 1);
    if (result !== 0) throw new Error(`PBUF_RING: ${result}`);
    return buffers;
  }

  /** Empty slots for direct descriptors. */
  slots(count: number): number {
    const argument = this.alloc(32);
    const view = this.runtime.view();
    view.setUint32(argument, count, true);
    view.setUint32(argument + 4, 1, true);
    return this.backend.register(13, argument, 32);
  }
}
