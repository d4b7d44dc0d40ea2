/** The C side of `bench steer`: bench/peers/steer.c, built where a C compiler is. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InternalError } from '../errors.ts';
import type { RssConfiguration } from '../net/rss/configuration.ts';
import type { Timed } from './timing.ts';

export class SteerPeer {
  /** Why it cannot be measured here; undefined: it can. */
  readonly absent: string | undefined;
  readonly #folder: string;
  readonly #binary: string;
  #files = 0;

  /** `peers`: folder of the sources. */
  constructor(peers: string) {
    this.#folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
    this.#binary = join(this.#folder, 'steer');
    const built = spawnSync('gcc', ['-O2', '-o', this.#binary, join(peers, 'steer.c')], { encoding: 'utf8' });
    this.absent =
      built.status === 0
        ? undefined
        : `bench/peers/steer.c does not build with gcc: ${built.error?.message ?? built.stderr.split('\n').slice(0, 3).join('; ')}`;
  }

  /** What it makes of these packets: a number over their results, and how long they take. */
  prepare(
    configuration: RssConfiguration,
    packets: readonly Uint8Array[],
  ): { readonly check: number; readonly timed: Timed } {
    const path = join(this.#folder, `packets-${this.#files++}`);
    writeFileSync(path, fileOf(configuration, packets));
    return { check: this.#run(path, 1).check, timed: { weight: 4, run: (count) => this.#run(path, count).ns } };
  }

  /** The hash of 36 bytes alone. */
  toeplitz36(configuration: RssConfiguration): Timed {
    const path = join(this.#folder, 'none');
    writeFileSync(path, fileOf(configuration, []));
    return { weight: 4, run: (count) => this.#run(path, count, 'toeplitz36').ns };
  }

  #run(path: string, count: number, ...more: readonly string[]): { readonly ns: number; readonly check: number } {
    const { status, stdout, stderr } = spawnSync(this.#binary, [path, String(count), ...more], { encoding: 'utf8' });
    if (status !== 0) throw new InternalError(`peer steer: ${stderr.trim() || `exit ${status}`}`);
    const [ns, check] = stdout.trim().split(' ').map(Number);
    return { ns: ns!, check: check! };
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function fileOf(
  { hashTypes, tunnelTypes = 0, table, unclassifiedQueue, key }: RssConfiguration,
  packets: readonly Uint8Array[],
): Buffer {
  const u32 = (...values: readonly number[]) => Buffer.from(new Uint32Array(values).buffer);
  return Buffer.concat([
    u32(hashTypes, tunnelTypes, table.length - 1, unclassifiedQueue),
    key.subarray(0, 40),
    Buffer.from(new Uint16Array(table).buffer),
    u32(packets.length),
    ...packets.flatMap((packet) => [u32(packet.length), packet]),
  ]);
}

/** The same number over results of ours. */
export function checkOf(
  results: readonly { readonly hash: number; readonly report: number; readonly queue: number }[],
): number {
  let check = 0;
  for (const { hash, report, queue } of results)
    check ^= (hash + Math.imul(report, 0x01000193) + Math.imul(queue, 0x85ebca6b)) | 0;
  return check >>> 0;
}
