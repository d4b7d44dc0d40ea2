/**
 * pcapng files (draft-ietf-opsawg-pcapng): sections in both byte orders, interfaces with their time resolution, enhanced,
 * simple and (obsolete) packet blocks; other blocks are skipped. The writer makes one section with enhanced packet blocks.
 */
import { InputError } from '../errors.ts';
import { concat, padTo } from './bytes.ts';
import type { CapturedPacket, PacketOption } from './captured-packet.ts';
import { MAX_CAPTURED_LENGTH } from './pcap.ts';
import { swapped } from './pcapng-options.ts';

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const OBSOLETE_PACKET = 2;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

const OPTION_END = 0;
const IF_NAME = 2;
const IF_TSRESOL = 9;
const IF_TSOFFSET = 14;

interface CaptureInterface {
  /** Index through the whole file. */
  readonly id: number;
  readonly linkType: number;
  /** 0: no limit. */
  readonly snapLength: number;
  /** A timestamp t means t * numerator / denominator ns, plus offset ns. */
  readonly numerator: bigint;
  readonly denominator: bigint;
  readonly offsetNs: bigint;
}

export function isPcapng(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x0a && bytes[1] === 0x0d && bytes[2] === 0x0d && bytes[3] === 0x0a;
}

/** Lazy, as readCapture describes. `input` names the file in errors. */
export function* readPcapng(bytes: Uint8Array, input?: string): IterableIterator<CapturedPacket> {
  const fail = (code: string, message: string, offset: number) =>
    new InputError(code, message, input === undefined ? { offset } : { input, offset });
  if (!isPcapng(bytes)) throw fail('SLUICE_CAPTURE_FORMAT', 'not a pcapng file', 0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let littleEndian = true;
  let sectionInterfaces: CaptureInterface[] = [];
  let interfacesBefore = 0;

  /** Options between two offsets, as they stand in the file. */
  function options(start: number, end: number): PacketOption[] {
    const list: PacketOption[] = [];
    let at = start;
    while (at < end) {
      if (end - at < 4) throw fail('SLUICE_CAPTURE_BLOCK', 'a block ends inside an option', at);
      const code = view.getUint16(at, littleEndian);
      const length = view.getUint16(at + 2, littleEndian);
      if (code === OPTION_END) break;
      if (length > end - at - 4)
        throw fail('SLUICE_CAPTURE_BLOCK', `option ${code} of ${length} bytes leaves its block`, at);
      list.push({ code, value: bytes.subarray(at + 4, at + 4 + length) });
      at += 4 + ((length + 3) & ~3);
    }
    return list;
  }

  function describeInterface(start: number, end: number): CaptureInterface {
    if (end - start < 8) throw fail('SLUICE_CAPTURE_BLOCK', 'an interface description without its fixed part', start);
    let resolution = 6;
    let offsetNs = 0n;
    for (const { code, value } of options(start + 8, end)) {
      if (code === IF_TSRESOL && value.length === 1) resolution = value[0]!;
      if (code === IF_TSOFFSET && value.length === 8)
        offsetNs = new DataView(value.buffer, value.byteOffset, 8).getBigInt64(0, littleEndian) * 1_000_000_000n;
    }
    const exponent = BigInt(resolution & 0x7f);
    return {
      id: interfacesBefore + sectionInterfaces.length,
      linkType: view.getUint16(start, littleEndian),
      snapLength: view.getUint32(start + 4, littleEndian),
      numerator: 1_000_000_000n,
      denominator: resolution & 0x80 ? 1n << exponent : 10n ** exponent,
      offsetNs,
    };
  }

  function packet(
    device: CaptureInterface,
    start: number,
    end: number,
    captured: number,
    wireLength: number,
    time: bigint | undefined,
  ): CapturedPacket {
    if (captured > MAX_CAPTURED_LENGTH)
      throw fail(
        'SLUICE_CAPTURE_RECORD',
        `packet of ${captured} bytes, at most ${MAX_CAPTURED_LENGTH} are read`,
        start,
      );
    if (captured > end - start)
      throw fail('SLUICE_CAPTURE_BLOCK', `packet of ${captured} bytes in a block with room for ${end - start}`, start);
    const optionsStart = start + ((captured + 3) & ~3);
    const list = time === undefined || optionsStart >= end ? [] : options(optionsStart, end);
    return {
      data: bytes.subarray(start, start + captured),
      timestampNs: time === undefined ? 0n : (time * device.numerator) / device.denominator + device.offsetNs,
      wireLength,
      interfaceId: device.id,
      linkType: device.linkType,
      ...(list.length > 0 ? { options: littleEndian ? list : list.map(swapped) } : {}),
    };
  }

  function interfaceOf(index: number, offset: number): CaptureInterface {
    const device = sectionInterfaces[index];
    if (device === undefined)
      throw fail('SLUICE_CAPTURE_BLOCK', `packet of interface ${index}, which the section does not describe`, offset);
    return device;
  }

  const timestamp = (at: number) =>
    (BigInt(view.getUint32(at, littleEndian)) << 32n) | BigInt(view.getUint32(at + 4, littleEndian));

  let offset = 0;
  while (offset < bytes.length) {
    if (bytes.length - offset < 12)
      throw fail('SLUICE_CAPTURE_TRUNCATED', 'the file ends inside a block header', offset);
    // The section header's type reads the same in both byte orders; its magic decides the order of all that follows.
    const isSection = view.getUint32(offset, true) === SECTION_HEADER;
    if (isSection) {
      if (view.getUint32(offset + 8, true) === BYTE_ORDER_MAGIC) littleEndian = true;
      else if (view.getUint32(offset + 8, false) === BYTE_ORDER_MAGIC) littleEndian = false;
      else throw fail('SLUICE_CAPTURE_FORMAT', 'a section header without the byte-order magic', offset + 8);
    }
    const type = view.getUint32(offset, littleEndian);
    const length = view.getUint32(offset + 4, littleEndian);
    if (length < 12 || length % 4 !== 0)
      throw fail('SLUICE_CAPTURE_BLOCK', `block length ${length} is no multiple of 4 from 12 up`, offset + 4);
    if (length > bytes.length - offset)
      throw fail(
        'SLUICE_CAPTURE_TRUNCATED',
        `the file ends after ${bytes.length - offset} of the ${length} bytes of a block`,
        offset,
      );
    const start = offset + 8;
    const end = offset + length - 4;
    if (view.getUint32(end, littleEndian) !== length)
      throw fail('SLUICE_CAPTURE_BLOCK', 'the two lengths of a block differ', end);
    const need = (size: number) => {
      if (end - start < size)
        throw fail('SLUICE_CAPTURE_BLOCK', `block of type ${type} without its fixed part`, offset);
    };
    if (isSection) {
      need(16);
      const major = view.getUint16(start + 4, littleEndian);
      if (major !== 1) throw fail('SLUICE_CAPTURE_FORMAT', `pcapng version ${major}, only 1 is known`, start + 4);
      interfacesBefore += sectionInterfaces.length;
      sectionInterfaces = [];
    } else if (type === INTERFACE_DESCRIPTION) sectionInterfaces.push(describeInterface(start, end));
    else if (type === ENHANCED_PACKET) {
      need(20);
      yield packet(
        interfaceOf(view.getUint32(start, littleEndian), start),
        start + 20,
        end,
        view.getUint32(start + 12, littleEndian),
        view.getUint32(start + 16, littleEndian),
        timestamp(start + 4),
      );
    } else if (type === SIMPLE_PACKET) {
      need(4);
      const device = interfaceOf(0, start);
      const wireLength = view.getUint32(start, littleEndian);
      const captured = device.snapLength === 0 ? wireLength : Math.min(wireLength, device.snapLength);
      yield packet(device, start + 4, end, captured, wireLength, undefined);
    } else if (type === OBSOLETE_PACKET) {
      need(20);
      yield packet(
        interfaceOf(view.getUint16(start, littleEndian), start),
        start + 20,
        end,
        view.getUint32(start + 12, littleEndian),
        view.getUint32(start + 16, littleEndian),
        timestamp(start + 4),
      );
    }
    offset += length;
  }
}

export interface PcapngInterface {
  readonly linkType: number;
  readonly name?: string;
}

export interface PcapngOptions {
  /**
   * By interfaceId. Packets of further interfaces describe theirs as they come, with the packet's link type; ids from 65536
   * up are refused (SLUICE_CAPTURE_INTERFACE).
   */
  readonly interfaces?: readonly PcapngInterface[];
  /** Default 'little'. */
  readonly byteOrder?: 'little' | 'big';
  /** shb_userappl; default 'sluice'. */
  readonly application?: string;
}

const SHB_USERAPPL = 4;

/**
 * The file in pieces: section header, then an enhanced packet block a packet with ns timestamps, interface descriptions
 * before the first packet that needs them. InputError: SLUICE_CAPTURE_LINKTYPE where a packet's link type is not its interface's,
 * SLUICE_CAPTURE_TIMESTAMP outside of u64 ns, SLUICE_CAPTURE_RECORD above 262144 bytes, SLUICE_CAPTURE_OPTION above 65535 bytes.
 */
export function* pcapngChunks(
  packets: Iterable<CapturedPacket>,
  settings: PcapngOptions = {},
): IterableIterator<Uint8Array> {
  const littleEndian = settings.byteOrder !== 'big';
  const numbers = (...fields: readonly (readonly [size: 2 | 4, value: number])[]) => {
    const bytes = new Uint8Array(fields.reduce((sum, [size]) => sum + size, 0));
    const view = new DataView(bytes.buffer);
    let at = 0;
    for (const [size, value] of fields) {
      if (size === 2) view.setUint16(at, value, littleEndian);
      else view.setUint32(at, value, littleEndian);
      at += size;
    }
    return bytes;
  };
  const optionList = (list: readonly PacketOption[]) => {
    if (list.length === 0) return new Uint8Array(0);
    const parts = list.map((option) => {
      if (option.value.length > 0xffff)
        throw new InputError(
          'SLUICE_CAPTURE_OPTION',
          `option ${option.code} of ${option.value.length} bytes, at most 65535 fit`,
        );
      return concat([numbers([2, option.code], [2, option.value.length]), padTo(option.value, 4)]);
    });
    return concat([...parts, new Uint8Array(4)]);
  };
  const block = (type: number, ...body: readonly Uint8Array[]) => {
    const length = 12 + body.reduce((sum, part) => sum + part.length, 0);
    return concat([numbers([4, type], [4, length]), ...body, numbers([4, length])]);
  };
  const text = (code: number, value: string) => ({ code, value: new TextEncoder().encode(value) });
  const describe = ({ linkType, name }: PcapngInterface) =>
    block(
      INTERFACE_DESCRIPTION,
      numbers([2, linkType], [2, 0], [4, 0]),
      optionList([...(name === undefined ? [] : [text(IF_NAME, name)]), { code: IF_TSRESOL, value: Uint8Array.of(9) }]),
    );

  yield block(
    SECTION_HEADER,
    // Section length -1: not given.
    numbers([4, BYTE_ORDER_MAGIC], [2, 1], [2, 0], [4, 0xffff_ffff], [4, 0xffff_ffff]),
    optionList([text(SHB_USERAPPL, settings.application ?? 'sluice')]),
  );
  const linkTypes: number[] = [];
  for (const device of settings.interfaces ?? []) {
    linkTypes.push(device.linkType);
    yield describe(device);
  }
  for (const packet of packets) {
    const { interfaceId, linkType, timestampNs, data } = packet;
    if (!Number.isInteger(interfaceId) || interfaceId < 0 || interfaceId > 0xffff)
      throw new InputError('SLUICE_CAPTURE_INTERFACE', `interface id ${interfaceId} is not in 0..65535`);
    while (linkTypes.length <= interfaceId) {
      linkTypes.push(linkType);
      yield describe({ linkType });
    }
    if (linkTypes[interfaceId] !== linkType)
      throw new InputError(
        'SLUICE_CAPTURE_LINKTYPE',
        `a packet of link type ${linkType} on interface ${interfaceId} of type ${linkTypes[interfaceId]}`,
      );
    if (timestampNs < 0n || timestampNs >= 1n << 64n)
      throw new InputError('SLUICE_CAPTURE_TIMESTAMP', `timestamp ${timestampNs} ns does not fit 64 bits`);
    if (data.length > MAX_CAPTURED_LENGTH)
      throw new InputError(
        'SLUICE_CAPTURE_RECORD',
        `a packet of ${data.length} bytes, at most ${MAX_CAPTURED_LENGTH} fit`,
      );
    const list = packet.options ?? [];
    yield block(
      ENHANCED_PACKET,
      numbers(
        [4, interfaceId],
        [4, Number(timestampNs >> 32n)],
        [4, Number(timestampNs & 0xffff_ffffn)],
        [4, data.length],
        [4, packet.wireLength],
      ),
      padTo(data, 4),
      optionList(littleEndian ? list : list.map(swapped)),
    );
  }
}
