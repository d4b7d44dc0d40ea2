// bpf_xdp_store_rx_*: a program says what is to be known of its packet. Signatures of the patches "XDP: store RX hints for XDP_REDIRECT" (2025). There the values
// lie in the headroom, which may be too small (-ENOSPC); here in the descriptor, which has room for them: 0 always.
import { frame_store_hash, frame_store_timestamp, frame_store_vlan } from '../traits/fixed';

export function bpf_xdp_store_rx_hash(ctx: u64, hash: u64, type: u64): i64 {
  frame_store_hash(<usize>ctx, <u32>hash, <u32>type);
  return 0;
}

/** The protocol as on the wire, the tag in host order. */
export function bpf_xdp_store_rx_vlan(ctx: u64, protocol: u64, tci: u64): i64 {
  frame_store_vlan(<usize>ctx, <u32><u16>protocol | (<u32><u16>tci << 16));
  return 0;
}

/** In ns. */
export function bpf_xdp_store_rx_ts(ctx: u64, timestamp: u64): i64 {
  frame_store_timestamp(<usize>ctx, timestamp);
  return 0;
}
