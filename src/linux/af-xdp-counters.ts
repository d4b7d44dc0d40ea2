/** What an AF_XDP socket counted, here and in the kernel. */
import * as layout from '../plane/layout/xsk.ts';

/** Packets by verdict, and what became of them. All count from the opening of the socket. */
export interface AfXdpCounters {
  readonly packets: number;
  readonly bytes: number;
  /** Indexed by enum xdp_action; the sixth element counts values that are none. */
  readonly verdicts: readonly number[];
  /** Given to the kernel to send: XDP_TX, and redirects to the interface that the packet came from. */
  readonly sent: number;
  /** Given to the kernel to send by another interface: redirects by interface and devmap; each copy of a broadcast counts. */
  readonly forwarded: number;
  /** Redirects to an xskmap: they end here, where the reader has seen them. */
  readonly delivered: number;
  /** XDP_PASS frames, and redirects to a cpumap, sent by the `passFrom` socket. */
  readonly passedOn: number;
  /** Dropped, because a TX ring was full, or no frame was left for a copy. */
  readonly txFull: number;
  /** XDP_REDIRECT to where no socket leads; dropped. */
  readonly unreachable: number;
  /** Packets that came with metadata, and those whose metadata had no room for its seal and was given up in the kernel. */
  readonly withMetadata: number;
  readonly metadataLost: number;
  /** Sent frames whose checksum the kernel was asked to fill in. */
  readonly checksums: number;
}

const places = {
  packets: layout.XSK_PACKETS,
  bytes: layout.XSK_BYTES,
  sent: layout.XSK_SENT,
  forwarded: layout.XSK_FORWARDED,
  delivered: layout.XSK_DELIVERED,
  passedOn: layout.XSK_PASSED_ON,
  txFull: layout.XSK_TX_FULL,
  unreachable: layout.XSK_UNREACHABLE,
  withMetadata: layout.XSK_META_READ,
  metadataLost: layout.XSK_META_LOST,
  checksums: layout.XSK_CHECKSUMS,
} as const;

/** Of the structure at `address`. */
export function readCounters(view: DataView, address: number): AfXdpCounters {
  const read = (at: number) => Number(view.getBigUint64(address + at, true));
  const counts = Object.entries(places).map(([name, at]) => [name, read(at)] as const);
  const verdicts = Array.from({ length: layout.XSK_VERDICT_COUNT }, (_, i) => read(layout.XSK_VERDICTS + i * 8));
  return { ...(Object.fromEntries(counts) as Record<keyof typeof places, number>), verdicts }; // all its names are there
}

export function sumCounters(a: AfXdpCounters, b: AfXdpCounters): AfXdpCounters {
  const counts = Object.keys(places).map((name) => {
    const count = name as keyof typeof places; // as above
    return [count, a[count] + b[count]] as const;
  });
  return {
    ...(Object.fromEntries(counts) as Record<keyof typeof places, number>),
    verdicts: a.verdicts.map((count, i) => count + b.verdicts[i]!),
  };
}
