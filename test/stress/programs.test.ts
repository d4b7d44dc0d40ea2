/**
 * Atomic instructions and orders between CPUs in compiled programs: real programs on threads that are CPUs. Litmus tests are those of the kernel's memory model
 * (tools/memory-model/litmus-tests); one with plain accesses shows that the machine and the harness can reorder.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { Cpus, load, Runtime, type UserObject } from '../../src/index.ts';
import { assemble } from '../../src/isa/assembler.ts';
import { writeObject } from '../../src/object/write.ts';
import {
  CPU_RUN,
  RUN_CONTEXT,
  RUN_DONE,
  RUN_ENTRY,
  RUN_FUEL,
  RUN_REPEAT,
  RUN_STATE,
} from '../../src/plane/layout/cpu.ts';
import { stressFactor } from './stress.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Bed {
  readonly runtime: Runtime;
  /** A page that all share. */
  readonly at: number;
  /** A page for each CPU. */
  readonly own: readonly number[];
  readonly view: DataView;
  /** Runs `texts`, one on each CPU from 1 on, to their ends. Programs are given both addresses in the first two words of their context. */
  run(...texts: string[]): Promise<void>;
}

async function bed(threads: number): Promise<Bed> {
  const runtime = new Runtime({ cpus: threads + 1, seed: 1n });
  const cpus = await Cpus.start(runtime);
  open.push(() => cpus.close());
  const at = runtime.allocatePages(65536);
  const own = Array.from({ length: threads }, () => runtime.allocatePages(4 * 65536));
  const contexts = own.map(() => runtime.allocatePages(65536));
  const blocks = own.map(() => runtime.allocatePages(65536));
  const view = runtime.view();
  const objects = new Map<string, UserObject>();
  return {
    runtime,
    at,
    own,
    view,
    async run(...texts) {
      for (const text of new Set(texts)) {
        if (objects.has(text)) continue;
        const { insns, functions } = assemble(`main:\n r6 = *(u32 *)(r1 + 0)\n r7 = *(u32 *)(r1 + 4)\n${text}`, {
          syntax: 'llvm',
          input: 'text',
        });
        const bytes = writeObject({ section: 'xdp', license: 'GPL', insns, functions });
        objects.set(text, await load(bytes, { runtime, unverified: true }));
      }
      const words = new Int32Array(runtime.plane.memory.buffer);
      texts.forEach((text, i) => {
        view.setUint32(contexts[i]!, at, true);
        view.setUint32(contexts[i]! + 4, own[i]!, true);
        const block = blocks[i]!;
        view.setUint32(block + RUN_STATE, 0, true);
        view.setUint32(block + RUN_ENTRY, objects.get(text)!.programs['main']!.executable.entry, true);
        view.setUint32(block + RUN_REPEAT, 1, true);
        view.setUint32(block + RUN_FUEL, 0xffff_fff0, true);
        view.setBigUint64(block + RUN_CONTEXT, BigInt(contexts[i]!), true);
      });
      for (let i = 0; i < texts.length; i++) expect(cpus.send(i + 1, CPU_RUN, blocks[i]!)).toBe(true);
      for (let i = 0; i < texts.length; i++) {
        while (Atomics.load(words, (blocks[i]! + RUN_STATE) / 4) < RUN_DONE)
          await new Promise((resolve) => setTimeout(resolve, 1));
        expect(Atomics.load(words, (blocks[i]! + RUN_STATE) / 4)).toBe(RUN_DONE);
      }
    },
  };
}

/** Waits until `threads` CPUs are here; the u32 at `word` counts. */
const barrier = (word: number, threads: number) => `
 w0 = 1
 lock *(u32 *)(r6 + ${word}) += w0
start:
 w0 = load_acquire((u32 *)(r6 + ${word}))
 if w0 < ${threads} goto start
`;

/** In the CPU's own page: its number, rounds; sums of what came back from r7 + 16 on. */
const atomics = (threads: number) => `${barrier(0, threads)}
 r8 = *(u64 *)(r7 + 8)
 r9 = *(u64 *)(r7 + 0)
again:
 r2 = 1
 lock *(u64 *)(r6 + 64) += r2
 r2 = 1
 r2 = atomic_fetch_add((u64 *)(r6 + 72), r2)
 r3 = *(u64 *)(r7 + 16)
 r3 += r2
 *(u64 *)(r7 + 16) = r3
 w2 = 1
 lock *(u32 *)(r6 + 80) += w2
 w2 = 1
 w2 = atomic_fetch_add((u32 *)(r6 + 88), w2)
 r3 = *(u64 *)(r7 + 24)
 r3 += r2
 *(u64 *)(r7 + 24) = r3
 r2 = 1
 r3 = r9
 r3 <<= 2
 r4 = r8
 r4 &= 3
 r3 += r4
 r2 <<= r3
 lock *(u64 *)(r6 + 96) |= r2
 r4 = r2
 r4 = atomic_fetch_or((u64 *)(r6 + 104), r4)
 r5 = r2
 r5 ^= -1
 lock *(u64 *)(r6 + 112) &= r5
 r5 = atomic_fetch_and((u64 *)(r6 + 120), r5)
 lock *(u64 *)(r6 + 128) ^= r2
 r4 = r2
 r4 = atomic_fetch_xor((u64 *)(r6 + 136), r4)
 lock *(u32 *)(r6 + 192) |= w2
 lock *(u32 *)(r6 + 200) ^= w2
 r2 = r8
 r2 <<= 4
 r2 += r9
 r3 = *(u64 *)(r7 + 32)
 r3 += r2
 r2 = xchg_64(r6 + 144, r2)
 r3 -= r2
 *(u64 *)(r7 + 32) = r3
 r2 = r8
 r2 <<= 4
 r2 += r9
 r3 = *(u64 *)(r7 + 40)
 r3 += r2
 w2 = xchg32_32(r6 + 152, w2)
 r3 -= r2
 *(u64 *)(r7 + 40) = r3
retry:
 r4 = load_acquire((u64 *)(r6 + 160))
 r3 = r4
 r3 += 1
 r0 = r4
 r0 = cmpxchg_64(r6 + 160, r0, r3)
 if r0 != r4 goto retry
retry32:
 w4 = load_acquire((u32 *)(r6 + 168))
 r3 = r4
 r3 += 1
 r0 = r4
 w0 = cmpxchg32_32(r6 + 168, w0, w3)
 if r0 != r4 goto retry32
 r8 += -1
 if r8 != 0 goto again
 exit
`;

describe('atomic instructions of compiled programs', () => {
  for (const threads of [2, 4, 7]) {
    it(`lose nothing on ${threads} CPUs`, async () => {
      const { at, own, view, run } = await bed(threads);
      const rounds = Math.ceil((60_000 / threads) * stressFactor) | 1;
      const neighbours = [84, 92, 156, 172, 196, 204];
      for (const offset of neighbours) view.setUint32(at + offset, 0xdead_beef, true);
      for (const offset of [112, 120]) view.setBigUint64(at + offset, 0xffff_ffff_ffff_ffffn, true);
      own.forEach((page, i) => {
        view.setBigUint64(page, BigInt(i + 1), true);
        view.setBigUint64(page + 8, BigInt(rounds), true);
      });
      await run(...own.map(() => atomics(threads)));
      const u64 = (offset: number) => view.getBigUint64(at + offset, true);
      const sum = (offset: number) => own.reduce((all, page) => all + view.getBigInt64(page + offset, true), 0n);
      const total = BigInt(rounds) * BigInt(threads);
      expect([u64(64), u64(72), u64(160)]).toEqual([total, total, total]);
      for (const offset of [80, 88, 168]) expect(view.getUint32(at + offset, true)).toBe(Number(total));
      // Each number came back once: their sum is that of all.
      const all = (total * (total - 1n)) / 2n;
      expect([sum(16), sum(24)]).toEqual([all, all]);
      // Bits 4 to 7 of CPU 1, and so on: those of all; of the rounds that toggle, some odd number for each.
      const bits = own.reduce((set, _, i) => set | (0xfn << BigInt(4 * (i + 1))), 0n);
      expect([u64(96), u64(104)]).toEqual([bits, bits]);
      const rest = bits ^ 0xffff_ffff_ffff_ffffn;
      expect([u64(112), u64(120)]).toEqual([rest, rest]);
      const toggled = own.reduce((set, _, i) => {
        for (let round = 1; round <= 4; round++) {
          const times = Math.floor((rounds - (round & 3)) / 4) + ((round & 3) === 0 ? 0 : 1);
          if (times % 2 === 1) set ^= 1n << BigInt(4 * (i + 1) + (round & 3));
        }
        return set;
      }, 0n);
      expect([u64(128), u64(136)]).toEqual([toggled, toggled]);
      expect(view.getUint32(at + 192, true)).toBe(Number(bits & 0xffff_ffffn));
      expect(view.getUint32(at + 200, true)).toBe(Number(toggled & 0xffff_ffffn));
      expect(sum(32)).toBe(u64(144));
      expect(sum(40)).toBe(BigInt(view.getUint32(at + 152, true)));
      // The words beside those of 32 bits.
      for (const offset of neighbours) expect(view.getUint32(at + offset, true).toString(16)).toBe('deadbeef');
    });
  }
});

const ROUNDS = Math.ceil(60_000 * stressFactor);

describe('orders between CPUs', () => {
  it('message passing: what was written before a store-release is seen after a load-acquire', async () => {
    const { own, view, run } = await bed(2);
    const writer = `${barrier(0, 2)}
 r8 = 0
again:
 r8 += 1
 *(u64 *)(r6 + 64) = r8
 *(u64 *)(r6 + 128) = r8
 store_release((u64 *)(r6 + 192), r8)
 if r8 < ${ROUNDS * 10} goto again
 exit
`;
    const reader = `${barrier(0, 2)}
again:
 r2 = load_acquire((u64 *)(r6 + 192))
 r3 = *(u64 *)(r6 + 128)
 r4 = *(u64 *)(r6 + 64)
 if r3 < r2 goto wrong
 if r4 < r2 goto wrong
 r5 = *(u64 *)(r7 + 8)
 r5 += 1
 *(u64 *)(r7 + 8) = r5
 if r2 < ${ROUNDS * 10} goto again
 exit
wrong:
 r2 = 1
 *(u64 *)(r7 + 0) = r2
 exit
`;
    await run(writer, reader);
    expect(view.getBigUint64(own[1]!, true)).toBe(0n);
    expect(view.getBigUint64(own[1]! + 8, true)).toBeGreaterThan(0n);
  });

  /** Both write one word and read the other's; a round is one meeting. The number of rounds in which both have read the value from before. */
  async function storeBuffering(write: (offset: number) => string): Promise<number> {
    const { at, own, view, run } = await bed(2);
    const rounds = Math.min(7500, Math.ceil(3000 * stressFactor));
    const side = (mine: number, other: number) => `
 r8 = 0
again:
 r8 += 1
 w0 = 1
 lock *(u32 *)(r6 + 0) += w0
 r2 = r8
 r2 <<= 1
meeting:
 w0 = load_acquire((u32 *)(r6 + 0))
 if r0 < r2 goto meeting
 r3 = r8
${write(mine)}
 r4 = *(u64 *)(r6 + ${other})
 r5 = r8
 r5 <<= 2
 r5 += r7
 *(u32 *)(r5 + 0) = r4
 if r8 < ${rounds} goto again
 exit
`;
    await run(side(1024, 2048), side(2048, 1024));
    let both = 0;
    for (let i = 1; i <= rounds; i++) {
      const [one, other] = own.map((page) => view.getUint32(page + i * 4, true)) as [number, number];
      if (one < i && other < i) both++;
    }
    expect(view.getUint32(at, true)).toBe(2 * rounds);
    return both;
  }

  it('store buffering: a value-returning atomic between write and read is a full barrier', async () => {
    expect(await storeBuffering((offset) => ` r3 = xchg_64(r6 + ${offset}, r3)`)).toBe(0);
  });

  it('store buffering: … and so is one that fetches, on another word', async () => {
    const barriered = (offset: number) =>
      ` *(u64 *)(r6 + ${offset}) = r3\n r2 = 0\n r2 = atomic_fetch_add((u64 *)(r7 + 32000), r2)`;
    expect(await storeBuffering(barriered)).toBe(0);
  });

  // Needs two CPUs at the same time: on a machine that is busy with something else, one more time.
  it('store buffering: plain accesses are not ordered, which the machine shows', { retry: 5 }, async () => {
    expect(await storeBuffering((offset) => ` *(u64 *)(r6 + ${offset}) = r3`)).toBeGreaterThan(0);
  });

  it('independent reads of independent writes: two readers agree which came first', async () => {
    const { own, view, run } = await bed(4);
    const rounds = 15_000;
    const writer = (offset: number) => `${barrier(0, 4)}
 r8 = ${ROUNDS * 20}
again:
 r2 = 1
 r2 = atomic_fetch_add((u64 *)(r6 + ${offset}), r2)
 r8 += -1
 w3 = load_acquire((u32 *)(r6 + 4))
 if w3 == 2 goto out
 if r8 != 0 goto again
out:
 exit
`;
    const reader = (first: number, second: number) => `${barrier(0, 4)}
 r8 = ${rounds}
again:
 r2 = 0
 r2 = atomic_fetch_add((u64 *)(r6 + ${first}), r2)
 r3 = 0
 r3 = atomic_fetch_add((u64 *)(r6 + ${second}), r3)
 *(u32 *)(r7 + 0) = r2
 *(u32 *)(r7 + 4) = r3
 r7 += 8
 r8 += -1
 if r8 != 0 goto again
 w0 = 1
 lock *(u32 *)(r6 + 4) += w0
 exit
`;
    await run(writer(1024), writer(2048), reader(1024, 2048), reader(2048, 1024));
    const seen = (page: number) =>
      Array.from({ length: rounds }, (_, i) => [
        view.getUint32(page + i * 8, true),
        view.getUint32(page + i * 8 + 4, true),
      ]) as [number, number][];
    // One reads x, then y; the other y, then x: x of the first newer than the second's, and the second's y newer than the first's, is no order of the writes.
    const second = seen(own[3]!);
    let most = -1;
    let next = 0;
    for (const [x, y] of seen(own[2]!)) {
      while (next < second.length && second[next]![1] < x) most = Math.max(most, second[next++]![0]);
      expect(most).toBeLessThanOrEqual(y);
    }
  });
});
