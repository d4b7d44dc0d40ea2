/** Modelled devices: what a driver makes of a packet before an XDP program sees it, and what it says of it (bpf_xdp_metadata_rx_*). */
import { InputError } from '../../errors.ts';
import type { CapturedPacket } from '../../net/captured-packet.ts';
import { checkHashConfiguration, verificationKey } from '../../net/rss/configuration.ts';
import { rssFields } from '../../net/rss/fields.ts';
import { type HashTypeName, hashType } from '../../net/rss/hash-types.ts';
import { toeplitz } from '../../net/rss/toeplitz.ts';
import type { XdpHints } from '../../runtime/handles.ts';

export interface Received {
  /** The packet as the program finds it; a view into what was given where nothing was taken off. */
  readonly data: Uint8Array;
  /** Undefined: the driver has no such calls (EOPNOTSUPP). */
  readonly hints: XdpHints | undefined;
}

export interface Device {
  receive(packet: Pick<CapturedPacket, 'data' | 'timestampNs'>): Received;
}

const ETHER_TYPE = 12;
const TAG = 4;

/** A device without a driver that could say anything. */
export const plainDevice: Device = { receive: ({ data }) => ({ data, hints: undefined }) };

/** A capture as a device: it knows when packets came, where it says so (0 is not a time), and nothing else. */
export const captureDevice: Device = {
  receive: ({ data, timestampNs }) => ({ data, hints: timestampNs === 0n ? {} : { timestampNs } }),
};

export interface NicOptions {
  /** Takes the outer VLAN tag off, and says it as a hint (NETIF_F_HW_VLAN_CTAG_RX). Without, tags stay and there is no such hint. Default false. */
  readonly stripVlan?: boolean;
  /** Of the Toeplitz hash, at least 40 bytes for IPv6 (default: that of the RSS verification suite). */
  readonly key?: Uint8Array;
  /** Bits of hashType (net/rss/hash-types.ts): what is hashed. Default: addresses, and ports of TCP and UDP, of IPv4 and IPv6. */
  readonly hashTypes?: number;
}

/** What ordinary cards hash: no home addresses and routing headers. */
const ORDINARY = hashType.ipv4 | hashType.tcpv4 | hashType.udpv4 | hashType.ipv6 | hashType.tcpv6 | hashType.udpv6;

/** A network card with a clock and RSS. Throws InputError `SLUICE_RSS_CONFIGURATION` for a key that is too short for the types. */
export function nic({ stripVlan = false, key = verificationKey, hashTypes = ORDINARY }: NicOptions = {}): Device {
  checkHashConfiguration({ key, hashTypes });
  return {
    receive({ data, timestampNs }) {
      const tag = stripVlan ? tagOf(data) : undefined;
      return {
        data: tag === undefined ? data : withoutTag(data),
        hints: {
          ...(timestampNs === 0n ? {} : { timestampNs }),
          ...hashOf(data, key, hashTypes),
          ...(tag === undefined ? {} : { vlan: tag }),
        },
      };
    },
  };
}

/** Bits of enum xdp_rss_hash_type, as drivers make them of what was hashed (virtnet_xdp_rss_type in drivers/net/virtio_net.c). */
const typeOfHash: Readonly<Record<HashTypeName, number>> = {
  ipv4: 0x1,
  tcpv4: 0x19,
  udpv4: 0x29,
  ipv6: 0x2,
  tcpv6: 0x1a,
  udpv6: 0x2a,
  ipv6Ex: 0x6,
  tcpv6Ex: 0x1e,
  udpv6Ex: 0x2e,
};

function hashOf(data: Uint8Array, key: Uint8Array, hashTypes: number): Pick<XdpHints, 'hash'> {
  const fields = rssFields(data, hashTypes);
  return fields === undefined ? {} : { hash: { value: toeplitz(key, fields.input), type: typeOfHash[fields.type] } };
}

/**
 * A veth pair as Linux 6.18 has it (veth_xdp_rx_* in drivers/net/veth.c), where packets come as sk_buffs: the hash is the stack's own, of type L4 (8) for what has
 * ports, else 0; the time is the sk_buff's hardware time, of which there is none: 0, and no error; a tag is known only where the sender's sk_buff carried it aside,
 * and tags of captures are in the packet: ENODATA. The value of the hash is Toeplitz's with `key`: Linux's is SipHash with a key that nobody sees.
 */
export function veth({ key = verificationKey }: Pick<NicOptions, 'key'> = {}): Device {
  return {
    receive({ data }) {
      const { hash } = hashOf(data, key, ORDINARY);
      return {
        data,
        hints: {
          timestampNs: 0n,
          ...(hash === undefined ? {} : { hash: { value: hash.value, type: hash.type & L4 } }),
        },
      };
    },
  };
}

const L4 = 8;

/** Names of devices, as options have them. */
export const deviceNames = ['none', 'capture', 'nic', 'nic-strip-vlan', 'veth'] as const;
export type DeviceName = (typeof deviceNames)[number];

/** Throws InputError `SLUICE_DEVICE` for a name that there is not. */
export function deviceOf(name: DeviceName): Device {
  switch (name) {
    case 'none':
      return plainDevice;
    case 'capture':
      return captureDevice;
    case 'nic':
      return nic();
    case 'nic-strip-vlan':
      return nic({ stripVlan: true });
    case 'veth':
      return veth();
    default:
      throw new InputError('SLUICE_DEVICE', `no device ${name as string}: ${deviceNames.join(', ')}`);
  }
}

/** The outer tag, behind which there must be a type. */
function tagOf(data: Uint8Array): XdpHints['vlan'] {
  if (data.length < ETHER_TYPE + TAG + 2) return undefined;
  const view = new DataView(data.buffer, data.byteOffset);
  const protocol = view.getUint16(ETHER_TYPE, false);
  if (protocol !== 0x8100 && protocol !== 0x88a8) return undefined;
  return { protocol, tci: view.getUint16(ETHER_TYPE + 2, false) };
}

function withoutTag(data: Uint8Array): Uint8Array {
  const packet = new Uint8Array(data.length - TAG);
  packet.set(data.subarray(0, ETHER_TYPE));
  packet.set(data.subarray(ETHER_TYPE + TAG), ETHER_TYPE);
  return packet;
}
