/** Descriptors that a job could not close itself, as no request was left to do it with. */
import { close } from '../prep/path.ts';
import type { Job } from './job.ts';

/** `pieces` is 0 where the job was not written; a descriptor that is not there is -1. Resolves when they are closed. */
export async function closeLeft(
  job: Job,
  pieces: number,
  count: number,
  size: number,
  offsets: readonly number[],
): Promise<void> {
  const { ring } = job;
  if (pieces === 0 || ring.closed) return;
  const left: Promise<number>[] = [];
  for (let i = 0; i < count; i++)
    for (const offset of offsets) {
      const fd = job.getS32(offset, pieces + i * size);
      if (fd >= 0) left.push(ring.request('close', (view, at) => close(view, at, fd)));
    }
  await Promise.allSettled(left);
}
