/** A pipe: bytes, and who waits at its ends. */
import type { Request, Waitable } from '../request.ts';
import { ByteQueue } from './byte-queue.ts';

/** Bytes up to which a write is never split (PIPE_BUF). */
export const PIPE_ATOMIC = 4096;
export const PIPE_CAPACITY = 65536;

export class Pipe implements Waitable {
  readonly bytes = new ByteQueue();
  readonly capacity: number;
  readers = 0;
  writers = 0;
  readonly waiting: Request[] = [];

  constructor(capacity = PIPE_CAPACITY) {
    this.capacity = capacity;
  }

  get room(): number {
    return this.capacity - this.bytes.length;
  }
}
