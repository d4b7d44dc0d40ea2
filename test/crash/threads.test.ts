// Threads that are ended for real, by worker.terminate and by an error that nobody catches. SLUICE_CRASH_SECONDS for how long, SLUICE_SEED from which seed on.
import { describe, expect, it } from 'vitest';
import { threadRounds } from './threads.ts';

const SEED = Number(process.env.SLUICE_SEED ?? 1);
const SECONDS = Number(process.env.SLUICE_CRASH_SECONDS ?? 0);

describe('threads that end while all work on the same maps', () => {
  it(
    'leave nothing torn, lost or locked, and the others go on',
    async () => {
      const start = performance.now();
      let rounds = 0;
      let crashes = 0;
      for (let seed = SEED; seed === SEED || performance.now() - start < SECONDS * 1000; seed++) {
        const outcome = await threadRounds({
          seed,
          threads: 3,
          rounds: SECONDS === 0 ? 1000 : 60,
          ms: SECONDS === 0 ? 2500 : 1e9,
        });
        rounds += outcome.rounds;
        crashes += outcome.crashes.length;
        for (const { recovered, error } of outcome.crashes) {
          expect(error).toBeInstanceOf(Error);
          expect(recovered.locks).toBeLessThan(8);
        }
        if (SECONDS !== 0) console.log(`seed ${seed}: ${rounds} rounds, ${crashes} crashes`);
      }
      expect(crashes).toBeGreaterThanOrEqual(rounds);
      expect(rounds).toBeGreaterThan(0);
    },
    60_000 + SECONDS * 1000,
  );
});
