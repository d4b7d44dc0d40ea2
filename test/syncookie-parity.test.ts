// SYN cookies without a socket: against the kernel in all that its secrets leave to see, and against a second implementation.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { xdpHook } from '../src/hooks/xdp/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { loadLinux } from '../src/linux/load.ts';
import { random } from '../src/net/random.ts';
import { readObject } from '../src/object/index.ts';
import { ROOT, ROOT_SYNCOOKIE_SECRETS } from '../src/plane/layout/memory.ts';
import type { LoadedObject } from '../src/runtime/handles.ts';
import { loadUser } from '../src/runtime/load.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import { setClock } from '../src/runtime/surroundings.ts';
import { clangs, compileBpf, noClang, prelude } from './clang.ts';

const source = `${prelude}
struct xdp_md { u32 data, data_end, data_meta, ifindex, queue, egress; };
static s64 (*gen4)(void *ip, void *th, u32 size) = (void *)204;
static s64 (*gen6)(void *ip, void *th, u32 size) = (void *)205;
static s64 (*check4)(void *ip, void *th) = (void *)206;
static s64 (*check6)(void *ip, void *th) = (void *)207;
struct out { s64 cookie, good, other; };
struct { __uint(type, 2); __uint(max_entries, 1); __type(key, u32); __type(value, struct out); } outs SEC(".maps");
// Headers stand at the start of the packet; the size of the TCP header as given is in the byte before it.
#define PROGRAM(name, header, gen, check) SEC("xdp") int name(struct xdp_md *ctx) { \\
  u8 *ip = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, ack[20]; \\
  u32 zero = 0; struct out *out = bpf_map_lookup_elem(&outs, &zero); \\
  if (!out || ip + header + 1 + 64 > end) return 0; \\
  u8 *th = ip + header + 1; u32 size = th[-1] & 63; \\
  out->cookie = gen(ip, th, size); out->good = out->other = 1; \\
  __builtin_memcpy(ack, th, 20); \\
  *(u32 *)(ack + 4) = __builtin_bswap32(__builtin_bswap32(*(u32 *)(th + 4)) + 1); \\
  *(u32 *)(ack + 8) = __builtin_bswap32((u32)out->cookie + 1); \\
  out->good = check(ip, ack); \\
  ack[9] ^= 1; out->other = check(ip, ack); return 2; }
PROGRAM(cookie4, 20, gen4, check4)
PROGRAM(cookie6, 40, gen6, check6)
char _license[] SEC("license") = "GPL";`;

const refusal = bpfRefusal();
const skipped = refusal === undefined ? noClang : ` (skipped: ${refusal})`;

/** Headers with random bytes and options of all sorts; the data offset is mostly the size that the program gives. */
function* packets(header: number, count: number, seed: number): Generator<Uint8Array> {
  const { below, chance, bytes } = random(seed);
  for (let i = 0; i < count; i++) {
    const packet = bytes(header + 1 + 64);
    const words = 5 + below(11);
    const th = header + 1;
    packet[th - 1] = chance(19, 20) ? words * 4 : below(256);
    packet[th + 12] = (words << 4) | below(16);
    for (let at = th + 20; at < th + words * 4; ) {
      const kind = below(8);
      packet[at] = kind;
      if (kind === 2) packet.set([2, chance(9, 10) ? 4 : 3, below(40), below(256)].slice(0, packet.length - at), at);
      at += kind < 2 ? 1 : kind === 2 ? 4 : 1 + below(6);
    }
    yield packet;
  }
}

describe.skipIf(clangs.length === 0)(`SYN cookies${skipped}`, () => {
  const spec = clangs.length === 0 ? undefined : readObject(compileBpf(source), 'syncookie.bpf.o');
  const runtime = new Runtime({ seed: 3n, clock: { at: 120_000_000_001n } });
  const ours: LoadedObject[] = [];
  const names = ['cookie4', 'cookie6'] as const;
  beforeAll(async () => {
    for (const engine of ['jit', 'interpreter'] as const)
      ours.push(await loadUser(runtime, [xdpHook], spec!, { engine, programs: names }));
  });
  afterAll(() => {
    for (const object of ours) object.close();
  });
  const run = (object: LoadedObject, name: string, data: Uint8Array) => {
    object.programs[name]!.run({ data });
    const [, out] = [...object.maps['outs']!][0] as [number, { cookie: bigint; good: bigint; other: bigint }];
    return [out.cookie, out.good, out.other].map((value) => BigInt(value));
  };

  it('are good for two minutes, and for no other', () => {
    for (const name of names) {
      const [data] = [...packets(name === 'cookie4' ? 20 : 40, 1, 5)] as [Uint8Array];
      data[name === 'cookie4' ? 20 : 40] = (data[name === 'cookie4' ? 33 : 53]! >> 4) * 4;
      const [cookie, good, other] = run(ours[0]!, name, data) as [bigint, bigint, bigint];
      expect(name === 'cookie4' ? [536, 1300, 1440, 1460] : [1220, 1420, 1440, 8940]).toContain(Number(cookie >> 32n));
      expect([good, other]).toEqual([0n, -13n]);
      // Two minutes later another cookie is made for the same SYN.
      setClock(runtime.view(), { at: 240_000_000_001n });
      expect(run(ours[0]!, name, data)[0]).not.toBe(cookie);
      setClock(runtime.view(), { at: 120_000_000_001n });
      expect(run(ours[1]!, name, data)).toEqual([cookie, good, other]);
    }
  });

  it('are the hash of the connection with the secrets of the memory', () => {
    const key = Uint8Array.from({ length: 16 }, (_, i) => i);
    expect(
      siphash(
        key,
        Uint8Array.from({ length: 15 }, (_, i) => i),
      ),
    ).toBe(0xa129ca6149be45e5n); // the paper's test vector
    const secret = (n: number) =>
      runtime.bytes().slice(ROOT + ROOT_SYNCOOKIE_SECRETS + n * 16, ROOT + ROOT_SYNCOOKIE_SECRETS + n * 16 + 16);
    for (const [n, name] of names.entries()) {
      const v6 = n === 1;
      const header = v6 ? 40 : 20;
      const sizes = v6 ? [1220, 1420, 1440, 8940] : [536, 1300, 1440, 1460];
      for (const data of packets(header, 100, 11)) {
        const [cookie] = run(ours[0]!, name, data) as [bigint];
        if (cookie < 0n) continue;
        const th = data.subarray(header + 1);
        const ends = v6 ? data.subarray(8, 40) : data.subarray(12, 20);
        const hash = (count: number, which: number) => {
          const counted = Uint8Array.of(count, 0, 0, 0);
          const ports = th.subarray(0, 4);
          // IPv4 has the ports as one number, the source above; IPv6 as they lie.
          const input = v6
            ? [...ends, ...counted, ...ports]
            : [...ends, ports[2]!, ports[3]!, ports[0]!, ports[1]!, ...counted];
          return siphash(secret(n * 2 + which), Uint8Array.from(input)) & 0xffff_ffffn;
        };
        const sequence = BigInt(new DataView(th.buffer, th.byteOffset).getUint32(4));
        const index = BigInt(sizes.indexOf(Number(cookie >> 32n)));
        const counted = (hash(2, 1) + index) & 0xff_ffffn;
        expect(cookie & 0xffff_ffffn).toBe((hash(0, 0) + sequence + (2n << 24n) + counted) & 0xffff_ffffn);
      }
    }
  });

  it.skipIf(refusal !== undefined)(`agree with the kernel's on errors, sizes and steps${skipped}`, async () => {
    const linux = await loadLinux(spec!);
    try {
      let made = 0;
      for (const name of names) {
        const header = name === 'cookie4' ? 20 : 40;
        for (const data of packets(header, 300, 7)) {
          const next = data.slice();
          const view = new DataView(next.buffer);
          view.setUint32(header + 5, view.getUint32(header + 5) + 77);
          const [kernel, user, checked] = [linux, ...ours].map((object) => {
            const [cookie, good, other] = run(object, name, data) as [bigint, bigint, bigint];
            const [later] = run(object, name, next) as [bigint];
            return {
              size: cookie >> 32n,
              error: cookie < 0n ? cookie : 0n,
              good,
              other,
              step: (later - cookie) & 0xffff_ffffn,
            };
          });
          expect(user).toEqual(kernel);
          expect(checked).toEqual(kernel);
          if (kernel!.error === 0n) {
            expect(kernel).toMatchObject({ good: 0n, other: -13n, step: 77n });
            made++;
          }
        }
      }
      expect(made).toBeGreaterThan(400);
    } finally {
      linux.close();
    }
  });
});

/** SipHash-2-4 with BigInt. */
function siphash(key: Uint8Array, input: Uint8Array): bigint {
  const u64 = (value: bigint) => BigInt.asUintN(64, value);
  const left = (value: bigint, by: bigint) => u64((value << by) | (value >> (64n - by)));
  const word = (bytes: Uint8Array) => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const [k0, k1] = [word(key.subarray(0, 8)), word(key.subarray(8))];
  let [a, b, c, d] = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ];
  const round = () => {
    a = u64(a + b);
    c = u64(c + d);
    b = left(b, 13n) ^ a;
    d = left(d, 16n) ^ c;
    a = u64(left(a, 32n) + d);
    c = u64(c + b);
    d = left(d, 21n) ^ a;
    b = left(b, 17n) ^ c;
    c = left(c, 32n);
  };
  const last = new Uint8Array(8);
  last.set(input.subarray(input.length & ~7));
  last[7] = input.length & 255;
  for (let at = 0; at <= (input.length & ~7); at += 8) {
    const m = word(at < (input.length & ~7) ? input.subarray(at, at + 8) : last);
    d ^= m;
    round();
    round();
    a ^= m;
  }
  c ^= 0xffn;
  for (let i = 0; i < 4; i++) round();
  return a ^ b ^ c ^ d;
}
