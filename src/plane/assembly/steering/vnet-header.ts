// struct virtio_net_hdr_v1_hash in front of a frame: the fields that its device writes. Flags, GSO and checksum are those of whoever read the frame.
import { VNET_HASH_REPORT, VNET_HASH_VALUE, VNET_NUM_BUFFERS } from '../../layout/steering';

/** Completes a header of 20 bytes: one buffer, hash, report, and padding of zeros. */
@inline export function vnetHeader(header: usize, hash: u32, report: u32): void {
  store<u16>(header, 1, VNET_NUM_BUFFERS);
  store<u32>(header, hash, VNET_HASH_VALUE);
  store<u32>(header, report, VNET_HASH_REPORT);
}
