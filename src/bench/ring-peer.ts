/** The C side of `bench ring`: bench/peers/ring.c, built with liburing where that is installed. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InternalError, UnsupportedError } from '../errors.ts';

export class RingPeer {
  readonly binary: string;
  readonly #folder: string;

  /** `peers`: folder of the sources. Throws UnsupportedError where there is no gcc or no liburing. */
  constructor(peers: string) {
    this.#folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
    this.binary = join(this.#folder, 'ring');
    const built = spawnSync('gcc', ['-O2', '-o', this.binary, join(peers, 'ring.c'), '-luring'], { encoding: 'utf8' });
    if (built.status !== 0) {
      this.close();
      const why = built.error?.message ?? built.stderr.split('\n').slice(0, 3).join('; ');
      throw new UnsupportedError('peer liburing-c', `bench/peers/ring.c does not build (gcc and liburing-dev): ${why}`);
    }
  }

  /** ns that `count` of the case took. */
  run(name: string, count: number, ...args: readonly (string | number)[]): number {
    const { status, stdout, stderr } = spawnSync(this.binary, [name, count, ...args].map(String), { encoding: 'utf8' });
    if (status !== 0) throw new InternalError(`peer ring ${name}: ${stderr.trim() || `exit ${status}`}`);
    return Number(stdout);
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
