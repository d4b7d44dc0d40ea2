/** Whoever is at the other end of a connection that a program holds: driven by a list of steps, or by functions. */

import type { Clock } from '../clock.ts';
import { ByteQueue } from './byte-queue.ts';
import type { Network } from './network.ts';
import type { Socket, SocketDriver } from './socket.ts';

export type PeerStep =
  /** Sends; `pieces`: so many parts, one after the other. */
  | { readonly send: Uint8Array | string; readonly pieces?: number }
  /** Goes on once so many more bytes have come. */
  | { readonly receive: number }
  /** Goes on once the program has sent its last byte. */
  | { readonly receive: 'end' }
  | { readonly wait: number }
  /** Stops reading, so that the program's sends find no room; or reads again. */
  | { readonly reads: boolean }
  | { readonly shutdown: true }
  | { readonly close: true }
  | { readonly reset: true };

export interface PeerFunctions {
  connected?(peer: Peer): void;
  /** Bytes have come; they are in `peer.received` too. */
  data?(peer: Peer, bytes: Uint8Array): void;
  end?(peer: Peer): void;
  reset?(peer: Peer): void;
}

export type PeerScript = readonly PeerStep[] | PeerFunctions;

export class Peer implements SocketDriver {
  readonly socket: Socket;
  isConnected = false;
  /** The program has sent its last byte. */
  isEnded = false;
  wasReset = false;
  isClosed = false;
  receivedBytes = 0;
  readonly #network: Network;
  readonly #clock: Clock;
  readonly #steps: readonly PeerStep[];
  readonly #functions: PeerFunctions;
  readonly #received = new ByteQueue();
  readonly #outgoing = new ByteQueue();
  #step = 0;
  /** Bytes that the next steps may still count on. */
  #unclaimed = 0;
  #finishing = false;
  #reads = true;
  #waits = false;
  #flushing = false;

  constructor(socket: Socket, network: Network, clock: Clock, script: PeerScript) {
    this.socket = socket;
    this.#network = network;
    this.#clock = clock;
    this.#steps = isSteps(script) ? script : [];
    this.#functions = isSteps(script) ? {} : script;
    socket.driver = this;
    if (socket.state === 'connected') clock.soon(() => this.connected());
  }

  /** All that the program has sent, in order. */
  get received(): Uint8Array {
    const bytes = new Uint8Array(this.#received.length);
    this.#received.peek(bytes, 0, bytes.length);
    return bytes;
  }

  /** Every step has been done. */
  get isDone(): boolean {
    return this.#step === this.#steps.length;
  }

  send(bytes: Uint8Array | string): void {
    this.#outgoing.push(typeof bytes === 'string' ? encoder.encode(bytes) : bytes.slice());
    this.#flush();
  }

  /** The end of what it sends, after all that it has been given to send. */
  shutdown(): void {
    this.#finishing = true;
    this.#flush();
  }

  close(): void {
    this.shutdown();
    this.isClosed = true;
  }

  reset(): void {
    if (this.wasReset) return;
    if (this.socket.state === 'connected') {
      this.#network.reset(this.socket);
      return;
    }
    this.wasReset = true;
    this.#functions.reset?.(this);
  }

  connected(): void {
    if (this.isConnected) return;
    this.isConnected = true;
    this.#functions.connected?.(this);
    this.#flush();
    this.#advance();
  }

  arrived(): void {
    const { bytes } = this.socket;
    if (!this.#reads || bytes.length === 0) return;
    const part = bytes.shift(bytes.length);
    this.#received.push(part);
    this.receivedBytes += part.length;
    this.#unclaimed += part.length;
    this.#network.drained(this.socket);
    this.#functions.data?.(this, part);
    this.#advance();
  }

  ended(): void {
    this.isEnded = true;
    this.#functions.end?.(this);
    this.#advance();
  }

  room(): void {
    this.#flush();
  }

  #flush(): void {
    const { socket } = this;
    if (this.#flushing || socket.state !== 'connected') return;
    this.#flushing = true;
    const count = Math.min(this.#outgoing.length, socket.room);
    if (count > 0) {
      const bytes = this.#outgoing.shift(count);
      this.#network.send(socket, { length: count, read: (offset, length) => bytes.slice(offset, offset + length) });
    }
    if (this.#finishing && this.#outgoing.length === 0) this.#network.finish(socket);
    this.#flushing = false;
  }

  #advance(): void {
    while (this.#step < this.#steps.length && !this.#waits && this.isConnected && !this.wasReset) {
      const step = this.#steps[this.#step]!;
      if ('receive' in step) {
        if (step.receive === 'end') {
          if (!this.isEnded) return;
        } else {
          if (this.#unclaimed < step.receive) return;
          this.#unclaimed -= step.receive;
        }
      }
      this.#step++;
      if ('send' in step) this.#sendPieces(step.send, step.pieces ?? 1);
      else if ('wait' in step) this.#pause(step.wait);
      else if ('reads' in step) {
        this.#reads = step.reads;
        this.arrived();
      } else if ('shutdown' in step) this.shutdown();
      else if ('close' in step) this.close();
      else if ('reset' in step) this.reset();
    }
  }

  #sendPieces(what: Uint8Array | string, pieces: number): void {
    const bytes = typeof what === 'string' ? encoder.encode(what) : what;
    const size = Math.max(1, Math.ceil(bytes.length / pieces));
    for (let start = 0; start < bytes.length; start += size) this.send(bytes.subarray(start, start + size));
  }

  #pause(time: number): void {
    this.#waits = true;
    this.#clock.at(this.#clock.now + time, () => {
      this.#waits = false;
      this.#advance();
    });
  }
}

const encoder = new TextEncoder();

function isSteps(script: PeerScript): script is readonly PeerStep[] {
  return Array.isArray(script);
}
