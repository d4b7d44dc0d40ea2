// What a driver knows of a packet besides its bytes: hints in the frame's descriptor, which a run sets. -ENODATA where the run has hints but
// not this one, -EOPNOTSUPP where it has none, as from a driver without xdp_metadata_ops. Facts: net/core/xdp.c.
import {
  FRAME_HINTS, FRAME_HINT_HASH, FRAME_HINT_HASH_TYPE, FRAME_HINT_TIMESTAMP, FRAME_HINT_VLAN, HINTS_DRIVER, HINT_HASH, HINT_TIMESTAMP, HINT_VLAN,
} from '../../layout/frame';
import { ENODATA, EOPNOTSUPP } from '../errno';

/** 0 where the frame has the hint. */
@inline function refusal(frame: u64, hint: u32): i64 {
  const hints = load<u32>(<usize>frame, FRAME_HINTS);
  if ((hints & hint) != 0) return 0;
  return (hints & HINTS_DRIVER) != 0 ? ENODATA : EOPNOTSUPP;
}

export function bpf_xdp_metadata_rx_timestamp(ctx: u64, timestamp: u64): i64 {
  const refused = refusal(ctx, HINT_TIMESTAMP);
  if (refused == 0) store<u64>(<usize>timestamp, load<u64>(<usize>ctx, FRAME_HINT_TIMESTAMP));
  return refused;
}

export function bpf_xdp_metadata_rx_hash(ctx: u64, hash: u64, type: u64): i64 {
  const refused = refusal(ctx, HINT_HASH);
  if (refused == 0) {
    store<u32>(<usize>hash, load<u32>(<usize>ctx, FRAME_HINT_HASH));
    store<u32>(<usize>type, load<u32>(<usize>ctx, FRAME_HINT_HASH_TYPE));
  }
  return refused;
}

/** The protocol as on the wire, the tag in host order. */
export function bpf_xdp_metadata_rx_vlan_tag(ctx: u64, protocol: u64, tci: u64): i64 {
  const refused = refusal(ctx, HINT_VLAN);
  if (refused == 0) {
    const tag = load<u32>(<usize>ctx, FRAME_HINT_VLAN);
    store<u16>(<usize>protocol, <u16>tag);
    store<u16>(<usize>tci, <u16>(tag >> 16));
  }
  return refused;
}
