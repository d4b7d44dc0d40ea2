// A packet's whole way: chains, every verdict and redirect, and what of its metadata is there at the end, on every layout and placement.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { isRedirectMap, load, type PathOptions, type PathSource, runPath, type UserObject } from '../src/index.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { udp } from '../src/net/udp.ts';
import { vlan } from '../src/net/vlan.ts';
import { type TraitFormat, type TraitLayout, traitLayouts, traitPlacements } from '../src/runtime/traits.ts';

const bytes = readFileSync(fileURLToPath(new URL('../bpf/objects/metadata/packet_way.bpf.o', import.meta.url)));
const ways = {
  pass: 0,
  tx: 1,
  drop: 2,
  abort: 3,
  devmap: 4,
  hash: 5,
  cpu: 6,
  socket: 7,
  interface: 8,
  all: 9,
  nowhere: 10,
} as const;
const mac = (n: number) => `02:00:00:00:00:0${n}`;
const network = {
  interfaces: [
    { index: 1, mac: mac(1), peer: 8 },
    { index: 2, mac: mac(2), peer: 3 },
    { index: 3, mac: mac(3), peer: 2 },
    { index: 4, mac: mac(4), mtu: 68 },
    { index: 5, mac: mac(5) },
    { index: 8, mac: mac(8), peer: 1 },
  ],
};
const data = packet(
  ethernet({ src: mac(9), dst: mac(1) }),
  ipv4({ src: '10.0.0.1', dst: '10.0.0.2' }),
  udp({ srcPort: 1000, dstPort: 2000 }),
  new Uint8Array(60),
);
const u32 = (value: number) => Uint8Array.of(value, value >> 8, value >> 16, value >> 24);
const u64 = (value: number) => Uint8Array.from([...u32(value), 0, 0, 0, 0]);

interface Settings {
  readonly way?: keyof typeof ways;
  readonly key?: number;
  readonly store_hints?: number;
  readonly edit?: number;
  readonly copy_to?: number;
  readonly copy_flags?: number;
  readonly tc_verdict?: number;
}

class Bench {
  readonly object: UserObject;

  constructor(object: UserObject) {
    this.object = object;
    for (const map of ['devices', 'devices_hash']) this.put(map, 0, 2, 'leave');
    this.put('devices', 1, 5);
    this.put('devices', 2, 4);
    this.put('devices_hash', 1, 77);
    this.put('cpus', 2, 192, 'land');
    this.put('cpus', 1, 192);
    this.put('sockets', 0, 0);
    this.put('sockets', 1, 1);
  }

  static async load(metadata: Partial<TraitFormat> = {}, engine: 'jit' | 'interpreter' = 'jit', budget = 1e9) {
    return new Bench(await load(bytes, { metadata, engine, network, cpus: 4, budget }));
  }

  put(name: string, key: number, to: number, program?: string): void {
    const map = this.object.maps[name]!;
    if (!isRedirectMap(map)) throw new Error(name);
    map.put(key, to, program === undefined ? undefined : this.program(program));
  }

  program(name: string) {
    return this.object.programs[name]!;
  }

  set({ way = 'pass', ...others }: Settings): this {
    const numbers = {
      way: ways[way],
      key: 0,
      store_hints: 0,
      edit: 0,
      copy_to: 0,
      copy_flags: 0,
      tc_verdict: 0,
      ...others,
    };
    for (const [section, map] of Object.entries(this.object.maps)) {
      if (section !== '.data' && section !== '.bss') continue;
      const value = map.get(0) as Record<string, number>;
      const known = Object.entries(numbers).filter(([name]) => name in value);
      map.set(0, { ...value, ...Object.fromEntries(known) });
    }
    return this;
  }

  run(packets: Iterable<PathSource>, options: PathOptions = {}) {
    const chain = { xdp: [this.program('stamp'), this.program('steer')], tc: [this.program('receive')] };
    return [...runPath(packets, { ...chain, ...options })];
  }
}

const formats = (Object.keys(traitPlacements) as (keyof typeof traitPlacements)[]).flatMap((placement) =>
  (Object.keys(traitLayouts) as TraitLayout[]).map((layout) => ({ layout, placement })),
);
const engines = ['jit', 'interpreter'] as const;
/** Of values of 4 and 8 bytes, where it is not a header of 16 bytes that they follow. */
const areaSizes: Partial<Record<TraitLayout, number>> = { wide: 24 + 12, tlv: 24, static: 40 };

describe.each(formats)('$layout $placement', (format) => {
  it.each(engines)('metadata goes along: %s', async (engine) => {
    const bench = await Bench.load(format, engine);
    const at3 = { interfaces: { 3: { tc: [bench.program('receive')] } } };
    const traits = new Map([
      [1, u32(1)],
      [5, u64(1)],
    ]);

    const [passed] = bench.set({}).run([{ data }]);
    expect(passed).toMatchObject({ end: 'passed', interface: 1, skb: { mark: 1, protocol: 0x800 }, data, traits });
    expect(passed!.steps).toEqual([
      { kind: 'xdp', program: 'stamp', verdict: 2, verdictName: 'XDP_PASS', at: 1 },
      { kind: 'xdp', program: 'steer', verdict: 2, verdictName: 'XDP_PASS', at: 1 },
      { kind: 'skb', at: 1 },
      { kind: 'tc', program: 'receive', verdict: -1, verdictName: 'TC_ACT_UNSPEC', at: 1 },
    ]);

    const [device] = bench.set({ way: 'devmap' }).run([{ data }], at3);
    expect(device).toMatchObject({ end: 'passed', interface: 3, skb: { mark: 2 }, data });
    expect(device!.traits).toEqual(
      new Map([
        [1, u32(2)],
        [2, u64(2)],
        [5, u64(1)],
      ]),
    );
    expect(device!.steps.map(({ kind }) => kind)).toEqual([
      'xdp',
      'xdp',
      'redirect',
      'devmap',
      'sent',
      'arrived',
      'skb',
      'tc',
    ]);

    const [hashed] = bench.set({ way: 'hash' }).run([{ data }], at3);
    expect(hashed).toMatchObject({ end: 'passed', interface: 3, skb: { mark: 3 } });

    const [onCpu] = bench.set({ way: 'cpu', key: 2 }).run([{ data }]);
    expect(onCpu).toMatchObject({ end: 'passed', interface: 1, cpu: 2, skb: { mark: 4 } });
    expect(onCpu!.traits).toEqual(
      new Map([
        [1, u32(4)],
        [3, u32(2)],
        [5, u64(1)],
      ]),
    );
    expect(bench.object.maps['landed']!.get(0)).toEqual([0n, 0n, 1n, 0n]);

    const [socket] = bench.set({ way: 'socket' }).run([{ data }]);
    expect(socket).toMatchObject({ end: 'socket', queue: 0, data });
    expect(socket!.traits).toEqual(
      new Map([
        [1, u32(5)],
        [5, u64(1)],
      ]),
    );
    // Where the area lies before the data, the socket's reader finds it there.
    expect(socket!.metadata.length).toBe(format.placement !== 'meta' ? 0 : (areaSizes[format.layout] ?? 16 + 12));

    const [turned] = bench
      .set({ way: 'tx' })
      .run([{ data }], { interfaces: { 8: { tc: [bench.program('receive')] } } });
    expect(turned).toMatchObject({ end: 'passed', interface: 8, skb: { mark: 6 } });
    bench.object.close();
  });

  it('metadata survives headers that are put before and taken away', async () => {
    const bench = await Bench.load(format);
    const names = ['stamp', 'encapsulate', 'decapsulate', 'encapsulate'] as const;
    const [result] = bench.set({}).run([{ data }], { xdp: names.map((name) => bench.program(name)) });
    expect(result).toMatchObject({ end: 'passed', skb: { mark: 1 } });
    expect(result!.data.subarray(8)).toEqual(data);
    for (const edit of [1, 2, 3]) {
      const [edited] = bench
        .set({ edit })
        .run([{ data }], { tc: [bench.program('edit_skb'), bench.program('receive')] });
      expect(edited).toMatchObject({ end: 'passed', skb: { mark: edit + 1 } });
      expect(edited!.traits?.get(5)).toEqual(u64(1));
      expect(edited!.data.length).toBe(data.length + [0, 4, 24, 14][edit]!);
    }
    bench.object.close();
  });

  it('copies have metadata of their own', async () => {
    const bench = await Bench.load(format);
    const tc = [bench.program('copy_skb'), bench.program('receive')];
    const [cloned] = bench.set({ copy_to: 5 }).run([{ data }], { tc });
    expect(cloned).toMatchObject({ end: 'passed', copies: [{ end: 'sent', interface: 5, index: 0, data }] });
    expect(cloned!.traits?.get(4)).toEqual(u32(7));
    expect(cloned!.copies[0]!.traits).toEqual(
      new Map([
        [1, u32(1)],
        [5, u64(1)],
      ]),
    );

    const [inside] = bench
      .set({ copy_to: 3, copy_flags: 1 })
      .run([{ data }], { tc, interfaces: { 3: { tc: [bench.program('receive')] } } });
    expect(inside!.copies).toMatchObject([{ end: 'passed', interface: 3, skb: { mark: 2 } }]);

    // To 2, whose program adds a trait, and to 5; 4 has too short an MTU.
    const [all] = bench.set({ way: 'all' }).run([{ data }], { interfaces: { 3: { tc: [bench.program('receive')] } } });
    expect(all).toMatchObject({
      end: 'sent',
      interface: 5,
      copies: [{ end: 'passed', interface: 3, skb: { mark: 3 } }],
    });
    expect(all!.traits?.has(2)).toBe(false);
    expect(all!.copies[0]!.traits?.get(2)).toEqual(u64(2));
    bench.object.close();
  });
});

describe('ends', () => {
  it.each([
    ['drop', {}, { end: 'dropped', interface: 1 }],
    ['abort', {}, { end: 'aborted' }],
    ['nowhere', {}, { end: 'lost', reason: 'redirected to nothing' }],
    ['interface', { key: 5 }, { end: 'sent', interface: 5 }],
    ['interface', { key: 99 }, { end: 'lost', reason: 'there is no such interface' }],
    ['interface', { key: 4 }, { end: 'lost', reason: "longer than the interface's MTU" }],
    ['devmap', { key: 3 }, { end: 'aborted' }],
    ['devmap', { key: 1 }, { end: 'sent', interface: 5 }],
    ['hash', { key: 1 }, { end: 'lost', reason: 'there is no such interface' }],
    ['cpu', { key: 1 }, { end: 'passed', interface: 1, cpu: 1 }],
    ['socket', { key: 1 }, { end: 'lost', reason: 'the socket is bound to another queue than the packet came by' }],
  ] as const)('%s %o', async (way, settings, expected) => {
    const bench = await Bench.load();
    expect(bench.set({ way, ...settings }).run([{ data }])[0]).toMatchObject(expected);
    bench.object.close();
  });

  it('what goes round is lost', async () => {
    const bench = await Bench.load();
    const xdp = [bench.program('steer')];
    const [result] = bench.set({ way: 'tx' }).run([{ data }], { xdp, interfaces: { 8: { xdp } } });
    expect(result).toMatchObject({ end: 'lost', reason: 'sent on more than 16 times' });
    expect(result!.steps.filter(({ kind }) => kind === 'sent')).toHaveLength(16);
    bench.object.close();
  });

  it('of tc', async () => {
    const bench = await Bench.load();
    const tc = [bench.program('copy_skb'), bench.program('receive')];
    for (const [tc_verdict, end, steps] of [
      [0, 'passed', 4],
      [2, 'dropped', 4],
      [4, 'consumed', 4],
      [8, 'consumed', 4],
      [5, 'passed', 5],
      [-1, 'passed', 5],
      [3, 'passed', 5],
    ] as const) {
      const [result] = bench.set({ tc_verdict }).run([{ data }], { tc });
      expect([tc_verdict, result!.end, result!.steps.length]).toEqual([tc_verdict, end, steps]);
    }
    const at = { interfaces: { 3: { tc: [bench.program('receive')] } } };
    const send = { tc: [bench.program('receive'), bench.program('send_on')], ...at };
    expect(bench.set({ key: 2 }).run([{ data }], send)[0]).toMatchObject({ end: 'passed', interface: 3 });
    expect(bench.set({ key: 3, copy_flags: 1 }).run([{ data }], send)[0]).toMatchObject({
      end: 'passed',
      interface: 3,
    });
    expect(bench.set({ key: 99 }).run([{ data }], send)[0]).toMatchObject({ end: 'lost' });
    // An sk_buff is a frame again where XDP waits for it; its mark stays.
    const [again] = bench
      .set({ key: 2 })
      .run([{ data }], { ...send, interfaces: { 3: { xdp: [bench.program('encapsulate')] } } });
    expect(again).toMatchObject({
      end: 'passed',
      interface: 3,
      skb: { mark: 11 },
      traits: new Map([
        [1, u32(11)],
        [5, u64(1)],
      ]),
    });
    expect(again!.data.subarray(8)).toEqual(data);
    bench.object.close();
  });

  it('a chain goes on after the verdicts that it was told', async () => {
    const bench = await Bench.load();
    const goesOn = [3, 31];
    const steer = { program: bench.program('steer'), goesOn };
    const xdp = [steer, bench.program('stamp')];
    expect(bench.set({ way: 'tx' }).run([{ data }], { xdp })[0]).toMatchObject({ end: 'passed', skb: { mark: 1 } });
    expect(bench.set({ way: 'drop' }).run([{ data }], { xdp })[0]).toMatchObject({ end: 'dropped' });
    const [passed] = bench.set({}).run([{ data }], { xdp });
    expect(passed).toMatchObject({ end: 'passed', skb: { mark: 0 } });
    expect(passed).not.toHaveProperty('traits');
    expect(() => bench.run([], { xdp: [{ program: bench.program('steer'), goesOn: [32] }] })).toThrow(
      /0 to 31, not 32/,
    );
    expect(() => bench.run([], { xdp: [bench.program('receive')] })).toThrow(/receive is of type sched_cls/);
    expect(() => bench.run([], { xdp: [], tc: [] })).toThrow(/at least one program/);
    bench.object.close();
  });

  it('a packet that is none is refused in its place', async () => {
    const bench = await Bench.load();
    const packets = [{ data }, { data: data.subarray(0, 10) }, { data }];
    expect(
      bench
        .set({})
        .run(packets)
        .map(({ end, index }) => [end, index]),
    ).toEqual([
      ['passed', 0],
      ['refused', 1],
      ['passed', 2],
    ]);
    bench.object.close();
  });
});

describe('a program that is stopped', () => {
  const mulloop = readFileSync(fileURLToPath(new URL('../bpf/objects/bench/mulloop.bpf.o', import.meta.url)));

  it.each(engines)('ends its packet and no other: %s', async (engine) => {
    // In the JIT a batch has the budget of its first program.
    const bench = await Bench.load({}, engine, engine === 'jit' ? 40 : undefined);
    const { runtime } = bench.object;
    const { programs } = await load(mulloop, { runtime, engine, budget: 40, unverified: true });
    const [loop] = Object.values(programs);
    const xdp = [bench.program('stamp'), { program: bench.program('steer'), goesOn: [1] }, loop!];
    const packets = Array.from({ length: 3 }, () => ({ data }));
    const stopped = bench.set({ way: 'drop' }).run(packets, { xdp });
    expect(stopped.map(({ end }) => end)).toEqual(['fault', 'fault', 'fault']);
    expect(stopped[1]!.reason).toMatch(/^program \S*: SLUICE_FAULT_BUDGET|did not end|budget/i);
    expect(stopped[1]!.reason).toContain(loop!.name);
    expect(stopped[1]!.steps.at(-1)).toMatchObject({ program: loop!.name, verdict: undefined, verdictName: 'stopped' });
    expect(
      bench
        .set({})
        .run(packets, { xdp })
        .map(({ end }) => end),
    ).toEqual(['passed', 'passed', 'passed']);
    bench.object.close();
  });
});

describe('fields of the sk_buff', () => {
  const hints = { hash: { value: 0xabc, type: 8 }, vlan: { protocol: 0x88a8, tci: 9 }, timestampNs: 77n };

  it('are what a program stored, else what the driver says', async () => {
    const bench = await Bench.load();
    const stored = { hash: 0x1001, vlan: { protocol: 0x8100, tci: 1 }, hardwareTimestampNs: 5001n };
    expect(bench.set({ store_hints: 1 }).run([{ data, hints }])[0]!.skb).toMatchObject(stored);
    const driver = { hash: 0xabc, vlan: { protocol: 0x88a8, tci: 9 }, hardwareTimestampNs: 77n };
    expect(bench.set({}).run([{ data, hints }])[0]!.skb).toMatchObject(driver);
    // Behind a redirect the driver's own is gone.
    expect(bench.set({ way: 'cpu', key: 2 }).run([{ data, hints }])[0]!.skb).not.toHaveProperty('hash');
    expect(bench.run([{ data, hints }], { carryHints: true })[0]!.skb).toMatchObject(driver);
    const at = { interfaces: { 3: { tc: [bench.program('receive')] } } };
    expect(bench.set({ way: 'devmap', store_hints: 1 }).run([{ data, hints }], at)[0]!.skb).toMatchObject({
      hash: 0x1005,
    });
    bench.object.close();
  });

  it('a tag in the packet goes beside it', async () => {
    const bench = await Bench.load();
    const tagged = packet(data.subarray(0, 12), vlan({ id: 5, priority: 3, etherType: 0x800 }), data.subarray(14));
    // The tag's own type field was not written by vlan(): the link header's is.
    const whole = Uint8Array.from([...data.subarray(0, 12), 0x81, 0, ...tagged.subarray(12)]);
    const [result] = bench.set({}).run([{ data: whole }]);
    expect(result).toMatchObject({ data, skb: { protocol: 0x800, vlan: { protocol: 0x8100, tci: 0x6005 } } });
    bench.object.close();
  });

  it.each(['front', 'side'] as const)('metadata before the data comes along: %s', async (placement) => {
    const bench = await Bench.load({ placement });
    const xdp = [bench.program('prepend')];
    const [result] = bench.set({}).run([{ data }], { xdp });
    expect(result).toMatchObject({ skb: { mark: 1 }, metadata: u32(1), data });
    bench.object.close();
  });
});
