/** A packet as captures have it, whatever their format. */

export interface CapturedPacket {
  /** What was captured; a view into the input of the reader. */
  readonly data: Uint8Array;
  /** Nanoseconds since 1970-01-01 UTC; 0 where the capture has none (pcapng simple packets). */
  readonly timestampNs: bigint;
  /** Length on the wire, at least data.length unless the capture lies. */
  readonly wireLength: number;
  /** Counts through the whole file, in order of the interface descriptions; 0 in pcap files. */
  readonly interfaceId: number;
  readonly linkType: number;
  /** pcapng packet options in file order; absent where there are none. */
  readonly options?: readonly PacketOption[];
}

/** A pcapng option. Numbers inside the standard options are little-endian here, whatever the file has. */
export interface PacketOption {
  readonly code: number;
  readonly value: Uint8Array;
}
