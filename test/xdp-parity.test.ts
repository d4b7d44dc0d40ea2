/** XDP helpers and test runs here and in the kernel: return value, packet and context must agree, packet for packet. */
import { describe, expect, it } from 'vitest';
import { xdpHook } from '../src/hooks/xdp/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { generateCapture } from '../src/net/generator.ts';
import { type Random, random } from '../src/net/random.ts';
import type { RunInput } from '../src/runtime/handles.ts';
import { agree } from './skb-testbed.ts';

type Input = RunInput & { readonly data: Uint8Array };

const refusal = bpfRefusal();
const seed = Number(process.env['XDP_SEED'] ?? 1);
const packets = generateCapture({ seed, count: 400, malformedPercent: 30 }).map(({ data }) => data);

/** Puts arguments into the first words of a packet of at least `words` words; the programs read them there. */
function withArguments(packet: Uint8Array, words: readonly number[]): Uint8Array {
  const data = new Uint8Array(Math.max(packet.length, words.length * 4, 14));
  data.set(packet);
  const view = new DataView(data.buffer);
  for (const [i, word] of words.entries()) view.setInt32(i * 4, word | 0, true);
  return data;
}

/** A distance of some interesting kind: around the edges of headroom (256, 216), metadata, tailroom and the packet itself. */
function distance(rng: Random, length: number): number {
  const edge = rng.pick([
    0,
    4,
    -4,
    14,
    -216,
    216,
    -256,
    252,
    -252,
    255,
    length,
    -length,
    length - 14,
    3520 - length,
    3776,
    -32,
  ]);
  switch (rng.below(4)) {
    case 0:
      return edge;
    case 1:
      return edge + rng.below(9) - 4;
    case 2:
      return rng.below(80) * 4 - 160;
    default:
      return rng.pick([0x7fff_ffff, -0x8000_0000, 0xffff, 0x1_0000, -1, 1]);
  }
}

/** r6 = ctx; r7, r8, r9 = the first words of the packet (0 if it is too short for them). */
const readArguments = `
  r6 = r1
  r7 = 0
  r8 = 0
  r9 = 0
  r2 = *(u32 *)(r6 + 0x0)
  r3 = *(u32 *)(r6 + 0x4)
  r4 = r2
  r4 += 12
  if r4 > r3 goto ready
  r7 = *(s32 *)(r2 + 0x0)
  r8 = *(s32 *)(r2 + 0x4)
  r9 = *(s32 *)(r2 + 0x8)
ready:
`;

const call = (helper: string, argument: string) => `
  r1 = r6
  r2 = ${argument}
  call ${helper}
`;

function inputs(rng: Random, contexts: boolean): Input[] {
  return packets.map((packet) => {
    const data = withArguments(
      packet,
      [0, 1, 2].map(() => distance(rng, packet.length)),
    );
    if (!contexts || rng.chance(1, 3)) return { data };
    const metadata = rng.below(9) * 4;
    return { data, context: md({ data: metadata, dataEnd: data.length }) };
  });
}

function md(fields: {
  data?: number;
  dataEnd?: number;
  dataMeta?: number;
  ifindex?: number;
  queue?: number;
  egress?: number;
}) {
  const context = new Uint8Array(24);
  const view = new DataView(context.buffer);
  const { data = 0, dataEnd = 0, dataMeta = 0, ifindex = 0, queue = 0, egress = 0 } = fields;
  for (const [i, value] of [data, dataEnd, dataMeta, ifindex, queue, egress].entries())
    view.setUint32(i * 4, value, true);
  return context;
}

async function same(text: string, contexts = true): Promise<void> {
  expect(await agree(xdpHook, text, inputs(random(seed), contexts))).toBeGreaterThan(100);
}

describe.skipIf(refusal !== undefined)(`XDP here and in the kernel${refusal ? ` (skipped: ${refusal})` : ''}`, () => {
  it.each(['bpf_xdp_adjust_head', 'bpf_xdp_adjust_meta', 'bpf_xdp_adjust_tail'])('%s', async (helper) => {
    await same(`${readArguments}${call(helper, 'r7')} exit`);
  });

  it('sequences of the three, with the length in between', async () => {
    await same(`${readArguments}
      ${call('bpf_xdp_adjust_meta', 'r7')}
      r7 = r0
      ${call('bpf_xdp_adjust_head', 'r8')}
      r8 = r0
      ${call('bpf_xdp_adjust_tail', 'r9')}
      r9 = r0
      r1 = r6
      call bpf_xdp_get_buff_len
      r0 ^= r7
      r8 <<= 8
      r0 ^= r8
      r9 <<= 16
      r0 ^= r9
      exit`);
  });

  it('fresh tailroom is zero', async () => {
    await same(`${readArguments}${call('bpf_xdp_adjust_tail', '64')}
      if r0 != 0 goto out
      r1 = r6
      call bpf_xdp_get_buff_len
      r2 = r0
      r2 += -64
      r1 = r6
      r3 = r10
      r3 += -64
      r4 = 64
      call bpf_xdp_load_bytes
      if r0 != 0 goto out
      r0 = *(u64 *)(r10 - 64)
      r1 = *(u64 *)(r10 - 8)
      r0 |= r1
      out: exit`);
  });

  it.each([1, 2, 7, 16, 64])('bpf_xdp_load_bytes and bpf_xdp_store_bytes, %d bytes', async (size) => {
    await same(`${readArguments}
      *(u64 *)(r10 - 64) = 0
      *(u64 *)(r10 - 56) = 0
      *(u64 *)(r10 - 48) = 0
      *(u64 *)(r10 - 40) = 0
      *(u64 *)(r10 - 32) = 0
      *(u64 *)(r10 - 24) = 0
      *(u64 *)(r10 - 16) = 0
      *(u64 *)(r10 - 8) = 0
      r1 = r6
      r2 = r7
      r3 = r10
      r3 += -64
      r4 = ${size}
      call bpf_xdp_load_bytes
      r9 = r0
      r1 = r6
      r2 = r8
      r3 = r10
      r3 += -64
      r4 = ${size}
      call bpf_xdp_store_bytes
      r0 <<= 8
      r0 ^= r9
      r1 = *(u64 *)(r10 - 64)
      r0 ^= r1
      exit`);
  });

  it('bpf_csum_diff, removing, adding and replacing, sizes that are none included', async () => {
    const copy = Array.from(
      { length: 8 },
      (_, i) => `r3 = *(u64 *)(r2 + ${i * 8})\n *(u64 *)(r10 - ${64 - i * 8}) = r3`,
    );
    for (const [from, to] of [
      [0, 0],
      [4, 0],
      [0, 4],
      [8, 8],
      [32, 28],
      [64, 0],
      [0, 64],
      [64, 64],
      [3, 0],
      [4, 6],
    ] as const) {
      await same(`${readArguments}
        r2 = *(u32 *)(r6 + 0x0)
        r3 = *(u32 *)(r6 + 0x4)
        r4 = r2
        r4 += 64
        r0 = 0
        if r4 > r3 goto out
        ${copy.join('\n')}
        r1 = r10
        r1 += -64
        r2 = ${from}
        r3 = r10
        r3 += ${-Math.max(4, Math.ceil(to / 4) * 4)}
        r4 = ${to}
        r5 = r8
        call bpf_csum_diff
        out: exit`);
    }
  });

  it('bpf_redirect takes no flags', async () => {
    await same(`${readArguments}
      r1 = 1
      r2 = r7
      r2 &= 1
      call bpf_redirect
      exit`);
  });

  it('contexts are taken and refused as in BPF_PROG_TEST_RUN', async () => {
    const rng = random(seed);
    const cases: Input[] = [];
    for (let i = 0; i < 600; i++) {
      const data = new Uint8Array(14 + rng.below(200));
      const pick = (...values: readonly [number, ...number[]]) => rng.pick(values);
      cases.push({
        data,
        context: md({
          data: pick(0, 0, 4, 8, 216, 220, 252, 256, 3, data.length, data.length + 4),
          // Less than all of it would ask for fragments, which are not there.
          dataEnd: pick(data.length, data.length, data.length, data.length + 1),
          dataMeta: pick(0, 0, 0, 0, 4),
          ifindex: pick(0, 1, 1),
          queue: pick(0, 0, 0, 1),
          egress: pick(0, 0, 0, 0, 1),
        }),
      });
    }
    const program = `
      r0 = *(u32 *)(r1 + 0xc)
      r2 = *(u32 *)(r1 + 0x10)
      r0 <<= 8
      r0 |= r2
      exit`;
    expect(await agree(xdpHook, program, cases)).toBeGreaterThan(20);
  });

  it('lengths from 0 up, and longer contexts', async () => {
    const cases: Input[] = [0, 1, 13, 14, 15, 60, 1514, 3519, 3520].map((length) => ({
      data: new Uint8Array(length),
    }));
    for (const size of [24, 25, 32]) cases.push({ data: new Uint8Array(64), context: contextOfSize(size, 64) });
    cases.push({ data: new Uint8Array(64), context: Uint8Array.from([...contextOfSize(24, 64), 1]) });
    expect(await agree(xdpHook, ' r0 = 2\n exit', cases)).toBeGreaterThan(5);
  });

  it('repeated runs add up', async () => {
    const cases = packets.slice(0, 50).map((data) => ({ data: withArguments(data, []), repeat: 3 }));
    expect(await agree(xdpHook, `r6 = r1\n${call('bpf_xdp_adjust_head', '-4')} exit`, cases)).toBe(50);
  });
});

function contextOfSize(size: number, dataEnd: number): Uint8Array {
  const context = new Uint8Array(size);
  context.set(md({ dataEnd }).subarray(0, size));
  return context;
}
