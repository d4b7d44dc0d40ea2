/** Threads over one memory, each a CPU of its own with the plane and a function that it runs; they start together. */
import { Worker } from 'node:worker_threads';
import { workerAddress } from '../../src/runtime/memory.ts';
import type { PlaneInstance } from '../../src/runtime/plane.ts';
import { planeModule } from '../../src/runtime/plane.ts';
import { callbackThunk, programThunk } from './callback.ts';
import { bufferBytes, type Operation, readBuffer } from './history.ts';

/** What a test gives all of its threads. */
export type Parameters = readonly number[] | Readonly<Record<string, number>>;

/** What a thread's function is given. */
export interface StressWorker<P extends Parameters = readonly number[]> {
  readonly cpu: number;
  /** Threads at work: CPUs 1 to `workers`. */
  readonly workers: number;
  readonly rounds: number;
  /** Address of the map's header. */
  readonly map: number;
  /** Address of a page of 64 KiB that nobody else uses. */
  readonly scratch: number;
  /** The whole memory. */
  readonly view: DataView;
  readonly parameters: P;
  /**
   * Puts a callback into the thread's function table: a function of JavaScript of the key's and the value's address (timers, iterations), which are the second and the
   * third argument, and of the first. What it returns is the callback's result, 0 for nothing. Its place there.
   */
  callback(run: (key: number, value: number, first: number) => unknown): number;
  /** As `callback`: a program, a function of JavaScript of its context's address, which returns r0. */
  program(run: (context: number) => number): number;
  /** Calls what the plane exports; u64 and i64 are BigInt among the arguments, and numbers as results. */
  call(name: string, ...values: (number | bigint)[]): number;
  /** A number from 0 to n - 1, of a sequence that follows from the test's seed and the CPU. */
  random(n: number): number;
  /** A place where another thread may come in: now and then this one spins for a moment, or sleeps for some µs. */
  pause(): void;
  /** Waits until all threads are here. Between two of them the history has a point where nothing is under way. */
  meet(): void;
  /** The next number of the counter that all count up. */
  stamp(): number;
  /** Begins an operation; `end` records it. */
  begin(kind: number, key: number, value: number): void;
  end(result: number, extra?: number): void;
  /** Records an operation whose stamps are known: one of several that one call has done. */
  note(kind: number, key: number, value: number, result: number, extra: number, start: number, end: number): void;
}

export interface RunOptions {
  readonly workers: number;
  readonly rounds: number;
  readonly seed: number;
  /** Operations that a thread records in all; 0: none. */
  readonly records?: number;
  /** The plane in place of the built one (chaos-plane.ts). */
  readonly module?: WebAssembly.Module;
  /** How long all may take, in ms (60 s). */
  readonly timeout?: number;
  /** How long no thread may record or pause, in ms; for functions that do so all the time. */
  readonly stall?: number;
}

export interface RunResult {
  /** What the functions have returned, in order of CPUs; 0 for nothing. */
  readonly results: readonly number[];
  /** All operations in order of their starts. */
  readonly history: readonly Operation[];
}

/** 64 MiB, of which only what is used takes memory. */
const SPARE_PAGES = 1024;

// In the thread, which knows nothing of this project: JavaScript alone.
const threadText = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { module, memory, worker, map, scratch, shared, buffer, room, workers, cpu, rounds, seed, parameters, body, thunk, programThunk } = workerData;
  const table = new WebAssembly.Table({ initial: 1, element: 'anyfunc' });
  const env = { memory, table, worker, now: () => Number(process.hrtime.bigint()) };
  const imports = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module))
    (imports[from] ??= {})[name] = from === 'env' && name in env ? env[name] : kind === 'function' ? () => 0 : undefined;
  const plane = new WebAssembly.Instance(module, imports).exports;
  // shared: number of threads that are ready, number that are at the meeting, number of meetings, stamp, a word that nobody notifies, 1: stop, pauses.
  const words = new Int32Array(memory.buffer, shared, 8);
  const records = new Uint32Array(memory.buffer, buffer, room === 0 ? 2 : 2 + room * 7);
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(cpu, 0x85ebca6b)) >>> 0 || 1;
  const random = (n) => {
    state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
    return (state >>> 0) % n;
  };
  let kind = 0, key = 0, value = 0, start = 0;
  const stamp = () => Atomics.add(words, 3, 1);
  const note = (kind, key, value, result, extra, start, end) => {
    const count = records[0];
    if (count === room) throw new Error('more operations than there is room for');
    const at = 2 + count * 7;
    records[at] = kind; records[at + 1] = key; records[at + 2] = value; records[at + 3] = result; records[at + 4] = extra;
    records[at + 5] = start; records[at + 6] = end;
    records[0] = count + 1;
  };
  const stopped = () => { if (Atomics.load(words, 5) !== 0) throw new Error('another thread has failed'); };
  const stress = {
    cpu, workers, rounds, map, scratch, parameters, random, stamp, note,
    view: new DataView(memory.buffer),
    call: (name, ...values) => Number(plane[name](...values)),
    program(run) {
      const f = (frame) => BigInt(run(Number(frame)));
      return table.grow(1, new WebAssembly.Instance(new WebAssembly.Module(programThunk), { e: { f } }).exports.f);
    },
    callback(run) {
      const f = (first, key, value) => BigInt(run(Number(key), Number(value), Number(first)) ?? 0);
      return table.grow(1, new WebAssembly.Instance(new WebAssembly.Module(thunk), { e: { f } }).exports.f);
    },
    pause() {
      words[6]++;
      const what = random(64);
      if (what === 0) Atomics.wait(words, 4, 0, 0.001 + random(30) / 1000);
      else if (what < 12) for (let i = random(200); i > 0; i--) Atomics.load(words, 4);
    },
    meet() {
      const meeting = Atomics.load(words, 2);
      if (Atomics.add(words, 1, 1) === workers - 1) {
        Atomics.store(words, 1, 0);
        Atomics.add(words, 2, 1);
        Atomics.notify(words, 2);
      } else while (Atomics.load(words, 2) === meeting) { stopped(); Atomics.wait(words, 2, meeting, 100); }
    },
    begin(k, of, v) { kind = k; key = of; value = v; start = stamp(); },
    end(result, extra = 0) { const end = stamp(); note(kind, key, value, result, extra, start, end); },
  };
  const run = new Function('__name', 'return (' + body + ')')((of) => of);
  // A thread takes longer to start than to finish.
  Atomics.add(words, 0, 1);
  Atomics.notify(words, 0);
  for (let ready = Atomics.load(words, 0); ready < workers; ready = Atomics.load(words, 0)) Atomics.wait(words, 0, ready, 100);
  try {
    parentPort.postMessage({ result: Number(run(stress) ?? 0) });
  } catch (error) {
    Atomics.store(words, 5, 1);
    throw error;
  }
`;

/**
 * Runs `body` on CPUs 1 to `workers` of a memory that has at least one CPU more; this thread stays CPU 0 and is free meanwhile. The function goes to the threads as
 * text: it may use its argument and what it declares itself, and nothing of the file that it stands in.
 */
export async function runWorkers<P extends Parameters>(
  plane: PlaneInstance,
  map: number,
  body: (worker: StressWorker<P>) => unknown,
  {
    workers,
    rounds,
    seed,
    records = 0,
    module = planeModule(),
    timeout = 60_000,
    stall,
    ...rest
  }: RunOptions & { readonly parameters?: P },
): Promise<RunResult> {
  const pagesOf = (bytes: number) => Math.ceil(bytes / 65536);
  const taken: [at: number, pages: number][] = [];
  const take = (bytes: number) => {
    const at = plane.exports.pages_alloc(pagesOf(bytes)) >>> 0;
    if (at === 0) throw new Error(`no memory for ${bytes} bytes`);
    taken.push([at, pagesOf(bytes)]);
    return at;
  };
  const shared = take(32);
  const buffers = Array.from({ length: workers }, () => take(bufferBytes(records)));
  // Threads see the memory as large as it is when they begin.
  plane.memory.grow(SPARE_PAGES);
  const threads: Worker[] = [];
  const runs = buffers.map((buffer, i) => {
    const cpu = i + 1;
    const workerData = {
      module,
      memory: plane.memory,
      worker: workerAddress(cpu),
      map,
      scratch: take(65536),
      shared,
      buffer,
      room: records,
      workers,
      cpu,
      rounds,
      seed,
      parameters: rest.parameters ?? [],
      body: body.toString(),
      thunk: callbackThunk,
      programThunk,
    };
    return new Promise<number>((resolve, reject) => {
      const thread = new Worker(threadText, { eval: true, workerData });
      threads.push(thread);
      thread.on('message', ({ result }: { result: number }) => resolve(result));
      thread.on('error', reject);
      thread.on('exit', () => reject(new Error(`the thread of CPU ${cpu} has ended without a result`)));
    });
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const words = new Int32Array(plane.memory.buffer, shared, 8);
    const begun = Date.now();
    let moved = begun;
    let marks = 0;
    timer = setInterval(() => {
      const now = Date.now();
      // Before all have started, nothing moves.
      const at = words[3]! + words[6]!;
      if (at !== marks || words[0]! < workers) moved = now;
      marks = at;
      if (now - begun > timeout || now - moved > (stall ?? timeout))
        reject(new Error(`threads make no progress: not done after ${now - begun} ms`));
    }, 50);
  });
  try {
    const results = await Promise.race([Promise.all(runs), late]);
    await Promise.all(threads.map((thread) => thread.terminate()));
    const history = buffers.flatMap((buffer, i) => readBuffer(plane.memory, buffer, i + 1));
    for (const [at, pages] of taken) plane.exports.pages_free(at, pages);
    return { results, history: history.sort((a, b) => a.start - b.start) };
  } catch (error) {
    await Promise.all(threads.map((thread) => thread.terminate()));
    throw error;
  } finally {
    clearInterval(timer);
  }
}
