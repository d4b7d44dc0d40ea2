// What the thread that starts CPUs, and whoever has sent them work, is promised when a CPU's thread ends: nobody waits for ever, and nothing is done twice.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { type CpuCrash, Cpus, type CpusOptions, load, Runtime, type UserObject } from '../../src/index.ts';
import { assemble } from '../../src/isa/assembler.ts';
import { writeObject } from '../../src/object/write.ts';
import * as inbox from '../../src/plane/layout/cpu.ts';
import { ROOT, ROOT_PAGE_LOCK } from '../../src/plane/layout/memory.ts';
import { CpuWatch } from '../../src/runtime/cpus/recovery.ts';
import { workerAddress } from '../../src/runtime/memory.ts';
import { instantiatePlane } from '../../src/runtime/plane.ts';
import { ThreadWorld } from './threads.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function start(cpus: number, options: CpusOptions = {}) {
  const runtime = new Runtime({ cpus, seed: 1n });
  const set = await Cpus.start(runtime, options);
  open.push(() => set.close());
  return { runtime, set };
}

function assembled(text: string, runtime: Runtime): Promise<UserObject> {
  const { insns, functions } = assemble(text, { syntax: 'llvm', input: 'text' });
  return load(writeObject({ section: 'xdp', license: 'GPL', insns, functions }), { runtime, unverified: true });
}

/** For as long as the u32 that r1's first field points to is 0; then it counts the word behind it up. */
const waits =
  'main:\n r1 = *(u32 *)(r1 + 0)\n r2 = 1\n lock *(u32 *)(r1 + 8) += r2\nagain:\n r0 = *(u32 *)(r1 + 0)\n if r0 == 0 goto again\n lock *(u32 *)(r1 + 4) += r2\n exit\n';

function blockOf(runtime: Runtime, object: UserObject, page: number, number: number): number {
  const block = page + 1024 + number * inbox.RUN_BYTES;
  const view = runtime.view();
  view.setUint32(page + 64, page, true);
  view.setUint32(block + inbox.RUN_ENTRY, object.programs['main']!.executable.entry, true);
  view.setUint32(block + inbox.RUN_REPEAT, 1, true);
  view.setUint32(block + inbox.RUN_FUEL, 0xffff_fff0, true);
  view.setBigUint64(block + inbox.RUN_CONTEXT, BigInt(page + 64), true);
  return block;
}

const until = async (ready: () => boolean) => {
  const begin = performance.now();
  while (!ready()) {
    if (performance.now() - begin > 20_000) throw new Error('it did not come to that');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
};

/** Runs of a program on CPU 1, all but the first of them behind one that waits. */
async function queued(options: (set: () => Cpus) => CpusOptions) {
  let started: Cpus | undefined;
  const { runtime, set } = await start(
    3,
    options(() => started!),
  );
  started = set;
  const object = await assembled(waits, runtime);
  const page = runtime.allocatePages(65536);
  const blocks = Array.from({ length: 5 }, (_, i) => blockOf(runtime, object, page, i));
  for (const block of blocks) expect(set.send(1, inbox.CPU_RUN, block)).toBe(true);
  const word = (at: number) => Atomics.load(new Int32Array(runtime.plane.memory.buffer), at / 4);
  await until(() => word(page + 8) === 1);
  const states = () => blocks.map((block) => word(block + inbox.RUN_STATE));
  const go = () => Atomics.store(new Int32Array(runtime.plane.memory.buffer), page / 4, 1);
  return { runtime, set, blocks, page, word, states, go };
}

describe('items of an inbox whose thread ends', () => {
  it('come back as stopped by the crash where nobody starts the CPU anew', async () => {
    const crashes: CpuCrash[] = [];
    const { set, blocks, page, word, states, go } = await queued(() => ({ onCrash: (crash) => crashes.push(crash) }));
    expect(states()).toEqual([inbox.RUN_UNDER_WAY, 0, 0, 0, 0]);
    await set.kill(1);
    expect(states()).toEqual(Array(5).fill(inbox.RUN_STOPPED));
    for (const block of blocks) expect(word(block + inbox.RUN_FAULT)).toBe(inbox.STOPPED_CRASH);
    expect(crashes).toMatchObject([{ cpu: 1, waiting: 4, recovered: { items: 1 } }]);
    expect(set.send(1, inbox.CPU_RUN, blocks[0])).toBe(false);
    // Nothing of it is done later.
    go();
    await set.restart(1);
    await set.call(1, 'epoch_depth');
    expect([word(page + 4), word(page + 8)]).toEqual([0, 1]);
    expect(set.send(1, inbox.CPU_RUN, blocks[0])).toBe(true);
    await until(() => word(page + 4) === 1);
  });

  it('are done by the next thread, once each, where a handler starts it at once', async () => {
    let again: Promise<void> | undefined;
    const { set, page, word, states, go } = await queued((of) => ({
      onCrash: ({ cpu }) => {
        again = of().restart(cpu);
      },
    }));
    await set.kill(1);
    go();
    await again;
    await until(() => states().every((state) => state >= inbox.RUN_DONE));
    expect(states()).toEqual([inbox.RUN_STOPPED, ...Array(4).fill(inbox.RUN_DONE)]);
    await set.call(1, 'epoch_depth');
    expect([word(page + 4), word(page + 8)]).toEqual([4, 5]);
  });

  it('one that leads nowhere ends a thread once: the next one goes on behind it', async () => {
    const crashes: CpuCrash[] = [];
    let again: Promise<void> | undefined;
    let started: Cpus | undefined;
    const { runtime, set } = await start(2, {
      onCrash: (crash) => {
        crashes.push(crash);
        again = started!.restart(1);
      },
    });
    started = set;
    const object = await assembled(waits, runtime);
    const page = runtime.allocatePages(65536);
    runtime.view().setUint32(page, 1, true);
    const block = blockOf(runtime, object, page, 0);
    set.send(1, inbox.CPU_FRAMES, 0xffff_fff0);
    set.send(1, inbox.CPU_RUN, block);
    await until(() => runtime.view().getUint32(block + inbox.RUN_STATE, true) >= inbox.RUN_DONE);
    await again;
    expect(crashes).toHaveLength(1);
    expect(crashes[0]!.error.message).toMatch(/out of bounds/);
    expect(runtime.view().getUint32(block + inbox.RUN_STATE, true)).toBe(inbox.RUN_DONE);
  });

  it('are done before a thread ends that is asked to', async () => {
    const { set, states, go } = await queued(() => ({}));
    const closed = set.close();
    go();
    await closed;
    expect(states()).toEqual(Array(5).fill(inbox.RUN_DONE));
  });
});

describe('the thread that starts CPUs', () => {
  it('gets a lock that a thread has left behind, while no event can reach it', async () => {
    const { runtime, set } = await start(2);
    const words = new Int32Array(runtime.plane.memory.buffer);
    const lock = (ROOT + ROOT_PAGE_LOCK) / 4;
    for (let round = 0; round < 5; round++) {
      // In the name of CPU 1, as if its thread had been stopped there.
      expect(Atomics.compareExchange(words, lock, 0, 2)).toBe(0);
      const killed = set.kill(1);
      const began = performance.now();
      // It is told of nothing until this returns.
      const page = runtime.allocatePages(65536);
      expect(performance.now() - began).toBeLessThan(5000);
      expect(Atomics.load(words, lock)).toBe(0);
      runtime.freePages(page, 65536);
      await killed;
      await set.restart(1);
    }
  });

  it('gets it also where it holds another one that the rest of the recovery needs', async () => {
    const runtime = new Runtime({ cpus: 2, seed: 1n });
    const { plane } = runtime;
    const { exports } = plane;
    // CPU 1 has objects in its caches, and ends with the lock of the pages.
    const other = instantiatePlane(plane.memory, workerAddress(1), {}, plane.module);
    const allocator = exports.allocator_create(0, 0);
    other.epoch_enter();
    for (let i = 0; i < 100; i++) other.allocator_free(other.allocator_alloc(allocator, 64, 0));
    const words = new Int32Array(plane.memory.buffer);
    Atomics.store(words, (ROOT + ROOT_PAGE_LOCK) / 4, 2);
    const watch = new CpuWatch(plane, 1, () => false);
    // What asks for an object of a new class takes the allocator's lock, and waits for that of the pages with it.
    const made = Array.from({ length: 64 }, () => exports.allocator_alloc(allocator, 60_000, 0) >>> 0);
    expect(new Set(made).size).toBe(64);
    const recovered = watch.ended();
    expect(recovered.locks).toBe(1);
    expect(recovered.objects).toBeGreaterThan(10);
    expect(exports.allocator_check()).toBe(0);
  });

  it('closes its threads while they work, and while one has ended', async () => {
    const world = await ThreadWorld.start(3, 3);
    const running = world.cpus.list.map((cpu) => world.work(cpu, 200).catch((error: Error) => error.message));
    const killed = world.cpus.kill(2);
    await world.cpus.close();
    await killed;
    expect(await Promise.all(running)).toEqual([expect.anything(), 'the thread of CPU 2 has ended', expect.anything()]);
    world.check();
    expect(world.cpus.list).toEqual([]);
    await world.cpus.close();
  });

  it('shares a memory that is full: programs and calls are told, threads live, and nothing is lost', async () => {
    const world = await ThreadWorld.start(5, 2);
    open.push(() => world.close());
    const { runtime, cpus } = world;
    await Promise.all(cpus.list.map((cpu) => world.work(cpu, 20)));
    const release = runtime.holdSize(0);
    const taken: number[] = [];
    const { pages_alloc, pages_free } = runtime.plane.exports;
    for (let page = pages_alloc(1); page !== 0; page = pages_alloc(1)) taken.push(page >>> 0);
    // A class that has no slab yet; and a packet that finds no room.
    const allocator = runtime.plane.exports.allocator_create(0, 0);
    if (allocator >= 0) expect(await cpus.call(1, 'allocator_alloc', allocator, 60_000, 0)).toBe(0);
    const program = world.object.programs['work']!;
    const large = { data: new Uint8Array(3_000_000) };
    await expect(cpus.run(program, large, 1)).rejects.toThrow();
    const faults = await Promise.all(
      cpus.list.map((cpu) =>
        world.work(cpu, 20).then(
          () => undefined,
          (error: Error) => error.message,
        ),
      ),
    );
    // An object that has to wait for a grace period, and finds no memory for that, ends its run; it stays, with what the run had in hand, as after a crash.
    for (const fault of faults) if (fault !== undefined) expect(fault).toContain('the memory is full');
    world.leaked = 3 * faults.filter((fault) => fault !== undefined).length;
    for (const page of taken) pages_free(page, 1);
    release();
    expect(cpus.list).toEqual([1, 2]);
    world.check();
    await Promise.all(cpus.list.map((cpu) => world.work(cpu, 20)));
    world.check();
  });

  it('has no memory of threads that have ended', async () => {
    const { runtime, set } = await start(2);
    const page = () => {
      const at = runtime.allocatePages(65536);
      runtime.freePages(at, 65536);
      return at;
    };
    await set.kill(1);
    await set.restart(1);
    const before = page();
    for (let i = 0; i < 4; i++) {
      await set.kill(1);
      await set.restart(1);
    }
    expect(page()).toBe(before);
  });
});

describe('a process', () => {
  const src = fileURLToPath(new URL('../../dist/index.js', import.meta.url));
  const object = fileURLToPath(new URL('../../bpf/objects/mem/crash.bpf.o', import.meta.url));
  const begin = `
    import { readFileSync } from 'node:fs';
    import { Cpus, load, Runtime } from ${JSON.stringify(src)};
    const runtime = new Runtime({ cpus: 3, seed: 1n });
    const cpus = await Cpus.start(runtime);
    const object = await load(readFileSync(${JSON.stringify(object)}), { runtime });
    const data = new Uint8Array(64);
    new DataView(data.buffer).setUint32(16, 512, true);
    new DataView(data.buffer).setUint32(20, 7, true);
    const work = (cpu, repeat) => cpus.run(object.programs.work, { data, repeat }, cpu);
  `;
  interface Ended {
    readonly code: number | null;
    readonly signal: string | null;
    readonly errors: string;
  }
  const end = (text: string) =>
    new Promise<Ended>((resolve) => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', begin + text], { timeout: 60_000 });
      let errors = '';
      child.stderr.on('data', (data: Buffer) => {
        errors += data.toString();
      });
      child.on('close', (code, signal) => resolve({ code, signal, errors }));
    });

  it('ends with its own code while threads are at work, or have ended', async () => {
    const both = 'work(1, 1e7); work(2, 1e7)';
    const texts = [
      [`${both}; setTimeout(() => process.exit(7), 50);`, 7],
      ['work(1, 1e7).catch(() => process.exit(9)); work(2, 1e7); setTimeout(() => cpus.kill(1), 30);', 9],
      [`${both}.catch(() => {}); setTimeout(() => { cpus.kill(2); process.exit(5); }, 30);`, 5],
      // Threads that have nothing to do do not keep it alive.
      ['await work(1, 3); await cpus.kill(2); process.exitCode = 4;', 4],
    ] as const;
    const ended = await Promise.all(texts.map(([text]) => end(text)));
    expect(ended).toEqual(texts.map(([, code]) => ({ code, signal: null, errors: '' })));
  }, 90_000);
});
