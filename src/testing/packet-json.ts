/** Packets as JSON: hex, or the layers of the builder (net/packet.ts) in the order of the wire. */
import { InputError } from '../errors.ts';
import { arp } from '../net/arp.ts';
import { dns } from '../net/dns.ts';
import { ethernet } from '../net/ethernet.ts';
import { icmp, icmpv6 } from '../net/icmp.ts';
import { ipv4 } from '../net/ipv4.ts';
import { authentication, destinationOptions, hopByHop, ipv6, ipv6Fragment, routing } from '../net/ipv6.ts';
import { type Layer, packet } from '../net/packet.ts';
import { tcp } from '../net/tcp.ts';
import { udp } from '../net/udp.ts';
import { vlan } from '../net/vlan.ts';

/** What fields hold: number, address or name (text or hex:…), bytes (hex:…), yes or no, one of some words, or a list of words. */
type FieldKind = 'number' | 'address' | 'bytes' | 'boolean' | 'word' | 'words';

interface LayerKind {
  readonly fields: Readonly<Record<string, FieldKind>>;
  readonly required: readonly string[];
  readonly make: (fields: never) => Layer;
}

function numbers(...names: readonly string[]): Record<string, FieldKind> {
  return Object.fromEntries(names.map((name) => [name, 'number']));
}

const extension: Readonly<Record<string, FieldKind>> = { body: 'bytes', ...numbers('nextHeader', 'length') };
const message = numbers('type', 'code', 'rest', 'checksum');

const layers: Readonly<Record<string, LayerKind>> = {
  ethernet: { fields: { dst: 'address', src: 'address', ...numbers('etherType') }, required: [], make: ethernet },
  vlan: {
    fields: { ...numbers('id', 'priority', 'tpid', 'etherType'), dropEligible: 'boolean' },
    required: ['id'],
    make: vlan,
  },
  arp: {
    fields: { operation: 'word', senderMac: 'address', senderIp: 'address', targetMac: 'address', targetIp: 'address' },
    required: ['operation', 'senderMac', 'senderIp', 'targetIp'],
    make: arp,
  },
  ipv4: {
    fields: {
      src: 'address',
      dst: 'address',
      dontFragment: 'boolean',
      moreFragments: 'boolean',
      options: 'bytes',
      ...numbers('ttl', 'tos', 'id', 'fragmentOffset', 'protocol', 'version', 'ihl', 'totalLength', 'checksum'),
    },
    required: ['src', 'dst'],
    make: ipv4,
  },
  ipv6: {
    fields: {
      src: 'address',
      dst: 'address',
      finalDestination: 'address',
      ...numbers('hopLimit', 'trafficClass', 'flowLabel', 'nextHeader', 'payloadLength', 'version'),
    },
    required: ['src', 'dst'],
    make: ipv6,
  },
  hopByHop: { fields: extension, required: [], make: hopByHop },
  destinationOptions: { fields: extension, required: [], make: destinationOptions },
  routing: {
    fields: { address: 'address', ...numbers('type', 'segmentsLeft', 'nextHeader') },
    required: ['address'],
    make: routing,
  },
  ipv6Fragment: {
    fields: { ...numbers('id', 'fragmentOffset', 'nextHeader'), moreFragments: 'boolean' },
    required: ['id'],
    make: ipv6Fragment,
  },
  authentication: {
    fields: { ...numbers('spi', 'sequence', 'nextHeader'), icv: 'bytes' },
    required: ['spi', 'sequence'],
    make: authentication,
  },
  tcp: {
    fields: {
      flags: 'words',
      options: 'bytes',
      ...numbers('srcPort', 'dstPort', 'sequence', 'acknowledgment', 'window', 'urgent', 'dataOffset', 'checksum'),
    },
    required: ['srcPort', 'dstPort'],
    make: tcp,
  },
  udp: { fields: numbers('srcPort', 'dstPort', 'length', 'checksum'), required: ['srcPort', 'dstPort'], make: udp },
  dns: {
    fields: { name: 'address', ...numbers('type', 'id', 'flags', 'questions', 'answers', 'edns') },
    required: ['name'],
    make: dns,
  },
  icmp: { fields: message, required: ['type'], make: icmp },
  icmpv6: { fields: message, required: ['type'], make: icmpv6 },
};

/** @param path names the place in messages. Throws InputError `SLUICE_PACKET_JSON` for what is no packet. */
export function packetFromJson(json: unknown, path: string): Uint8Array {
  if (typeof json === 'string') return bytesFromHex(json, path);
  if (!Array.isArray(json)) throw bad(path, 'a packet is hex, or a list of layers');
  return packetFromLayers(json, path);
}

function packetFromLayers(json: readonly unknown[], path: string): Uint8Array {
  return packet(...json.map((part, i) => layerFromJson(part, `${path}[${i}]`)));
}

function layerFromJson(json: unknown, path: string): Layer | Uint8Array {
  if (json === null || typeof json !== 'object' || Object.keys(json).length !== 1)
    throw bad(path, 'a layer is an object with its name alone: {"ipv4": {…}}');
  const [name, content] = Object.entries(json)[0]! as [string, unknown]; // one entry, as counted
  if (name === 'payload') return payload(content, `${path}.payload`);
  const layer = layers[name];
  if (layer === undefined)
    throw bad(path, `no layer ${name}; there are ${[...Object.keys(layers), 'payload'].join(', ')}`);
  if (content === null || typeof content !== 'object' || Array.isArray(content))
    throw bad(path, `${name} is an object of fields`);
  const fields = Object.fromEntries(
    Object.entries(content).map(([field, value]) => [
      field,
      fieldFromJson(layer.fields[field], value, `${path}.${name}.${field}`),
    ]),
  );
  for (const field of layer.required) if (!(field in fields)) throw bad(path, `${name} needs ${field}`);
  return layer.make(fields as never); // its fields are those of the table, of the kinds in it
}

function fieldFromJson(kind: FieldKind | undefined, value: unknown, path: string): unknown {
  switch (kind) {
    case undefined:
      throw bad(path, 'no such field');
    case 'number':
      if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
      if (typeof value === 'string' && /^0x[0-9a-fA-F]{1,8}$/.test(value)) return Number(value);
      break;
    case 'boolean':
      if (typeof value === 'boolean') return value;
      break;
    case 'address':
      if (typeof value === 'string') return value.startsWith('hex:') ? bytesFromHex(value, path) : value;
      break;
    case 'bytes':
      return bytesFromHex(value, path);
    case 'word':
      if (typeof value === 'string') return value;
      break;
    case 'words':
      if (Array.isArray(value) && value.every((word) => typeof word === 'string')) return value;
      break;
  }
  throw bad(path, `${JSON.stringify(value)} is not ${kind === 'words' ? 'a list of words' : `of kind ${kind}`}`);
}

/** Text as UTF-8, hex:…, `{"zeros": N}`, or the layers of a packet inside. */
function payload(json: unknown, path: string): Uint8Array {
  if (typeof json === 'string')
    return json.startsWith('hex:') ? bytesFromHex(json, path) : new TextEncoder().encode(json);
  if (Array.isArray(json)) return packetFromLayers(json, path);
  if (json !== null && typeof json === 'object' && 'zeros' in json) {
    const { zeros } = json;
    if (typeof zeros === 'number' && Number.isInteger(zeros) && zeros >= 0 && zeros <= 65536)
      return new Uint8Array(zeros);
  }
  throw bad(path, 'a payload is text, "hex:…", {"zeros": N}, or a list of layers');
}

/** Pairs of hex digits; a `hex:` in front and blanks between do not count. */
export function bytesFromHex(json: unknown, path: string): Uint8Array {
  const digits = typeof json === 'string' ? json.replace(/^hex:/, '').replace(/\s+/g, '') : '?';
  if (!/^([0-9a-fA-F]{2})*$/.test(digits)) throw bad(path, `${JSON.stringify(json)} is not hex`);
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function bad(path: string, problem: string): InputError {
  return new InputError('SLUICE_PACKET_JSON', problem, { input: path });
}
