import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ethernet } from '../ethernet.ts';
import { ipv4 } from '../ipv4.ts';
import { hopByHop, ipv6 } from '../ipv6.ts';
import { type Layer, packet } from '../packet.ts';
import { tcp } from '../tcp.ts';
import { udp } from '../udp.ts';
import { vlan } from '../vlan.ts';
import { type FlowRule, flowRuleOf, flowTypeOf, flowTypes, formatFlowRule, parseFlowRule } from './flow-rules.ts';

const match = fc.record({ value: fc.integer({ min: 0, max: 0xffff }), mask: fc.integer({ min: 0, max: 0xffff }) });
const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });

/** Any rule that is one. */
const anyFlowRule: fc.Arbitrary<FlowRule> = fc.constantFrom(...flowTypes).chain((flowType) => {
  const { version, protocol } = flowTypeOf(flowType);
  const size = version === 4 ? 4 : 16;
  const addresses = fc.record({ value: bytes(size), mask: bytes(size) });
  return fc.record(
    {
      flowType: fc.constant(flowType),
      context: fc.integer({ min: 1, max: 31 }),
      vlan: match,
      ...(version === 0 ? {} : { source: addresses, destination: addresses }),
      ...(protocol === undefined ? {} : { sourcePort: match, destinationPort: match }),
      ...(version === 0 || protocol !== undefined ? {} : { protocol: fc.integer({ min: 0, max: 255 }) }),
    },
    { requiredKeys: ['flowType', 'context'] },
  );
});

describe('rules of ethtool', () => {
  it('are the same after they are written and read', () => {
    fc.assert(
      fc.property(anyFlowRule, (rule) => {
        expect(parseFlowRule(formatFlowRule(rule))).toEqual(rule);
      }),
    );
  });

  it('have masks whose ones do not count, or prefix lengths', () => {
    const rule = parseFlowRule('flow-type tcp4 src-ip 10.1.0.0 m 0.0.255.255 dst-port 0x1bb m 1 context 3');
    expect(rule).toEqual({
      flowType: 'tcp4',
      source: { value: Uint8Array.of(10, 1, 0, 0), mask: Uint8Array.of(255, 255, 0, 0) },
      destinationPort: { value: 443, mask: 0xfffe },
      context: 3,
    });
    expect(parseFlowRule('tcp4 src-ip 10.1.0.0/16 dst-port 443 m 1 context 3')).toEqual(rule);
    expect(parseFlowRule('ip6 dst-ip 2001:db8::/35 context 1').destination!.mask.subarray(0, 6)).toEqual(
      Uint8Array.of(255, 255, 255, 255, 0xe0, 0),
    );
  });

  it.each([
    ['', 'no field'],
    ['src-port 1 context 1', 'begins with a flow type'],
    ['tcp5 context 1', 'no field tcp5'],
    ['flow-type tcp5 context 1', 'begins with a flow type'],
    ['tcp4 dst-port 65536 context 1', '0 to 65535'],
    ['tcp4 dst-port', 'no value'],
    ['tcp4 dst-port 1 m', 'no value'],
    ['tcp4 dst-port 1 dst-port 2 context 1', 'twice'],
    ['tcp4', 'which RSS context'],
    ['tcp4 context 0', 'which RSS context'],
    ['tcp4 context 32', '0 to 31'],
    ['tcp4 src-ip fe80::1 context 1', 'IPv4'],
    ['tcp4 src-ip 10.0.0.0/33 context 1', '0 to 32'],
    ['tcp4 l4proto 6 context 1', 'no l4proto'],
    ['ip4 src-port 1 context 1', 'no ports'],
    ['ether src-ip 10.0.0.1 context 1', 'neither addresses'],
    ['tcp4 dst-prot 443 context 1', 'no field dst-prot'],
  ])('%s: %s', (text, message) => {
    expect(() => parseFlowRule(text)).toThrow(
      expect.objectContaining({ code: 'SLUICE_STEER_RULE', message: expect.stringContaining(message) }),
    );
  });

  it('choose by the first that fits', () => {
    const v4 = ipv4({ src: '10.1.2.3', dst: '192.0.2.1' });
    const rules = [
      'tcp4 src-ip 10.1.0.0/16 dst-port 443 context 1',
      'udp6 dst-port 53 context 2',
      'ether vlan 7 m 0xf000 context 3',
      'ip4 l4proto 17 context 4',
      'ip6 context 5',
    ].map(parseFlowRule);
    const chosen = (...layers: Layer[]) => flowRuleOf(packet(...layers), rules);
    expect(chosen(ethernet(), v4, tcp({ srcPort: 1, dstPort: 443 }))).toBe(0);
    expect(chosen(ethernet(), v4, tcp({ srcPort: 443, dstPort: 1 }))).toBe(-1);
    expect(chosen(ethernet(), v4, udp({ srcPort: 1, dstPort: 443 }))).toBe(3);
    expect(chosen(ethernet(), vlan({ id: 7 }), v4, udp({ srcPort: 1, dstPort: 443 }))).toBe(2);
    expect(chosen(ethernet(), vlan({ id: 8 }), v4, udp({ srcPort: 1, dstPort: 443 }))).toBe(3);
    const v6 = ipv6({ src: '2001:db8::1', dst: '2001:db8::2' });
    expect(chosen(ethernet(), v6, hopByHop(), udp({ srcPort: 9, dstPort: 53 }))).toBe(1);
    expect(chosen(ethernet(), v6, hopByHop(), udp({ srcPort: 53, dstPort: 9 }))).toBe(4);
  });
});
