// Packets that become one (GRO): which do, as Linux decides it, and what becomes of their traits by the policies of the registry.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { load, type PathPacket, type PathSource, runPath, type UserObject } from '../src/index.ts';
import { internetChecksum } from '../src/net/checksum.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { ipv6 } from '../src/net/ipv6.ts';
import { packet, padded } from '../src/net/packet.ts';
import { type TcpFlag, tcp } from '../src/net/tcp.ts';
import { vlan } from '../src/net/vlan.ts';
import { type MergePolicy, mergePolicies } from '../src/traits/declaration.ts';

const bytes = readFileSync(fileURLToPath(new URL('../bpf/objects/metadata/packet_way.bpf.o', import.meta.url)));
const u32 = (value: number) => Uint8Array.of(value, value >> 8, value >> 16, value >> 24);
const u64 = (value: bigint) => new Uint8Array(BigUint64Array.of(value).buffer);
const policies = Object.keys(mergePolicies) as MergePolicy[];

interface Segment {
  readonly sequence: number;
  readonly size?: number;
  readonly flags?: readonly TcpFlag[];
  readonly acknowledgment?: number;
  readonly srcPort?: number;
  readonly ttl?: number;
  readonly id?: number;
  readonly tag?: number;
  readonly options?: Uint8Array;
  readonly checksum?: number;
  readonly v6?: boolean;
  readonly tos?: number;
}

function segment({
  sequence,
  size = 100,
  flags = ['ack'],
  ttl = 64,
  id = 7,
  v6 = false,
  tos = 0,
  tag,
  ...rest
}: Segment) {
  return packet(
    ethernet({ src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' }),
    ...(tag === undefined ? [] : [vlan({ id: tag })]),
    v6
      ? ipv6({ src: 'fd00::1', dst: 'fd00::2', hopLimit: ttl, trafficClass: tos })
      : ipv4({ src: '10.0.0.1', dst: '10.0.0.2', ttl, id, tos, dontFragment: true }),
    tcp({ srcPort: 1000, dstPort: 80, sequence, acknowledgment: 5, flags, ...rest }),
    Uint8Array.from({ length: size }, (_, i) => sequence + i),
  );
}

let object: UserObject;
beforeAll(async () => {
  object = await load(bytes);
});
afterAll(() => object.close());

function run(packets: readonly PathSource[], xdp: readonly string[] = [], on = object): PathPacket[] {
  const programs = { xdp: xdp.map((name) => on.programs[name]!), tc: [on.programs['receive']!] };
  return [...runPath(packets, { ...programs, gro: true })];
}

/** Indices of packets that became one, in the order in which they came to tc. */
function groups(results: readonly PathPacket[]): number[][] {
  return results
    .filter(({ end }) => end === 'passed')
    .map(({ index }) => [index, ...results.filter(({ mergedInto }) => mergedInto === index).map((each) => each.index)]);
}

const grouped = (...segments: readonly Segment[]) => groups(run(segments.map((each) => ({ data: segment(each) }))));
const three = [{ sequence: 0 }, { sequence: 100 }, { sequence: 200 }];

describe('which segments become one', () => {
  it.each([4, 6] as const)('those of a flow in sequence: IPv%i', (version) => {
    const [first, second, third] = run(three.map((each) => ({ data: segment({ ...each, v6: version === 6 }) })));
    expect([second, third]).toMatchObject([
      { end: 'merged', mergedInto: 0 },
      { end: 'merged', mergedInto: 0 },
    ]);
    expect(first).toMatchObject({ end: 'passed', skb: { gso: { size: 100, segments: 3 } } });
    const { data } = first!;
    const header = version === 4 ? 34 : 54;
    expect(data.length).toBe(header + 20 + 300);
    expect(data.subarray(header + 20)).toEqual(
      Uint8Array.from({ length: 300 }, (_, i) => (i % 100) + Math.floor(i / 100) * 100),
    );
    if (version === 4) {
      expect((data[16]! << 8) | data[17]!).toBe(data.length - 14);
      expect(internetChecksum(data.subarray(14, 34))).toBe(0);
    } else expect((data[18]! << 8) | data[19]!).toBe(320);
    expect(first!.steps.filter(({ kind }) => kind === 'merged')).toEqual([
      { kind: 'merged', index: 1 },
      { kind: 'merged', index: 2 },
    ]);
  });

  it.each<readonly [string, Partial<Segment>, number[][]]>([
    ['a gap', { sequence: 101 }, [[0], [1], [2]]],
    ['another acknowledgment', { acknowledgment: 6 }, [[0], [1], [2]]],
    ['another TTL', { ttl: 63 }, [[0], [1], [2]]],
    ['another TOS', { tos: 4 }, [[0], [1], [2]]],
    ['options', { options: Uint8Array.of(1, 1, 1, 1) }, [[0], [1], [2]]],
    ['another flow', { srcPort: 1001 }, [[0], [1], [2]]],
    ['a tag', { tag: 5 }, [[0], [1], [2]]],
    ['a wrong checksum', { checksum: 1 }, [[0], [1], [2]]],
    ['PSH, which ends it', { flags: ['ack', 'psh'] }, [[0, 1], [2]]],
    ['FIN, which ends it', { flags: ['ack', 'fin'] }, [[0, 1], [2]]],
    ['SYN', { flags: ['ack', 'syn'] }, [[0], [1], [2]]],
    ['CWR', { flags: ['ack', 'cwr'] }, [[0], [1], [2]]],
    ['ECE', { flags: ['ack', 'ece'] }, [[0], [1], [2]]],
    ['longer than the first', { size: 101 }, [[0], [1], [2]]],
    ['without payload', { size: 0 }, [[0], [1], [2]]],
    ['shorter, which ends it', { size: 60 }, [[0, 1], [2]]],
  ])('the second has %s', (_, change, expected) => {
    const third = { sequence: 300 };
    expect(grouped(three[0]!, { ...three[1]!, ...change }, third)).toEqual(expected);
  });

  it('numbers of IPv4 go up or stay', () => {
    const ids = (...numbers: readonly number[]) => grouped(...three.map((each, i) => ({ ...each, id: numbers[i]! })));
    expect(ids(7, 7, 7)).toEqual([[0, 1, 2]]);
    expect(ids(7, 8, 9)).toEqual([[0, 1, 2]]);
    expect(ids(0xffff, 0, 1)).toEqual([[0, 1, 2]]);
    expect(ids(7, 8, 8)).toEqual([[0, 1], [2]]);
    expect(ids(7, 7, 8)).toEqual([[0, 1], [2]]);
    expect(ids(7, 9, 10)).toEqual([[0], [1, 2]]);
  });

  it('flows do not wait for each other, padding ends one, and the order within a flow stays', () => {
    const other = three.map((each) => ({ ...each, srcPort: 2000 }));
    expect(groups(run([0, 1, 2].flatMap((i) => [{ data: segment(three[i]!) }, { data: segment(other[i]!) }])))).toEqual(
      [
        [0, 2, 4],
        [1, 3, 5],
      ],
    );
    const ack = { data: padded(segment({ sequence: 100, size: 0 })) };
    const results = run([{ data: segment(three[0]!) }, ack, { data: segment(three[1]!) }]);
    expect(groups(results)).toEqual([[0], [1], [2]]);
  });

  it('equal metadata before the data does, other metadata does not', () => {
    const packets = three.map((each) => ({ data: segment(each) }));
    // Every packet gets another number.
    expect(groups(run(packets, ['prepend']))).toEqual([[0], [1], [2]]);
    expect(groups(run(packets, ['encapsulate', 'decapsulate']))).toEqual([[0, 1, 2]]);
  });

  it('only within a batch of 64, and up to the room of a buffer', () => {
    const many = Array.from({ length: 70 }, (_, i) => ({ data: segment({ sequence: i * 100 }) }));
    expect(groups(run(many)).map((each) => each.length)).toEqual([64, 6]);
    const large = Array.from({ length: 40 }, (_, i) => ({ data: segment({ sequence: i * 1400, size: 1400 }) }));
    const [first, second] = groups(run(large)).map((each) => each.length);
    expect(first! + second!).toBe(40);
    expect(first! * 1400).toBeLessThanOrEqual(49152 - 1024 - 4096);
    expect((first! + 1) * 1400 + 1024 + 4096 + 54).toBeGreaterThan(49152);
  });
});

describe('traits', () => {
  const values: Readonly<Record<MergePolicy, readonly [readonly number[], number | undefined]>> = {
    KEEP_FIRST: [[3, 9, 5], 3],
    KEEP_LAST: [[3, 9, 5], 5],
    SUM: [[3, 9, 5], 17],
    MIN: [[4, 2, 5], 2],
    MAX: [[3, 9, 5], 9],
    OR: [[1, 8, 2], 11],
    EQUAL: [[3, 3, 3], 3],
  };

  it.each(policies)('%s', async (policy) => {
    const own = await load(bytes);
    own.runtime.traits.register({ name: 'value', size: 4, key: 20, policy });
    const [given, expected] = values[policy];
    const results = run(
      three.map((each, i) => ({ data: segment(each), traits: new Map([[20, u32(given[i]!)]]) })),
      [],
      own,
    );
    expect(groups(results)).toEqual([[0, 1, 2]]);
    expect(results[0]!.traits).toEqual(new Map([[20, u32(expected!)]]));
    own.close();
  });

  it('that must be equal keep packets apart', async () => {
    const own = await load(bytes);
    own.runtime.traits.register({ name: 'tenant', size: 4, key: 20, policy: 'EQUAL' });
    const tenants = [1, 1, 2, undefined, undefined];
    const packets = tenants.map((tenant, i) => ({
      data: segment({ sequence: i * 100 }),
      traits: new Map(tenant === undefined ? [] : [[20, u32(tenant)]]),
    }));
    expect(groups(run(packets, [], own))).toEqual([[0, 1], [2], [3, 4]]);
    own.close();
  });

  // The same decisions, in TypeScript: undefined, the packets do not become one.
  function merged(
    a: Map<number, bigint>,
    b: Map<number, bigint>,
    sizes: Map<number, string>,
    of: readonly MergePolicy[],
  ) {
    const result = new Map(a);
    for (const key of new Set([...a.keys(), ...b.keys()])) {
      const [mine, other] = [a.get(key), b.get(key)];
      const policy = of[key]!;
      const smaller = (mine ?? 0n) < (other ?? 0n);
      if (policy === 'EQUAL' && mine !== other) return undefined;
      if (mine === undefined || other === undefined) result.set(key, (mine ?? other)!);
      else if (policy === 'KEEP_LAST') result.set(key, other);
      else if (policy === 'SUM') result.set(key, BigInt.asUintN(Number(sizes.get(key)) * 8, mine + other));
      else if (policy === 'MIN') result.set(key, smaller ? mine : other);
      else if (policy === 'MAX') result.set(key, smaller ? other : mine);
      else if (policy === 'OR') result.set(key, mine | other);
    }
    return result;
  }

  const lengths = { '0-4-8': [4, 8], '2-4-8': [2, 4, 8], '4-8-16': [4, 8, 16], wide: [1, 2, 4, 8, 16] } as const;
  it.each(Object.keys(lengths) as (keyof typeof lengths)[])('as the model says: %s', async (layout) => {
    for (const placement of ['front', 'meta', 'side'] as const) {
      const own = await load(bytes, { metadata: { layout, placement } });
      const sizes = new Map<number, string>();
      const of: MergePolicy[] = [];
      for (let key = 0; key < 10; key++) {
        const size = lengths[layout][key % lengths[layout].length]!;
        sizes.set(key, String(size));
        of.push(policies[key % policies.length]!);
        own.runtime.traits.register({ name: `trait${key}`, size, key, policy: of[key]! });
      }
      const some = fc.dictionary(
        fc.constantFrom(...of.keys()).map(String),
        fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
      );
      fc.assert(
        fc.property(fc.array(some, { minLength: 1, maxLength: 6 }), (list) => {
          const packets = list.map(
            (each) =>
              new Map(
                Object.entries(each).map(([key, value]) => [
                  Number(key),
                  BigInt.asUintN(Number(sizes.get(Number(key))) * 8, value),
                ]),
              ),
          );
          const expected: { readonly members: number[]; traits: Map<number, bigint> }[] = [];
          for (const [i, traits] of packets.entries()) {
            const last = expected.at(-1);
            // In data_meta the areas' bytes must be equal besides.
            const meta = placement === 'meta' && last !== undefined && !sameArea(packets[last.members[0]!]!, traits);
            const both = last === undefined || meta ? undefined : merged(last.traits, traits, sizes, of);
            if (both === undefined) expected.push({ members: [i], traits });
            else {
              last!.members.push(i);
              last!.traits = both;
            }
          }
          const encode = (key: number, value: bigint) => {
            const whole = Uint8Array.from([...u64(value & 0xffff_ffff_ffff_ffffn), ...u64(value >> 64n)]);
            return whole.slice(0, Number(sizes.get(key)));
          };
          const results = run(
            packets.map((traits, i) => ({
              data: segment({ sequence: i * 100 }),
              traits: new Map([...traits].map(([key, value]) => [key, encode(key, value)])),
            })),
            [],
            own,
          );
          expect(groups(results)).toEqual(expected.map(({ members }) => members));
          for (const { members, traits } of expected) {
            const found = results[members[0]!]!.traits ?? new Map();
            expect(new Map(found)).toEqual(
              new Map([...traits].sort(([a], [b]) => a - b).map(([key, value]) => [key, encode(key, value)])),
            );
          }
        }),
        { numRuns: 25 },
      );
      own.close();
    }
  });
});

function sameArea(a: Map<number, bigint>, b: Map<number, bigint>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}
