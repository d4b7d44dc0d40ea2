/** Captures as files: read whole, written in pieces. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { InputError } from '../errors.ts';
import { type CapturedPacket, LINKTYPE_ETHERNET, readCapture } from '../net/capture.ts';
import { pcapChunks } from '../net/pcap.ts';
import { pcapngChunks } from '../net/pcapng.ts';
import { readInput } from './selector.ts';

/** Packets of an Ethernet capture. Throws InputError for another link type when it meets one. */
export function* readEthernetCapture(path: string): Generator<CapturedPacket, void, undefined> {
  for (const packet of readCapture(readInput(path), path)) {
    if (packet.linkType !== LINKTYPE_ETHERNET) {
      throw new InputError('SLUICE_LINK_TYPE', `link type ${packet.linkType}; XDP sees Ethernet frames (link type 1)`, {
        input: path,
      });
    }
    yield packet;
  }
}

/** Writes pcapng if the name ends in .pcapng, else pcap with ns timestamps. Returns the number of bytes. */
export function writeCaptureFile(path: string, packets: Iterable<CapturedPacket>): number {
  const chunks = path.endsWith('.pcapng') ? pcapngChunks(packets) : pcapChunks(packets);
  let file: number;
  try {
    file = openSync(path, 'w');
  } catch (error) {
    throw new InputError(
      'SLUICE_FILE',
      `cannot be written: ${error instanceof Error ? error.message : error}`,
      { input: path },
      { cause: error },
    );
  }
  let bytes = 0;
  try {
    for (const chunk of chunks) bytes += writeSync(file, chunk);
  } finally {
    closeSync(file);
  }
  return bytes;
}

/**
 * As readEthernetCapture, for those who report what was good before they fail: the packets before a fault are given out, the fault goes to
 * `onFault`. A file without a single good packet throws.
 */
export function* readGoodPackets(
  path: string,
  onFault: (fault: InputError) => void,
): Generator<CapturedPacket, void, undefined> {
  let packets = 0;
  try {
    for (const packet of readEthernetCapture(path)) {
      packets++;
      yield packet;
    }
  } catch (error) {
    if (packets === 0 || !(error instanceof InputError)) throw error;
    onFault(error);
  }
}
