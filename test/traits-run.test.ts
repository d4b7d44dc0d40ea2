// Traits before and after runs: what a program on XDP gives a packet, one on tc finds.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { runCapture } from '../src/hooks/xdp/capture.ts';
import { load } from '../src/index.ts';
import { generateCapture } from '../src/net/generator.ts';
import { type TraitPlacement, traitPlacements } from '../src/runtime/traits.ts';

const bytes = readFileSync(fileURLToPath(new URL('../bpf/objects/metadata/packet_id.bpf.o', import.meta.url)));
const data = Uint8Array.from({ length: 60 }, (_, i) => (i === 12 ? 8 : i === 13 ? 0 : i));
const u32 = (value: number) => Uint8Array.of(value, value >> 8, value >> 16, value >> 24);

describe.each(Object.keys(traitPlacements) as TraitPlacement[])('%s', (placement) => {
  it.each(['jit', 'interpreter'] as const)('go from XDP to tc: %s', async (engine) => {
    const object = await load(bytes, { engine, metadata: { placement } });
    const { give_id, mark_id } = object.programs;
    const first = give_id!.run({ data });
    expect(first).toMatchObject({ returnValue: 2, traits: new Map([[1, u32(1)]]) });
    const second = give_id!.run({ data, traits: new Map([[7, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)]]) });
    expect(second.traits).toEqual(
      new Map([
        [1, u32(2)],
        [7, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)],
      ]),
    );
    const context = new Uint8Array(192);
    const marked = mark_id!.run({ data, context, traits: second.traits! });
    expect(new DataView(marked.context!.buffer, marked.context!.byteOffset).getUint32(8, true)).toBe(2);
    expect(marked.traits).toEqual(second.traits);
    const plain = mark_id!.run({ data, context });
    expect(new DataView(plain.context!.buffer, plain.context!.byteOffset).getUint32(8, true)).toBe(0);
    expect(plain).not.toHaveProperty('traits');
    object.close();
  });

  it('stand with the packets of a capture', async () => {
    const object = await load(bytes, { metadata: { placement } });
    const packets = generateCapture({ count: 100, seed: 3, malformedPercent: 0 });
    const ids = [...runCapture(object.runtime, object.programs['give_id']!.executable, packets)].map((each) =>
      each.kind === 'ran' ? each.traits?.get(1) : undefined,
    );
    expect(ids).toEqual(packets.map((_, index) => u32(index + 1)));
    object.close();
  });

  it('say what a packet cannot have', async () => {
    const object = await load(bytes, { metadata: { placement } });
    const run = (key: number, value: Uint8Array) => () =>
      object.programs['give_id']!.run({ data, traits: new Map([[key, value]]) });
    expect(run(64, u32(1))).toThrow(/trait 64 of 4 bytes: EINVAL/);
    expect(run(-1, u32(1))).toThrow(/EINVAL/);
    expect(run(3, new Uint8Array(3))).toThrow(/trait 3 of 3 bytes: EINVAL/);
    expect(run(3, new Uint8Array(300))).toThrow(/EINVAL/);
    object.close();
  });
});
