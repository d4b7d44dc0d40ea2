/** ARP for IPv4 over Ethernet (RFC 826). */
import { type Address, ipv4Bytes, macBytes } from './addresses.ts';
import { concat, put16 } from './bytes.ts';
import { ETHERTYPE_ARP, ETHERTYPE_IPV4 } from './ethernet.ts';
import type { Layer } from './packet.ts';

export interface ArpFields {
  readonly operation: 'request' | 'reply';
  readonly senderMac: Address;
  readonly senderIp: Address;
  /** Default: zeros, as in a request. */
  readonly targetMac?: Address;
  readonly targetIp: Address;
}

export function arp(fields: ArpFields): Layer {
  const body = new Uint8Array(28);
  put16(body, 0, 1);
  put16(body, 2, ETHERTYPE_IPV4);
  body[4] = 6;
  body[5] = 4;
  put16(body, 6, fields.operation === 'request' ? 1 : 2);
  body.set(macBytes(fields.senderMac), 8);
  body.set(ipv4Bytes(fields.senderIp), 14);
  if (fields.targetMac !== undefined) body.set(macBytes(fields.targetMac), 18);
  body.set(ipv4Bytes(fields.targetIp), 24);
  return { etherType: ETHERTYPE_ARP, encode: (payload) => concat([body, payload]) };
}
