// Programs that replace a global function of another: what fits, and what Linux says where it does not.
import { describe, expect, it } from 'vitest';
import { readObject } from '../src/object/index.ts';
import { verify } from '../src/verifier/verify.ts';
import { clangs, compileBpf, noClang, prelude } from './clang.ts';

const skBuff = `
struct __sk_buff { u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority, ingress_ifindex, ifindex; };
`;
const replaced = `${skBuff}
int __attribute__((noinline)) length(struct __sk_buff *skb) { asm volatile(""); return skb->len; }
int __attribute__((noinline)) twice(int n) { asm volatile(""); return 2 * n; }
static __attribute__((noinline)) int hidden(struct __sk_buff *skb) { asm volatile(""); return skb->mark; }
SEC("tc") int classify(struct __sk_buff *skb) { return length(skb) + twice(skb->mark) + hidden(skb) > 9; }
`;

const cases: readonly (readonly [string, string, string, string])[] = [
  ['one with the same type', 'length', 'struct __sk_buff *skb', 'accept'],
  ['the entry', 'classify', 'struct __sk_buff *skb', 'accept'],
  ['other arguments', 'length', 'int a, int b', 'new() has 2 args while length() has 1 args'],
  [
    'an argument of another type',
    'twice',
    'struct __sk_buff *skb',
    'arg0 in new() is PTR (anon) while twice() has INT int',
  ],
  ['another context', 'length', 'struct other *o', "arg0 new(struct other *) doesn't match length(struct __sk_buff *)"],
  ['a static function', 'hidden', 'struct __sk_buff *skb', 'Cannot replace static functions'],
  ['what is not there', 'missing', 'struct __sk_buff *skb', "Subprog missing doesn't exist"],
];

describe.skipIf(clangs.length === 0)(`freplace${noClang}`, () => {
  const judge = (section: string, parameters: string, body: string, alone = false) => {
    const of = readObject(compileBpf(prelude + replaced), 'replaced.bpf.o');
    const source = `${prelude}${skBuff}struct other { int a; };
      SEC("${section}") int new(${parameters}) { ${body} }`;
    const object = readObject(compileBpf(source), 'new.bpf.o');
    const replaces = { program: of.programs.get('classify')!, maps: of.maps, btf: of.btf, license: of.license };
    const input = { program: object.programs.get('new')!, maps: object.maps, license: 'GPL', btf: object.btf };
    const { verdict, feature, diagnostics } = verify(input, alone ? {} : { replaces });
    return feature ?? diagnostics[0]?.problem ?? verdict;
  };

  for (const [what, name, parameters, wanted] of cases)
    it(what, () => expect(judge(`freplace/${name}`, parameters, 'return 1;')).toBe(wanted));
  it('has the context, the helpers and the results of what it replaces', () => {
    const mark = 'struct __sk_buff *skb';
    expect(judge('freplace/length', mark, 'skb->mark = 1; return skb->ifindex;')).toBe('accept');
    expect(judge('freplace/length', mark, 'return *(volatile int *)((char *)skb + 400);')).toBe(
      'invalid bpf_context access off=400 size=4',
    );
  });
  it('leaves the packet alone where the original did', () =>
    expect(
      judge('freplace/length', 'struct __sk_buff *skb', 'return ((long (*)(struct __sk_buff *, u32))39)(skb, 14);'),
    ).toBe('Extension program changes packet data, while original does not'));
  it('is not followed without what it replaces', () =>
    expect(judge('freplace/length', 'struct __sk_buff *skb', 'return 1;', true)).toMatch(/--replaces/));
});
