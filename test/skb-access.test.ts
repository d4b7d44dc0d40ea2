/** How programs reach a packet: lengths that are taken, packet pointers, loads of classic BPF, the socket. Here and in the kernel. */
import { afterAll, describe, expect, it } from 'vitest';
import type { ProgramTypeName } from '../src/abi/program-types.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { generateCapture } from '../src/net/generator.ts';
import { random } from '../src/net/random.ts';
import { hookOf } from './skb-hooks.ts';
import { agree, CB, compared, skbContext } from './skb-testbed.ts';

const refusal = bpfRefusal();
const seed = Number(process.env.SKB_SEED ?? 1);
const packets = generateCapture({ seed, count: 200 }).map(({ data }) => data);
const types = ['sched_cls', 'sched_act', 'socket_filter', 'cgroup_skb', 'lwt_in', 'lwt_out', 'lwt_xmit'] as const;

/** Nothing but an EtherType. */
function frame(length: number, type: number): Uint8Array {
  const data = new Uint8Array(length);
  if (length > 13) new DataView(data.buffer).setUint16(12, type);
  return data;
}

const keep = (n: number) => `*(u32 *)(r6 + ${CB[n]}) = r0\n`;

describe.skipIf(refusal !== undefined)(`access to packets${refusal ? ` (skipped: ${refusal})` : ''}`, () => {
  afterAll(() => console.log(`${compared} runs of accesses compared with the kernel's, seed ${seed}`));

  it.each(types)('%s: takes and refuses the same packets', async (type) => {
    const lengths = [0, 1, 13, 14, 15, 16, 33, 34, 35, 53, 54, 55, 60, 3711, 3712, 3713, 4096];
    const inputs = lengths.flatMap((length) =>
      [0x0800, 0x86dd, 0x0806, 0x8100, 0x0100].flatMap((ethertype) => [
        { data: frame(length, ethertype) },
        { data: frame(length, ethertype), context: new Uint8Array(8) },
        { data: frame(length, ethertype), context: skbContext({ 160: length }) },
        { data: frame(length, ethertype), context: skbContext({ 160: length - 14 }) },
      ]),
    );
    expect(await agree(hookOf(type), 'r0 = 1\nexit', inputs)).toBeGreaterThan(30);
  });

  it.each(types)('%s: refuses the same contexts', async (type) => {
    const inputs = Array.from({ length: 200 }, (_, at) => {
      const context = new Uint8Array(200);
      context[at] = 1;
      return { data: packets[at % 3]!, context };
    });
    const short = [0, 1, 8, 12, 100, 191, 192].map((length) => ({
      data: packets[0]!,
      context: new Uint8Array(length).fill(0),
    }));
    const ran = await agree(hookOf(type), 'r0 = 1\nexit', [...inputs, ...short]);
    expect(ran).toBeGreaterThan(20);
    expect(ran).toBeLessThan(150);
  });

  const pointers: readonly [ProgramTypeName, boolean][] = [
    ['sched_cls', true],
    ['sched_act', true],
    ['lwt_xmit', true],
    ['lwt_in', false],
    ['lwt_out', false],
    ['cgroup_skb', false],
  ];
  it.each(pointers)('%s: packet pointers', async (type, writes) => {
    for (const length of [1, 8, 20, 46, 200]) {
      const text = `r6 = r1\nr7 = *(u32 *)(r1 + 76)\nr2 = *(u32 *)(r1 + 80)\nr3 = r7\nr3 += ${length}\nr0 = 1\nif r3 > r2 goto out\nr0 = *(u8 *)(r7 + ${length - 1})\n${keep(0)}${writes ? `r0 ^= 255\n*(u8 *)(r7 + ${length - 1}) = r0\n` : ''}r0 = 0\nout:\nexit`;
      await agree(
        hookOf(type),
        text,
        packets.map((data) => ({ data, context: new Uint8Array(192) })),
      );
    }
  });

  it.each(['sched_cls', 'sched_act', 'socket_filter'] as const)('%s: loads of classic BPF', async (type) => {
    const rng = random(seed);
    const offsets = [
      0, 1, 9, 12, 13, 23, 59, 60, 61, 1513, 0x7fff_fffc, -1, -0x10_0000, -0x0f_fff7, -0x10_0001, -0x20_0000,
      -0x1f_fff4, -0x20_0001,
    ];
    for (const [width, bytes] of [
      ['u8', 1],
      ['u16', 2],
      ['u32', 4],
    ] as const) {
      const chosen = [...offsets, ...Array.from({ length: 6 }, () => rng.below(80))];
      // A load beyond the packet ends the program with 0, so that cb keeps what was there before.
      for (const offset of chosen)
        await agree(
          hookOf(type),
          `r6 = r1\nr0 = *(${width} *)skb[${offset}]\n${keep(0)}r0 = 1\nexit`,
          packets.slice(0, 40).map((data) => ({ data, context: skbContext({ 48: 5 }) })),
        );
      await agree(
        hookOf(type),
        `r6 = r1\nr7 = *(u32 *)(r6 + 52)\nr0 = *(${width} *)skb[r7 + ${4 * bytes}]\n${keep(0)}r0 = 1\nexit`,
        packets.map((data) => ({
          data,
          context: skbContext({ 52: rng.chance(1, 3) ? rng.u32() : rng.below(data.length + 8) }),
        })),
      );
    }
  });

  it.each(['sched_cls', 'cgroup_skb'] as const)('%s: the socket of the packet', async (type) => {
    const load = (offset: number) =>
      `r6 = r1\nr0 = 0\nr1 = *(u64 *)(r1 + 168)\nif r1 == 0 goto none\ncall bpf_sk_fullsock\nif r0 == 0 goto none\nr0 = *(u32 *)(r0 + ${offset})\n${keep(0)}r0 = 1\ngoto out\nnone:\nr0 = 0\nout:\nexit`;
    const inputs = packets.slice(0, 60).map((data) => ({ data, context: new Uint8Array(192) }));
    for (const offset of [0, 4, 8, 12, 16, 20, 24, 28, 40, 44, 52, 56, 68, 72])
      await agree(hookOf(type), load(offset), inputs);
  });
});
