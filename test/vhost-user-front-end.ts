/** A front end of vhost-user and a driver in its guest, for tests: memory in a memfd, split rings written by hand. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  addressOf,
  close,
  MAP_SHARED,
  type Mapping,
  memoryAt,
  mmap,
  munmap,
  PROT_READ,
  PROT_WRITE,
  syscall,
} from '../src/linux/ffi.ts';
import { connectUnix, UnixStream } from '../src/linux/unix-socket.ts';
import { HEADER_SIZE, message, request, u64 } from '../src/linux/vhost-user/protocol.ts';

export const PHYSICAL = 0x4000_0000n;
export const USER = 0x7f00_0000_0000n;
export const MEMORY_SIZE = 8 << 20;
const NEED_REPLY = 9;

/** Descriptor flags. */
export const NEXT = 1;
export const WRITE = 2;
export const INDIRECT = 4;

export interface Descriptor {
  readonly address: bigint;
  readonly length: number;
  readonly flags: number;
  readonly next: number;
}

/** One queue in the guest's memory, at `at`: descriptors, available ring, used ring, 64 KiB in all; buffers behind. */
export class GuestQueue {
  readonly at: number;
  readonly entries: number;
  readonly #view: DataView;
  readonly kick = eventfd();
  readonly call = eventfd();
  /** Where the device begins. */
  base = 0;
  available = 0;
  seen = 0;

  constructor(view: DataView, at: number, entries: number) {
    this.#view = view;
    this.at = at;
    this.entries = entries;
  }

  get desc() {
    return this.at;
  }
  get avail() {
    return this.at + 0x8000;
  }
  get used() {
    return this.at + 0xc000;
  }

  describe(index: number, { address, length, flags, next }: Descriptor, table = this.desc): void {
    const at = table + index * 16;
    this.#view.setBigUint64(at, address, true);
    this.#view.setUint32(at + 8, length, true);
    this.#view.setUint16(at + 12, flags, true);
    this.#view.setUint16(at + 14, next, true);
  }

  /** Makes a chain available, whose first descriptor is `head`. */
  offer(head: number): void {
    this.#view.setUint16(this.avail + 4 + (this.available % this.entries) * 2, head, true);
    this.available = (this.available + 1) & 0xffff;
    this.#view.setUint16(this.avail + 2, this.available, true);
  }

  notify(): void {
    syscall('write', this.kick, addressOf(one), 8);
  }

  get usedIndex(): number {
    return this.#view.getUint16(this.used + 2, true);
  }

  /** What was given back since the last time. */
  taken(): { id: number; length: number }[] {
    const list = [];
    for (; this.seen !== this.usedIndex; this.seen = (this.seen + 1) & 0xffff) {
      const at = this.used + 4 + (this.seen % this.entries) * 8;
      list.push({ id: this.#view.getUint32(at, true), length: this.#view.getUint32(at + 4, true) });
    }
    return list;
  }

  /** Waits for something given back. */
  async answer(): Promise<{ id: number; length: number }[]> {
    for (let i = 0; i < 400 && this.seen === this.usedIndex; i++) await sleep(5);
    return this.taken();
  }

  signals(): number {
    const count = new BigUint64Array(1);
    return syscall('read', this.call, addressOf(count), 8) === 8 ? Number(count[0]) : 0;
  }
}

const one = new Uint8Array(BigUint64Array.of(1n).buffer);
const EFD_NONBLOCK = 0o4000;

function eventfd(): number {
  return syscall('eventfd2', 0, EFD_NONBLOCK);
}

export class FrontEnd {
  readonly stream: UnixStream;
  readonly memory: DataView;
  readonly bytes: Uint8Array;
  readonly #mapping: Mapping;
  readonly #fd: number;

  constructor(path: string) {
    this.stream = new UnixStream(connectUnix(path));
    const name = new TextEncoder().encode('guest\0');
    this.#fd = syscall('memfd_create', addressOf(name), 0);
    const zero = new Uint8Array(1);
    syscall('pwrite64', this.#fd, addressOf(zero), 1, MEMORY_SIZE - 1);
    this.#mapping = mmap(MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, this.#fd);
    const buffer = memoryAt(this.#mapping.address, MEMORY_SIZE);
    this.memory = new DataView(buffer);
    this.bytes = new Uint8Array(buffer);
  }

  /** Bytes of the answer's payload. */
  async ask(code: number, payload: Uint8Array = new Uint8Array(), fds: readonly number[] = []): Promise<Uint8Array> {
    this.stream.send(message(code, payload), fds);
    return await this.reply();
  }

  /** With an acknowledgement: 0, or what is not. */
  async command(code: number, payload: Uint8Array, fds: readonly number[] = []): Promise<bigint> {
    this.stream.send(message(code, payload, NEED_REPLY), fds);
    const answer = await this.reply();
    return new DataView(answer.buffer, answer.byteOffset).getBigUint64(0, true);
  }

  async reply(): Promise<Uint8Array> {
    const head = await this.#receive(HEADER_SIZE);
    return await this.#receive(new DataView(head.buffer).getUint32(8, true));
  }

  async #receive(length: number): Promise<Uint8Array> {
    const into = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const count = this.stream.receive(into.subarray(at), []);
      if (count === 0) throw new Error('the back end has closed the connection');
      if (count === undefined) await sleep(2);
      else at += count;
    }
    return into;
  }

  /** True once the back end has hung up. */
  async hungUp(): Promise<boolean> {
    for (let i = 0; i < 400; i++) {
      try {
        if (this.stream.receive(new Uint8Array(64), []) === 0) return true;
      } catch {
        return true;
      }
      await sleep(5);
    }
    return false;
  }

  /** Features and protocol features as an ordinary front end agrees to them. */
  async agree(features: bigint): Promise<void> {
    const offered = new DataView((await this.ask(request.getFeatures)).buffer).getBigUint64(0, true);
    const protocol = await this.ask(request.getProtocolFeatures);
    this.stream.send(message(request.setProtocolFeatures, protocol));
    await this.command(request.setOwner, new Uint8Array());
    await this.command(request.setFeatures, u64(offered & (features | (1n << 30n))));
  }

  /** Shares the memory as two regions with a gap between them in the guest. */
  async share(): Promise<bigint> {
    const half = BigInt(MEMORY_SIZE / 2);
    const table = BigUint64Array.of(2n, PHYSICAL, half, USER, 0n, PHYSICAL + 4n * half, half, USER + 2n * half, half);
    return await this.command(request.setMemTable, new Uint8Array(table.buffer), [this.#fd, this.#fd]);
  }

  get fd(): number {
    return this.#fd;
  }

  async start(index: number, queue: GuestQueue): Promise<void> {
    const state = (value: number) => new Uint8Array(Uint32Array.of(index, value).buffer);
    const send = async (code: number, payload: Uint8Array, fds: number[] = []) => {
      const result = await this.command(code, payload, fds);
      if (result !== 0n) throw new Error(`request ${code} was refused`);
    };
    await send(request.setVringNum, state(queue.entries));
    await send(request.setVringBase, state(queue.base));
    await send(request.setVringAddr, vringAddress(index, queue));
    await send(request.setVringCall, u64(index), [queue.call]);
    await send(request.setVringKick, u64(index), [queue.kick]);
    await send(request.setVringEnable, state(1));
  }

  close(): void {
    this.stream.close();
    munmap(this.#mapping);
    close(this.#fd);
  }
}

export function vringAddress(index: number, queue: GuestQueue): Uint8Array {
  const view = new DataView(new ArrayBuffer(40));
  view.setUint32(0, index, true);
  view.setBigUint64(8, USER + BigInt(queue.desc), true);
  view.setBigUint64(16, USER + BigInt(queue.used), true);
  view.setBigUint64(24, USER + BigInt(queue.avail), true);
  return new Uint8Array(view.buffer);
}
