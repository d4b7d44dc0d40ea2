import { describe, expect, test } from 'vitest';
import { TRAIT_PERSISTENT } from './declaration.ts';
import { TraitRegistry } from './registry.ts';
import { SYSTEM_KEY, wellKnownTraits } from './well-known.ts';

const flow = { name: 'flow_id', size: 4 } as const;

function full(): TraitRegistry {
  const registry = new TraitRegistry();
  for (let i = 0; i < 64; i++) registry.register({ name: `t${i}`, size: 4 });
  return registry;
}

describe('keys', () => {
  test('are the lowest that nobody had, or the one that is asked for', () => {
    const registry = new TraitRegistry();
    expect(registry.register(flow)).toBe(0);
    expect(registry.register({ name: 'b', size: 8, key: 2 })).toBe(2);
    expect(registry.register({ name: 'c', size: 0 })).toBe(1);
    expect(registry.register({ name: 'd', size: 0 })).toBe(3);
    expect(registry.traits().map(({ name, key }) => [name, key])).toEqual([
      ['flow_id', 0],
      ['c', 1],
      ['b', 2],
      ['d', 3],
    ]);
    expect(registry.at(2)).toMatchObject({ name: 'b', size: 8, policy: 'KEEP_FIRST', flags: 0, references: 0 });
  });

  test.each([-1, 64, 65, 1.5, Number.NaN, 2 ** 63])('%s is none', (key) => {
    expect(() => new TraitRegistry().register({ ...flow, key })).toThrow('keys are 0 to 63');
  });

  test('one that is taken, or all', () => {
    const registry = full();
    expect(() => registry.register(flow)).toThrow(/all 64 keys are registered: ENOSPC/);
    expect(() => registry.register({ ...flow, key: 7 })).toThrow(/key 7 is that of t7: EEXIST/);
    registry.unregister('t7');
    expect(registry.register(flow)).toBe(7);
  });
});

describe('names', () => {
  test.each(['', '12345678901234567', 'ééééééééé', 'a\nb', 'a\0b'])('%j is none', (name) => {
    expect(() => new TraitRegistry().register({ name, size: 4 })).toThrow(/names are 1 to 16 bytes/);
  });

  test('of 16 bytes', () => {
    const registry = new TraitRegistry();
    expect(registry.register({ name: '1234567890123456', size: 4 })).toBe(0);
    expect(registry.register({ name: 'éééééééé', size: 4 })).toBe(1);
  });

  test('the same declaration is shared, another one refused', () => {
    const registry = new TraitRegistry();
    const key = registry.register({ ...flow, policy: 'SUM', owner: 'router' });
    expect(registry.register({ ...flow, policy: 'SUM', owner: 'other' })).toBe(key);
    expect(registry.get('flow_id')?.owner).toBe('router');
    expect(() => registry.register({ ...flow, size: 8, policy: 'MAX' })).toThrow(
      'trait flow_id is registered by router with 4 bytes, not 8; policy SUM, not MAX: EEXIST',
    );
    expect(() => registry.register({ ...flow, policy: 'SUM', key: 9 })).toThrow(/key 0, not 9: EEXIST/);
    expect(() => registry.register({ ...flow, policy: 'SUM', flags: TRAIT_PERSISTENT })).toThrow(/flags 0, not 1/);
  });

  test('of the system are not registered, and have keys in its range', () => {
    const registry = new TraitRegistry();
    expect(() => registry.register({ name: 'rx_hash', size: 4 })).toThrow(/the system's.*EEXIST/);
    expect(registry.hold([{ name: 'rx_hash', size: 4 }]).keys.get('rx_hash')).toBe(SYSTEM_KEY);
    expect(() => registry.hold([{ name: 'rx_hash', size: 8 }])).toThrow(/the system's, of 4 bytes, not 8: EEXIST/);
    expect(wellKnownTraits.map(({ name, key }) => [name, key - SYSTEM_KEY])).toEqual(
      ['rx_hash', 'rx_hash_type', 'rx_timestamp', 'vlan', 'csum', 'mark', 'ifindex', 'packet_id'].map((name, n) => [
        name,
        BigInt(n),
      ]),
    );
  });

  test.each([
    [{ ...flow, size: 3 }, /values are 0, 1, 2, 4, 8, 16 bytes/],
    [{ ...flow, policy: 'toString' as 'SUM' }, /no policy toString: KEEP_FIRST/],
    [{ ...flow, flags: 2 }, /no flags 2/],
  ])('declaration %j', (declaration, message) => {
    expect(() => new TraitRegistry().register(declaration)).toThrow(message);
  });
});

describe('references', () => {
  test('a name that is used is not unregistered', () => {
    const registry = new TraitRegistry();
    registry.register(flow);
    const [first, second] = [registry.hold([flow]), registry.hold([flow])];
    expect(registry.get('flow_id')?.references).toBe(2);
    expect(() => registry.unregister('flow_id')).toThrow(/used by 2 loaded objects: close them first: EBUSY/);
    first.release();
    first.release();
    expect(() => registry.unregister('flow_id')).toThrow(/used by 1 loaded object:/);
    second.release();
    registry.unregister('flow_id');
    expect(() => registry.unregister('flow_id')).toThrow(/no trait is named flow_id: ENOENT/);
  });

  test('a name that only objects use goes with the last of them, unless it is persistent or registered', () => {
    const registry = new TraitRegistry();
    const hold = registry.hold(
      [flow, { name: 'stays', size: 4, flags: TRAIT_PERSISTENT }, { name: 'kept', size: 4 }],
      'a.o',
    );
    registry.register({ name: 'kept', size: 4 });
    expect(registry.get('flow_id')).toMatchObject({ owner: 'a.o', kept: false });
    hold.release();
    expect(registry.traits().map(({ name }) => name)).toEqual(['stays', 'kept']);
  });

  test('are taken all or none', () => {
    const registry = new TraitRegistry();
    registry.register(flow);
    expect(() => registry.hold([{ name: 'new', size: 4 }, flow, { ...flow, size: 8 }])).toThrow(/EEXIST/);
    expect(registry.get('flow_id')?.references).toBe(0);
    expect(registry.get('new')).toBeUndefined();
  });
});

describe('keys that are freed', () => {
  test('are not given out while packets of their time are in flight', () => {
    const registry = full();
    const flight = registry.flights.enter();
    registry.unregister('t3');
    expect(registry.freed()).toEqual([{ key: 3, epoch: 1, waits: true }]);
    expect(() => registry.register(flow)).toThrow(
      /63 are registered, 1 were freed while packets with them are in flight: ENOSPC/,
    );
    expect(() => registry.register({ ...flow, key: 3 })).toThrow(/packets of that time are still in flight: EBUSY/);
    // Packets that set out later do not matter.
    const later = registry.flights.enter();
    registry.flights.leave(flight);
    expect(registry.freed()).toEqual([{ key: 3, epoch: 1, waits: false }]);
    expect(registry.register(flow)).toBe(3);
    expect(registry.voidBefore(3)).toBe(1);
    registry.flights.leave(later);
  });

  test('are taken again when no other is left, the first that was freed first', () => {
    const registry = full();
    for (const name of ['t9', 't2', 't5']) registry.unregister(name);
    expect(['a', 'b', 'c'].map((name) => registry.register({ name, size: 4 }))).toEqual([9, 2, 5]);
    expect(registry.freed()).toEqual([]);
  });
});
