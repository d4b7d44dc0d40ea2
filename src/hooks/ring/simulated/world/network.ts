/** Connections between sockets of one virtual host: who listens where, and bytes on their way. */
import type { Random } from '../../../../net/random.ts';
import type { Clock } from '../clock.ts';
import { EADDRINUSE, ECONNREFUSED, ECONNRESET, ENOENT } from '../errno.ts';
import type { Faults, Range } from '../faults.ts';
import type { Waitable } from '../request.ts';
import { Socket } from './socket.ts';

/** A way to carry bytes that are read only when they arrive, as zero-copy sends are. */
export interface Parcel {
  readonly length: number;
  /** A copy of the part, made at arrival. */
  read(offset: number, length: number): Uint8Array;
  /** Called once all has arrived, or never will. */
  done?(): void;
}

/** Someone who takes connections without a program: gives the driver of the new end. */
export type VirtualListener = (end: Socket) => void;

export class Network {
  random: Random;
  faults: Faults;
  /** Time from end to end. */
  latency: Range;
  readonly #clock: Clock;
  readonly #wake: (waitable: Waitable) => void;
  readonly #listeners = new Map<string, Socket | VirtualListener>();
  /** Clients that came before the one who listens. */
  readonly #early = new Map<string, Socket[]>();
  /** Names of local sockets stay when the socket is gone. */
  readonly #names = new Set<string>();
  /** Ports that the host gives out. */
  #nextPort = 32768;
  readonly bufferSize: number;

  constructor(
    clock: Clock,
    wake: (waitable: Waitable) => void,
    random: Random,
    faults: Faults,
    latency: Range,
    bufferSize: number,
  ) {
    this.#clock = clock;
    this.#wake = wake;
    this.random = random;
    this.faults = faults;
    this.latency = latency;
    this.bufferSize = bufferSize;
  }

  socket(family: number): Socket {
    return new Socket(family, this.bufferSize);
  }

  bind(socket: Socket, address: string): number {
    const name = address === 'inet:0' ? `inet:${this.#nextPort++}` : address;
    if (this.#listeners.has(name) || this.#names.has(name)) return -EADDRINUSE;
    if (name.startsWith('unix:')) this.#names.add(name);
    socket.local = name;
    socket.state = 'bound';
    return 0;
  }

  listen(socket: Socket, backlog: number): number {
    if (socket.local === '') this.bind(socket, 'inet:0');
    const there = this.#listeners.get(socket.local);
    if (there !== undefined && there !== socket) return -EADDRINUSE;
    socket.state = 'listening';
    socket.backlogLimit = Math.max(1, backlog);
    this.#listeners.set(socket.local, socket);
    const early = this.#early.get(socket.local) ?? [];
    this.#early.delete(socket.local);
    for (const client of early) this.connect(client, socket.local);
    return 0;
  }

  serve(address: string, listener: VirtualListener): void {
    this.#listeners.set(address, listener);
  }

  /** Why nobody could be reached at a local name: -ENOENT, -ECONNREFUSED; 0 elsewhere. */
  refuses(address: string): number {
    if (!address.startsWith('unix:')) return 0;
    if (!this.#names.has(address)) return -ENOENT;
    return this.#listeners.has(address) ? 0 : -ECONNREFUSED;
  }

  /** Starts to connect; the socket becomes `connected`, or has an error. `patient`: waits for someone to listen. */
  connect(client: Socket, address: string, patient = false): void {
    client.state = 'connecting';
    client.remote = address;
    if (client.local === '') client.local = `inet:${this.#nextPort++}`;
    this.#clock.at(this.#clock.now + this.#delay(), () => this.#arrive(client, address, patient));
  }

  /** Two ends of one connection. */
  join(a: Socket, b: Socket): void {
    a.peer = b;
    b.peer = a;
    a.state = 'connected';
    b.state = 'connected';
    b.remote = a.local;
    if (b.local === '') b.local = a.remote;
  }

  /** Sends all of `parcel`, for which there is room. */
  send(from: Socket, parcel: Parcel): void {
    const to = from.peer;
    if (to === undefined || parcel.length === 0) {
      parcel.done?.();
      return;
    }
    to.arriving += parcel.length;
    let offset = 0;
    while (offset < parcel.length) {
      const left = parcel.length - offset;
      const split = left > 1 && this.faults.split > 0 && this.#happens(this.faults.split);
      const part = split ? 1 + this.random.below(left - 1) : left;
      const start = offset;
      offset += part;
      const last = offset === parcel.length;
      this.#later(to, () => {
        to.arriving -= part;
        if (to.peer === from && !to.readShut && to.state === 'connected') to.bytes.push(parcel.read(start, part));
        if (last) parcel.done?.();
        this.#wake(to);
        to.driver?.arrived();
      });
    }
  }

  /** No more bytes from this end. */
  finish(from: Socket): void {
    if (from.writeShut) return;
    from.writeShut = true;
    const to = from.peer;
    if (to === undefined) return;
    this.#later(to, () => {
      to.ended = true;
      this.#wake(to);
      to.driver?.ended();
    });
  }

  /** Bytes have been taken from `socket`: who sends may go on. */
  drained(socket: Socket): void {
    const { peer } = socket;
    if (peer === undefined) return;
    this.#wake(peer);
    peer.driver?.room();
  }

  /** Both ends lose the connection, and what was on its way. */
  reset(socket: Socket): void {
    for (const end of [socket, socket.peer]) {
      if (end === undefined || end.state === 'closed') continue;
      end.error = ECONNRESET;
      end.bytes.clear();
      end.state = 'closed';
      end.ended = true;
      end.writeShut = true;
      this.#wake(end);
      end.driver?.reset();
    }
    if (socket.peer !== undefined) socket.peer.peer = undefined;
    socket.peer = undefined;
  }

  /** Nobody has this end any more. Bytes that were not read reset the connection, as TCP does. */
  close(socket: Socket): void {
    if (socket.state === 'listening') {
      if (this.#listeners.get(socket.local) === socket) this.#listeners.delete(socket.local);
      for (const waiting of socket.backlog) this.reset(waiting);
      socket.backlog.length = 0;
    }
    const { peer } = socket;
    if (peer !== undefined) {
      if (socket.bytes.length > 0) {
        this.#later(peer, () => {
          if (peer.peer === socket) this.reset(peer);
        });
      } else this.finish(socket);
    }
    socket.readShut = true;
    socket.state = 'closed';
  }

  clear(): void {
    this.#listeners.clear();
    this.#early.clear();
    this.#names.clear();
  }

  #arrive(client: Socket, address: string, patient: boolean): void {
    if (client.state !== 'connecting') return;
    const listener = this.#listeners.get(address);
    if (listener === undefined && patient) {
      const early = this.#early.get(address);
      if (early === undefined) this.#early.set(address, [client]);
      else early.push(client);
      return;
    }
    if (listener === undefined) {
      client.error = ECONNREFUSED;
      client.state = 'bound';
    } else {
      const full = listener instanceof Socket && listener.backlog.length >= listener.backlogLimit;
      if (full) {
        // The SYN is dropped and sent again, as TCP does.
        this.#clock.at(this.#clock.now + 1_000_000 + this.#delay(), () => this.#arrive(client, address, patient));
        return;
      }
      const end = this.socket(client.family);
      end.local = address;
      this.join(client, end);
      if (listener instanceof Socket) {
        listener.backlog.push(end);
        this.#wake(listener);
      } else listener(end);
    }
    this.#wake(client);
    client.driver?.connected();
  }

  #later(to: Socket, action: () => void): void {
    to.lastArrival = Math.max(to.lastArrival, this.#clock.now + this.#delay());
    this.#clock.at(to.lastArrival, action);
  }

  #delay(): number {
    const { min, max } = this.latency;
    return max > min ? min + this.random.below(max - min + 1) : min;
  }

  #happens(chance: number): boolean {
    return this.random.u32() < chance * 0x1_0000_0000;
  }
}
