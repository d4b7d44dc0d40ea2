/** Operations on sockets. */
import { addressFamilies, shutdownHow, socketTypes } from '../../../abi/io-uring/call-flags.ts';
import type { Completion } from '../completion.ts';
import type { RingBuffer } from '../memory.ts';
import * as prep from '../prep/index.ts';
import { decodeSockaddr, encodeSockaddr, SOCKADDR_SIZE, type SocketAddress } from '../sockaddr.ts';
import type { Bytes, OperationOptions } from './lending.ts';
import { PathRing } from './paths.ts';

export interface SendOptions extends OperationOptions {
  readonly length?: number;
  /** msgFlags */
  readonly flags?: number;
  readonly pollFirst?: boolean;
}

export interface StreamOptions extends OperationOptions {
  /** Group of buffers (`createBufferRing`) that data is put into. */
  readonly bufferSelect: number;
  readonly flags?: number;
  readonly bundle?: boolean;
}

const families = { ipv4: addressFamilies.INET, ipv6: addressFamilies.INET6, unix: addressFamilies.UNIX } as const;

export class SocketRing extends PathRing {
  /** A socket of a family of addresses; `type`: socketTypes (default STREAM). */
  socket(
    family: keyof typeof families,
    options: OperationOptions & { readonly type?: number; readonly protocol?: number; readonly slot?: prep.Slot } = {},
  ): Promise<number> {
    const { type = socketTypes.STREAM, protocol = 0, slot } = options;
    const cloexec = slot === undefined ? socketTypes.CLOEXEC : 0;
    return this.request(
      'socket',
      (view, at) => prep.socket(view, at, families[family], type | cloexec, protocol, options),
      options,
    );
  }

  bind(fd: number, address: SocketAddress, options: OperationOptions = {}): Promise<number> {
    const { memory, length } = this.#address(address);
    return this.using('bind', memory, (view, at) => prep.bind(view, at, fd, memory.address, length, options), options);
  }

  /** setsockopt(2) with an integer; `level` and `name` are the system's numbers. */
  setSocketOption(
    fd: number,
    level: number,
    name: number,
    value: number,
    options: OperationOptions = {},
  ): Promise<number> {
    const memory = this.allocate(4);
    new DataView(memory.bytes.buffer).setInt32(memory.address, value, true);
    return this.using(
      'setsockopt',
      memory,
      (view, at) => prep.setSocketOption(view, at, fd, level, name, memory.address, 4, options),
      options,
    );
  }

  listen(fd: number, backlog = 128, options: OperationOptions = {}): Promise<number> {
    return this.request('listen', (view, at) => prep.listen(view, at, fd, backlog, options), options);
  }

  connect(fd: number, address: SocketAddress, options: OperationOptions = {}): Promise<number> {
    const { memory, length } = this.#address(address);
    return this.using(
      'connect',
      memory,
      (view, at) => prep.connect(view, at, fd, memory.address, length, options),
      options,
    );
  }

  /** The next connection: its descriptor. */
  accept(fd: number, options: OperationOptions & { readonly slot?: prep.Slot } = {}): Promise<number> {
    return this.request(
      'accept',
      (view, at) => prep.accept(view, at, fd, { ...options, ...cloexec(options.slot) }),
      options,
    );
  }

  /** The next connection, and who it is from. */
  async acceptFrom(fd: number, options: OperationOptions = {}): Promise<{ fd: number; peer: SocketAddress }> {
    const memory = this.allocate(SOCKADDR_SIZE + 4);
    const view = new DataView(memory.bytes.buffer);
    const peerLength = memory.address + SOCKADDR_SIZE;
    view.setUint32(peerLength, SOCKADDR_SIZE, true);
    try {
      const connection = await this.request(
        'accept',
        (sqe, at) => prep.accept(sqe, at, fd, { ...options, ...cloexec(undefined), peer: memory.address, peerLength }),
        options,
      );
      return { fd: connection, peer: decodeSockaddr(view, memory.address, view.getUint32(peerLength, true)) };
    } finally {
      memory.free();
    }
  }

  /** Connections as they come: `res` of each completion is a descriptor. */
  connections(
    fd: number,
    options: OperationOptions & { readonly slot?: prep.Slot } = {},
  ): AsyncIterableIterator<Completion> {
    return this.stream(
      'accept',
      (view, at) => prep.accept(view, at, fd, { ...options, ...cloexec(options.slot), multishot: true }),
      options,
    );
  }

  send(fd: number, from: Bytes, options: SendOptions = {}): Promise<number> {
    const { length = from.length } = options;
    return this.over(
      'send',
      from,
      false,
      (address) => (view, at) => prep.send(view, at, fd, address, length, options),
      options,
    );
  }

  /** Sends without copying; settles when the buffer may be written to again. */
  sendZeroCopy(fd: number, from: Bytes, options: SendOptions = {}): Promise<number> {
    const { length = from.length } = options;
    return this.over(
      'send_zc',
      from,
      false,
      (address) => (view, at) => prep.sendZeroCopy(view, at, fd, address, length, options),
      options,
    );
  }

  /** Bytes received; 0: the other side has ended. */
  recv(fd: number, into: Bytes, options: SendOptions = {}): Promise<number> {
    const { length = into.length } = options;
    return this.over(
      'recv',
      into,
      true,
      (address) => (view, at) => prep.recv(view, at, fd, address, length, options),
      options,
    );
  }

  /** Data as it comes, each in a buffer of the group: `bufferId` of a completion tells which, `res` how much. */
  received(fd: number, options: StreamOptions): AsyncIterableIterator<Completion> {
    return this.stream('recv', (view, at) => prep.recv(view, at, fd, 0, 0, { ...options, multishot: true }), options);
  }

  shutdown(fd: number, how: keyof typeof shutdownHow = 'RDWR', options: OperationOptions = {}): Promise<number> {
    return this.request('shutdown', (view, at) => prep.shutdown(view, at, fd, shutdownHow[how], options), options);
  }

  #address(address: SocketAddress): { memory: RingBuffer; length: number } {
    const memory = this.allocate(SOCKADDR_SIZE);
    try {
      return { memory, length: encodeSockaddr(new DataView(memory.bytes.buffer), memory.address, address) };
    } catch (error) {
      memory.free();
      throw error;
    }
  }
}

/** Descriptors are not for child processes; registered files never are. */
function cloexec(slot: prep.Slot | undefined): { readonly flags?: number } {
  return slot === undefined ? { flags: socketTypes.CLOEXEC } : {};
}
