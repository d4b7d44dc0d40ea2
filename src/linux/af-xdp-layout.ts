/** Constants and structures of AF_XDP: include/uapi/linux/if_xdp.h (Linux 6.18). */

export const AF_XDP = 44;
export const SOL_XDP = 283;

/** Socket options. */
export const XDP_MMAP_OFFSETS = 1;
export const XDP_RX_RING = 2;
export const XDP_TX_RING = 3;
export const XDP_UMEM_REG = 4;
export const XDP_UMEM_FILL_RING = 5;
export const XDP_UMEM_COMPLETION_RING = 6;
export const XDP_STATISTICS = 7;
export const XDP_OPTIONS = 8;
/** Linux 6.17: frames that one sendto(2) sends in copy mode; 32 before. */
export const XDP_MAX_TX_SKB_BUDGET = 9;

/** What mmap(2) takes as offset. */
export const XDP_PGOFF_RX_RING = 0;
export const XDP_PGOFF_TX_RING = 0x8000_0000;
export const XDP_UMEM_PGOFF_FILL_RING = 0x1_0000_0000;
export const XDP_UMEM_PGOFF_COMPLETION_RING = 0x1_8000_0000;

/** sockaddr_xdp.sxdp_flags. */
export const XDP_SHARED_UMEM = 1 << 0;
export const XDP_COPY = 1 << 1;
export const XDP_ZEROCOPY = 1 << 2;
export const XDP_USE_NEED_WAKEUP = 1 << 3;

/** xdp_options.flags. */
export const XDP_OPTIONS_ZEROCOPY = 1 << 0;

/** struct xdp_ring_offset, four in struct xdp_mmap_offsets: u64 producer, consumer, desc, flags. */
export const RING_OFFSETS_SIZE = 32;
export const MMAP_OFFSETS = { rx: 0, tx: 32, fill: 64, completion: 96 } as const;

/** xdp_umem_reg.flags: sums of sent frames by the kernel in software; sent frames have metadata before them. */
export const XDP_UMEM_TX_SW_CSUM = 1 << 1;
export const XDP_UMEM_TX_METADATA_LEN = 1 << 2;

export interface UmemRegistration {
  readonly address: number;
  readonly length: number;
  readonly chunkSize: number;
  readonly flags: number;
  /** Bytes before the data of sent frames. */
  readonly txMetadata: number;
}

/** struct xdp_umem_reg: u64 addr, u64 len, u32 chunk_size, u32 headroom, u32 flags, u32 tx_metadata_len. */
export function umemRegistration(umem: UmemRegistration): Uint8Array {
  const view = new DataView(new ArrayBuffer(32));
  view.setBigUint64(0, BigInt(umem.address), true);
  view.setBigUint64(8, BigInt(umem.length), true);
  view.setUint32(16, umem.chunkSize, true);
  view.setUint32(24, umem.flags, true);
  view.setUint32(28, umem.txMetadata, true);
  return new Uint8Array(view.buffer);
}

/** struct sockaddr_xdp: u16 family, u16 flags, u32 ifindex, u32 queue, u32 shared UMEM's descriptor. */
export function socketAddress(flags: number, ifindex: number, queue: number, sharedFd = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint16(0, AF_XDP, true);
  view.setUint16(2, flags, true);
  view.setUint32(4, ifindex, true);
  view.setUint32(8, queue, true);
  view.setUint32(12, sharedFd, true);
  return new Uint8Array(view.buffer);
}

/** What the kernel counts of a socket: struct xdp_statistics. */
export interface XdpStatistics {
  /** No frame of the UMEM was there, or the packet did not fit. */
  readonly rxDropped: number;
  readonly rxInvalidDescriptors: number;
  readonly txInvalidDescriptors: number;
  readonly rxRingFull: number;
  readonly fillRingEmpty: number;
  readonly txRingEmpty: number;
}

export const XDP_STATISTICS_SIZE = 48;

export function readStatistics(bytes: Uint8Array): XdpStatistics {
  const view = new DataView(bytes.buffer, bytes.byteOffset, XDP_STATISTICS_SIZE);
  const field = (index: number) => Number(view.getBigUint64(index * 8, true));
  return {
    rxDropped: field(0),
    rxInvalidDescriptors: field(1),
    txInvalidDescriptors: field(2),
    rxRingFull: field(3),
    fillRingEmpty: field(4),
    txRingEmpty: field(5),
  };
}
