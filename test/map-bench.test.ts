// The programs of `bench maps`: what they compute is the same in both engines and in the kernel.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { load, Runtime, readObject } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { isRingbuf, type LoadedObject } from '../src/runtime/handles.ts';

const spec = readObject(readFileSync(new URL('../bpf/objects/bench/maps.bpf.o', import.meta.url)), 'maps.bpf.o');
const packet = new Uint8Array(64);
new DataView(packet.buffer).setUint32(16, 100, true);
new DataView(packet.buffer).setUint32(20, 4711, true);

/** What each program leaves, in order. */
function results(object: LoadedObject): string[] {
  expect(object.programs['fill']!.run({ data: packet }).returnValue).toBe(2);
  const names = [...spec.programs.keys()].filter((name) => name !== 'fill');
  const out = names.map((name) => {
    const { returnValue, data } = object.programs[name]!.run({ data: packet });
    return `${name} ${returnValue} ${Buffer.from(data!.subarray(0, 24)).toString('hex')}`;
  });
  for (const map of Object.values(object.maps)) if (isRingbuf(map)) out.push(`ring ${map.consume(() => {})}`);
  object.close();
  return out;
}

describe('programs of bench maps', () => {
  it('in the interpreter as in the JIT', async () => {
    const jit = results(await load(spec, { runtime: new Runtime({ seed: 1n }) }));
    expect(jit.at(-1)).toBe('ring 200');
    expect(jit.every((line) => line.startsWith('ring') || / 2 (?!0{16})/.test(line))).toBe(true);
    expect(results(await load(spec, { runtime: new Runtime({ seed: 1n }), engine: 'interpreter' }))).toEqual(jit);
  });

  const refusal = bpfRefusal();
  it.skipIf(refusal !== undefined)(`in the kernel${refusal ? ` (skipped: ${refusal})` : ''}`, async () => {
    const jit = results(await load(spec, { runtime: new Runtime({ seed: 1n }) }));
    expect(results(await load(spec, { target: 'linux' }))).toEqual(jit);
  });
});
