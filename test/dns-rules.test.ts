// Rules that people write (bpf/control/dns-rules.mjs) against what the program finds by them, for names of all shapes.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { dnsMaps, suffixKey } from '../bpf/control/dns-rules.mjs';
import { mapInputFromJson } from '../src/runtime/json-value.ts';
import { dns, ethernet, ipv4, loadForTest, packet, udp } from '../src/testing/index.ts';

const path = (name: string) => fileURLToPath(new URL(`../bpf/${name}`, import.meta.url));
const query = (name: string) =>
  packet(ethernet(), ipv4({ src: '192.0.2.1', dst: '10.0.0.53' }), udp({ srcPort: 4000, dstPort: 53 }), dns({ name }));

const label = fc
  .array(fc.constantFrom(...'abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_'), { minLength: 1, maxLength: 20 })
  .map((letters) => letters.join(''));
const labels = fc.array(label, { minLength: 1, maxLength: 6 });

it('the longest rule that is a suffix of a name decides, whatever the cases of letters', async () => {
  const object = await loadForTest(path('objects/xdp_dns_filter.bpf.o'));
  const names = object.maps['names']!;
  fc.assert(
    fc.property(labels, labels, fc.integer({ min: 0, max: 5 }), (name, other, cut) => {
      const suffix = name.slice(Math.min(cut, name.length - 1));
      // A rule for the whole of `other` and one for a suffix of the name: a drop, unless they are the same.
      const rules = { [other.join('.')]: 'pass', [suffix.join('.')]: 'drop' };
      const { names: entries } = dnsMaps({ names: rules });
      const input = mapInputFromJson({ names: entries }, 'rules')['names'];
      const list = input as readonly (readonly [{ hash: bigint; labels: number; zero: number }, { action: number }])[]; // as dnsMaps writes it
      for (const [key, value] of list) names.set(key, { zero: 0, hits: 0, ...value });
      const lower = (parts: readonly string[]) => parts.join('.').toLowerCase();
      const ends = (rule: readonly string[]) => `.${lower(name)}`.endsWith(`.${lower(rule)}`);
      const passes = ends(other) && other.length > suffix.length;
      expect(object.run(query(name.join('.'))).verdict).toBe(passes ? 'XDP_PASS' : 'XDP_DROP');
      for (const [key] of list) names.delete(key);
      expect(object.run(query(name.join('.'))).verdict).toBe('XDP_PASS');
    }),
    { numRuns: 300 },
  );
  object.close();
});

it('what is no name or no action is refused', () => {
  expect(() => suffixKey('a..b')).toThrow('a label has 1 to 63 octets');
  expect(() => suffixKey(Array(17).fill('a').join('.'))).toThrow('more than 16 labels');
  expect(() => dnsMaps({ names: { 'a.b': 'forbid' } })).toThrow('no action forbid');
  expect(() => dnsMaps({ types: { NSEC9: 'drop' } })).toThrow('give its number');
});

it("the example's maps are what its rules give", () => {
  const rules = JSON.parse(readFileSync(path('examples/dns_rules.json'), 'utf8'));
  expect(JSON.parse(readFileSync(path('examples/dns_filter.maps.json'), 'utf8'))).toEqual(
    JSON.parse(JSON.stringify(dnsMaps(rules))),
  );
});
