/** What a packet is, in one line and as a 5-tuple. For people: never throws, and says where a packet breaks off. */
import { formatIpv4, formatIpv6, formatMac } from './addresses.ts';
import { get16, get32 } from './bytes.ts';
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from './capture.ts';
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_QINQ, ETHERTYPE_VLAN } from './ethernet.ts';
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from './ipv4.ts';
import {
  IPPROTO_AH,
  IPPROTO_DSTOPTS,
  IPPROTO_FRAGMENT,
  IPPROTO_HOPOPTS,
  IPPROTO_ICMPV6,
  IPPROTO_NONE,
  IPPROTO_ROUTING,
} from './ipv6.ts';
import { tcpFlags } from './tcp.ts';

export interface FiveTuple {
  readonly family: 4 | 6;
  /** Of the transport, behind all extension headers. */
  readonly protocol: number;
  readonly src: string;
  readonly dst: string;
  /** 0 where the protocol has no ports, and in all fragments but the first. */
  readonly srcPort: number;
  readonly dstPort: number;
}

export interface Dissection {
  /** One line: `vlan 7 192.0.2.1:53 > 10.0.0.2:4000 UDP length 120`. */
  readonly text: string;
  /** Undefined unless an IP header is there in full. */
  readonly tuple: FiveTuple | undefined;
  /** Where the network (IP, ARP) and transport headers begin, where they were reached. */
  readonly networkOffset: number | undefined;
  readonly transportOffset: number | undefined;
  /** What is wrong with the packet; undefined if nothing was seen. */
  readonly malformed: string | undefined;
}

/** More VLAN tags or extension headers than this are called malformed. */
const MAX_TAGS = 4;
const MAX_EXTENSIONS = 16;

/** Link types: 1 Ethernet, 101 and 12 raw IP; of others only the length is told. */
export function dissect(data: Uint8Array, linkType = LINKTYPE_ETHERNET): Dissection {
  return new Walk(data).link(linkType);
}

/** The line alone. */
export function describePacket(data: Uint8Array, linkType = LINKTYPE_ETHERNET): string {
  return dissect(data, linkType).text;
}

export function fiveTuple(data: Uint8Array, linkType = LINKTYPE_ETHERNET): FiveTuple | undefined {
  return dissect(data, linkType).tuple;
}

class Walk {
  readonly data: Uint8Array;
  readonly words: string[] = [];
  tuple: FiveTuple | undefined;
  networkOffset: number | undefined;
  transportOffset: number | undefined;
  malformed: string | undefined;

  constructor(data: Uint8Array) {
    this.data = data;
  }

  link(linkType: number): Dissection {
    if (linkType === LINKTYPE_ETHERNET) this.ethernet();
    else if (linkType === LINKTYPE_RAW || linkType === 12)
      this.network((this.data[0] ?? 0) >> 4 === 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4, 0);
    else this.words.push(`link type ${linkType} length ${this.data.length}`);
    if (this.malformed !== undefined) this.words.push(`[malformed: ${this.malformed}]`);
    const { tuple, networkOffset, transportOffset, malformed } = this;
    return { text: this.words.join(' '), tuple, networkOffset, transportOffset, malformed };
  }

  /** True if `size` bytes are there at `offset`; notes the packet as cut in `what` otherwise. */
  has(offset: number, size: number, what: string): boolean {
    if (this.data.length - offset >= size) return true;
    this.malformed = `cut in ${what}`;
    return false;
  }

  ethernet(): void {
    const { data } = this;
    if (!this.has(0, 14, 'Ethernet header')) {
      this.words.push(`Ethernet length ${data.length}`);
      return;
    }
    let etherType = get16(data, 12);
    let offset = 14;
    for (let tags = 0; etherType === ETHERTYPE_VLAN || etherType === ETHERTYPE_QINQ; tags++) {
      if (tags === MAX_TAGS) {
        this.malformed = 'too many VLAN tags';
        return;
      }
      if (!this.has(offset, 4, 'VLAN tag')) return;
      this.words.push(`${etherType === ETHERTYPE_QINQ ? 'qinq' : 'vlan'} ${get16(data, offset) & 0xfff}`);
      etherType = get16(data, offset + 2);
      offset += 4;
    }
    if (etherType === ETHERTYPE_IPV4 || etherType === ETHERTYPE_IPV6 || etherType === ETHERTYPE_ARP)
      this.network(etherType, offset);
    else {
      const kind = etherType < 0x600 ? '802.3 frame' : `ethertype 0x${etherType.toString(16).padStart(4, '0')}`;
      const macs = `${formatMac(data.subarray(6, 12))} > ${formatMac(data.subarray(0, 6))}`;
      this.words.push(`${macs} ${kind} length ${data.length - offset}`);
    }
  }

  network(etherType: number, offset: number): void {
    this.networkOffset = offset;
    if (etherType === ETHERTYPE_IPV4) this.ipv4(offset);
    else if (etherType === ETHERTYPE_IPV6) this.ipv6(offset);
    else this.arp(offset);
  }

  arp(offset: number): void {
    const { data } = this;
    if (!this.has(offset, 28, 'ARP')) {
      this.words.push('ARP');
      return;
    }
    const sender = formatIpv4(data.subarray(offset + 14, offset + 18));
    const target = formatIpv4(data.subarray(offset + 24, offset + 28));
    const operation = get16(data, offset + 6);
    if (operation === 1) this.words.push(`ARP who-has ${target} tell ${sender}`);
    else if (operation === 2)
      this.words.push(`ARP ${sender} is-at ${formatMac(data.subarray(offset + 8, offset + 14))}`);
    else this.words.push(`ARP operation ${operation}`);
  }

  ipv4(offset: number): void {
    const { data } = this;
    if (!this.has(offset, 20, 'IPv4 header')) {
      this.words.push('IPv4');
      return;
    }
    const headerLength = (data[offset]! & 0xf) * 4;
    const totalLength = get16(data, offset + 2);
    const src = formatIpv4(data.subarray(offset + 12, offset + 16));
    const dst = formatIpv4(data.subarray(offset + 16, offset + 20));
    const protocol = data[offset + 9]!;
    this.tuple = { family: 4, protocol, src, dst, srcPort: 0, dstPort: 0 };
    const bad =
      data[offset]! >> 4 !== 4
        ? `IP version ${data[offset]! >> 4}`
        : headerLength < 20
          ? `IPv4 header length ${headerLength}`
          : totalLength < headerLength
            ? `IPv4 total length ${totalLength}`
            : undefined;
    if (bad !== undefined) {
      this.malformed = bad;
      this.words.push(`${src} > ${dst} IPv4`);
      return;
    }
    if (totalLength > data.length - offset) this.malformed = 'cut in IPv4 packet';
    const end = Math.min(data.length, offset + totalLength);
    const field = get16(data, offset + 6);
    const fragment = (field & 0x1fff) * 8;
    const note = field & 0x3fff ? ` frag ${get16(data, offset + 4)}:${fragment}${field & 0x2000 ? '+' : ''}` : '';
    this.transport(protocol, offset + headerLength, end, src, dst, fragment > 0, note);
  }

  ipv6(offset: number): void {
    const { data } = this;
    if (!this.has(offset, 40, 'IPv6 header')) {
      this.words.push('IPv6');
      return;
    }
    const src = formatIpv6(data.subarray(offset + 8, offset + 24));
    const dst = formatIpv6(data.subarray(offset + 24, offset + 40));
    let next = data[offset + 6]!;
    this.tuple = { family: 6, protocol: next, src, dst, srcPort: 0, dstPort: 0 };
    if (data[offset]! >> 4 !== 6) {
      this.malformed = `IP version ${data[offset]! >> 4}`;
      this.words.push(`${src} > ${dst} IPv6`);
      return;
    }
    const payloadLength = get16(data, offset + 4);
    if (payloadLength > data.length - offset - 40) this.malformed = 'cut in IPv6 packet';
    const end = Math.min(data.length, offset + 40 + payloadLength);
    let at = offset + 40;
    let fragment = 0;
    const notes: string[] = [];
    for (let count = 0; extensionNames.has(next) && fragment === 0; count++) {
      notes.push(` ${extensionNames.get(next)}`);
      if (count === MAX_EXTENSIONS || end - at < 8) {
        this.malformed = count === MAX_EXTENSIONS ? 'too many extension headers' : 'cut in extension header';
        this.words.push(`${src} > ${dst} IPv6${notes.join('')}`);
        return;
      }
      const length = data[at + 1]!;
      if (next === IPPROTO_FRAGMENT) {
        const field = get16(data, at + 2);
        fragment = field & 0xfff8;
        notes[notes.length - 1] = ` frag ${get32(data, at + 4)}:${fragment}${field & 1 ? '+' : ''}`;
      }
      const size = next === IPPROTO_FRAGMENT ? 8 : next === IPPROTO_AH ? (length + 2) * 4 : (length + 1) * 8;
      next = data[at]!;
      at += size;
    }
    this.tuple = { ...this.tuple, protocol: next };
    this.transport(next, at, end, src, dst, fragment > 0, notes.join(''));
  }

  /** `end`: of the IP packet, or of what was captured. */
  transport(
    protocol: number,
    offset: number,
    end: number,
    src: string,
    dst: string,
    later: boolean,
    note: string,
  ): void {
    const { data } = this;
    const name = protocolNames.get(protocol) ?? `protocol ${protocol}`;
    const size = later ? 0 : (headerSizes.get(protocol) ?? 0);
    if (end - offset < size || offset > end) {
      this.malformed ??= `cut in ${name} header`;
      this.words.push(`${src} > ${dst} ${name}${note}`);
      return;
    }
    this.transportOffset = offset;
    const length = end - offset;
    if (later || size === 0) {
      this.words.push(`${src} > ${dst} ${name} length ${length}${note}`);
      return;
    }
    if (protocol === IPPROTO_ICMP || protocol === IPPROTO_ICMPV6) {
      const [type, code] = [data[offset]!, data[offset + 1]!];
      const known = (protocol === IPPROTO_ICMP ? icmpNames : icmpv6Names).get(type);
      this.words.push(
        `${src} > ${dst} ${name} ${known ?? `type ${type}`}${code ? ` code ${code}` : ''} length ${length}${note}`,
      );
      return;
    }
    const srcPort = get16(data, offset);
    const dstPort = get16(data, offset + 2);
    this.tuple = { ...this.tuple!, srcPort, dstPort }; // the IP header set it
    const bracket = (address: string, port: number) =>
      address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    const ends = `${bracket(src, srcPort)} > ${bracket(dst, dstPort)}`;
    if (protocol === IPPROTO_UDP) {
      const declared = get16(data, offset + 4);
      if (declared < 8) this.malformed ??= `UDP length ${declared}`;
      else if (declared > length && note === '') this.malformed ??= 'cut in UDP datagram';
      this.words.push(`${ends} UDP length ${Math.max(0, declared - 8)}${note}`);
      return;
    }
    const headerLength = (data[offset + 12]! >> 4) * 4;
    if (headerLength < 20 || headerLength > length) this.malformed ??= `TCP header length ${headerLength}`;
    const flags = Object.entries(tcpFlags)
      .filter(([, bit]) => data[offset + 13]! & bit)
      .map(([flag]) => flag);
    const numbers = `seq ${get32(data, offset + 4)}${flags.includes('ack') ? ` ack ${get32(data, offset + 8)}` : ''}`;
    this.words.push(
      `${ends} TCP ${flags.join(',') || 'no flags'} ${numbers} length ${Math.max(0, length - headerLength)}${note}`,
    );
  }
}

const extensionNames: ReadonlyMap<number, string> = new Map([
  [IPPROTO_HOPOPTS, 'hopopts'],
  [IPPROTO_ROUTING, 'routing'],
  [IPPROTO_FRAGMENT, 'frag'],
  [IPPROTO_DSTOPTS, 'dstopts'],
  [IPPROTO_AH, 'ah'],
]);

const protocolNames: ReadonlyMap<number, string> = new Map([
  [IPPROTO_ICMP, 'ICMP'],
  [IPPROTO_TCP, 'TCP'],
  [IPPROTO_UDP, 'UDP'],
  [IPPROTO_ICMPV6, 'ICMPv6'],
  [IPPROTO_NONE, 'no next header'],
]);

const headerSizes: ReadonlyMap<number, number> = new Map([
  [IPPROTO_ICMP, 4],
  [IPPROTO_ICMPV6, 4],
  [IPPROTO_TCP, 20],
  [IPPROTO_UDP, 8],
]);

const icmpNames: ReadonlyMap<number, string> = new Map([
  [0, 'echo reply'],
  [3, 'unreachable'],
  [5, 'redirect'],
  [8, 'echo request'],
  [11, 'time exceeded'],
]);

const icmpv6Names: ReadonlyMap<number, string> = new Map([
  [1, 'unreachable'],
  [2, 'packet too big'],
  [3, 'time exceeded'],
  [128, 'echo request'],
  [129, 'echo reply'],
  [133, 'router solicitation'],
  [134, 'router advertisement'],
  [135, 'neighbor solicitation'],
  [136, 'neighbor advertisement'],
]);
