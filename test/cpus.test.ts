// CPUs of a runtime as threads: what runs on them, and programs that come, are replaced and go meanwhile.
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { Cpus, type CpusOptions, load, Runtime, type RuntimeOptions, type UserObject } from '../src/index.ts';
import { assemble } from '../src/isa/assembler.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { udp } from '../src/net/udp.ts';
import { writeObject } from '../src/object/write.ts';
import {
  CPU_RUN,
  RUN_CONTEXT,
  RUN_DONE,
  RUN_ENTRY,
  RUN_FAULT,
  RUN_FUEL,
  RUN_REPEAT,
  RUN_RESULT,
  RUN_STATE,
  RUN_STOPPED,
  STOPPED_BUDGET,
} from '../src/plane/layout/cpu.ts';

const data = packet(ethernet(), ipv4({ src: '10.0.0.1', dst: '10.0.0.2' }), udp({ srcPort: 1, dstPort: 2 }));

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function start(runtime: Runtime, options?: CpusOptions): Promise<Cpus> {
  const cpus = await Cpus.start(runtime, options);
  open.push(() => cpus.close());
  return cpus;
}

function assembled(text: string, runtime: Runtime): Promise<UserObject> {
  const { insns, functions } = assemble(text, { syntax: 'llvm', input: 'text' });
  return load(writeObject({ section: 'xdp', license: 'GPL', insns, functions }), { runtime, unverified: true });
}

const whereAmI = 'main:\n call 8\n exit\n';
const returns = (n: number) => `main:\n r0 = ${n}\n exit\n`;
/** For as long as the u32 that r1's first field points to is 0. */
const waits = 'main:\n r1 = *(u32 *)(r1 + 0)\nagain:\n r0 = *(u32 *)(r1 + 0)\n if r0 == 0 goto again\n exit\n';

/** A run block in the memory for a program. */
function runBlock(runtime: Runtime, object: UserObject, context: number, { repeat = 1, fuel = 1e9 } = {}) {
  const block = runtime.allocatePages(65536);
  const view = runtime.view();
  view.setUint32(block + RUN_ENTRY, object.programs['main']!.executable.entry, true);
  view.setUint32(block + RUN_REPEAT, repeat, true);
  view.setUint32(block + RUN_FUEL, fuel, true);
  view.setBigUint64(block + RUN_CONTEXT, BigInt(context), true);
  return block;
}

async function ended(runtime: Runtime, block: number): Promise<number> {
  const words = new Int32Array(runtime.plane.memory.buffer);
  for (;;) {
    const state = Atomics.load(words, (block + RUN_STATE) / 4);
    if (state >= RUN_DONE) return state;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

describe('programs on CPUs that are threads', () => {
  it('know where they run', async () => {
    const runtime = new Runtime({ cpus: 3, seed: 1n });
    const cpus = await start(runtime);
    const object = await assembled(whereAmI, runtime);
    const program = object.programs['main']!;
    expect(cpus.list).toEqual([1, 2]);
    expect(program.run({ data }).r0).toBe(0n);
    const results = await Promise.all(cpus.list.map((cpu) => cpus.run(program, { data }, cpu)));
    expect(results.map(({ r0 }) => r0)).toEqual([1n, 2n]);
    expect(results[0]!.data).toEqual(data);
  });

  it('those that were loaded before the threads began run as well', async () => {
    const runtime = new Runtime({ cpus: 2 });
    const object = await assembled(returns(7), runtime);
    const cpus = await start(runtime);
    expect((await cpus.run(object.programs['main']!, { data }, 1)).r0).toBe(7n);
  });

  it('write their own values of per-CPU maps, which are read as one element', async () => {
    const object = await load(readFileSync(new URL('../bpf/objects/bench/percpu_counter.bpf.o', import.meta.url)), {
      cpus: 4,
    });
    const { runtime } = object;
    const cpus = await start(runtime);
    const [program] = Object.values(object.programs);
    await Promise.all(cpus.list.map((cpu) => cpus.run(program!, { data, repeat: cpu * 100 }, cpu)));
    const map = Object.values(object.maps).find(({ type }) => type === 'percpu_array')!;
    const counts = [...map.entries()].map(([, values]) => values as unknown as bigint[]);
    const each = counts[0]!.map((_, cpu) => counts.reduce((sum, values) => sum + BigInt(values[cpu]!), 0n));
    const perRun = each[1]! / 100n;
    expect(perRun).toBeGreaterThan(0n);
    expect(each).toEqual([0n, perRun * 100n, perRun * 200n, perRun * 300n]);
  });

  it('do what is in the inbox, in order, and say why they were stopped', async () => {
    const runtime = new Runtime({ cpus: 2 });
    const faults: string[] = [];
    const cpus = await start(runtime, { onFault: ({ message }, cpu) => faults.push(`${cpu}: ${message}`) });
    const word = runtime.allocatePages(65536);
    const context = word + 64;
    runtime.view().setUint32(context, word, true);
    const long = await assembled(waits, runtime);
    const blocks = [
      runBlock(runtime, long, context, { fuel: 1000 }),
      runBlock(runtime, await assembled(returns(5), runtime), context, { repeat: 1000 }),
    ];
    for (const block of blocks) expect(cpus.send(1, CPU_RUN, block)).toBe(true);
    expect(cpus.send(0, CPU_RUN, blocks[0])).toBe(false);
    expect(await ended(runtime, blocks[0]!)).toBe(RUN_STOPPED);
    expect(await ended(runtime, blocks[1]!)).toBe(RUN_DONE);
    const view = runtime.view();
    expect(view.getUint32(blocks[0]! + RUN_FAULT, true)).toBe(STOPPED_BUDGET);
    expect(view.getBigUint64(blocks[1]! + RUN_RESULT, true)).toBe(5n);
    await cpus.call(1, 'epoch_depth');
    expect(faults).toEqual([expect.stringContaining('1: ')]);
  });

  it('go when the last run has ended, not before', async () => {
    const runtime = new Runtime({ cpus: 2 });
    const cpus = await start(runtime);
    const word = runtime.allocatePages(65536);
    const context = word + 64;
    runtime.view().setUint32(context, word, true);
    const long = await assembled(waits, runtime);
    const { entry } = long.programs['main']!.executable;
    const block = runBlock(runtime, long, context);
    cpus.send(1, CPU_RUN, block);
    await new Promise((resolve) => setTimeout(resolve, 20));
    long.close();
    let settled = false;
    const gone = runtime.settled().then(() => {
      settled = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(settled).toBe(false);
    expect(runtime.plane.table.get(entry)).not.toBeNull();
    Atomics.store(new Int32Array(runtime.plane.memory.buffer), word / 4, 9);
    await gone;
    expect(await ended(runtime, block)).toBe(RUN_DONE);
    expect(runtime.view().getBigUint64(block + RUN_RESULT, true)).toBe(9n);
    expect(runtime.plane.table.get(entry)).toBeNull();
    // Its place is given to others, on all threads.
    const next = await assembled(returns(3), runtime);
    expect((await cpus.run(next.programs['main']!, { data }, 1)).r0).toBe(3n);
  });

  it('are refused where a thread cannot run them', async () => {
    const runtime = new Runtime({ cpus: 2 });
    const cpus = await start(runtime);
    const { insns, functions } = assemble(returns(1), { syntax: 'llvm', input: 'text' });
    const bytes = writeObject({ section: 'xdp', license: 'GPL', insns, functions });
    const interpreted = await load(bytes, { runtime, engine: 'interpreter' });
    await expect(cpus.run(interpreted.programs['main']!, { data }, 1)).rejects.toThrow('runs in the interpreter');
    const elsewhere = await load(bytes);
    await expect(cpus.run(elsewhere.programs['main']!, { data }, 1)).rejects.toThrow('another runtime');
    const own = await load(bytes, { runtime });
    await expect(cpus.run(own.programs['main']!, { data }, 2)).rejects.toThrow('no thread runs CPU 2: 1');
    await expect(cpus.run(own.programs['main']!, { data: data.subarray(0, 5) }, 1)).rejects.toThrow('EINVAL');
    own.close();
    await runtime.settled();
    await expect(cpus.run(own.programs['main']!, { data }, 1)).rejects.toThrow('was its object closed?');
  });

  it.each<[string, RuntimeOptions, CpusOptions, string]>([
    ['one CPU', {}, {}, 'the runtime has 1 CPUs, and none is free'],
    ['a CPU that is not there', { cpus: 2 }, { cpus: [2] }, 'there is no CPU 2 among 2'],
    ['the CPU of this thread', { cpus: 2 }, { cpus: [0] }, 'CPU 0 has a thread: the one that made the runtime'],
    ['a clock of JavaScript', { cpus: 2, now: () => 1 }, {}, 'its clock is a function of this thread'],
    ['a clock that steps', { cpus: 2, clock: { at: 1n, step: 1 } }, {}, 'its clock is a function of this thread'],
  ])('threads are refused to %s', async (_, runtime, options, message) => {
    await expect(Cpus.start(new Runtime(runtime), options)).rejects.toThrow(message);
  });

  it('a thread that ends is told, and what it was asked for fails', async () => {
    const runtime = new Runtime({ cpus: 3 });
    const crashes: number[] = [];
    const cpus = await start(runtime, { onCrash: ({ cpu }) => crashes.push(cpu) });
    const object = await assembled('main:\n r0 = 0\nagain:\n r0 += 1\n if r0 != 0 goto again\n exit\n', runtime);
    const asked = cpus.run(object.programs['main']!, { data }, 1);
    const failed = expect(asked).rejects.toThrow('the thread of CPU 1 has ended');
    await new Promise((resolve) => setTimeout(resolve, 20));
    await cpus.kill(1);
    await failed;
    expect(crashes).toEqual([1]);
    expect(cpus.list).toEqual([2]);
    expect(cpus.send(1, CPU_RUN, 0)).toBe(false);
  });
});
