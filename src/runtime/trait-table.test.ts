import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SkbPool } from '../hooks/skb/frames.ts';
import { setTraits, type Traits, traitsOf } from '../hooks/traits.ts';
import { FramePool } from '../hooks/xdp/frames.ts';
import { ROOT, ROOT_TRAIT_POLICIES, TRAIT_TABLE } from '../plane/layout/memory.ts';
import {
  MERGE_MAX,
  MERGE_SUM,
  TRAIT_TABLE_EPOCH,
  TRAIT_TABLE_EPOCHS,
  TRAIT_TABLE_FREED,
  TRAIT_TABLE_REGISTERED,
  TRAIT_TABLE_SIZES,
} from '../plane/layout/trait.ts';
import { TraitRegistry } from '../traits/registry.ts';
import { Runtime } from './runtime.ts';
import { type TraitPlacement, traitPlacements } from './traits.ts';

const packet = new Uint8Array(64);
packet.set([0x08, 0x00, 0x45], 12);
const four = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);

describe('the table', () => {
  it('has what the registry says, in each of its runtimes', () => {
    const registry = new TraitRegistry({ epoch: 5, freed: [{ key: 9, epoch: 4 }] });
    registry.register({ name: 'bytes', size: 8, policy: 'SUM', key: 3 });
    const runtimes = [1, 2].map(() => new Runtime({ metadata: { registry } }));
    registry.register({ name: 'peak', size: 4, policy: 'MAX', key: 63 });
    registry.unregister('bytes');
    registry.register({ name: 'again', size: 16, policy: 'SUM', key: 40 });
    for (const runtime of runtimes) {
      expect(runtime.traits).toBe(registry);
      const view = runtime.view();
      expect(view.getBigUint64(TRAIT_TABLE + TRAIT_TABLE_REGISTERED, true)).toBe((1n << 63n) | (1n << 40n));
      expect(view.getBigUint64(TRAIT_TABLE + TRAIT_TABLE_FREED, true)).toBe((1n << 9n) | (1n << 3n));
      expect(view.getUint32(TRAIT_TABLE + TRAIT_TABLE_EPOCH, true)).toBe(6);
      expect([3, 9, 40].map((key) => view.getUint32(TRAIT_TABLE + TRAIT_TABLE_EPOCHS + key * 4, true))).toEqual([
        6, 4, 0,
      ]);
      expect([3, 40, 63].map((key) => view.getUint8(ROOT + ROOT_TRAIT_POLICIES + key))).toEqual([
        0,
        MERGE_SUM,
        MERGE_MAX,
      ]);
      expect([3, 40, 63].map((key) => view.getUint8(TRAIT_TABLE + TRAIT_TABLE_SIZES + key))).toEqual([0, 16, 4]);
    }
  });
});

describe.each(Object.keys(traitPlacements) as TraitPlacement[])('packets in flight, %s', (placement) => {
  it('lose the values of keys that are freed, and only those', () => {
    const registry = new TraitRegistry();
    const runtime = new Runtime({ metadata: { registry, placement } });
    const pool = new FramePool(runtime, 2);
    const [old, young] = [pool.descriptor(0), pool.descriptor(1)];
    for (const name of ['a', 'b', 'c']) registry.register({ name, size: 4 });
    pool.fill(0, packet);
    setTraits(runtime, 'xdp', old, new Map([0, 1, 2].map((key) => [key, four(key)])));
    registry.unregister('b');
    // The key is another's at once, as nobody says that packets are in flight; the old packet has nothing of it all the same.
    registry.register({ name: 'd', size: 4, key: 1 });
    pool.fill(1, packet);
    setTraits(runtime, 'xdp', young, new Map([[1, four(7)]]));
    expect(traitsOf(runtime, 'xdp', old)).toEqual(new Map([0, 2].map((key) => [key, four(key)])));
    expect(traitsOf(runtime, 'xdp', young)).toEqual(new Map([[1, four(7)]]));
    expect(pool.read(0)).toEqual(packet);
  });
});

it('an sk_buff likewise', () => {
  const registry = new TraitRegistry();
  const runtime = new Runtime({ metadata: { registry } });
  const pool = new SkbPool(runtime, 1);
  for (const name of ['a', 'b']) registry.register({ name, size: 4 });
  pool.fill(0, packet, 'link', {});
  setTraits(runtime, 'skb', pool.descriptor(0), new Map([0, 1].map((key) => [key, four(key)])));
  registry.unregister('a');
  expect(traitsOf(runtime, 'skb', pool.descriptor(0))).toEqual(new Map([[1, four(1)]]));
});

/** Names that come and go, objects that hold them, packets that set out, get values and arrive: every value that is read is one of its key's present name. */
it('whatever comes, a packet has no value of another name', () => {
  const names = ['a', 'b', 'c', 'd'];
  const step = fc.oneof(
    fc.record({ kind: fc.constant('register' as const), name: fc.constantFrom(...names) }),
    fc.record({ kind: fc.constant('unregister' as const), name: fc.constantFrom(...names) }),
    fc.record({ kind: fc.constant('load' as const), name: fc.constantFrom(...names) }),
    fc.record({ kind: fc.constant('close' as const), which: fc.nat(3) }),
    fc.record({ kind: fc.constant('depart' as const), frame: fc.nat(3) }),
    fc.record({ kind: fc.constant('arrive' as const), frame: fc.nat(3) }),
    fc.record({ kind: fc.constant('set' as const), frame: fc.nat(3), name: fc.constantFrom(...names) }),
    fc.record({ kind: fc.constant('read' as const), frame: fc.nat(3) }),
  );
  const registry0 = new TraitRegistry();
  // All but three keys are taken, so that freed ones are asked for.
  for (let key = 3; key < 64; key++) registry0.register({ name: `taken${key}`, size: 4 });
  const runtime0 = new Runtime({ metadata: { registry: registry0 } });
  const pool = new FramePool(runtime0, 4);
  fc.assert(
    fc.property(fc.array(step, { size: 'max', maxLength: 60 }), (steps) => {
      const registry = registry0;
      const holds: { name: string; release(): void }[] = [];
      const flights = new Map<number, number>();
      /** Generation of a name's registration; value = generation. */
      const live = new Map<string, { key: number; generation: number }>();
      let generation = 0;
      const model = new Map<number, Map<string, number>>();
      const expected = (frame: number): Traits | undefined => {
        const has = [...(model.get(frame) ?? [])].filter(([name, value]) => live.get(name)?.generation === value);
        if (has.length === 0) return undefined;
        return new Map(
          has
            .map(([name, value]): [number, Uint8Array] => [live.get(name)!.key, four(value)])
            .sort(([a], [b]) => a - b),
        );
      };
      const attempt = (what: () => void): boolean => {
        try {
          what();
          return true;
        } catch (error) {
          expect(String(error)).toMatch(/E(BUSY|NOSPC|NOENT)$/);
          return false;
        }
      };
      const sync = () => {
        for (const name of names) {
          const trait = registry.get(name);
          if (trait === undefined) live.delete(name);
          else if (!live.has(name)) live.set(name, { key: trait.key, generation: ++generation });
        }
      };
      try {
        for (const each of steps) {
          switch (each.kind) {
            case 'register':
              attempt(() => registry.register({ name: each.name, size: 4 }));
              break;
            case 'unregister': {
              const before = registry.get(each.name);
              const used = before !== undefined && before.references > 0;
              expect(attempt(() => registry.unregister(each.name))).toBe(before !== undefined && !used);
              break;
            }
            case 'load':
              attempt(() => holds.push({ name: each.name, ...registry.hold([{ name: each.name, size: 4 }]) }));
              break;
            case 'close':
              holds.splice(each.which, 1)[0]?.release();
              break;
            case 'depart':
              if (flights.has(each.frame)) break;
              flights.set(each.frame, registry.flights.enter());
              pool.fill(each.frame, packet);
              model.set(each.frame, new Map());
              break;
            case 'arrive':
              if (!flights.has(each.frame)) break;
              registry.flights.leave(flights.get(each.frame)!);
              flights.delete(each.frame);
              model.delete(each.frame);
              break;
            case 'set': {
              const trait = live.get(each.name);
              if (trait === undefined || !flights.has(each.frame)) break;
              (runtime0.plane.exports['frame_forget_freed'] as (frame: number) => void)(pool.descriptor(each.frame));
              setTraits(runtime0, 'xdp', pool.descriptor(each.frame), new Map([[trait.key, four(trait.generation)]]));
              model.get(each.frame)!.set(each.name, trait.generation);
              break;
            }
            case 'read':
              if (flights.has(each.frame))
                expect(traitsOf(runtime0, 'xdp', pool.descriptor(each.frame))).toEqual(expected(each.frame));
              break;
            default:
              each satisfies never;
          }
          sync();
          // References are those that are held; no key that waits is given to a name.
          for (const name of names)
            expect(registry.get(name)?.references ?? 0).toBe(holds.filter((hold) => hold.name === name).length);
          for (const { key, waits } of registry.freed()) if (waits) expect(registry.at(key)).toBeUndefined();
        }
        for (const frame of flights.keys())
          expect(traitsOf(runtime0, 'xdp', pool.descriptor(frame))).toEqual(expected(frame));
      } finally {
        for (const hold of holds) hold.release();
        for (const epoch of flights.values()) registry.flights.leave(epoch);
        for (const name of names) if (registry.get(name) !== undefined) registry.unregister(name);
      }
    }),
    { numRuns: 150 },
  );
});
