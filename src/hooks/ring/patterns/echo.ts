/** A server that sends back what it receives. */
import type { RingBase } from '../ring.ts';
import { checkedNumber, JOB_SIZE, type PatternOptions, PIECE_SIZE, runJob } from './job.ts';
import { closeLeft } from './leftovers.ts';

export interface EchoOptions extends PatternOptions {
  /** Connections at once: 1 to 65536, default 256. While all are taken nothing is accepted. */
  readonly connections?: number;
  /** Bytes received before they are sent back: default 4096. */
  readonly buffer?: number;
}

export interface EchoResult {
  readonly accepted: number;
  /** Bytes sent back. */
  readonly bytes: number;
  /** Connections that ended with an error. */
  readonly broken: number;
  /** Connections closed at once: they came with the end, or many at a time as the last ones were taken. */
  readonly refused: number;
}

/** struct echo and struct connection of bpf/ring/patterns/echo.bpf.c. */
const FD = JOB_SIZE;
const CONNECTIONS = JOB_SIZE + 4;
const BUFFER = JOB_SIZE + 8;
const POOL = JOB_SIZE + 16;
const FREE = JOB_SIZE + 24;
const ACCEPTED = JOB_SIZE + 32;
const REFUSED = JOB_SIZE + 40;
const BROKEN = JOB_SIZE + 48;
const BYTES = JOB_SIZE + 56;
const LEFT = JOB_SIZE + 64;
const SIZE = JOB_SIZE + 72;
const CONNECTION_NEXT = PIECE_SIZE;
const CONNECTION_BUFFER = PIECE_SIZE + 8;
const CONNECTION_FD = PIECE_SIZE + 16;
const CONNECTION_SIZE = PIECE_SIZE + 32;

/**
 * Serves the listening socket `fd` until the signal aborts, which is no error: the promise resolves then, when all connections are closed. The socket stays
 * the caller's. Rejects with RequestError where nothing can be accepted any more.
 */
export async function echo(ring: RingBase, fd: number, options: EchoOptions = {}): Promise<EchoResult> {
  const connections = checkedNumber('connections', options.connections ?? 256, 1, 65536);
  const buffer = checkedNumber('buffer', options.buffer ?? 4096, 1, 2 ** 30);
  let pool = 0;
  return runJob(
    ring,
    'echo',
    'echo',
    SIZE,
    options,
    (job) => {
      const { address } = job;
      pool = job.pieces(connections + 1, CONNECTION_SIZE);
      const buffers = job.take(connections * buffer);
      for (let i = 0; i <= connections; i++) {
        const connection = pool + i * CONNECTION_SIZE;
        job.u32(connection, -1, CONNECTION_FD);
        if (i === 0) continue;
        job.u64(connection, i === connections ? 0 : connection + CONNECTION_SIZE, CONNECTION_NEXT);
        job.u64(connection, buffers + (i - 1) * buffer, CONNECTION_BUFFER);
      }
      job.u32(address, fd, FD);
      job.u32(address, connections, CONNECTIONS);
      job.u32(address, buffer, BUFFER);
      job.u64(address, pool, POOL);
      job.u32(address, connections, LEFT);
      job.u64(address, pool + CONNECTION_SIZE, FREE);
    },
    (job) => ({
      accepted: job.getU64(ACCEPTED),
      bytes: job.getU64(BYTES),
      broken: job.getU64(BROKEN),
      refused: job.getU64(REFUSED),
    }),
    { finish: (job) => closeLeft(job, pool, connections + 1, CONNECTION_SIZE, [CONNECTION_FD]) },
  );
}
