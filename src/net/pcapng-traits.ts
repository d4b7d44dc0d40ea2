/**
 * Traits of packets in pcapng files, so that whoever reads the capture finds them without the program or its registry: a custom option (binary, may be copied) for programs,
 * and a comment for people.
 *
 * The custom option: u32 private enterprise number, in the section's byte order as the format wants it; then, little-endian, the 4 bytes `SLTR`, u16 version 1, u16 number of
 * traits, and each trait: u64 key (0 to 63, or from 2^63 up for those of the system), u8 length of the value, u8 length of the name, the name in UTF-8, the value. Other
 * versions are not read. The number is 32473, kept for examples (RFC 5612), as there is none of the project's own; the magic tells the option apart.
 */
import { concat } from './bytes.ts';
import type { CapturedPacket, PacketOption } from './captured-packet.ts';
import { commentOption } from './pcapng-options.ts';

/** opt_custom with binary data that may be copied to another file. */
const CUSTOM_BINARY = 2989;
const ENTERPRISE = 32473;
const MAGIC = [0x53, 0x4c, 0x54, 0x52];
const VERSION = 1;
const HEADER = 12;
const ENTRY = 10;

export interface CapturedTrait {
  /** 0 to 63, or from 2^63 up. */
  readonly key: bigint;
  /** Name that the key had, at most 255 bytes of UTF-8. */
  readonly name?: string;
  /** At most 255 bytes. */
  readonly value: Uint8Array;
}

/** Nothing for a packet without traits; else the custom option and the comment, in this order. */
export function traitOptions(traits: readonly CapturedTrait[]): PacketOption[] {
  if (traits.length === 0) return [];
  const head = new Uint8Array(HEADER);
  const view = new DataView(head.buffer);
  view.setUint32(0, ENTERPRISE, true);
  head.set(MAGIC, 4);
  view.setUint16(8, VERSION, true);
  view.setUint16(10, traits.length, true);
  const entries = traits.flatMap(({ key, name = '', value }) => {
    const entry = new Uint8Array(ENTRY);
    const text = new TextEncoder().encode(name);
    new DataView(entry.buffer).setBigUint64(0, key, true);
    entry[8] = value.length;
    entry[9] = text.length;
    return [entry, text, value];
  });
  return [
    { code: CUSTOM_BINARY, value: concat([head, ...entries]) },
    commentOption(`traits: ${describeTraits(traits)}`),
  ];
}

/** Traits of a packet as the capture has them; undefined where it has none. What is malformed ends the list. */
export function capturedTraits(packet: CapturedPacket): CapturedTrait[] | undefined {
  const option = packet.options?.find(isTraits);
  if (option === undefined) return undefined;
  const { value: bytes } = option;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const traits: CapturedTrait[] = [];
  let at = HEADER;
  for (let left = view.getUint16(10, true); left > 0 && at + ENTRY <= bytes.length; left--) {
    const name = at + ENTRY;
    const value = name + bytes[at + 9]!;
    const end = value + bytes[at + 8]!;
    if (end > bytes.length) break;
    traits.push({
      key: view.getBigUint64(at, true),
      ...(value > name ? { name: new TextDecoder().decode(bytes.subarray(name, value)) } : {}),
      value: Uint8Array.from(bytes.subarray(value, end)),
    });
    at = end;
  }
  return traits;
}

function isTraits({ code, value }: PacketOption): boolean {
  if (code !== CUSTOM_BINARY || value.length < HEADER) return false;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  return (
    view.getUint32(0, true) === ENTERPRISE &&
    MAGIC.every((byte, i) => value[4 + i] === byte) &&
    view.getUint16(8, true) === VERSION
  );
}

/** The packet's options but for its traits and the comment that tells of them. */
export function withoutTraits(options: readonly PacketOption[] | undefined): PacketOption[] {
  const isComment = ({ code, value }: PacketOption) =>
    code === commentOption('').code && new TextDecoder().decode(value).startsWith('traits: ');
  return (options ?? []).filter((option) => !isTraits(option) && !isComment(option));
}

/** `packet_id=0a000000 7=01000000`: names, or keys without one, and values in the order of their bytes. */
export function describeTraits(traits: readonly CapturedTrait[]): string {
  return traits
    .map(({ key, name, value }) => {
      const bytes = Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('');
      return `${name ?? key}=${bytes}`;
    })
    .join(' ');
}
