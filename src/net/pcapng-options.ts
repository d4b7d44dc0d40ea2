/** Options of packets in pcapng files: making, reading, and the byte order of the numbers in them. */
import type { CapturedPacket, PacketOption } from './captured-packet.ts';

const OPTION_COMMENT = 1;
const EPB_FLAGS = 2;
const EPB_DROPCOUNT = 4;
const EPB_PACKETID = 5;
const EPB_QUEUE = 6;
const EPB_VERDICT = 7;
/** opt_custom, of four kinds: each begins with a private enterprise number. */
const CUSTOM: readonly number[] = [2988, 2989, 19372, 19373];
/** Kinds of epb_verdict whose value is a u64: Linux eBPF TC and XDP return values. */
const VERDICT_TC = 1;
const VERDICT_XDP = 2;

/** Byte width and place of the number inside a standard packet option, for changing its byte order. */
function numberInside(code: number, value: Uint8Array): readonly [start: number, size: number] | undefined {
  if ((code === EPB_FLAGS || code === EPB_QUEUE) && value.length === 4) return [0, 4];
  if (CUSTOM.includes(code) && value.length >= 4) return [0, 4];
  if ((code === EPB_DROPCOUNT || code === EPB_PACKETID) && value.length === 8) return [0, 8];
  if (code === EPB_VERDICT && value.length === 9 && (value[0] === VERDICT_TC || value[0] === VERDICT_XDP))
    return [1, 8];
  return undefined;
}

/** The option in the other byte order; the option itself where there is no number inside. */
export function swapped(option: PacketOption): PacketOption {
  const place = numberInside(option.code, option.value);
  if (place === undefined) return option;
  // Not slice(): of a Buffer that is no copy.
  const value = Uint8Array.from(option.value);
  value.subarray(place[0], place[0] + place[1]).reverse();
  return { code: option.code, value };
}

/** opt_comment: text that Wireshark shows with the packet. At most 65535 bytes of UTF-8. */
export function commentOption(text: string): PacketOption {
  return { code: OPTION_COMMENT, value: new TextEncoder().encode(text) };
}

/** epb_queue: the receive queue. */
export function queueOption(queue: number): PacketOption {
  const value = new Uint8Array(4);
  new DataView(value.buffer).setUint32(0, queue, true);
  return { code: EPB_QUEUE, value };
}

/** epb_packetid: a number that tells apart packets, in whatever captures they are. */
export function packetIdOption(id: bigint): PacketOption {
  const value = new Uint8Array(8);
  new DataView(value.buffer).setBigUint64(0, id, true);
  return { code: EPB_PACKETID, value };
}

/** epb_verdict: what an XDP or TC program returned for the packet. */
export function verdictOption(hook: 'xdp' | 'tc', returnValue: number): PacketOption {
  const value = new Uint8Array(9);
  value[0] = hook === 'xdp' ? VERDICT_XDP : VERDICT_TC;
  new DataView(value.buffer).setBigUint64(1, BigInt.asUintN(64, BigInt(returnValue)), true);
  return { code: EPB_VERDICT, value };
}

/** Comments of a packet, in order. */
export function comments(packet: CapturedPacket): string[] {
  return (packet.options ?? [])
    .filter(({ code }) => code === OPTION_COMMENT)
    .map(({ value }) => new TextDecoder().decode(value));
}
