// The fixed form of metadata: hash, VLAN tag and receive time in the frame's descriptor (layout/frame.ts). What a program stored comes before what the driver
// says. Readers ask `frame_rx_known` first. Facts: patches "XDP: store RX hints for XDP_REDIRECT" (2025), net/core/xdp.c.
import {
  FRAME_HINTS, FRAME_HINT_HASH, FRAME_HINT_HASH_TYPE, FRAME_HINT_TIMESTAMP, FRAME_HINT_VLAN, FRAME_RX_HASH, FRAME_RX_HASH_TYPE, FRAME_RX_TIMESTAMP,
  FRAME_RX_VLAN, HINT_HASH, HINT_TIMESTAMP, HINT_VLAN, STORED_SHIFT,
} from '../../layout/frame';

// @ts-ignore: decorator
@inline
function is_stored(frame: usize, hint: u32): bool {
  return (load<u32>(frame, FRAME_HINTS) & (hint << STORED_SHIFT)) != 0;
}

// @ts-ignore: decorator
@inline
function mark_stored(frame: usize, hint: u32): void {
  store<u32>(frame, load<u32>(frame, FRAME_HINTS) | (hint << STORED_SHIFT), FRAME_HINTS);
}

/** HINT_* bits of what is known, by whoever said it. */
export function frame_rx_known(frame: usize): u32 {
  const hints = load<u32>(frame, FRAME_HINTS);
  return (hints | (hints >> STORED_SHIFT)) & (HINT_TIMESTAMP | HINT_HASH | HINT_VLAN);
}

export function frame_rx_hash(frame: usize): u32 {
  return is_stored(frame, HINT_HASH) ? load<u32>(frame, FRAME_RX_HASH) : load<u32>(frame, FRAME_HINT_HASH);
}

/** enum xdp_rss_hash_type. */
export function frame_rx_hash_type(frame: usize): u32 {
  return is_stored(frame, HINT_HASH) ? load<u32>(frame, FRAME_RX_HASH_TYPE) : load<u32>(frame, FRAME_HINT_HASH_TYPE);
}

/** In ns. */
export function frame_rx_timestamp(frame: usize): u64 {
  return is_stored(frame, HINT_TIMESTAMP) ? load<u64>(frame, FRAME_RX_TIMESTAMP) : load<u64>(frame, FRAME_HINT_TIMESTAMP);
}

/** Protocol as on the wire, and tag << 16. */
export function frame_rx_vlan(frame: usize): u32 {
  return is_stored(frame, HINT_VLAN) ? load<u32>(frame, FRAME_RX_VLAN) : load<u32>(frame, FRAME_HINT_VLAN);
}

export function frame_store_hash(frame: usize, hash: u32, type: u32): void {
  store<u32>(frame, hash, FRAME_RX_HASH);
  store<u32>(frame, type, FRAME_RX_HASH_TYPE);
  mark_stored(frame, HINT_HASH);
}

export function frame_store_timestamp(frame: usize, timestamp: u64): void {
  store<u64>(frame, timestamp, FRAME_RX_TIMESTAMP);
  mark_stored(frame, HINT_TIMESTAMP);
}

export function frame_store_vlan(frame: usize, vlan: u32): void {
  store<u32>(frame, vlan, FRAME_RX_VLAN);
  mark_stored(frame, HINT_VLAN);
}

/** Takes back what programs stored; false: they stored nothing. */
export function frame_unstore(frame: usize, hint: u32): bool {
  if (!is_stored(frame, hint)) return false;
  store<u32>(frame, load<u32>(frame, FRAME_HINTS) & ~(hint << STORED_SHIFT), FRAME_HINTS);
  return true;
}
