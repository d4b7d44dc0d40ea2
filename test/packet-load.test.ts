// BPF_LD ABS and IND over sk_buffs, on both engines and in the kernel.
import { describe, expect, it } from 'vitest';
import { bpfRefusal } from '../src/linux/features.ts';
import { random } from '../src/net/random.ts';
import { hookOf } from './skb-hooks.ts';
import { agree, CB, skbContext } from './skb-testbed.ts';

const refusal = bpfRefusal();

/** Offsets around the edges of the packet, of the headers' areas, of 32 bits. */
const edges = [0, 1, 13, 14, 57, 59, 60, 61, 62, 63, 64, 65, 0x7fff_ffff, -1, -2, -0x1000];
const areas = [-0x10_0000, -0x20_0000];
const offsets = [
  ...edges,
  ...areas.flatMap((area) => edges.map((edge) => (area + edge) | 0)),
  ...areas.map((area) => area - 1),
  -0x8000_0000,
];

describe.skipIf(refusal !== undefined)(`packet loads${refusal ? ` (skipped: ${refusal})` : ''}`, () => {
  for (const type of ['socket_filter', 'sched_cls', 'sched_act'] as const) {
    for (const size of ['u8', 'u16', 'u32'] as const) {
      it(`${type}: ${size} at a register plus a constant`, async () => {
        const rng = random(1);
        const inputs = offsets.map((offset) => ({
          data: Uint8Array.from({ length: 64 }, () => rng.below(256)),
          context: skbContext({ [CB[0]]: offset >>> 0 }),
        }));
        for (const constant of [0, 4, -3]) {
          const text = `r6 = r1\nr7 = *(u32 *)(r6 + ${CB[0]})\nr0 = *(${size} *)skb[r7 ${constant < 0 ? '-' : '+'} ${Math.abs(constant)}]\n*(u32 *)(r6 + ${CB[1]}) = r0\nr0 = 7\nexit`;
          expect(await agree(hookOf(type), text, inputs)).toBe(inputs.length);
        }
      });
    }

    it(`${type}: at a constant`, async () => {
      const data = Uint8Array.from({ length: 64 }, (_, at) => at * 3);
      for (const offset of offsets.filter((each) => each !== -0x8000_0000)) {
        const text = `r6 = r1\nr0 = *(u16 *)skb[${offset}]\n*(u32 *)(r6 + ${CB[1]}) = r0\nr0 = 7\nexit`;
        expect(await agree(hookOf(type), text, [{ data, context: skbContext({}) }])).toBe(1);
      }
    });
  }
});
