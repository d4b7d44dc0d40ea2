/** N of M requests. */
import { InputError } from '../../../errors.ts';
import { SQE_SIZE } from '../../../plane/layout/sqe.ts';
import type { RingBuffer } from '../memory.ts';
import type { SqeWriter } from '../options.ts';
import { RequestError } from '../request-error.ts';
import type { RingBase } from '../ring.ts';
import { checkedNumber, JOB_SIZE, type Job, type PatternOptions, PIECE_SIZE, runJob } from './job.ts';

export interface QuorumRequest {
  /** Writes the request: the functions of hooks/ring/prep. Links, callback, queue and user_data are the pattern's. */
  readonly prepare: SqeWriter;
  /** Buffers of the ring that it names: programs may reach them until the promise settles. */
  readonly buffers?: readonly RingBuffer[];
}

export interface QuorumResult {
  /** Places of those that succeeded, the first one first. More than were needed, where the others could not be cancelled any more. */
  readonly succeeded: readonly number[];
  /** Result of each request, or its negated errno; -ECANCELED: it was not needed. */
  readonly results: readonly number[];
}

/** struct quorum and struct member of bpf/ring/patterns/quorum.bpf.c. */
const MEMBERS = JOB_SIZE;
const COUNT = JOB_SIZE + 8;
const NEEDED = JOB_SIZE + 12;
const SIZE = JOB_SIZE + 32;
const MEMBER_ORDER = PIECE_SIZE;
const MEMBER_RES = PIECE_SIZE + 4;
const MEMBER_SQE = PIECE_SIZE + 8;
const MEMBER_SIZE = MEMBER_SQE + SQE_SIZE;
const ECANCELED = -125;

/**
 * Starts all requests, and resolves when `needed` of them have succeeded and the others, which are cancelled then, have ended: buffers are free. Rejects with
 * the RequestError of the one whose failure made it impossible.
 */
export async function quorum(
  ring: RingBase,
  needed: number,
  requests: readonly QuorumRequest[],
  options: PatternOptions = {},
): Promise<QuorumResult> {
  if (requests.length === 0 || requests.length > 1024)
    throw new InputError('SLUICE_RING_OPTION', `a quorum of ${requests.length} requests: from 1 to 1024`);
  checkedNumber('needed', needed, 1, requests.length);
  const regions: number[] = [];
  let members = 0;
  const prepare = (job: Job) => {
    for (const { buffers = [] } of requests)
      for (const { address, length } of buffers) regions.push(ring.programs.share(address, length));
    members = job.pieces(requests.length, MEMBER_SIZE);
    requests.forEach(({ prepare }, i) => {
      prepare(ring.runtime.view(), members + i * MEMBER_SIZE + MEMBER_SQE);
      job.u32(members + i * MEMBER_SIZE, ECANCELED, MEMBER_RES);
    });
    job.u64(job.address, members, MEMBERS);
    job.u32(job.address, requests.length, COUNT);
    job.u32(job.address, needed, NEEDED);
  };
  const result = (job: Job): QuorumResult => {
    const results = requests.map((_, i) => job.getS32(MEMBER_RES, members + i * MEMBER_SIZE));
    const order = requests.map((_, i) => job.getU32(MEMBER_ORDER, members + i * MEMBER_SIZE));
    const inOrder = [...order.keys()].filter((i) => order[i] !== 0).sort((a, b) => order[a]! - order[b]!);
    const succeeded = inOrder.filter((i) => results[i]! >= 0);
    if (succeeded.length >= needed) return { succeeded, results };
    const failed = inOrder.filter((i) => results[i]! < 0);
    throw new RequestError('quorum', results[failed[requests.length - needed]!]!);
  };
  const finish = () => {
    for (const region of regions) ring.programs.unshare(region);
  };
  return runJob(ring, 'quorum', 'quorum', SIZE, options, prepare, result, { finish });
}
