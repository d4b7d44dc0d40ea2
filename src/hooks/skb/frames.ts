/** sk_buffs in program memory: descriptors in a row, each with a buffer of SKB_BUFFER_SIZE bytes (plane/layout/skb.ts). */
import { TRAIT_TABLE } from '../../plane/layout/memory.ts';
import {
  SKB_BUFFER_SIZE,
  SKB_CB,
  SKB_CGROUP_ID,
  SKB_DATA,
  SKB_DATA_END,
  SKB_DATA_META,
  SKB_DESCRIPTOR_SIZE,
  SKB_END,
  SKB_FAMILY,
  SKB_FLOW_KEYS,
  SKB_GSO_SEGS,
  SKB_GSO_SIZE,
  SKB_HEAD,
  SKB_HEADROOM,
  SKB_HWTSTAMP,
  SKB_IFINDEX,
  SKB_INGRESS_IFINDEX,
  SKB_KEYS,
  SKB_LEN,
  SKB_LINUX_END,
  SKB_LINUX_HEADROOM,
  SKB_LOCAL_IP4,
  SKB_LOCAL_IP6,
  SKB_MAC_HEADER,
  SKB_MARK,
  SKB_NETWORK_HEADER,
  SKB_PAD,
  SKB_PKT_TYPE,
  SKB_PRIORITY,
  SKB_PROTOCOL,
  SKB_REMOTE_IP4,
  SKB_REMOTE_IP6,
  SKB_SHARED_INFO,
  SKB_SK,
  SKB_SOCK,
  SKB_SOCK_COOKIE,
  SKB_TRAITS,
  SKB_TRAITS_EPOCH,
  SKB_TSTAMP,
  SKB_WIRE_LEN,
} from '../../plane/layout/skb.ts';
import { TRAIT_TABLE_EPOCH } from '../../plane/layout/trait.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { invalid } from '../input.ts';
import { writeSocket } from './socket.ts';

export const ETHERNET_HEADER = 14;
export const ETH_P_IP = 0x0800;
export const ETH_P_IPV6 = 0x86dd;
/** Device of a packet that came from nowhere, as in the kernel's test run. */
export const LOOPBACK_IFINDEX = 1;
const PAGE = 65536;

/** Where a program's data begins: at the link header (tc), or behind it (sockets, cgroups, tunnels). */
export type Layer = 'link' | 'network';

/** What is known of a packet besides its bytes; all default to 0, the lengths to that of the packet. */
export interface SkbOrigin {
  readonly mark?: number;
  readonly priority?: number;
  readonly ingressIfindex?: number;
  readonly ifindex?: number;
  /** Five words. */
  readonly cb?: readonly number[];
  readonly timestampNs?: bigint;
  readonly wireLength?: number;
  readonly gsoSegments?: number;
  readonly gsoSize?: number;
  readonly hardwareTimestampNs?: bigint;
}

/** EINVAL for a packet without an Ethernet header, and for one of more than `most` bytes. */
export function checkLength(length: number, most: number): void {
  if (length < ETHERNET_HEADER) throw invalid(`a packet of ${length} bytes is shorter than an Ethernet header`);
  if (length > most) throw invalid(`a packet of ${length} bytes: a test run takes at most ${most}`);
}

/** As eth_type_trans (net/ethernet/eth.c): the protocol in host order. `data` begins with an Ethernet header. */
export function protocolOf(data: Uint8Array): number {
  const type = (data[12]! << 8) | data[13]!;
  if (type >= 0x600) return type;
  // Lengths of 802.3: raw IPX is known by its checksum, all else is LLC.
  return data[14] === 0xff && data[15] === 0xff ? 0x0001 : 0x0004;
}

/** PACKET_HOST, _MULTICAST or _OTHERHOST, for the loopback device: its address is zero, and its broadcast address too. */
function packetType(data: Uint8Array): number {
  if (data.subarray(0, 6).every((byte) => byte === 0)) return 0;
  return (data[0]! & 1) === 0 ? 3 : 2;
}

/** A fixed number of sk_buffs, owned by whoever made it until `free`. */
export class SkbPool {
  readonly count: number;
  /** Address of the first descriptor. */
  readonly address: number;
  readonly #runtime: Runtime;
  readonly #buffers: number;
  readonly #bytes: number;

  constructor(runtime: Runtime, count: number) {
    const descriptors = Math.ceil((count * SKB_DESCRIPTOR_SIZE) / 4096) * 4096;
    this.count = count;
    this.#runtime = runtime;
    this.#bytes = Math.ceil((descriptors + count * SKB_BUFFER_SIZE) / PAGE) * PAGE;
    this.address = runtime.allocatePages(this.#bytes);
    this.#buffers = this.address + descriptors;
  }

  descriptor(index: number): number {
    return this.address + index * SKB_DESCRIPTOR_SIZE;
  }

  /** Address of the buffer, SKB_BUFFER_SIZE bytes. */
  buffer(index: number): number {
    return this.#buffers + index * SKB_BUFFER_SIZE;
  }

  /** Puts a packet with its Ethernet header (at least 14 bytes, at most SKB_MAX_LENGTH) into a frame. */
  fill(index: number, packet: Uint8Array, layer: Layer, origin: SkbOrigin = {}): void {
    const view = this.#runtime.view();
    const bytes = this.#runtime.bytes();
    const skb = this.descriptor(index);
    const buffer = this.buffer(index);
    const mac = buffer + SKB_HEADROOM;
    const network = mac + ETHERNET_HEADER;
    const data = layer === 'link' ? mac : network;
    const end = mac + packet.length;
    bytes.fill(0, skb, skb + SKB_TRAITS);
    bytes.set(packet, mac);
    const set = (field: number, value: number) => view.setUint32(skb + field, value, true);
    set(SKB_TRAITS_EPOCH, view.getUint32(TRAIT_TABLE + TRAIT_TABLE_EPOCH, true));
    const protocol = protocolOf(packet);
    set(SKB_LEN, end - data);
    set(SKB_PKT_TYPE, packetType(packet));
    set(SKB_MARK, origin.mark ?? 0);
    view.setUint16(skb + SKB_PROTOCOL, protocol, false);
    set(SKB_PRIORITY, origin.priority ?? 0);
    set(SKB_INGRESS_IFINDEX, origin.ingressIfindex ?? 0);
    set(SKB_IFINDEX, origin.ifindex ?? LOOPBACK_IFINDEX);
    for (const [i, word] of (origin.cb ?? []).entries()) set(SKB_CB + 4 * i, word);
    set(SKB_DATA, data);
    set(SKB_DATA_END, end);
    set(SKB_DATA_META, data);
    view.setBigUint64(skb + SKB_TSTAMP, origin.timestampNs ?? 0n, true);
    set(SKB_WIRE_LEN, origin.wireLength ?? end - data);
    set(SKB_GSO_SEGS, origin.gsoSegments ?? 0);
    set(SKB_GSO_SIZE, origin.gsoSize ?? 0);
    view.setBigUint64(skb + SKB_HWTSTAMP, origin.hardwareTimestampNs ?? 0n, true);
    set(SKB_HEAD, buffer);
    set(SKB_END, buffer + SKB_BUFFER_SIZE);
    set(SKB_MAC_HEADER, mac);
    set(SKB_NETWORK_HEADER, network);
    set(SKB_LINUX_HEADROOM, SKB_PAD + data - mac);
    const allocated = Math.ceil(packet.length / SKB_PAD) * SKB_PAD + SKB_PAD + SKB_SHARED_INFO;
    set(SKB_LINUX_END, 2 ** Math.ceil(Math.log2(allocated)) - SKB_SHARED_INFO);
    this.#fillSocket(skb, packet, protocol);
  }

  /** The socket of a test run: bound to nothing, its ends are those of the packet. */
  #fillSocket(skb: number, packet: Uint8Array, protocol: number): void {
    const view = this.#runtime.view();
    const bytes = this.#runtime.bytes();
    view.setBigUint64(skb + SKB_SK, BigInt(skb + SKB_SOCK), true);
    view.setBigUint64(skb + SKB_FLOW_KEYS, BigInt(skb + SKB_KEYS), true);
    view.setBigUint64(skb + SKB_SOCK_COOKIE, 1n, true);
    view.setBigUint64(skb + SKB_CGROUP_ID, 1n, true);
    const header = packet.subarray(ETHERNET_HEADER);
    const ends =
      protocol === ETH_P_IP && header.length >= 20
        ? { family: 2, local: header.subarray(12, 16), remote: header.subarray(16, 20) }
        : protocol === ETH_P_IPV6 && header.length >= 40
          ? { family: 10, local: header.subarray(8, 24), remote: header.subarray(24, 40) }
          : { family: 0, local: new Uint8Array(), remote: new Uint8Array() };
    view.setUint32(skb + SKB_FAMILY, ends.family, true);
    if (ends.family === 2) {
      bytes.set(ends.local, skb + SKB_LOCAL_IP4);
      bytes.set(ends.remote, skb + SKB_REMOTE_IP4);
    } else {
      bytes.set(ends.local, skb + SKB_LOCAL_IP6);
      bytes.set(ends.remote, skb + SKB_REMOTE_IP6);
    }
    writeSocket(view, bytes, skb + SKB_SOCK, ends);
  }

  /** A copy of what the program sees of the packet. */
  read(index: number): Uint8Array {
    const view = this.#runtime.view();
    const skb = this.descriptor(index);
    return this.#runtime.bytes().slice(view.getUint32(skb + SKB_DATA, true), view.getUint32(skb + SKB_DATA_END, true));
  }

  /** Bytes of the descriptor; not a copy, and void when the memory grows. */
  bytes(index: number): Uint8Array {
    return this.#runtime.bytes().subarray(this.descriptor(index), this.descriptor(index) + SKB_DESCRIPTOR_SIZE);
  }

  field(index: number, offset: number): number {
    return this.#runtime.view().getUint32(this.descriptor(index) + offset, true);
  }

  free(): void {
    this.#runtime.freePages(this.address, this.#bytes);
  }
}
