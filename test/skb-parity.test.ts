/** Programs over sk_buffs here and in the kernel: return value, packet and context must agree, packet for packet. */
import { afterAll, describe, expect, it } from 'vitest';
import type { ProgramTypeName } from '../src/abi/program-types.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { generateCapture } from '../src/net/generator.ts';
import { type Random, random } from '../src/net/random.ts';
import { hookOf } from './skb-hooks.ts';
import { agree as agreeOn, CB, compared, skbContext } from './skb-testbed.ts';

const refusal = bpfRefusal();
const seed = Number(process.env.SKB_SEED ?? 1);
const PACKETS = 300;

const packets = generateCapture({ seed, count: PACKETS }).map(({ data }) => data);

type Words = readonly number[];
/** Five words for cb[], for one run. */
type Arguments = (rng: Random, packet: Uint8Array) => Words;

async function agree(
  type: ProgramTypeName,
  text: string,
  words: Arguments = () => [],
  fields: (rng: Random) => Record<number, number> = () => ({}),
): Promise<void> {
  const rng = random(seed);
  const inputs = packets.map((data) => ({
    data,
    context: skbContext({ ...Object.fromEntries(words(rng, data).map((word, i) => [CB[i]!, word])), ...fields(rng) }),
  }));
  expect(await agreeOn(hookOf(type), text, inputs)).toBeGreaterThan(0);
}

/** A number of some interesting kind: small, around the packet's length, or any. */
function size(rng: Random, packet: Uint8Array): number {
  switch (rng.below(8)) {
    case 0:
      return rng.u32();
    case 1:
    case 2:
      return Math.max(0, packet.length + rng.below(9) - 4);
    case 3:
      return rng.below(2000);
    case 4:
      return rng.pick([0, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 16064, 16065, 20000]);
    default:
      return rng.below(80);
  }
}

const prologue = 'r6 = r1\n';
/** Leaves r0 in cb[n] and returns it. */
const keep = (n: number) => `*(u32 *)(r6 + ${CB[n]}) = r0\n`;
const word = (register: string, n: number) => `${register} = *(u32 *)(r6 + ${CB[n]})\n`;

describe.skipIf(refusal !== undefined)(
  `sk_buffs here and in the kernel${refusal ? ` (skipped: ${refusal})` : ''}`,
  () => {
    afterAll(() => console.log(`${compared} runs compared with the kernel's, seed ${seed}`));

    const readable = {
      len: 0,
      pkt_type: 4,
      mark: 8,
      queue_mapping: 12,
      protocol: 16,
      vlan_present: 20,
      vlan_tci: 24,
      vlan_proto: 28,
      priority: 32,
      ingress_ifindex: 36,
      ifindex: 40,
      tc_index: 44,
      hash: 68,
      gso_segs: 164,
      gso_size: 176,
    };
    const fields = (rng: Random) => ({
      8: rng.u32(),
      32: rng.u32(),
      36: rng.u32(),
      40: rng.pick([0, 1, 1, 77777]),
      152: rng.u32(),
      156: rng.u32(),
      160: rng.pick([0, 0, 3000, 65536, 65537, 60]),
      164: rng.pick([0, 7, 65535, 65536]),
      176: rng.pick([0, 0, 1400, 70000]),
      184: rng.u32(),
    });
    for (const [type, more] of [
      ['sched_cls', { tc_classid: 72, napi_id: 84, wire_len: 160, tstamp_type: 180 }],
      ['sched_act', { tc_classid: 72 }],
      ['socket_filter', {}],
      [
        'cgroup_skb',
        {
          family: 88,
          remote_ip4: 92,
          local_ip4: 96,
          remote_ip6: 100,
          local_ip6: 128,
          remote_port: 132,
          local_port: 136,
        },
      ],
      ['lwt_in', {}],
      ['lwt_out', {}],
      ['lwt_xmit', {}],
    ] as const) {
      it(`${type}: every field of the context reads the same`, async () => {
        for (const [name, offset] of Object.entries({ ...readable, ...more })) {
          const load = name === 'tstamp_type' ? 'u8' : 'u32';
          await agree(
            type,
            `${prologue}r0 = *(${load} *)(r1 + ${offset})\n${keep(0)}r0 = 1\nexit`,
            (rng) => [1, 2, 3, 4, 5].map(() => rng.u32()),
            fields,
          );
        }
      });
    }

    const tc = (title: string, call: string, words: Arguments, more = '') =>
      it(`sched_cls: ${title}`, () => agree('sched_cls', `${prologue}${call}${keep(4)}${more}exit`, words));
    const three: Arguments = (rng, packet) => [size(rng, packet), rng.chance(1, 8) ? rng.u32() : 0, 0];

    // A GSO packet may grow beyond any buffer that is made here (plane/layout/skb.ts).
    const bounded: Arguments = (rng, packet) => {
      const room = size(rng, packet);
      return [room > 20000 && room < 2 ** 31 ? 20000 : room, rng.chance(1, 8) ? 1 : 0];
    };

    for (const bytes of [1, 2, 4, 14, 32])
      tc(
        `bpf_skb_load_bytes, ${bytes}`,
        `r1 = 0\n*(u64 *)(r10 - 32) = r1\n*(u64 *)(r10 - 24) = r1\n*(u64 *)(r10 - 16) = r1\n*(u64 *)(r10 - 8) = r1\nr1 = r6\n${word('r2', 0)}r3 = r10\nr3 += -32\nr4 = ${bytes}\ncall bpf_skb_load_bytes\n`,
        three,
        'r0 = *(u32 *)(r10 - 32)\nr1 = *(u32 *)(r10 - 8)\nr0 ^= r1\n',
      );
    for (const type of ['sched_cls', 'cgroup_skb', 'socket_filter'] as const)
      it(`${type}: bpf_skb_load_bytes_relative`, () =>
        agree(
          type,
          `${prologue}${word('r2', 0)}r3 = r10\nr3 += -8\nr4 = 8\n${word('r5', 1)}call bpf_skb_load_bytes_relative\n${keep(4)}r0 = *(u32 *)(r10 - 8)\n${keep(3)}r0 = *(u32 *)(r10 - 4)\n${keep(2)}r0 = 1\nexit`,
          (rng, packet) => [size(rng, packet), rng.pick([0, 0, 1, 1, 1, 2, 77])],
        ));
    tc(
      'bpf_skb_store_bytes',
      `r1 = 0x1234567890abcdef ll\n*(u64 *)(r10 - 8) = r1\nr1 = r6\n${word('r2', 0)}r3 = r10\nr3 += -8\nr4 = 8\n${word('r5', 1)}call bpf_skb_store_bytes\n`,
      (rng, packet) => [size(rng, packet), rng.pick([0, 1, 2, 3, 4, 0xffff])],
    );
    tc('bpf_skb_pull_data', `${word('r2', 0)}call bpf_skb_pull_data\n`, three);
    const headers = `r7 = r0\nr0 = *(u32 *)(r6 + 0)\n${keep(0)}r0 = *(u32 *)(r6 + 16)\n${keep(1)}r0 = *(u32 *)(r6 + 28)\n${keep(2)}r0 = *(u32 *)(r6 + 24)\n${keep(3)}r0 = *(u32 *)(r6 + 4)\nr0 <<= 8\nr1 = *(u32 *)(r6 + 164)\nr0 += r1\n`;
    for (const name of ['tail', 'head'] as const)
      for (const type of ['sched_cls', 'lwt_xmit'] as const)
        it(`${type}: bpf_skb_change_${name}`, () =>
          agree(
            type,
            `${prologue}${word('r2', 0)}${word('r3', 1)}call bpf_skb_change_${name}\n${keep(4)}${headers}exit`,
            name === 'head' ? bounded : three,
            (rng) => (rng.chance(1, 4) ? { 176: 100, 164: 3 } : {}),
          ));
    tc(
      'bpf_skb_change_proto',
      `${word('r2', 0)}${word('r3', 1)}call bpf_skb_change_proto\n`,
      (rng) => [rng.pick([8, 0xdd86, 0x0800, 0xdd86, 8]), rng.chance(1, 9) ? 1 : 0],
      headers,
    );
    tc(
      'bpf_skb_change_type',
      `${word('r2', 0)}call bpf_skb_change_type\n`,
      (rng) => [rng.pick([0, 1, 2, 3, 4, 5, 256, 0xffffffff])],
      headers,
    );
    it('sched_cls: bpf_skb_adjust_room', () =>
      agree(
        'sched_cls',
        `${prologue}${word('r2', 0)}r2 <<= 32\nr2 s>>= 32\n${word('r3', 1)}${word('r4', 2)}${word('r5', 3)}r5 <<= 32\nr4 |= r5\ncall bpf_skb_adjust_room\n${keep(4)}${headers}exit`,
        (rng) => [
          rng.pick([0, 4, 8, 20, 28, 40, 60, 100, 0xfff, 0x1000, -4, -8, -20, -28, -40, -60, -1000, rng.u32()]),
          rng.pick([0, 1, 1, 0, 2]),
          rng.pick([
            0,
            0,
            1,
            2,
            4,
            8,
            2 | 16,
            4 | 16,
            2 | 8,
            4 | 8,
            6,
            26,
            2 | 64,
            32,
            64,
            128,
            256,
            128 | 256,
            512,
            33,
          ]),
          rng.pick([0, 0, 0, 14 << 24, 4 << 24, 1]),
        ],
        (rng) => (rng.chance(1, 4) ? { 176: 100, 164: 3 } : {}),
      ));
    tc(
      'bpf_skb_vlan_push',
      `${word('r2', 0)}${word('r3', 1)}call bpf_skb_vlan_push\n`,
      (rng) => [rng.pick([0x81, 0xa888, 8, 0x8100]), rng.u32()],
      headers,
    );
    tc(
      'bpf_skb_vlan_push twice',
      `${word('r2', 0)}${word('r3', 1)}call bpf_skb_vlan_push\nr1 = r6\n${word('r2', 2)}${word('r3', 1)}call bpf_skb_vlan_push\n`,
      (rng) => [rng.pick([0x81, 0xa888, 8, 0x8100]), rng.u32(), rng.pick([0x81, 0xa888])],
      headers,
    );
    tc('bpf_skb_vlan_pop', 'call bpf_skb_vlan_pop\n', three, headers);
    tc('bpf_skb_vlan_pop twice', 'call bpf_skb_vlan_pop\nr1 = r6\ncall bpf_skb_vlan_pop\n', three, headers);
    for (const layer of ['l3', 'l4'] as const)
      for (const type of ['sched_cls', 'lwt_xmit'] as const)
        it(`${type}: bpf_${layer}_csum_replace`, () =>
          agree(
            type,
            `${prologue}${word('r2', 0)}${word('r3', 1)}${word('r4', 2)}${word('r5', 3)}call bpf_${layer}_csum_replace\n${keep(4)}exit`,
            (rng) => [
              rng.pick([24, 36, 40, 50, 10, 16, 25, 2000, 0x10000]),
              rng.chance(1, 3) ? 0 : rng.u32(),
              rng.u32(),
              rng.pick([0, 2, 4, 0x10, 0x12, 0x14, 0x24, 0x34, 0x74, 3, 0x80, 0x94, 0x100]),
            ],
          ));
    tc('bpf_csum_update', `${word('r2', 0)}call bpf_csum_update\n`, three);
    tc(
      'bpf_csum_level',
      [0, 1, 2, 3]
        .map((n) => `r1 = r6\n${word('r2', n)}call bpf_csum_level\n${n === 3 ? '' : 'r7 = r0\nr7 <<= 8\n'}`)
        .join(''),
      (rng) => [1, 2, 3, 4].map(() => rng.pick([0, 1, 1, 1, 2, 3, 4])),
    );
    tc(
      'bpf_csum_level, asked after',
      [0, 1, 2, 3].map((n) => `r1 = r6\n${word('r2', n)}call bpf_csum_level\n`).join('') +
        'r1 = r6\nr2 = 0\ncall bpf_csum_level\n',
      (rng) => [1, 2, 3, 4].map(() => rng.pick([0, 1, 1, 1, 2, 3, 4])),
    );
    tc(
      'bpf_set_hash and bpf_get_hash_recalc',
      `${word('r2', 0)}call bpf_set_hash\nr1 = r6\ncall bpf_get_hash_recalc\nr1 = *(u32 *)(r6 + 68)\nr0 ^= r1\n`,
      three,
      `r1 = r6\ncall bpf_get_hash_recalc\n${keep(0)}r1 = r6\ncall bpf_set_hash_invalid\n${keep(1)}r0 = *(u32 *)(r6 + 68)\n`,
    );
    tc('bpf_skb_ecn_set_ce', 'call bpf_skb_ecn_set_ce\n', three);
    it('cgroup_skb: bpf_skb_ecn_set_ce', () =>
      agree('cgroup_skb', `${prologue}call bpf_skb_ecn_set_ce\n${keep(4)}r0 = 1\nexit`));
    tc(
      'bpf_skb_set_tstamp',
      `${word('r2', 0)}${word('r3', 1)}call bpf_skb_set_tstamp\n`,
      (rng) => [rng.pick([0, 5]), rng.pick([0, 1, 2, 3])],
      `r0 = *(u8 *)(r6 + 180)\n`,
    );
    tc('bpf_redirect', `${word('r1', 0)}${word('r2', 1)}call bpf_redirect\n`, (rng) => [
      rng.below(4),
      rng.pick([0, 1, 2, 0x10000]),
    ]);
    tc('bpf_redirect_peer', `${word('r1', 0)}${word('r2', 1)}call bpf_redirect_peer\n`, (rng) => [
      rng.below(4),
      rng.pick([0, 1]),
    ]);
    tc('bpf_redirect_neigh', `${word('r1', 0)}r2 = 0\nr3 = 0\n${word('r4', 1)}call bpf_redirect_neigh\n`, (rng) => [
      rng.below(4),
      rng.pick([0, 1]),
    ]);
    tc('bpf_clone_redirect', `${word('r2', 0)}${word('r3', 1)}call bpf_clone_redirect\n`, (rng) => [
      rng.pick([1, 0, 77777]),
      rng.pick([0, 1, 2]),
    ]);
    tc(
      'socket and cgroup',
      'call bpf_get_socket_uid\n',
      three,
      `r1 = r6\ncall bpf_skb_cgroup_classid\n${keep(0)}r1 = r6\ncall bpf_get_cgroup_classid\n${keep(1)}r1 = r6\ncall bpf_get_route_realm\n${keep(2)}`,
    );
    tc(
      'bpf_check_mtu',
      `${word('r1', 2)}*(u32 *)(r10 - 4) = r1\nr1 = r6\n${word('r2', 0)}r3 = r10\nr3 += -4\n${word('r4', 1)}${word('r5', 3)}call bpf_check_mtu\n`,
      (rng) => [
        rng.pick([0, 1, 1, 77777]),
        rng.pick([0, 20, -20 >>> 0, 66000, rng.u32()]),
        rng.pick([0, 0, 1500, 65536, 65537, 70000, rng.u32()]),
        rng.pick([0, 0, 0, 1, 2]),
      ],
      `r0 = *(u32 *)(r10 - 4)\n`,
    );
    for (const [bytes, more] of [
      [44, 1],
      [28, 1],
      [24, 1],
      [22, 1],
      [8, 1],
      [16, 1],
    ] as const)
      tc(
        `tunnel key of ${bytes} bytes`,
        `${Array.from({ length: 12 }, (_, i) => `r1 = ${i === 5 ? 0x4021 : i === 6 ? 0 : 0x01010101 * (i + 1)}\n*(u32 *)(r10 - ${96 - 4 * i}) = r1\n`).join('')}r1 = 0\n${Array.from({ length: 6 }, (_, i) => `*(u64 *)(r10 - ${48 - 8 * i}) = r1\n`).join('')}${word('r1', 2)}*(u32 *)(r10 - 72) = r1\nr1 = r6\nr2 = r10\nr2 += -96\nr3 = ${bytes}\n${word('r4', 0)}call bpf_skb_set_tunnel_key\nr7 = r0\nr1 = r6\nr2 = r10\nr2 += -48\nr3 = ${bytes * more}\n${word('r4', 1)}call bpf_skb_get_tunnel_key\nr7 <<= 16\nr0 += r7\n`,
        (rng) => [
          rng.pick([0, 0, 1, 1, 3, 5, 9, 17, 30, 32]),
          rng.pick([0, 0, 1, 1, 16, 17, 2]),
          rng.pick([0, 0, 7, 0x1234567]),
        ],
        Array.from({ length: 11 }, (_, i) => `r0 *= 31\nr1 = *(u32 *)(r10 - ${48 - 4 * i})\nr0 += r1\n`).join(''),
      );
    tc(
      'tunnel options',
      `${Array.from({ length: 12 }, (_, i) => `r1 = ${i === 5 || i === 6 ? 0 : 0x01010101 * (i + 1)}\n*(u32 *)(r10 - ${96 - 4 * i}) = r1\n`).join('')}r1 = 0\n${Array.from({ length: 6 }, (_, i) => `*(u64 *)(r10 - ${48 - 8 * i}) = r1\n`).join('')}r0 = 0\nr1 = r6\nr2 = r10\nr2 += -96\nr3 = 44\nr4 = 0\n${word('r5', 0)}if r5 == 0 goto none\ncall bpf_skb_set_tunnel_key\nnone:\nr1 = r6\nr2 = r10\nr2 += -96\n${word('r3', 1)}r3 &= 31\nif r3 == 0 goto empty\ncall bpf_skb_set_tunnel_opt\n${keep(3)}empty:\nr1 = r6\nr2 = r10\nr2 += -48\n${word('r3', 2)}r3 &= 31\nif r3 == 0 goto out\ncall bpf_skb_get_tunnel_opt\nout:\n`,
      (rng) => [rng.below(4), rng.pick([4, 8, 12, 5, 16]), rng.pick([4, 8, 12, 16, 20, 31])],
      Array.from({ length: 11 }, (_, i) => `r0 *= 31\nr1 = *(u32 *)(r10 - ${48 - 4 * i})\nr0 += r1\n`).join(''),
    );
  },
);
