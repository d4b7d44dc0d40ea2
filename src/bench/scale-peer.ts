/** The C side of `bench scale`: bench/peers/scale.c, which runs the kernel's programs on as many threads. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { InternalError } from '../errors.ts';
import type { ScaleSide, ScaleWindow } from './scale-cpus.ts';

export class ScalePeer {
  /** Why programs cannot be measured, and why rings cannot; undefined: they can. */
  readonly absent: string | undefined;
  readonly withoutRings: string | undefined;
  readonly #folder: string;
  readonly #binary: string;
  #files = 0;

  /** `peers`: folder of the sources. */
  constructor(peers: string) {
    this.#folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
    this.#binary = join(this.#folder, 'scale');
    const source = join(peers, 'scale.c');
    const build = (...more: readonly string[]) => {
      const args = ['-O2', '-pthread', '-o', this.#binary, source, ...more];
      const { status, error, stderr } = spawnSync('gcc', args, { encoding: 'utf8' });
      return status === 0 ? undefined : (error?.message ?? stderr.split('\n').slice(0, 3).join('; '));
    };
    this.withoutRings = build('-DWITH_LIBURING', '-luring');
    this.absent = this.withoutRings === undefined ? undefined : build();
  }

  /** The program of this descriptor, over these packets; `ring`: descriptor of a ring buffer that one more thread reads. */
  programs(
    program: number,
    packets: (threads: number) => readonly (readonly Uint8Array[])[],
    ring: number | undefined,
  ): ScaleSide {
    const files = new Map<number, string>();
    const fileOf = (threads: number) => {
      const path = files.get(threads) ?? join(this.#folder, `packets-${this.#files++}`);
      if (!files.has(threads)) writeFileSync(path, encode(packets(threads)));
      files.set(threads, path);
      return path;
    };
    const descriptors = ring === undefined ? [program] : [program, ring];
    const args = ['prog', ...descriptors.map((_, i) => String(3 + i))];
    return new PeerProcess(
      spawn(this.#binary, args, { stdio: ['pipe', 'pipe', 'pipe', ...descriptors] }),
      (threads) => ` ${fileOf(threads)}`,
    );
  }

  /** Rings of nops, so many at a time in each. */
  nops(depth: number): ScaleSide {
    return new PeerProcess(spawn(this.#binary, ['nops', String(depth)], { stdio: 'pipe' }), () => '');
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

class PeerProcess implements ScaleSide {
  readonly #process: ChildProcess;
  readonly #answers: Interface;
  readonly #lines: AsyncIterator<string>;
  readonly #argument: (threads: number) => string;
  #said = '';

  constructor(process: ChildProcess, argument: (threads: number) => string) {
    this.#process = process;
    this.#argument = argument;
    this.#answers = createInterface({ input: process.stdout! }); // it was made with pipes
    this.#lines = this.#answers[Symbol.asyncIterator]();
    process.stderr!.on('data', (text: Buffer) => {
      this.#said += String(text);
    });
    process.stdin!.on('error', () => {}); // it has ended: its answer says so
  }

  async window(threads: number, settleMs: number, windowMs: number): Promise<ScaleWindow> {
    this.#process.stdin!.write(`${threads} ${settleMs} ${windowMs}${this.#argument(threads)}\n`);
    const { done: ended, value } = await this.#lines.next();
    if (ended) throw new InternalError(`peer scale: ${this.#said.trim() || 'it has ended'}`);
    const [done, ns, cpuNs] = value.split(' ').map(Number);
    return { done: done!, ns: ns!, cpuNs: cpuNs! };
  }

  async close(): Promise<void> {
    const exited = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.stdin!.end();
    if (this.#process.exitCode === null) await exited;
    this.#answers.close();
  }
}

function encode(threads: readonly (readonly Uint8Array[])[]): Uint8Array {
  const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
  return Buffer.concat(
    threads.flatMap((packets) => [u32(packets.length), ...packets.flatMap((packet) => [u32(packet.length), packet])]),
  );
}
