/** Which packets `sluice xdp trace` tells of: by their 5-tuple as they came, by values that they had at the end, drops alone. */
import { InvalidArgumentError } from 'commander';
import type { PathPacket } from '../hooks/path/index.ts';
import { type FiveTuple, fiveTuple } from '../net/dissect.ts';
import type { TraitRegistry } from '../traits/registry.ts';
import { UsageError } from './exit.ts';

/** Numbers and texts that a 5-tuple must have. */
export type FlowFilter = Partial<Record<'src' | 'dst' | 'sport' | 'dport' | 'proto', string>>;

const fields = ['src', 'dst', 'sport', 'dport', 'proto'] as const;
const protocols: Readonly<Record<string, string>> = { icmp: '1', tcp: '6', udp: '17', sctp: '132', icmpv6: '58' };

/** `src=192.0.2.1,dport=53,proto=udp`. */
export function flowOption(text: string): FlowFilter {
  const filter: FlowFilter = {};
  for (const part of text.split(',')) {
    const [name, value] = part.split('=');
    const field = fields.find((each) => each === name);
    if (field === undefined || value === undefined || value === '')
      throw new InvalidArgumentError(`must be name=value with commas between them; names: ${fields.join(', ')}.`);
    filter[field] = field === 'proto' ? (protocols[value.toLowerCase()] ?? value) : value;
  }
  return filter;
}

export function isOfFlow(data: Uint8Array, filter: FlowFilter): boolean {
  const tuple = fiveTuple(data);
  return (
    tuple !== undefined && fields.every((field) => filter[field] === undefined || filter[field] === of(tuple, field))
  );
}

function of(tuple: FiveTuple, field: (typeof fields)[number]): string {
  switch (field) {
    case 'src':
      return tuple.src;
    case 'dst':
      return tuple.dst;
    case 'sport':
      return String(tuple.srcPort);
    case 'dport':
      return String(tuple.dstPort);
    case 'proto':
      return String(tuple.protocol);
  }
}

const operators = ['=', '!=', '<', '<=', '>', '>='] as const;

/** `packet_id=17`: a value that a packet must have. */
export interface Condition {
  readonly name: string;
  readonly operator: (typeof operators)[number];
  readonly value: bigint;
}

/** For an option that may come several times: all must hold. */
export function conditionOption(text: string, before: readonly Condition[] = []): readonly Condition[] {
  const [, name, sign, number] = /^(\w+)(<=|>=|!=|=|<|>)(0x[0-9a-f]+|\d+)$/i.exec(text) ?? [];
  const operator = operators.find((each) => each === sign);
  if (name === undefined || operator === undefined || number === undefined)
    throw new InvalidArgumentError(
      `must be NAME and one of ${operators.join(' ')} and a number; NAME: packet_id, mark, hash, a trait's name or key.`,
    );
  return [...before, { name, operator, value: BigInt(number) }];
}

/** Throws UsageError for a name that is nobody's. */
export function meets(packet: PathPacket, { name, operator, value }: Condition, traits: TraitRegistry): boolean {
  const found = traitValue(packet, name, traits);
  if (found === undefined) return operator === '!=';
  switch (operator) {
    case '=':
      return found === value;
    case '!=':
      return found !== value;
    case '<':
      return found < value;
    case '<=':
      return found <= value;
    case '>':
      return found > value;
    case '>=':
      return found >= value;
  }
}

function traitValue(packet: PathPacket, name: string, traits: TraitRegistry): bigint | undefined {
  if (name === 'packet_id') return packet.packetId;
  if (name === 'mark') return packet.skb === undefined ? undefined : BigInt(packet.skb.mark);
  if (name === 'hash') {
    const hash = packet.skb?.hash ?? packet.hints?.hash?.value;
    return hash === undefined ? undefined : BigInt(hash);
  }
  const key = /^\d+$/.test(name) ? Number(name) : traits.get(name)?.key;
  if (key === undefined) {
    const known = traits.traits().map((trait) => trait.name);
    throw new UsageError(
      `--where ${name}: no such trait; there are ${['packet_id', 'mark', 'hash', ...known].join(', ')}, and keys`,
    );
  }
  const bytes = packet.traits?.get(key);
  return bytes === undefined ? undefined : bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

const drops: ReadonlySet<PathPacket['end']> = new Set(['dropped', 'aborted', 'fault', 'lost', 'refused']);

/** It did not arrive anywhere. */
export function isDrop({ end }: PathPacket): boolean {
  return drops.has(end);
}
