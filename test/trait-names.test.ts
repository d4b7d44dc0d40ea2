// Traits by name: what an object declares gets keys of a registry, here and in Linux; what it does not declare it may not touch.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { load, runPath } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { loadLinux } from '../src/linux/load.ts';
import { readObject } from '../src/object/index.ts';
import type { ObjectSpec, TraitSpec } from '../src/object/spec.ts';
import { withTraitKeys } from '../src/object/traits.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import { TRAIT_PERSISTENT } from '../src/traits/declaration.ts';
import { TraitRegistry } from '../src/traits/registry.ts';
import { SYSTEM_KEY } from '../src/traits/well-known.ts';
import { verify } from '../src/verifier/verify.ts';

const bytesOf = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../bpf/objects/metadata/${name}.bpf.o`, import.meta.url)));
const names = bytesOf('trait_names');
const spec = (name: string) => readObject(bytesOf(name), `${name}.bpf.o`);
const refusal = bpfRefusal();
const data = Uint8Array.from({ length: 60 }, (_, i) => (i === 12 ? 8 : i === 13 ? 0 : i));
const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const u64 = (value: bigint) => new Uint8Array(BigUint64Array.of(value).buffer);

describe('an object', () => {
  it('says its names, lengths and policies, and has keys by itself', () => {
    expect(spec('trait_names').traits).toEqual([
      { name: 'flow_id', size: 4, policy: 'EQUAL', flags: 0, key: 0n },
      { name: 'packets', size: 8, policy: 'SUM', flags: 0, key: 1n },
      { name: 'from_outside', size: 0, policy: 'OR', flags: 0, key: 2n },
      { name: 'packet_id', size: 8, policy: 'KEEP_FIRST', flags: 0, key: SYSTEM_KEY + 7n },
    ]);
    expect(spec('packet_id').traits).toEqual([]);
  });

  it.each(['jit', 'interpreter'] as const)('gets the keys of the registry: %s', async (engine) => {
    const registry = new TraitRegistry();
    registry.register({ name: 'other', size: 4 });
    registry.register({ name: 'packets', size: 8, policy: 'SUM', key: 33, owner: 'counter' });
    const object = await load(names, { engine, metadata: { registry }, name: 'trait_names.bpf.o' });
    expect(registry.traits()).toEqual([
      { name: 'other', key: 0, size: 4, policy: 'KEEP_FIRST', flags: 0, owner: '', references: 0, kept: true },
      {
        name: 'flow_id',
        key: 1,
        size: 4,
        policy: 'EQUAL',
        flags: 0,
        owner: 'trait_names.bpf.o',
        references: 1,
        kept: false,
      },
      {
        name: 'from_outside',
        key: 2,
        size: 0,
        policy: 'OR',
        flags: 0,
        owner: 'trait_names.bpf.o',
        references: 1,
        kept: false,
      },
      { name: 'packets', key: 33, size: 8, policy: 'SUM', flags: 0, owner: 'counter', references: 1, kept: true },
    ]);
    const { name_flow, count_flow } = object.programs;
    const first = name_flow!.run({ data });
    expect(first).toMatchObject({
      returnValue: 2,
      traits: new Map([
        [1, u32(7)],
        [33, u64(1n)],
      ]),
    });
    const context = new Uint8Array(192);
    const traits = new Map([...first.traits!, [2, new Uint8Array(0)], [33, u64(5n)]] as const);
    const marked = count_flow!.run({ data, context, traits });
    const field = (offset: number) =>
      new DataView(marked.context!.buffer, marked.context!.byteOffset).getUint32(offset, true);
    expect([field(8), field(32)]).toEqual([7, 1]);
    expect(object.maps['packets_of_flow']!.get(7)).toBe(5n);
    expect(() => registry.unregister('flow_id')).toThrow(/used by 1 loaded object/);
    object.close();
    // Those that nobody registered went with the object.
    expect(registry.traits().map(({ name, references }) => [name, references])).toEqual([
      ['other', 0],
      ['packets', 0],
    ]);
  });

  it('shares names with others, in one runtime and in several', async () => {
    const registry = new TraitRegistry();
    const runtime = new Runtime({ metadata: { registry } });
    const objects = [
      await load(names, { runtime }),
      await load(names, { runtime, programs: ['count_flow'] }),
      await load(names, { metadata: { registry, placement: 'side' } }),
    ];
    expect(registry.get('flow_id')?.references).toBe(3);
    expect(new Set(objects.map(({ runtime: each }) => each.traits))).toEqual(new Set([registry]));
    for (const object of objects) object.close();
    expect(registry.traits()).toEqual([]);
    // Each of the three names was freed once.
    expect(registry.epoch).toBe(3);
  });

  it('is refused, and takes nothing, where a name means something else, no key is free, or packets have no such values', async () => {
    const registry = new TraitRegistry();
    registry.register({ name: 'from_outside', size: 4, owner: 'gate' });
    await expect(load(names, { metadata: { registry } })).rejects.toMatchObject({
      code: 'SLUICE_TRAIT_EEXIST',
      message: 'trait from_outside is registered by gate with 4 bytes, not 0; policy KEEP_FIRST, not OR: EEXIST',
    });
    expect(registry.traits().map(({ name }) => name)).toEqual(['from_outside']);
    for (let i = 1; i < 62; i++) registry.register({ name: `t${i}`, size: 4 });
    await expect(load(names, { metadata: { registry } })).rejects.toMatchObject({ code: 'SLUICE_TRAIT_EEXIST' });
    registry.unregister('from_outside');
    registry.register({ name: 't0', size: 4, flags: TRAIT_PERSISTENT });
    await expect(load(names, { metadata: { registry } })).rejects.toMatchObject({ code: 'SLUICE_TRAIT_ENOSPC' });
    expect(registry.traits()).toHaveLength(62);
    await expect(load(names, { metadata: { layout: '4-8-16' } })).rejects.toThrow(
      'trait from_outside has 0 bytes, and packets of layout 4-8-16 have values of 4, 8, 16 bytes',
    );
    await expect(load(names, { runtime: new Runtime(), metadata: { registry } })).rejects.toThrow(
      'the runtime has another registry of traits',
    );
  });

  it('gives its names back where the verifier refuses it', async () => {
    const registry = new TraitRegistry();
    const object = spec('packet_id');
    const traits: TraitSpec[] = [{ name: 'x', size: 4, policy: 'SUM', flags: 0, key: 0n }];
    const programs = new Map([...object.programs].map(([name, program]) => [name, { ...program, traits }]));
    await expect(load({ ...object, traits, programs }, { metadata: { registry } })).rejects.toThrow(
      /program give_id: the verifier refuses it: insn \d+ .*trait key 1 is not registered/,
    );
    expect(registry.traits()).toEqual([]);
  });

  it('without names keeps its keys as they are', async () => {
    const registry = new TraitRegistry();
    const object = await load(bytesOf('packet_id'), { metadata: { registry } });
    expect(object.programs['give_id']!.run({ data }).traits).toEqual(new Map([[1, u32(1)]]));
    expect(registry.traits()).toEqual([]);
    object.close();
  });
});

describe('the verifier', () => {
  const judge = (object: ObjectSpec, name: string, traits: readonly TraitSpec[]) => {
    const program = { ...object.programs.get(name)!, traits };
    return verify({ program, maps: object.maps, license: object.license, btf: object.btf });
  };
  const trait = (key: bigint, size: number): TraitSpec => ({ name: 'id', size, policy: 'SUM', flags: 0, key });

  it('accepts what is declared, of its length', () => {
    const object = spec('packet_id');
    expect(judge(object, 'give_id', [trait(1n, 4)]).verdict).toBe('accept');
    for (const program of spec('trait_names').programs.values())
      expect(
        verify({ program, maps: spec('trait_names').maps, license: 'GPL', btf: spec('trait_names').btf }).verdict,
      ).toBe('accept');
  });

  it.each([
    ['give_id', [], 'trait key 1 is not registered'],
    ['give_id', [trait(2n, 4)], 'trait key 1 is not registered'],
    ['give_id', [trait(1n, 8)], 'trait id (key 1) has 8 bytes, R4 says 4'],
    ['give_id', [trait(1n, 0)], 'trait id (key 1) has 0 bytes, R4 says 4'],
    ['mark_id', [trait(1n, 8)], 'trait id (key 1) has 8 bytes, R4 says 4'],
  ] as const)('refuses %s, case %#', (name, traits, problem) => {
    const { verdict, diagnostics } = judge(spec('packet_id'), name, traits);
    expect(verdict).toBe('reject');
    expect(diagnostics[0]!.problem).toBe(problem);
  });

  it('takes a longer buffer', () => {
    expect(judge(spec('packet_id'), 'mark_id', [trait(1n, 0)]).verdict).toBe('accept');
  });

  it('refuses keys that are no constants', () => {
    const object = spec('trait_kfuncs');
    const program = { ...object.programs.get('trait_kfuncs')!, traits: [trait(1n, 4)] };
    const input = { program, maps: object.maps, license: object.license, btf: object.btf };
    expect(verify(input).diagnostics[0]!.problem).toBe('R2 must be a known constant: the key of a trait');
  });

  it('knows the keys of the system, and refuses others of their range', () => {
    const object = spec('trait_names');
    const keys = (key: bigint) => withTraitKeys(object, new Map([['packet_id', key]])).programs.get('name_flow')!;
    const problem = (key: bigint) => {
      const program = { ...keys(key), traits: object.traits };
      return verify({ program, maps: object.maps, license: object.license, btf: object.btf }).diagnostics[0]?.problem;
    };
    expect(problem(SYSTEM_KEY + 7n)).toBeUndefined();
    expect(problem(SYSTEM_KEY + 2n)).toBeUndefined();
    expect(problem(SYSTEM_KEY + 5n)).toBe('trait mark (key 2^63+5) has 4 bytes, R4 says 8');
    expect(problem(SYSTEM_KEY + 8n)).toBe('trait key 2^63+8 is not registered');
    expect(problem((1n << 64n) - 1n)).toBe('trait key 2^63+9223372036854775807 is not registered');
    expect(problem(64n)).toBe('trait key 64 is not registered');
  });
});

it('well-known keys are the plane’s, also in the JIT', async () => {
  for (const engine of ['jit', 'interpreter'] as const) {
    const object = await load(names, { engine });
    const results = [1, 2].map(() => object.programs['name_flow']!.run({ data }));
    // A number of the frame's own, that is no value in its store: two of them are.
    for (const result of results) expect([...result.traits!.keys()]).toEqual([0, 1]);
    object.close();
  }
});

it('keys that are freed while packets are on their way wait for them, and packets lose the values', async () => {
  const registry = new TraitRegistry();
  const runtime = new Runtime({ metadata: { registry } });
  const object = await load(bytesOf('packet_id'), { runtime });
  const fixed = Array.from({ length: 3 }, (_, i) => registry.register({ name: `t${i}`, size: 4, key: 40 + i }));
  const traits = new Map(fixed.map((key) => [key, new Uint8Array(4)]));
  const seen: unknown[] = [];
  const source = function* () {
    yield { data, traits };
    registry.unregister('t1');
    seen.push(registry.freed());
    expect(() => registry.register({ name: 'new', size: 4, key: 41 })).toThrow(/still in flight: EBUSY/);
    yield { data, traits: new Map([[42, new Uint8Array(4)]]) };
  };
  const packets = [...runPath(source(), { xdp: [object.programs['give_id']!] })];
  expect(seen).toEqual([[{ key: 41, epoch: 1, waits: true }]]);
  expect(packets.map((packet) => [...(packet.traits?.keys() ?? [])].filter((key) => key >= 40))).toEqual([
    [40, 42],
    [42],
  ]);
  expect(registry.register({ name: 'new', size: 4, key: 41 })).toBe(41);
  object.close();
});

describe.skipIf(refusal !== undefined)(`in Linux${refusal === undefined ? '' : `: ${refusal}`}`, () => {
  it('names have the keys of the registry, and packets the same bytes as here', async () => {
    const registry = new TraitRegistry();
    registry.register({ name: 'flow_id', size: 4, policy: 'EQUAL', key: 9 });
    for (let key = 0; key < 5; key++) registry.register({ name: `t${key}`, size: 4 });
    const object = spec('trait_names_meta');
    const linux = loadLinux(object, { traits: registry });
    const here = await load(object, { metadata: { registry, placement: 'meta' } });
    expect(['flow_id', 'packets'].map((name) => registry.get(name))).toMatchObject([
      { key: 9, references: 2 },
      { key: 5, references: 2 },
    ]);
    // struct xdp_md, so that metadata comes back: data_end is the packet's length.
    const context = new Uint8Array(24);
    new DataView(context.buffer).setUint32(4, data.length, true);
    const [there, our] = [linux, here].map((each) => each.programs['name_flow']!.run({ data, context }));
    expect(there!.returnValue).toBe(2);
    expect(there!.data).toEqual(our!.data);
    expect(traitsIn(our!.data!)).toEqual(
      new Map([
        [5, u64(1n)],
        [9, u32(7)],
      ]),
    );
    linux.close();
    expect(registry.get('packets')?.references).toBe(1);
    here.close();
    expect(registry.get('packets')).toBeUndefined();
  });

  it('objects that nobody gives a registry agree in a process', () => {
    const object = spec('trait_names_meta');
    const first = loadLinux(object);
    const other = { ...object, traits: object.traits.map((trait) => ({ ...trait, size: 8 })) };
    expect(() => loadLinux(other)).toThrow(/trait flow_id is registered by trait_names_meta.bpf.o with 4 bytes, not 8/);
    first.close();
    loadLinux(other).close();
  });
});

/** Of layout 0-4-8 in front of the packet. */
function traitsIn(bytes: Uint8Array): Map<number, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const [high, low] = [view.getBigUint64(0, true), view.getBigUint64(8, true)];
  const found = new Map<number, Uint8Array>();
  let at = 16;
  for (let key = 0; key < 64; key++) {
    const bit = 1n << BigInt(key);
    if (((high | low) & bit) === 0n) continue;
    const size = (high & bit) === 0n ? 0 : (low & bit) === 0n ? 4 : 8;
    found.set(key, bytes.slice(at, at + size));
    at += size;
  }
  return found;
}
