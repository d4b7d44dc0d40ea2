import { describe, it } from 'vitest';
import { registers } from './models/register.ts';
import { expectLinearizable, stress } from './stress.ts';
import type { StressWorker } from './workers.ts';

/** Programs' and user space's operations on a few keys. Values are their stamp and its complement. */
function body({
  call,
  view,
  map,
  scratch,
  cpu,
  rounds,
  random,
  pause,
  meet,
  begin,
  end,
  parameters,
}: StressWorker<{ keys: number }>) {
  const { keys } = parameters;
  const key = scratch;
  const value = scratch + 64;
  const out = scratch + 128;
  const torn = () => {
    if (view.getUint32(out, true) !== ~view.getUint32(out + 8, true) >>> 0) throw new Error('a torn value');
    return view.getUint32(out, true);
  };
  for (let i = 0; i < rounds; i++) {
    if (i % 20 === 19) meet();
    const k = random(keys);
    view.setUint32(key, k, true);
    const stamp = (cpu << 24) | (i + 1);
    view.setUint32(value, stamp, true);
    view.setUint32(value + 8, ~stamp, true);
    const what = random(8);
    call('epoch_enter');
    if (what < 3) {
      begin(2 + what, k, stamp);
      end(call('hash_update', map, key, value, BigInt(what)));
    } else if (what === 3) {
      begin(5, k, 0);
      end(call('hash_delete', map, key));
    } else if (what === 4) {
      begin(7, k, 0);
      end(call('hash_lookup', map, key) === 0 ? 0 : 1);
    } else if (what === 5) {
      begin(6, k, 0);
      end(call('map_take_user', map, key, out) === 0 ? torn() : 0);
    } else {
      begin(1, k, 0);
      end(call('map_lookup_user', map, key, out, 0) === 0 ? torn() : 0);
    }
    call('epoch_exit');
    pause();
  }
}

describe('hash map', () => {
  for (const flags of [0, 1]) {
    it(`is linearizable, flags ${flags}`, async () => {
      const result = await stress({
        map: { type: 'hash', keySize: 4, valueSize: 16, maxEntries: 64, flags },
        workers: 4,
        rounds: 4000,
        records: 4000,
        parameters: { keys: 6 },
        body,
      });
      expectLinearizable(registers, result);
    });
  }
});
