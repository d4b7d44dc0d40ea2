/** Headers in front of virtio-net frames (include/uapi/linux/virtio_net.h), little-endian as of virtio 1.0: 10 bytes of legacy devices, 12, and 20 with a hash. */
import { InputError } from '../errors.ts';

export const VIRTIO_NET_HEADER_LEGACY = 10;
export const VIRTIO_NET_HEADER = 12;
/** With VIRTIO_NET_F_HASH_REPORT: struct virtio_net_hdr_v1_hash. */
export const VIRTIO_NET_HEADER_HASH = 20;

/** `flags`. */
export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
export const VIRTIO_NET_HDR_F_DATA_VALID = 2;
/** `gsoType`; ECN is a bit beside the others. */
export const VIRTIO_NET_HDR_GSO_NONE = 0;
export const VIRTIO_NET_HDR_GSO_TCPV4 = 1;
export const VIRTIO_NET_HDR_GSO_UDP = 3;
export const VIRTIO_NET_HDR_GSO_TCPV6 = 4;
export const VIRTIO_NET_HDR_GSO_UDP_L4 = 5;
export const VIRTIO_NET_HDR_GSO_ECN = 0x80;

export interface VirtioNetHeader {
  readonly flags: number;
  readonly gsoType: number;
  /** Bytes of all headers, of a GSO packet and of one whose checksum is to be filled in. */
  readonly hdrLen: number;
  readonly gsoSize: number;
  readonly csumStart: number;
  readonly csumOffset: number;
  /** Buffers that the frame takes (MRG_RXBUF), 1 without; 0 in a legacy header. */
  readonly numBuffers: number;
  /** Undefined in a header without the two fields. */
  readonly hash: { readonly value: number; readonly report: number } | undefined;
}

const plain: VirtioNetHeader = {
  flags: 0,
  gsoType: VIRTIO_NET_HDR_GSO_NONE,
  hdrLen: 0,
  gsoSize: 0,
  csumStart: 0,
  csumOffset: 0,
  numBuffers: 1,
  hash: undefined,
};

/** 20 bytes where there is a `hash`, else 12. Fields that are not given are 0, `numBuffers` 1. */
export function encodeVirtioNetHeader(fields: Partial<VirtioNetHeader> = {}): Uint8Array<ArrayBuffer> {
  const header = { ...plain, ...fields };
  const bytes = new Uint8Array(header.hash === undefined ? VIRTIO_NET_HEADER : VIRTIO_NET_HEADER_HASH);
  const view = new DataView(bytes.buffer);
  bytes[0] = header.flags;
  bytes[1] = header.gsoType;
  view.setUint16(2, header.hdrLen, true);
  view.setUint16(4, header.gsoSize, true);
  view.setUint16(6, header.csumStart, true);
  view.setUint16(8, header.csumOffset, true);
  view.setUint16(10, header.numBuffers, true);
  if (header.hash !== undefined) {
    view.setUint32(12, header.hash.value, true);
    view.setUint16(16, header.hash.report, true);
  }
  return bytes;
}

/** `size` of the header: 10, 12 or 20; what is behind is the frame. Throws InputError `SLUICE_VNET_HEADER`. */
export function decodeVirtioNetHeader(bytes: Uint8Array, size: number): VirtioNetHeader {
  if (size !== VIRTIO_NET_HEADER_LEGACY && size !== VIRTIO_NET_HEADER && size !== VIRTIO_NET_HEADER_HASH)
    throw new InputError('SLUICE_VNET_HEADER', `a virtio-net header of ${size} bytes: there are 10, 12 and 20`);
  if (bytes.length < size)
    throw new InputError('SLUICE_VNET_HEADER', `${bytes.length} bytes are shorter than a virtio-net header of ${size}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, size);
  return {
    flags: bytes[0]!,
    gsoType: bytes[1]!,
    hdrLen: view.getUint16(2, true),
    gsoSize: view.getUint16(4, true),
    csumStart: view.getUint16(6, true),
    csumOffset: view.getUint16(8, true),
    numBuffers: size === VIRTIO_NET_HEADER_LEGACY ? 0 : view.getUint16(10, true),
    hash:
      size === VIRTIO_NET_HEADER_HASH
        ? { value: view.getUint32(12, true), report: view.getUint16(16, true) }
        : undefined,
  };
}
