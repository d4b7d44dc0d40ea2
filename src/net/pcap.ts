/** pcap files (draft-ietf-opsawg-pcap): read in both byte orders and both resolutions, write little-endian or big-endian. */
import { InputError } from '../errors.ts';
import type { CapturedPacket } from './captured-packet.ts';

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;
const FILE_HEADER = 24;
const RECORD_HEADER = 16;
/** libpcap's MAXIMUM_SNAPLEN: a longer record is a corrupt one. */
export const MAX_CAPTURED_LENGTH = 262_144;

interface Format {
  readonly littleEndian: boolean;
  /** Nanoseconds in one unit of the fraction field. */
  readonly unit: bigint;
}

function formatOf(bytes: Uint8Array): Format | undefined {
  if (bytes.length < 4) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (const littleEndian of [true, false]) {
    const magic = view.getUint32(0, littleEndian);
    if (magic === MAGIC_MICROSECONDS) return { littleEndian, unit: 1000n };
    if (magic === MAGIC_NANOSECONDS) return { littleEndian, unit: 1n };
  }
  return undefined;
}

export function isPcap(bytes: Uint8Array): boolean {
  return formatOf(bytes) !== undefined;
}

/** Lazy, as readCapture describes. `input` names the file in errors. */
export function* readPcap(bytes: Uint8Array, input?: string): IterableIterator<CapturedPacket> {
  const fail = (code: string, message: string, offset: number) =>
    new InputError(code, message, input === undefined ? { offset } : { input, offset });
  const format = formatOf(bytes);
  if (format === undefined) throw fail('SLUICE_CAPTURE_FORMAT', 'not a pcap file', 0);
  if (bytes.length < FILE_HEADER)
    throw fail('SLUICE_CAPTURE_TRUNCATED', `the file header ends after ${bytes.length} of ${FILE_HEADER} bytes`, 0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const { littleEndian, unit } = format;
  const major = view.getUint16(4, littleEndian);
  const minor = view.getUint16(6, littleEndian);
  // 2.3 and older exchange the two lengths in some writers; nobody has written them since 1997.
  if (major !== 2 || minor !== 4)
    throw fail('SLUICE_CAPTURE_FORMAT', `pcap version ${major}.${minor}, only 2.4 is known`, 4);
  // The upper 16 bits tell about the frame check sequence.
  const linkType = view.getUint32(20, littleEndian) & 0xffff;
  let offset = FILE_HEADER;
  while (offset < bytes.length) {
    if (bytes.length - offset < RECORD_HEADER)
      throw fail('SLUICE_CAPTURE_TRUNCATED', 'the file ends inside a record header', offset);
    const captured = view.getUint32(offset + 8, littleEndian);
    if (captured > MAX_CAPTURED_LENGTH)
      throw fail(
        'SLUICE_CAPTURE_RECORD',
        `record of ${captured} bytes, at most ${MAX_CAPTURED_LENGTH} are read`,
        offset + 8,
      );
    const start = offset + RECORD_HEADER;
    if (captured > bytes.length - start)
      throw fail(
        'SLUICE_CAPTURE_TRUNCATED',
        `the file ends after ${bytes.length - start} of the ${captured} bytes of a packet`,
        start,
      );
    yield {
      data: bytes.subarray(start, start + captured),
      timestampNs:
        BigInt(view.getUint32(offset, littleEndian)) * 1_000_000_000n +
        BigInt(view.getUint32(offset + 4, littleEndian)) * unit,
      wireLength: view.getUint32(offset + 12, littleEndian),
      interfaceId: 0,
      linkType,
    };
    offset = start + captured;
  }
}

export interface PcapOptions {
  /** Default 'ns'. Microseconds cut the rest off. */
  readonly resolution?: 'us' | 'ns';
  /** Default 'little'. */
  readonly byteOrder?: 'little' | 'big';
  /** Default: of the first packet, 1 (Ethernet) without packets. */
  readonly linkType?: number;
  /** Default 262144. Only the header field: packets are not cut. */
  readonly snapLength?: number;
}

/**
 * The file in pieces: its header, then one piece a packet. InputError: SLUICE_CAPTURE_LINKTYPE for a packet of another link
 * type (a pcap file has one), SLUICE_CAPTURE_TIMESTAMP outside of 1970 to 2106, SLUICE_CAPTURE_RECORD for a packet above 262144 bytes.
 */
export function* pcapChunks(
  packets: Iterable<CapturedPacket>,
  options: PcapOptions = {},
): IterableIterator<Uint8Array<ArrayBuffer>> {
  const littleEndian = options.byteOrder !== 'big';
  const unit = options.resolution === 'us' ? 1000n : 1n;
  let linkType = options.linkType;
  const header = (type: number) => {
    const bytes = new Uint8Array(FILE_HEADER);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, unit === 1n ? MAGIC_NANOSECONDS : MAGIC_MICROSECONDS, littleEndian);
    view.setUint16(4, 2, littleEndian);
    view.setUint16(6, 4, littleEndian);
    view.setUint32(16, options.snapLength ?? MAX_CAPTURED_LENGTH, littleEndian);
    view.setUint32(20, type, littleEndian);
    return bytes;
  };
  let begun = false;
  for (const packet of packets) {
    linkType ??= packet.linkType;
    if (!begun) yield header(linkType);
    begun = true;
    if (packet.linkType !== linkType)
      throw new InputError(
        'SLUICE_CAPTURE_LINKTYPE',
        `a packet of link type ${packet.linkType} in a pcap file of type ${linkType}; pcapng takes both`,
      );
    const seconds = packet.timestampNs / 1_000_000_000n;
    if (packet.timestampNs < 0n || seconds > 0xffff_ffffn)
      throw new InputError('SLUICE_CAPTURE_TIMESTAMP', `timestamp ${packet.timestampNs} ns does not fit a pcap file`);
    if (packet.data.length > MAX_CAPTURED_LENGTH)
      throw new InputError(
        'SLUICE_CAPTURE_RECORD',
        `a packet of ${packet.data.length} bytes, at most ${MAX_CAPTURED_LENGTH} fit`,
      );
    const record = new Uint8Array(RECORD_HEADER + packet.data.length);
    const view = new DataView(record.buffer);
    view.setUint32(0, Number(seconds), littleEndian);
    view.setUint32(4, Number((packet.timestampNs % 1_000_000_000n) / unit), littleEndian);
    view.setUint32(8, packet.data.length, littleEndian);
    view.setUint32(12, packet.wireLength, littleEndian);
    record.set(packet.data, RECORD_HEADER);
    yield record;
  }
  if (!begun) yield header(linkType ?? 1);
}
