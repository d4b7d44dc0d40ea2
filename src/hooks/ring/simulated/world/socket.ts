/** A stream socket: one end of a connection, or one that listens. What moves between two ends is in network.ts. */
import type { Request, Waitable } from '../request.ts';
import { ByteQueue } from './byte-queue.ts';

export type SocketState = 'new' | 'bound' | 'listening' | 'connecting' | 'connected' | 'closed';

/** Told what happens to an end that no program holds: a peer's script. */
export interface SocketDriver {
  connected(): void;
  arrived(): void;
  ended(): void;
  reset(): void;
  /** The other end has room again. */
  room(): void;
}

export class Socket implements Waitable {
  readonly family: number;
  state: SocketState = 'new';
  /** Name of its address (network.ts), where it has one. */
  local = '';
  remote = '';
  readonly bytes = new ByteQueue();
  /** Bytes on their way to this end; they count against `limit` as those that have come do. */
  arriving = 0;
  readonly limit: number;
  /** The other end; undefined once that has been closed. */
  peer: Socket | undefined;
  /** The other end has sent all that it will. */
  ended = false;
  readShut = false;
  writeShut = false;
  /** errno that the next use gets, once. */
  error = 0;
  readonly backlog: Socket[] = [];
  backlogLimit = 0;
  readonly waiting: Request[] = [];
  /** What is sent to this end comes no earlier than this. */
  lastArrival = 0;
  driver: SocketDriver | undefined;

  constructor(family: number, limit: number) {
    this.family = family;
    this.limit = limit;
  }

  /** Bytes that the other end would take. */
  get room(): number {
    const { peer } = this;
    return peer === undefined ? 0 : Math.max(0, peer.limit - peer.bytes.length - peer.arriving);
  }
}
