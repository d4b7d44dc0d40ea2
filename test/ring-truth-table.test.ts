/** What links mean: the kernel's own (requests straight into its queue), and the ring's chains, row by row. docs/ring-semantics.md has the same table. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { NopOptions } from '../src/hooks/ring/prep/index.ts';
import { line, type Results, type Row, rows } from './link-rows.ts';
import { E, KernelBed, noRing, pairs, RingBed, skipped, sqe } from './ring-testbed.ts';

const nop = (options: NopOptions = {}) => sqe('nop', options);
const link = { link: true } as const;

/** Whether registered file 0 is taken. */
function holdsSlot(bed: KernelBed | RingBed): boolean {
  // An update by io_uring_register succeeds either way; a request on the file tells.
  if (bed instanceof RingBed) return bed.run(sqe('fsync', 0, { fixedFile: true }))[0]?.res !== E.BADF;
  bed.push(sqe('fsync', 0, { fixedFile: true }), 99);
  bed.enter(1, 1);
  return bed.reap()[0]?.res !== E.BADF;
}

/** Completions of one row, and what comes too much. */
async function byKernel(row: Row): Promise<{ cqes: Results; leaks: boolean }> {
  const bed = new KernelBed();
  if (row.files !== undefined) expect(bed.backend.register(2, bed.words(-1), 1)).toBe(0);
  const requests = row.requests(bed);
  requests.forEach((write, i) => {
    bed.push(write, i + 1);
  });
  expect(bed.enter(requests.length, row.kernel.length)).toBe(requests.length);
  const cqes = [...bed.reap()];
  for (let i = 0; i < 4 && cqes.length < row.kernel.length; i++) {
    bed.enter(0, 1, 1e8);
    cqes.push(...bed.reap());
  }
  const leaks = row.files !== undefined && holdsSlot(bed);
  await bed.close();
  return { cqes: pairs(cqes), leaks };
}

async function byRing(row: Row): Promise<{ cqes: Results; leaks: boolean }> {
  const bed = RingBed.open();
  if (row.files !== undefined) bed.registerFiles(-1);
  bed.stage(...row.requests(bed));
  const expected = row.ours ?? row.kernel;
  const cqes = [...bed.take(expected.length), ...bed.take(0)];
  const leaks = row.files !== undefined && holdsSlot(bed);
  await bed.close();
  return { cqes: pairs(cqes), leaks };
}

describe.skipIf(noRing !== undefined)(`the truth table of links${skipped}`, () => {
  for (const row of rows) {
    it(`the kernel: ${row.name}`, async () => {
      expect(await byKernel(row)).toEqual({ cqes: row.kernel, leaks: row.after?.kernel === 'leaks' });
    });

    it(`the ring: ${row.name}`, async () => {
      expect(await byRing(row)).toEqual({ cqes: row.ours ?? row.kernel, leaks: row.after?.ours === 'leaks' });
    });
  }

  it('a link flag on the last request of a submission leads nowhere, in both', async () => {
    const kernel = new KernelBed();
    kernel.push(nop({ result: E.IO, ...link }), 1);
    kernel.enter(1, 0);
    kernel.push(nop(), 2);
    kernel.enter(1, 2);
    expect(pairs(kernel.reap()).sort()).toEqual([
      [1, E.IO],
      [2, 0],
    ]);
    await kernel.close();
    const bed = RingBed.open();
    bed.stage(nop({ result: E.IO, ...link }));
    bed.ring.submit();
    bed.stage((view, at) => sqe('nop', { userData: 2 })(view, at));
    expect(pairs(bed.take(2)).sort()).toEqual([
      [1, E.IO],
      [2, 0],
    ]);
    await bed.close();
  });
});

describe('docs/ring-semantics.md', () => {
  it('has the table', () => {
    const page = readFileSync(join(import.meta.dirname, '..', 'docs', 'ring-semantics.md'), 'utf8');
    const missing = rows.map(line).filter((each) => !page.includes(each));
    expect(missing).toEqual([]);
  });
});
