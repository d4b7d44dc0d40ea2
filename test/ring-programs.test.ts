// Programs of bpf/ring on this kernel's io_uring: the interface of 2021, and loop_step of Linux 7.1.
import { openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Value } from '../src/btf/value.ts';
import { loopLayout, runLoop } from '../src/hooks/ring/loop.ts';
import * as prep from '../src/hooks/ring/prep/index.ts';
import { load } from '../src/index.ts';
import { SQE_CQ } from '../src/plane/layout/sqe.ts';
import type { UserObject } from '../src/runtime/load.ts';
import { noRing, pairs, RingBed, skipped, sorted, sqe, type Writer } from './ring-testbed.ts';

const bytes = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../bpf/objects/ring/${name}.bpf.o`, import.meta.url)));

type Variables = Readonly<Record<string, Value>>;

/** A ring with queues 1 and 2 for programs, and an object's programs on it. */
async function open(
  name: string,
  variables: Variables = {},
  engine: 'jit' | 'interpreter' = 'jit',
): Promise<{ bed: RingBed; object: UserObject }> {
  const bed = RingBed.open();
  for (const i of [1, 2]) expect(bed.ring.createQueue({ visible: false }).index).toBe(i);
  const object = await load(bytes(name), { runtime: bed.runtime, variables, engine });
  return { bed, object };
}

/** Value of a global variable, or a member of one. */
function variable(object: UserObject, name: string): unknown {
  for (const map of Object.values(object.maps)) {
    if (!/^\.(bss|data)$/.test(map.name)) continue;
    const value = map.get(0) as Record<string, unknown> | undefined; // a data section is an object
    if (value !== undefined && name in value) return value[name];
  }
  throw new Error(`no variable ${name}`);
}

const program = (index: number, userData: bigint): Writer => sqe('program', index, 0, 0, { userData });

describe.skipIf(noRing !== undefined)(`programs of the interface of 2021${skipped}`, () => {
  it.each(['jit', 'interpreter'] as const)('emit, reap, submit, copy and wait (%s)', async (engine) => {
    const { bed, object } = await open('emit_reap', {}, engine);
    bed.ring.programs.attach(object);
    const value = bed.allocate(64);
    bed.runtime.view().setBigUint64(value, 21n, true);
    bed.ring.programs.share(value, 8);
    bed.stage(program(0, BigInt(value)));
    // The program's own completion, the one that it has emitted, and that of its nop.
    expect(sorted(bed.take(3))).toEqual([
      [2, 0],
      [3, 13],
      [value, 0],
    ]);
    expect(variable(object, 'report')).toEqual({
      runs: 2n,
      emitted: 0n,
      first: 4n,
      second: 5n,
      empty: -2n,
      bad_queue: -22n,
      bad_size: -22n,
      submitted: 0n,
      read: 0n,
      written: 0n,
    });
    expect(bed.runtime.view().getBigUint64(value, true)).toBe(42n);
    object.close();
    // The interpreter's own pages stay with the runtime.
    await (engine === 'jit' ? bed.close() : bed.closeRing());
  });

  it('reach no memory that is not shared with them', async () => {
    const { bed, object } = await open('emit_reap');
    bed.ring.programs.attach(object);
    const value = bed.allocate(64);
    bed.stage(program(0, BigInt(value)));
    bed.take(3);
    expect(variable(object, 'report')).toMatchObject({ runs: 2n, read: -14n, written: 0n });
    object.close();
    await bed.close();
  });

  it('count timeouts', async () => {
    const { bed, object } = await open('counting', { rounds: 5 });
    bed.ring.programs.attach(object);
    const time = bed.timespec(2_000_000);
    bed.ring.programs.share(time, prep.TIMESPEC_SIZE);
    const start = performance.now();
    bed.stage(program(0, BigInt(time)));
    expect(pairs(bed.take(1))).toEqual([[time, 0]]);
    expect(performance.now() - start).toBeGreaterThan(9);
    expect([variable(object, 'started'), variable(object, 'expired')]).toEqual([5, 5]);
    object.close();
    await bed.close();
  });

  it.each(['jit', 'interpreter'] as const)('play ping pong through queues of their own (%s)', async (engine) => {
    const { bed, object } = await open('pingpong', { limit: 20 }, engine);
    bed.ring.programs.attach(object);
    const sides = bed.words(0, 1);
    bed.ring.programs.share(sides, 8);
    bed.stage(program(0, BigInt(sides)), program(0, BigInt(sides + 4)), (view, at) => {
      prep.nop(view, at, {});
      view.setUint16(at + SQE_CQ, 1, true);
      view.setBigUint64(at + 32, 1n, true);
    });
    expect(sorted(bed.take(2))).toEqual([
      [sides, 0],
      [sides + 4, 0],
    ]);
    const [first, second] = variable(object, 'players') as { woken: number; last: bigint }[];
    // 1, 3, … to one side and 2, 4, … to the other, which ends at the limit; the next ends the first.
    expect([first!.last, second!.last]).toEqual([21n, 20n]);
    expect([first!.woken, second!.woken]).toEqual([11, 10]);
    object.close();
    // The interpreter's own pages stay with the runtime.
    await (engine === 'jit' ? bed.close() : bed.closeRing());
  });

  it('write a file at a depth', async () => {
    const { bed, object } = await open('write_file', { depth: 3, blocks: 10, block_size: 8192 });
    bed.ring.programs.attach(object);
    bed.registerFiles(bed.file('out', ''));
    const block = bed.allocate(8192);
    bed.runtime.bytes().fill(0x61, block, block + 8192);
    bed.ring.programs.share(block, 8192);
    bed.stage(program(0, BigInt(block)));
    expect(sorted(bed.take(2))).toEqual([
      [block, 0],
      [block, 81920],
    ]);
    expect(bed.content('out')).toBe('a'.repeat(81920));
    expect(variable(object, 'in_flight')).toBe(0);
    object.close();
    await bed.close();
  });
});

describe.skipIf(noRing !== undefined)(`loop_step of Linux 7.1${skipped}`, () => {
  async function openLoop(name: string): Promise<{ bed: RingBed; object: UserObject }> {
    const bed = RingBed.open();
    const { cqHead, cqTail, cqes, cqEntries, sqEntries } = loopLayout(bed.ring);
    const variables = {
      cq_head_offset: cqHead,
      cq_tail_offset: cqTail,
      cqes_offset: cqes,
      cq_entries: cqEntries,
      sq_entries: sqEntries,
    };
    return { bed, object: await load(bytes(name), { runtime: bed.runtime, variables }) };
  }

  it('keeps nops in flight', async () => {
    const { bed, object } = await openLoop('loop_nops');
    object.maps['.bss']!.set(0, { to_run: 1000 });
    const steps = await runLoop(bed.ring, object, { block: true });
    expect([variable(object, 'completed'), variable(object, 'in_flight'), variable(object, 'result')]).toEqual([
      1000, 0, 0,
    ]);
    expect(variable(object, 'steps')).toBe(steps);
    expect(steps).toBeGreaterThanOrEqual(1000 / 8);
    object.close();
    await bed.close();
  });

  it('copies a file', async () => {
    const { bed, object } = await openLoop('loop_cp');
    const text = Array.from({ length: 5000 }, (_, i) => `line ${i}\n`).join('');
    const input = bed.file('in', text);
    const output = bed.keep(openSync(bed.path('out'), 'w'));
    const buffer = bed.allocate(4096);
    object.maps['.bss']!.set(0, { input, output, buffer: BigInt(buffer), buffer_size: 4096 });
    await runLoop(bed.ring, object);
    expect([variable(object, 'result'), variable(object, 'copied')]).toEqual([0, BigInt(text.length)]);
    expect(bed.content('out')).toBe(text);
    object.close();
    await bed.close();
  });
});
