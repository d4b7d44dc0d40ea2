/** net/: packets: captures (pcap, pcapng), building, reading, a seeded generator. This file: a captured packet, and reading of any capture. */
import { InputError } from '../errors.ts';
import { concat } from './bytes.ts';
import type { CapturedPacket } from './captured-packet.ts';
import { isPcap, type PcapOptions, pcapChunks, readPcap } from './pcap.ts';
import { isPcapng, type PcapngOptions, pcapngChunks, readPcapng } from './pcapng.ts';

export type { CapturedPacket, PacketOption } from './captured-packet.ts';

/** Link types as tcpdump.org/linktypes.html numbers them. */
export const LINKTYPE_ETHERNET = 1;
export const LINKTYPE_RAW = 101;

/**
 * Packets of a pcap or pcapng file, in order. Lazy: a fault throws InputError (SLUICE_CAPTURE_…, with its offset) when it is
 * reached, after the packets before it were given out.
 */
export function readCapture(bytes: Uint8Array, input?: string): IterableIterator<CapturedPacket> {
  if (isPcap(bytes)) return readPcap(bytes, input);
  if (isPcapng(bytes)) return readPcapng(bytes, input);
  throw new InputError('SLUICE_CAPTURE_FORMAT', 'neither a pcap nor a pcapng file', {
    ...(input === undefined ? {} : { input }),
    offset: 0,
  });
}

/** A whole pcap file; pcapChunks gives it in pieces, and says what it throws. */
export function writePcap(packets: Iterable<CapturedPacket>, options?: PcapOptions): Uint8Array<ArrayBuffer> {
  return concat([...pcapChunks(packets, options)]);
}

/** A whole pcapng file; pcapngChunks gives it in pieces, and says what it throws. */
export function writePcapng(packets: Iterable<CapturedPacket>, options?: PcapngOptions): Uint8Array<ArrayBuffer> {
  return concat([...pcapngChunks(packets, options)]);
}
