import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MergePolicy, mergePolicies, TRAIT_PERSISTENT, traitSizes } from './declaration.ts';
import { Flight } from './flight-epochs.ts';
import { TraitRegistry } from './registry.ts';
import { exportRegistry, importRegistry, readRegistry, registryText } from './registry-file.ts';

function some(): TraitRegistry {
  const registry = new TraitRegistry();
  registry.register({ name: 'gone', size: 4 });
  registry.register({ name: 'flow_id', size: 4, policy: 'EQUAL', owner: 'router' });
  registry.register({ name: 'bytes', size: 8, policy: 'SUM', key: 40, flags: TRAIT_PERSISTENT });
  registry.unregister('gone');
  registry.hold([{ name: 'of an object', size: 8 }]);
  return registry;
}

it('is this text', () => {
  expect(registryText(exportRegistry(some()))).toBe(`{
  "schema": "sluice.traits/1",
  "epoch": 1,
  "traits": [
    {"key":1,"name":"flow_id","size":4,"policy":"EQUAL","owner":"router","persistent":false},
    {"key":40,"name":"bytes","size":8,"policy":"SUM","owner":"","persistent":true}
  ],
  "freed": [
    {"key":0,"epoch":1}
  ]
}
`);
  expect(registryText(exportRegistry(new TraitRegistry()))).toBe(
    '{\n  "schema": "sluice.traits/1",\n  "epoch": 0,\n  "traits": [],\n  "freed": []\n}\n',
  );
});

it('comes back as it went, whatever was registered and freed', () => {
  const name = fc.string({ minLength: 1, maxLength: 5, unit: fc.constantFrom('a', 'b', 'é', '"', '\\', ' ') });
  const trait = fc.record({
    name,
    size: fc.constantFrom(...traitSizes),
    policy: fc.constantFrom(...(Object.keys(mergePolicies) as MergePolicy[])),
    flags: fc.constantFrom(0, TRAIT_PERSISTENT),
    owner: fc.string({ maxLength: 4 }),
  });
  const step = fc.oneof(trait, fc.record({ remove: name }));
  fc.assert(
    fc.property(fc.array(step, { size: 'max', maxLength: 100 }), (steps) => {
      const registry = new TraitRegistry();
      for (const each of steps) {
        if ('remove' in each) {
          if (registry.get(each.remove) !== undefined) registry.unregister(each.remove);
        } else if (registry.get(each.name) === undefined && registry.traits().length < 64) registry.register(each);
      }
      const again = readRegistry(registryText(exportRegistry(registry)));
      expect(again.traits()).toEqual(registry.traits());
      expect(again.freed()).toEqual(registry.freed());
      expect(again.epoch).toBe(registry.epoch);
      // Both give the same keys from here on.
      const next = { name: 'next key', size: 4 };
      if (registry.traits().length < 64) expect(again.register(next)).toBe(registry.register(next));
    }),
    { numRuns: 60 },
  );
});

describe('a text that is none', () => {
  const head = '"schema": "sluice.traits/1"';
  it.each([
    ['{', /^net\.json: \$: no JSON/],
    ['[]', /\$: must be an object/],
    ['{"schema": "sluice.traits/2"}', /\$\.schema: must be "sluice\.traits\/1"/],
    [`{${head}, "keys": []}`, /\$\.keys: is not known; there is: schema, epoch, traits, freed/],
    [`{${head}, "traits": {}}`, /\$\.traits: must be a list/],
    [`{${head}, "traits": [1]}`, /\$\.traits\[0\]: must be an object/],
    [
      `{${head}, "traits": [{"key": 64, "name": "a", "size": 4}]}`,
      /\$\.traits\[0\]\.key: must be a whole number from 0 to 63/,
    ],
    [`{${head}, "traits": [{"name": "a", "size": 4}]}`, /\$\.traits\[0\]\.key: must be/],
    [`{${head}, "traits": [{"key": 1, "name": 5, "size": 4}]}`, /\.name: must be text/],
    [
      `{${head}, "traits": [{"key": 1, "name": "a", "size": 4, "policy": "constructor"}]}`,
      /\.policy: must be one of KEEP_FIRST/,
    ],
    [
      `{${head}, "traits": [{"key": 1, "name": "a", "size": 4, "persistent": 1}]}`,
      /\.persistent: must be true or false/,
    ],
    [`{${head}, "traits": [{"key": 1, "name": "a", "size": 3}]}`, /net\.json: trait a: values are .* EINVAL/],
    [
      `{${head}, "traits": [{"key": 1, "name": "a", "size": 4}, {"key": 1, "name": "b", "size": 4}]}`,
      /key 1 is that of a: EEXIST/,
    ],
    [`{${head}, "traits": [{"key": 1, "name": "mark", "size": 4}]}`, /the system's.*EEXIST/],
    [
      `{${head}, "epoch": 2, "freed": [{"key": 1, "epoch": 3}]}`,
      /\$\.freed\[0\]\.epoch: must be a whole number from 0 to 2/,
    ],
  ])('%s', (text, message) => {
    expect(() => readRegistry(text, 'net.json')).toThrow(message);
  });
});

it('is imported beside what is there, all or nothing', () => {
  const registry = new TraitRegistry();
  registry.register({ name: 'own', size: 4, key: 40 });
  const text = registryText(exportRegistry(some()));
  expect(() => importRegistry(registry, text, 'some.json')).toThrow(
    'some.json: trait bytes: key 40 is that of own: EEXIST',
  );
  expect(registry.traits().map(({ name }) => name)).toEqual(['own']);
  registry.unregister('own');
  expect(importRegistry(registry, text)).toBe(2);
  expect(importRegistry(registry, text)).toBe(0);
  expect(registry.traits().map(({ name, key }) => [name, key])).toEqual([
    ['flow_id', 1],
    ['bytes', 40],
  ]);
});

it('a flight that is renewed holds only its own time', () => {
  const registry = new TraitRegistry();
  registry.register({ name: 'a', size: 4 });
  const flight = new Flight(registry.flights);
  registry.unregister('a');
  expect(registry.freed()).toEqual([{ key: 0, epoch: 1, waits: true }]);
  flight.renew();
  expect(registry.freed()).toEqual([{ key: 0, epoch: 1, waits: false }]);
  flight.end();
  expect(registry.flights.anyBefore(99)).toBe(false);
  expect(() => registry.flights.leave(1)).toThrow(/no packets of epoch 1/);
});
