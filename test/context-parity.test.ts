/** Test runs of programs that get a context, or make one of a packet: here and in the kernel. */
import { afterAll, describe, expect, it } from 'vitest';
import { bpfRefusal } from '../src/linux/features.ts';
import { generateCapture } from '../src/net/generator.ts';
import { random } from '../src/net/random.ts';
import type { RunInput } from '../src/runtime/handles.ts';
import { hookOf } from './skb-hooks.ts';
import { agree, compared } from './skb-testbed.ts';

const refusal = bpfRefusal();
const seed = Number(process.env.SKB_SEED ?? 1);
const rng = random(seed);
const packets = generateCapture({ seed, count: 150 }).map(({ data }) => data);

/** struct bpf_sk_lookup. */
function lookup(fields: Readonly<Record<number, number>>, size = 72): Uint8Array {
  const context = new Uint8Array(size);
  const view = new DataView(context.buffer);
  for (const [offset, value] of Object.entries(fields)) view.setUint32(Number(offset), value, true);
  return context;
}

describe.skipIf(refusal !== undefined)(
  `contexts here and in the kernel${refusal ? ` (skipped: ${refusal})` : ''}`,
  () => {
    afterAll(() => console.log(`${compared} runs over contexts compared with the kernel's, seed ${seed}`));

    it('raw_tracepoint: arguments in, return value out', async () => {
      const text =
        'r0 = *(u64 *)(r1 + 0)\nr2 = *(u64 *)(r1 + 8)\nr0 *= 31\nr0 += r2\nr2 = *(u32 *)(r1 + 20)\nr0 ^= r2\nexit';
      const inputs: RunInput[] = Array.from({ length: 100 }, () => ({ context: rng.bytes(24 + 8 * rng.below(10)) }));
      inputs.push(
        { context: rng.bytes(97) },
        { context: rng.bytes(200) },
        { data: rng.bytes(20), context: rng.bytes(24) },
      );
      expect(await agree(hookOf('raw_tracepoint'), text, inputs)).toBe(100);
    });

    it('syscall: the context is written in place', async () => {
      const text =
        'r0 = *(u64 *)(r1 + 0)\nr2 = *(u32 *)(r1 + 8)\nr0 += r2\n*(u64 *)(r1 + 0) = r0\n*(u16 *)(r1 + 12) = r2\nr0 ^= r2\nexit';
      const inputs: RunInput[] = Array.from({ length: 100 }, () => ({ context: rng.bytes(16 + rng.below(3000)) }));
      inputs.push(
        { context: rng.bytes(65535) },
        { context: rng.bytes(65536) },
        { data: rng.bytes(20), context: rng.bytes(16) },
      );
      expect(await agree(hookOf('syscall'), text, inputs, undefined, { sleepable: true })).toBe(101);
    });

    it('sk_lookup: every field reads the same', async () => {
      for (const [offset, width] of [
        [8, 'u32'],
        [12, 'u32'],
        [16, 'u32'],
        [20, 'u32'],
        [24, 'u32'],
        [32, 'u32'],
        [36, 'u16'],
        [36, 'u32'],
        [40, 'u32'],
        [44, 'u32'],
        [56, 'u32'],
        [60, 'u32'],
        [64, 'u32'],
        [9, 'u8'],
        [61, 'u8'],
      ] as const) {
        const text = (bit: number) => `r0 = *(${width} *)(r1 + ${offset})\nr0 >>= ${bit}\nr0 &= 1\nexit`;
        const inputs = Array.from({ length: 60 }, () => ({
          context: lookup({
            8: rng.pick([2, 2, 10, 10, 1, 0x1_0002]),
            12: rng.u32(),
            16: rng.u32(),
            20: rng.u32(),
            24: rng.u32(),
            28: rng.u32(),
            32: rng.u32(),
            36: rng.u32(),
            40: rng.u32(),
            44: rng.u32(),
            48: rng.u32(),
            52: rng.u32(),
            56: rng.u32(),
            60: rng.chance(1, 8) ? rng.u32() : rng.below(0x10000),
            64: rng.chance(1, 8) ? 1 : 0,
          }),
        }));
        for (const bit of [0, 5, 8])
          expect(await agree(hookOf('sk_lookup'), text(bit), inputs, 'sk_lookup')).toBeGreaterThan(10);
      }
    });

    it('sk_lookup: refuses the same contexts', async () => {
      const inputs: RunInput[] = Array.from({ length: 80 }, (_, at) => {
        const context = lookup({ 8: 2 }, 80);
        context[at] = at === 8 ? 2 : 1;
        return { context };
      });
      inputs.push(
        {},
        { context: lookup({ 8: 2 }, 40) },
        { context: lookup({ 8: 2 }), data: rng.bytes(20) },
        { context: lookup({ 8: 2 }), repeat: 3 },
      );
      await agree(hookOf('sk_lookup'), 'r0 = 1\nexit', inputs, 'sk_lookup');
      await agree(hookOf('sk_lookup'), 'r0 = 0\nexit', inputs, 'sk_lookup');
    });

    it('flow_dissector: keys out of packets', async () => {
      const programs = [
        'r0 = 0\nexit',
        'r0 = 129\nexit',
        // thoff and nhoff that are too small or too large, and keys that are written.
        'r2 = *(u64 *)(r1 + 144)\nr3 = 5\n*(u16 *)(r2 + 0) = r3\nr3 = 2\n*(u16 *)(r2 + 2) = r3\nr0 = 0\nexit',
        'r2 = *(u64 *)(r1 + 144)\nr3 = 700\n*(u16 *)(r2 + 0) = r3\nr3 = 60000\n*(u16 *)(r2 + 2) = r3\nr0 = 2\nexit',
        'r2 = *(u64 *)(r1 + 144)\nr4 = *(u32 *)(r1 + 76)\nr5 = *(u32 *)(r1 + 80)\nr3 = r4\nr3 += 38\nr0 = 2\nif r3 > r5 goto out\nr3 = *(u16 *)(r2 + 10)\n*(u16 *)(r2 + 4) = r3\nr3 = *(u8 *)(r4 + 23)\n*(u8 *)(r2 + 9) = r3\nr3 = *(u32 *)(r4 + 26)\n*(u32 *)(r2 + 16) = r3\nr3 = *(u16 *)(r4 + 34)\n*(u16 *)(r2 + 12) = r3\nr3 = *(u32 *)(r2 + 48)\n*(u32 *)(r2 + 52) = r3\nr0 = 0\nout:\nexit',
      ];
      const bytes =
        'r2 = 0\n*(u64 *)(r10 - 8) = r2\nr6 = r1\nr2 = 0\nr3 = r10\nr3 += -8\nr4 = 8\ncall bpf_skb_load_bytes\nexit';
      const inputs: RunInput[] = packets.map((data, i) =>
        i % 3 === 0 ? { data } : { data, context: lookup({ 48: rng.below(8) }, 56) },
      );
      inputs.push(...[0, 13, 14, 4095, 4096, 4097].map((length) => ({ data: new Uint8Array(length) })));
      inputs.push(
        ...Array.from({ length: 60 }, (_, at) => ({
          data: packets[0]!,
          context: Uint8Array.from({ length: 60 }, (_each, i) => Number(i === at)),
        })),
      );
      for (const text of [...programs, bytes])
        expect(await agree(hookOf('flow_dissector'), text, inputs, 'flow_dissector')).toBeGreaterThan(100);
    });
  },
);
