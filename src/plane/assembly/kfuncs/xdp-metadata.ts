// What is known of a packet besides its bytes (traits/fixed.ts). -ENODATA where there is a driver, or a program stored something, but not this; -EOPNOTSUPP where
// nobody could know, as from a driver without xdp_metadata_ops. Facts: net/core/xdp.c.
import { FRAME_HINTS, HINT_HASH, HINT_TIMESTAMP, HINT_VLAN } from '../../layout/frame';
import { frame_rx_hash, frame_rx_hash_type, frame_rx_known, frame_rx_timestamp, frame_rx_vlan } from '../traits/fixed';
import { ENODATA, EOPNOTSUPP } from '../errno';

/** 0 where the value is known. */
@inline function refusal(frame: u64, hint: u32): i64 {
  if ((frame_rx_known(<usize>frame) & hint) != 0) return 0;
  return load<u32>(<usize>frame, FRAME_HINTS) != 0 ? ENODATA : EOPNOTSUPP;
}

export function bpf_xdp_metadata_rx_timestamp(ctx: u64, timestamp: u64): i64 {
  const refused = refusal(ctx, HINT_TIMESTAMP);
  if (refused == 0) store<u64>(<usize>timestamp, frame_rx_timestamp(<usize>ctx));
  return refused;
}

export function bpf_xdp_metadata_rx_hash(ctx: u64, hash: u64, type: u64): i64 {
  const refused = refusal(ctx, HINT_HASH);
  if (refused == 0) {
    store<u32>(<usize>hash, frame_rx_hash(<usize>ctx));
    store<u32>(<usize>type, frame_rx_hash_type(<usize>ctx));
  }
  return refused;
}

/** The protocol as on the wire, the tag in host order. */
export function bpf_xdp_metadata_rx_vlan_tag(ctx: u64, protocol: u64, tci: u64): i64 {
  const refused = refusal(ctx, HINT_VLAN);
  if (refused == 0) {
    const tag = frame_rx_vlan(<usize>ctx);
    store<u16>(<usize>protocol, <u16>tag);
    store<u16>(<usize>tci, <u16>(tag >> 16));
  }
  return refused;
}
