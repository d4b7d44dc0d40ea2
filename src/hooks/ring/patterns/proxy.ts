/** A TCP proxy whose bytes stay in the kernel. */
import type { RingBase } from '../ring.ts';
import { encodeSockaddr, SOCKADDR_SIZE, type SocketAddress } from '../sockaddr.ts';
import { checkedNumber, JOB_SIZE, type Job, type PatternOptions, PIECE_SIZE, runJob } from './job.ts';
import { closeLeft } from './leftovers.ts';

export interface ProxyOptions extends PatternOptions {
  /** Connections at once: 1 to 16384, default 256; each takes six descriptors. While all are taken nothing is accepted. */
  readonly connections?: number;
  /** Bytes that one splice moves at most: default 64 KiB, what a pipe holds. */
  readonly chunk?: number;
}

export interface ProxyResult {
  readonly accepted: number;
  /** Connections that ended with an error; the upstream could not be reached, too. */
  readonly broken: number;
  /** Bytes from clients to the upstream, and back. */
  readonly sent: number;
  readonly received: number;
}

/** struct proxy, way, pair of bpf/ring/patterns/proxy.bpf.c. */
const FD = JOB_SIZE;
const PAIRS = JOB_SIZE + 4;
const FAMILY = JOB_SIZE + 8;
const ADDRESS_LENGTH = JOB_SIZE + 12;
const ADDRESS = JOB_SIZE + 16;
const POOL = JOB_SIZE + 24;
const FREE = JOB_SIZE + 32;
const CHUNK = JOB_SIZE + 40;
const ACCEPTED = JOB_SIZE + 48;
const BROKEN = JOB_SIZE + 56;
const SENT = JOB_SIZE + 64;
const RECEIVED = JOB_SIZE + 72;
const SIZE = JOB_SIZE + 80;
const WAY_PAIR = PIECE_SIZE;
const WAY_DIRECTION = PIECE_SIZE + 16;
const WAY_SIZE = PIECE_SIZE + 24;
const PAIR_NEXT = 2 * WAY_SIZE;
const PAIR_FDS = PAIR_NEXT + 8;
const PAIR_SIZE = PAIR_FDS + 32;
const DESCRIPTORS = 6;

/**
 * Passes what comes to the listening socket `fd` on to `upstream`, and back, until the signal aborts, which is no error. Bytes go by splice through pipes
 * (IORING_OP_PIPE: Linux 6.16), and the end of one way does not end the other. The socket stays the caller's.
 */
export async function proxy(
  ring: RingBase,
  fd: number,
  upstream: SocketAddress,
  options: ProxyOptions = {},
): Promise<ProxyResult> {
  const connections = checkedNumber('connections', options.connections ?? 256, 1, 16384);
  const chunk = checkedNumber('chunk', options.chunk ?? 65536, 1, 2 ** 30);
  let pool = 0;
  const prepare = (job: Job) => {
    const { address } = job;
    const name = job.take(SOCKADDR_SIZE);
    const view = ring.runtime.view();
    const length = encodeSockaddr(view, name, upstream);
    const pairs = job.pieces(connections + 1, PAIR_SIZE);
    for (let i = 0; i <= connections; i++) {
      const pair = pairs + i * PAIR_SIZE;
      job.u64(pair, pair, WAY_PAIR);
      job.u64(pair + WAY_SIZE, address, 0);
      job.u64(pair + WAY_SIZE, pair, WAY_PAIR);
      job.u32(pair + WAY_SIZE, 1, WAY_DIRECTION);
      if (i > 0 && i < connections) job.u64(pair, pair + PAIR_SIZE, PAIR_NEXT);
      for (let n = 0; n < DESCRIPTORS; n++) job.u32(pair, -1, PAIR_FDS + n * 4);
    }
    job.u32(address, fd, FD);
    job.u32(address, connections, PAIRS);
    job.u32(address, view.getUint16(name, true), FAMILY);
    job.u32(address, length, ADDRESS_LENGTH);
    job.u64(address, name, ADDRESS);
    job.u64(address, pairs, POOL);
    job.u64(address, pairs + PAIR_SIZE, FREE);
    job.u32(address, chunk, CHUNK);
    pool = pairs;
  };
  const result = (job: Job): ProxyResult => ({
    accepted: job.getU64(ACCEPTED),
    broken: job.getU64(BROKEN),
    sent: job.getU64(SENT),
    received: job.getU64(RECEIVED),
  });
  const offsets = Array.from({ length: DESCRIPTORS }, (_, n) => PAIR_FDS + n * 4);
  const finish = (job: Job) => closeLeft(job, pool, connections + 1, PAIR_SIZE, offsets);
  return runJob(ring, 'proxy', 'proxy', SIZE, options, prepare, result, { finish });
}
