// `bench scale`: its programs compute the same in both engines and in the kernel; its threads do what they count.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { benchScale } from '../src/bench/scale.ts';
import { scaleCases } from '../src/bench/scale-cases.ts';
import { load, Runtime, readObject } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import type { LoadedObject } from '../src/runtime/handles.ts';
import { noRing } from './ring-testbed.ts';

const root = fileURLToPath(new URL('../', import.meta.url));
const built = existsSync(join(root, 'dist/linux/cpu-thread.js'));
const refusal = bpfRefusal();
const onMaps = scaleCases.filter(({ object }) => object === 'bench/scale.bpf.o');
const spec = readObject(readFileSync(join(root, 'bpf/objects/bench/scale.bpf.o')), 'scale.bpf.o');

/** What each program leaves in its packet, in order. */
function results(object: LoadedObject): string[] {
  onMaps[0]!.prepare(object);
  const out = onMaps.map(({ program, packets, repeatable }) => {
    const { returnValue, data } = object.programs[program]!.run({ data: packets(1)[0]![0]! });
    return `${program} ${returnValue} ${repeatable ? Buffer.from(data!.subarray(0, 24)).toString('hex') : ''}`;
  });
  object.close();
  return out;
}

describe('programs of bench scale', () => {
  it('in the interpreter as in the JIT', async () => {
    const jit = results(await load(spec, { runtime: new Runtime({ seed: 1n }) }));
    expect(jit.every((line) => / 2 (?!0{16})/.test(line))).toBe(true);
    expect(results(await load(spec, { runtime: new Runtime({ seed: 1n }), engine: 'interpreter' }))).toEqual(jit);
  });

  it.skipIf(refusal !== undefined)(`in the kernel${refusal ? ` (skipped: ${refusal})` : ''}`, async () => {
    const jit = results(await load(spec, { runtime: new Runtime({ seed: 1n }) }));
    expect(results(await load(spec, { target: 'linux' }))).toEqual(jit);
  });

  it('gives each packet of the load balancer to one thread', () => {
    const balancer = scaleCases.find(({ program }) => program === 'load_balancer_again')!;
    const [all] = balancer.packets(1);
    const hex = (packets: readonly Uint8Array[]) => packets.map((packet) => Buffer.from(packet).toString('hex')).sort();
    const spread = balancer.packets(4);
    expect(spread.every((packets) => packets.length > all!.length / 16)).toBe(true);
    expect(hex(spread.flat())).toEqual(hex(all!));
  });
});

describe.skipIf(!built)(`threads of bench scale${built ? '' : ' (skipped: dist is not built)'}`, () => {
  const measure = (filter: string) =>
    benchScale({
      bpf: join(root, 'bpf'),
      peers: join(root, 'bench/peers'),
      rounds: 1,
      targetMs: 1,
      threads: [1, 2],
      filter,
      progress() {},
    });

  it.each(['per-CPU hash', 'ring buffer', 'XDP', 'nops'])('%s', async (filter) => {
    const { scale, cases, notes } = await measure(filter);
    if (filter === 'nops' && noRing !== undefined) return expect(notes.join()).toContain('rings are absent');
    expect(scale).toHaveLength(1);
    expect(cases).toHaveLength(2);
    for (const { ours, peers } of scale![0]!.points)
      for (const point of [ours, ...Object.values(peers)]) {
        expect(point.perSecond).toBeGreaterThan(0);
        expect(point.cpuNs).toBeGreaterThan(0);
      }
    if (filter !== 'nops') expect(Object.keys(cases[0]!.peers)).toEqual(refusal === undefined ? ['linux-jit'] : []);
  });
});
