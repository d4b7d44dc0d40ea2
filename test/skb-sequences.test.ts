/** Random sequences of helpers and direct accesses over sk_buffs: what one leaves behind, the next must find. */
import { afterAll, describe, expect, it } from 'vitest';
import { bpfRefusal } from '../src/linux/features.ts';
import { generateCapture } from '../src/net/generator.ts';
import { type Random, random } from '../src/net/random.ts';
import { hookOf } from './skb-hooks.ts';
import { agree, CB, compared, skbContext } from './skb-testbed.ts';

const refusal = bpfRefusal();
const seed = Number(process.env.SKB_SEED ?? 1);
const PROGRAMS = Number(process.env.SKB_PROGRAMS ?? 60);
const packets = generateCapture({ seed, count: 40 }).map(({ data }) => data);

/** r7 is all that was seen so far. */
const mix = 'r7 *= 31\nr7 += r0\n';
const call = (name: string, ...args: readonly (number | string)[]) =>
  `r1 = r6\n${args.map((arg, i) => `r${i + 2} = ${arg}\n`).join('')}call ${name}\n${mix}`;
const signed = (value: number) => value | 0;

/** Bytes from the stack, which holds a pattern and is changed by loads. */
const memory = (n: number) => `r${n} = r10\nr${n} += -16\n`;

let label = 0;

/** Loads and adds to bytes through packet pointers, if there are so many. */
function direct(rng: Random, write: boolean): string {
  const end = rng.pick([1, 14, 20, 34, 60]);
  const offset = rng.below(end);
  const skip = `short${label++}`;
  return `r1 = *(u32 *)(r6 + 76)\nr2 = *(u32 *)(r6 + 80)\nr3 = r1\nr3 += ${end}\nif r3 > r2 goto ${skip}\nr0 = *(u8 *)(r1 + ${offset})\n${mix}${write ? `r0 += 77\n*(u8 *)(r1 + ${offset}) = r0\n` : ''}${skip}:\n`;
}

/** Only where the packet is longer than its headers: behind a shorter one Linux shows whatever its memory holds. */
function ifLong(steps: string): string {
  const skip = `short${label++}`;
  return `r0 = *(u32 *)(r6 + 0)\nif r0 < 400 goto ${skip}\n${steps}${skip}:\n`;
}

const readOffsets = [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 164, 176] as const;

const common = (rng: Random): string =>
  rng.pick<() => string>([
    () => `r0 = *(u32 *)(r6 + ${rng.pick(readOffsets)})\n${mix}`,
    () =>
      `r1 = r6\nr2 = ${rng.below(90)}\n${memory(3)}r4 = ${rng.pick([1, 2, 8, 16])}\ncall bpf_skb_load_bytes\n${mix}r0 = *(u64 *)(r10 - 16)\n${mix}`,
    () => `r0 = ${signed(rng.u32())}\n*(u32 *)(r6 + ${rng.pick([8, 32, ...CB])}) = r0\n`,
  ])();

const inner = (rng: Random): string =>
  rng.pick<() => string>([
    () => common(rng),
    () => direct(rng, true),
    () =>
      `r1 = r6\nr2 = ${rng.below(90)}\n${memory(3)}r4 = ${rng.pick([1, 2, 8, 16])}\nr5 = ${rng.below(4)}\ncall bpf_skb_store_bytes\n${mix}`,
    () => call('bpf_skb_pull_data', rng.below(120)),
    () =>
      ifLong(`r2 = *(u32 *)(r6 + 0)\nr2 += ${rng.below(64) - 8}\nr1 = r6\nr3 = 0\ncall bpf_skb_change_tail\n${mix}`),
    () => call('bpf_skb_change_head', rng.pick([0, 4, 14, 40]), 0),
    () => call('bpf_csum_level', rng.below(4)),
    () => call('bpf_l3_csum_replace', rng.pick([24, 36, 10]), signed(rng.u32()), signed(rng.u32()), rng.pick([2, 4])),
    () =>
      call(
        'bpf_l4_csum_replace',
        rng.pick([36, 40, 50]),
        signed(rng.u32()),
        signed(rng.u32()),
        rng.pick([2, 4, 0x14, 0x34]),
      ),
  ])();

/** What tunnels may do with a packet that comes in or goes out. */
const reader = (rng: Random): string =>
  rng.pick<() => string>([
    () => common(rng),
    () => direct(rng, false),
    () => call('bpf_skb_pull_data', rng.below(120)),
    () => call('bpf_get_route_realm'),
  ])();

/** cb is all that sockets and control groups may write. */
const plain = (rng: Random): string =>
  rng.pick<() => string>([
    () => `r0 = *(u32 *)(r6 + ${rng.pick([0, 4, 8, 16, 20, 24, 28, 32])})\n${mix}`,
    () => `r0 = ${signed(rng.u32())}\n*(u32 *)(r6 + ${rng.pick(CB)}) = r0\n`,
    () =>
      `r1 = r6\nr2 = ${rng.below(90)}\n${memory(3)}r4 = ${rng.pick([1, 2, 8, 16])}\ncall bpf_skb_load_bytes\n${mix}r0 = *(u64 *)(r10 - 16)\n${mix}`,
    () =>
      `r1 = r6\nr2 = ${rng.below(60)}\n${memory(3)}r4 = 8\nr5 = ${rng.below(2)}\ncall bpf_skb_load_bytes_relative\n${mix}r0 = *(u64 *)(r10 - 16)\n${mix}`,
  ])();

const link = (rng: Random): string =>
  rng.pick<() => string>([
    () => inner(rng),
    () => inner(rng),
    () =>
      `r1 = r6\nr2 = ${rng.below(40)}\n${memory(3)}r4 = 8\nr5 = ${rng.below(2)}\ncall bpf_skb_load_bytes_relative\n${mix}r0 = *(u64 *)(r10 - 16)\n${mix}`,
    () => call('bpf_skb_change_proto', rng.pick([8, 0xdd86]), 0),
    () => call('bpf_skb_change_type', rng.below(4)),
    () =>
      ifLong(
        call(
          'bpf_skb_adjust_room',
          rng.pick([4, 8, 20, 28, 40, 50, -4, -8, -20, -40]),
          rng.below(2),
          rng.pick([0, 0, 1, 2, 4, 2 | 16, 4 | 8, 32, 128, 256]),
        ),
      ),
    () => call('bpf_skb_vlan_push', rng.pick([0x81, 0xa888]), rng.below(0x10000)),
    () => call('bpf_skb_vlan_pop'),
    () => call('bpf_skb_ecn_set_ce'),
    () => call('bpf_set_hash', signed(rng.u32())),
    () => `r0 = *(u32 *)(r6 + 68)\n${mix}`,
    () => call('bpf_set_hash_invalid'),
    () => call('bpf_skb_set_tstamp', rng.below(3), rng.below(3)),
    () => `r0 = *(u64 *)(r6 + 152)\n${mix}r0 = *(u8 *)(r6 + 180)\n${mix}`,
  ])();

function program(type: string, rng: Random, step: (rng: Random) => string): string {
  const steps = Array.from({ length: 2 + rng.below(14) }, () => step(rng)).join('');
  return `r6 = r1\nr7 = 1\nr1 = 0x0123456789abcdef ll\n*(u64 *)(r10 - 16) = r1\n*(u64 *)(r10 - 8) = r1\n${steps}r0 = *(u32 *)(r6 + 0)\n${mix}r0 = *(u32 *)(r6 + 16)\n${mix}r0 = *(u32 *)(r6 + 28)\n${mix}${type === 'cgroup_skb' ? '*(u32 *)(r6 + 48) = r7\nr0 = r7\nr0 &= 1' : 'r0 = r7'}\nexit`;
}

describe.skipIf(refusal !== undefined)(`sequences over sk_buffs${refusal ? ` (skipped: ${refusal})` : ''}`, () => {
  afterAll(() => console.log(`${compared} runs of sequences compared with the kernel's, seed ${seed}`));

  it('packets that grow again and again run out of room where the kernel has none left', async () => {
    // Where the first growth is by 128 bytes and more, the size of skb_small_head_cache shows, which the kernel's options decide.
    for (const [type, lengths] of [
      ['sched_cls', [46, 1400, 3600]],
      ['lwt_xmit', [46, 300]],
    ] as const)
      for (const bytes of [14, 40]) {
        const inputs = lengths.flatMap((length) =>
          [1, 12, 40, 2000].map((repeat) => ({ data: new Uint8Array(14 + length).fill(0x88, 12, 14), repeat })),
        );
        await agree(hookOf(type), `r6 = r1\n${call('bpf_skb_change_head', bytes, 0)}exit`.replaceAll(mix, ''), inputs);
      }
  });

  for (const [type, step] of [
    ['sched_cls', link],
    ['lwt_xmit', inner],
    ['lwt_in', reader],
    ['lwt_out', reader],
    ['cgroup_skb', plain],
    ['socket_filter', plain],
  ] as const)
    it(`${type}: ${PROGRAMS} programs agree with the kernel`, async () => {
      const rng = random(seed);
      for (let i = 0; i < PROGRAMS; i++) {
        const inputs = packets.map((data) => ({
          data,
          context: skbContext({ 8: rng.u32(), ...(rng.chance(1, 6) ? { 176: 100, 164: 2 } : {}) }),
          repeat: rng.pick([1, 1, 1, 2, 5]),
        }));
        // Some seeds have a packet that no test run takes.
        expect(await agree(hookOf(type), program(type, rng, step), inputs)).toBeGreaterThan(packets.length - 5);
      }
    });
});
