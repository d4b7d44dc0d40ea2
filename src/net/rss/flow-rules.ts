/**
 * Rules that choose an RSS context by what a packet is, as `ethtool -N DEVICE flow-type … context N` gives them to a device: fields with masks, the first that fits.
 * Addresses, ports and protocol are those of the outer headers; ports are not known of fragments.
 */
import { InputError } from '../../errors.ts';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../addresses.ts';
import { get16 } from '../bytes.ts';
import { ETHERTYPE_QINQ, ETHERTYPE_VLAN } from '../ethernet.ts';
import { ipHeaders, linkPayload } from './headers.ts';

/** Transport protocol of a flow type; those of `ip4` and `ip6` have any. */
const transports = { tcp: 6, udp: 17, sctp: 132 } as const;
export const flowTypes = ['ether', 'ip4', 'tcp4', 'udp4', 'sctp4', 'ip6', 'tcp6', 'udp6', 'sctp6'] as const;
export type FlowType = (typeof flowTypes)[number];

/** Bits of the mask that are 1 are compared. Addresses of 4 or 16 bytes, as the flow type has them. */
export interface AddressMatch {
  readonly value: Uint8Array;
  readonly mask: Uint8Array;
}

/** Bits of the mask that are 1 are compared, of 16. */
export interface NumberMatch {
  readonly value: number;
  readonly mask: number;
}

export interface FlowRule {
  readonly flowType: FlowType;
  readonly source?: AddressMatch;
  readonly destination?: AddressMatch;
  readonly sourcePort?: NumberMatch;
  readonly destinationPort?: NumberMatch;
  /** Of the header behind all extension headers; for `ip4` and `ip6`. */
  readonly protocol?: number;
  /** TCI of the outer VLAN tag. */
  readonly vlan?: NumberMatch;
  /** RSS context, 1 to 31; one that is not configured is the default configuration. */
  readonly context: number;
}

/** What of a flow type is fixed. */
export function flowTypeOf(type: FlowType): { readonly version: 0 | 4 | 6; readonly protocol: number | undefined } {
  if (type === 'ether') return { version: 0, protocol: undefined };
  const name = type.slice(0, -1);
  const protocol = name === 'ip' ? undefined : transports[name as keyof typeof transports]; // the types above
  return { version: type.endsWith('4') ? 4 : 6, protocol };
}

/** Protocols whose header begins with two ports. */
export function hasPorts(protocol: number | undefined): boolean {
  return Object.values(transports).some((each) => each === protocol);
}

function refuse(text: string, rule: string): never {
  throw new InputError('SLUICE_STEER_RULE', `rule '${rule}': ${text}`);
}

const fields = ['flow-type', 'src-ip', 'dst-ip', 'src-port', 'dst-port', 'l4proto', 'vlan', 'context'] as const;
type Field = (typeof fields)[number];

/**
 * A rule as ethtool has it: `flow-type tcp4 src-ip 10.0.0.0 m 0.255.255.255 dst-port 443 context 1`. Bits of a mask (`m`) that are 1 do not count; an address may
 * have a prefix length instead (`10.0.0.0/8`). The words `flow-type` may be left away. Throws InputError `SLUICE_STEER_RULE`.
 */
export function parseFlowRule(text: string): FlowRule {
  const words = text.trim().split(/\s+/);
  if (flowTypes.some((type) => type === words[0])) words.unshift('flow-type');
  const given = new Map<Field, { readonly value: string; readonly mask: string | undefined }>();
  for (let at = 0; at < words.length; ) {
    const field = fields.find((each) => each === words[at]);
    const value = words[at + 1];
    if (field === undefined) return refuse(`no field ${words[at]}; there are ${fields.join(', ')}`, text);
    if (value === undefined) return refuse(`${field} has no value`, text);
    if (given.has(field)) return refuse(`${field} is given twice`, text);
    const masked = words[at + 2] === 'm';
    if (masked && words[at + 3] === undefined) return refuse(`the mask of ${field} has no value`, text);
    given.set(field, { value, mask: masked ? words[at + 3] : undefined });
    at += masked ? 4 : 2;
  }
  const flowType = flowTypes.find((type) => type === given.get('flow-type')?.value);
  if (flowType === undefined) return refuse(`begins with a flow type: ${flowTypes.join(', ')}`, text);
  const number = (word: string, most: number, field: Field): number => {
    const value = /^(0x[0-9a-f]+|\d+)$/i.test(word) ? Number(word) : Number.NaN;
    return value <= most ? value : refuse(`${field} ${word}: a number from 0 to ${most}`, text);
  };
  const matched = (field: Field): NumberMatch | undefined => {
    const part = given.get(field);
    if (part === undefined) return undefined;
    const ignored = part.mask === undefined ? 0 : number(part.mask, 0xffff, field);
    return { value: number(part.value, 0xffff, field), mask: ~ignored & 0xffff };
  };
  const plain = (field: Field, most: number): number | undefined => {
    const part = given.get(field);
    if (part?.mask !== undefined) return refuse(`${field} has no mask`, text);
    return part === undefined ? undefined : number(part.value, most, field);
  };
  const parse = flowTypeOf(flowType).version === 4 ? parseIpv4 : parseIpv6;
  const address = (field: Field): AddressMatch | undefined => {
    const part = given.get(field);
    if (part === undefined) return undefined;
    try {
      const [host = '', prefix] = part.value.split('/');
      const value = parse(host);
      if (prefix !== undefined) {
        if (part.mask !== undefined) return refuse(`${field} has a prefix length and a mask`, text);
        const bits = number(prefix, value.length * 8, field);
        return { value, mask: value.map((_, at) => 0xff00 >> Math.min(8, Math.max(0, bits - at * 8))) };
      }
      return { value, mask: part.mask === undefined ? value.map(() => 0xff) : parse(part.mask).map((byte) => ~byte) };
    } catch (error) {
      if (error instanceof InputError && error.code === 'SLUICE_NET_ADDRESS') return refuse(error.message, text);
      throw error;
    }
  };
  const context = plain('context', 31);
  if (context === undefined || context === 0) return refuse('context N says which RSS context, 1 to 31', text);
  const ip = flowType !== 'ether';
  if (!ip && (given.has('src-ip') || given.has('dst-ip') || given.has('l4proto')))
    return refuse('flow type ether has neither addresses nor protocol', text);
  const source = ip ? address('src-ip') : undefined;
  const destination = ip ? address('dst-ip') : undefined;
  const [sourcePort, destinationPort, vlan] = [matched('src-port'), matched('dst-port'), matched('vlan')];
  const protocol = plain('l4proto', 255);
  const rule: FlowRule = {
    flowType,
    context,
    ...(source === undefined ? {} : { source }),
    ...(destination === undefined ? {} : { destination }),
    ...(sourcePort === undefined ? {} : { sourcePort }),
    ...(destinationPort === undefined ? {} : { destinationPort }),
    ...(protocol === undefined ? {} : { protocol }),
    ...(vlan === undefined ? {} : { vlan }),
  };
  checkFlowRule(rule, text);
  return rule;
}

/** Throws InputError `SLUICE_STEER_RULE`. */
export function checkFlowRule(rule: FlowRule, text = formatFlowRule(rule)): void {
  const { flowType, source, destination, sourcePort, destinationPort, protocol, context } = rule;
  const type = flowTypeOf(flowType);
  const size = type.version === 4 ? 4 : 16;
  if (!Number.isInteger(context) || context < 1 || context > 31) refuse(`context ${context}: 1 to 31`, text);
  for (const match of [source, destination])
    if (match !== undefined && (type.version === 0 || match.value.length !== size || match.mask.length !== size))
      refuse(`addresses of flow type ${flowType} are not of that size`, text);
  if ((sourcePort ?? destinationPort) !== undefined && !hasPorts(type.protocol))
    refuse(`flow type ${flowType} has no ports`, text);
  if (protocol !== undefined && (type.version === 0 || type.protocol !== undefined))
    refuse(`flow type ${flowType} takes no l4proto`, text);
}

/** As parseFlowRule takes it. */
export function formatFlowRule(rule: FlowRule): string {
  const { flowType, source, destination, sourcePort, destinationPort, protocol, vlan, context } = rule;
  const four = flowTypeOf(flowType).version === 4;
  const format = four ? formatIpv4 : formatIpv6;
  const address = (name: string, match: AddressMatch | undefined) => {
    if (match === undefined) return [];
    const ignored = match.mask.map((byte) => ~byte);
    return [name, format(match.value), ...(ignored.some((byte) => byte !== 0) ? ['m', format(ignored)] : [])];
  };
  const number = (name: string, match: NumberMatch | undefined) =>
    match === undefined
      ? []
      : [
          name,
          String(match.value),
          ...(match.mask === 0xffff ? [] : ['m', `0x${(~match.mask & 0xffff).toString(16)}`]),
        ];
  return [
    'flow-type',
    flowType,
    ...address('src-ip', source),
    ...address('dst-ip', destination),
    ...number('src-port', sourcePort),
    ...number('dst-port', destinationPort),
    ...(protocol === undefined ? [] : ['l4proto', String(protocol)]),
    ...number('vlan', vlan),
    'context',
    String(context),
  ].join(' ');
}

/** Index of the first rule that a packet fits, which begins with an Ethernet header; -1: none. The rule in its long form; the data plane has the same for packets at speed. */
export function flowRuleOf(packet: Uint8Array, rules: readonly FlowRule[]): number {
  const link = linkPayload(packet);
  const headers = link === undefined ? undefined : ipHeaders(packet, link.offset, link.etherType);
  const tagged = packet.length >= 18 && [ETHERTYPE_VLAN, ETHERTYPE_QINQ].includes(get16(packet, 12));
  const equal = ({ value, mask }: NumberMatch, found: number) => ((value ^ found) & mask) === 0;
  const same = ({ value, mask }: AddressMatch, at: number) =>
    value.every((byte, i) => ((byte ^ packet[at + i]!) & mask[i]!) === 0);
  return rules.findIndex((rule) => {
    const type = flowTypeOf(rule.flowType);
    if (rule.vlan !== undefined && !(tagged && equal(rule.vlan, get16(packet, 14)))) return false;
    if (type.version === 0) return true;
    if (headers?.version !== type.version) return false;
    const protocol = type.protocol ?? rule.protocol;
    if (protocol !== undefined && headers.protocol !== protocol) return false;
    if (rule.source !== undefined && !same(rule.source, headers.source)) return false;
    if (rule.destination !== undefined && !same(rule.destination, headers.destination)) return false;
    if ((rule.sourcePort ?? rule.destinationPort) === undefined) return true;
    const ports = headers.transportOffset;
    if (ports === undefined || ports + 4 > packet.length) return false;
    return (
      (rule.sourcePort === undefined || equal(rule.sourcePort, get16(packet, ports))) &&
      (rule.destinationPort === undefined || equal(rule.destinationPort, get16(packet, ports + 2)))
    );
  });
}
