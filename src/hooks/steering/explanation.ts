/** Why a packet goes to its queue: fields, hash input, the key's windows, index and queue, by the reference of net/rss (bit by bit), not by what it explains. */
import { formatIpv4, formatIpv6 } from '../../net/addresses.ts';
import { get16 } from '../../net/bytes.ts';
import { byFlow } from '../../net/rss/compute.ts';
import type { RssConfiguration } from '../../net/rss/configuration.ts';
import { hashedHeaders, rssFields } from '../../net/rss/fields.ts';
import { type HashTypeName, hashTypesIn, REPORT_NONE, tunnelTypesIn } from '../../net/rss/hash-types.ts';
import { keyWindow } from '../../net/rss/toeplitz.ts';

/** Two bytes of input: what they are of, and what they add. */
export interface HashStep {
  readonly field: 'source address' | 'destination address' | 'source port' | 'destination port';
  /** Place of the first byte in the input, and in the packet. */
  readonly offset: number;
  readonly inPacket: number;
  readonly bytes: Uint8Array;
  /** 32 bits of the key at the first bit of the bytes; each following bit has the window one bit further. */
  readonly window: number;
  /** XOR of the windows of their set bits, and the hash so far with it. */
  readonly adds: number;
  readonly hash: number;
}

export interface SteeringExplanation {
  /** In words: what the packet is, as far as its headers could be followed. */
  readonly headers: string;
  readonly enabled: readonly HashTypeName[];
  /** Type whose rule applied; undefined: the packet has no hash. */
  readonly type: HashTypeName | undefined;
  readonly report: number;
  readonly source: string | undefined;
  readonly destination: string | undefined;
  readonly ports: readonly [source: number, destination: number] | undefined;
  readonly steps: readonly HashStep[];
  readonly hash: number;
  /**
   * What decided: the hash's place in the indirection table; that there is no hash; with automatic steering that the flow was sent, or where no hash is reported the hash that
   * the device knows flows by.
   */
  readonly decided: 'table' | 'unclassified' | 'sent' | 'flow hash';
  /** The hash that the table was asked with. */
  readonly tableHash: number | undefined;
  /** Place in the indirection table; undefined where it was not asked. */
  readonly index: number | undefined;
  /** Queue as what decided has it, and the queue of the device that it is. */
  readonly entry: number;
  readonly queue: number;
}

/** `packet` begins with an Ethernet header. `sentOn`: the queue that its flow was sent on lately, for a configuration that steers automatically. */
export function explainSteering(
  packet: Uint8Array,
  configuration: RssConfiguration,
  queues: number,
  sentOn?: number,
): SteeringExplanation {
  const { automatic = false } = configuration;
  const explained = explainHash(packet, configuration, queues);
  if (!automatic) return explained;
  if (sentOn !== undefined)
    return {
      ...explained,
      decided: 'sent',
      tableHash: undefined,
      index: undefined,
      entry: sentOn,
      queue: sentOn % queues,
    };
  if (explained.decided !== 'unclassified') return explained;
  const { tableHash, index, entry, queue } = explainHash(packet, byFlow(configuration), queues);
  return { ...explained, tableHash, index, entry, queue, decided: index === undefined ? 'unclassified' : 'flow hash' };
}

function explainHash(packet: Uint8Array, configuration: RssConfiguration, queues: number): SteeringExplanation {
  const { hashTypes, tunnelTypes = 0, key, table, unclassifiedQueue } = configuration;
  const found = hashedHeaders(packet, tunnelTypes);
  const headers = describeHeaders(found);
  const enabled = hashTypesIn(hashTypes);
  const fields = rssFields(packet, hashTypes, tunnelTypes);
  if (fields === undefined)
    return {
      headers,
      enabled,
      type: undefined,
      report: REPORT_NONE,
      source: undefined,
      destination: undefined,
      ports: undefined,
      steps: [],
      hash: 0,
      decided: 'unclassified',
      tableHash: undefined,
      index: undefined,
      entry: unclassifiedQueue,
      queue: unclassifiedQueue % queues,
    };
  const size = fields.headers.version === 4 ? 4 : 16;
  const address = (at: number) =>
    size === 4 ? formatIpv4(packet.subarray(at, at + 4)) : formatIpv6(packet.subarray(at, at + 16));
  const steps: HashStep[] = [];
  let hash = 0;
  for (let offset = 0; offset < fields.input.length; offset += 2) {
    const bytes = fields.input.subarray(offset, offset + 2);
    let adds = 0;
    for (let bit = 0; bit < 16; bit++)
      if (((bytes[bit >> 3]! >> (7 - (bit & 7))) & 1) === 1) adds ^= keyWindow(key, offset * 8 + bit);
    hash = (hash ^ adds) >>> 0;
    const [field, inPacket] =
      offset < size
        ? (['source address', fields.source + offset] as const)
        : offset < 2 * size
          ? (['destination address', fields.destination + offset - size] as const)
          : offset === 2 * size
            ? (['source port', fields.ports ?? 0] as const)
            : (['destination port', (fields.ports ?? 0) + 2] as const);
    steps.push({ field, offset, inPacket, bytes, window: keyWindow(key, offset * 8), adds: adds >>> 0, hash });
  }
  const index = hash & (table.length - 1);
  return {
    headers,
    enabled,
    type: fields.type,
    report: fields.report,
    source: address(fields.source),
    destination: address(fields.destination),
    ports: fields.ports === undefined ? undefined : [get16(packet, fields.ports), get16(packet, fields.ports + 2)],
    steps,
    hash,
    decided: 'table',
    tableHash: hash,
    index,
    entry: table[index]!,
    queue: table[index]! % queues,
  };
}

function describeHeaders(found: ReturnType<typeof hashedHeaders>): string {
  if (found === undefined) return 'no IPv4 or IPv6 header that could be followed';
  const { headers, tunnel } = found;
  const words = [`IPv${headers.version}`];
  if (headers.extensions) words.push('with extension headers');
  if (headers.homeAddress !== undefined) words.push('with a home address');
  if (headers.routingAddress !== undefined) words.push('with a routing header of type 2');
  if (headers.transportOffset === undefined)
    words.push('without a transport header in this packet (a fragment, or cut)');
  else if (headers.protocol !== undefined) words.push(`protocol ${headers.protocol}`);
  if (tunnel !== undefined) words.push(`inside of a tunnel (${tunnelTypesIn(tunnel.types).join(', ')})`);
  return words.join(' ');
}
