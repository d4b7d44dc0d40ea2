// The system's keys (2^63 + n): values that a frame or an sk_buff has in fields of its own, read and written as traits. -EOPNOTSUPP where packets of this kind do not have the
// value, or programs may not write it; -EINVAL for a key of the range without a name.
import { EINVAL, ENOENT, ENOSPC, EOPNOTSUPP } from '../errno';
import { FRAME_INGRESS_IFINDEX, FRAME_PACKET_ID, FRAME_TIMESTAMP, HINT_HASH, HINT_TIMESTAMP, HINT_VLAN } from '../../layout/frame';
import {
  SKB_HASH, SKB_HASH_VALID, SKB_HWTSTAMP, SKB_INGRESS_IFINDEX, SKB_IP_SUMMED, SKB_MARK, SKB_PACKET_ID, SKB_TSTAMP, SKB_VLAN_PRESENT,
  SKB_VLAN_PROTO, SKB_VLAN_TCI,
} from '../../layout/skb';
import {
  KNOWN_COUNT, KNOWN_CSUM, KNOWN_IFINDEX, KNOWN_MARK, KNOWN_PACKET_ID, KNOWN_RX_HASH, KNOWN_RX_HASH_TYPE, KNOWN_RX_TIMESTAMP, KNOWN_VLAN,
} from '../../layout/trait';
import {
  frame_rx_hash, frame_rx_hash_type, frame_rx_known, frame_rx_timestamp, frame_rx_vlan, frame_store_hash, frame_store_timestamp, frame_store_vlan,
  frame_unstore,
} from './fixed';

// @ts-ignore: decorator
@inline
export function is_known(key: u64): bool {
  return <i64>key < 0;
}

// @ts-ignore: decorator
@inline
export function known_index(key: u64): u32 {
  return <u32>key;
}

/** The range's number, KNOWN_COUNT for a key without a name. */
// @ts-ignore: decorator
@inline
function index_of(key: u64): u32 {
  const n = key & 0x7fff_ffff_ffff_ffff;
  return n < <u64>KNOWN_COUNT ? <u32>n : KNOWN_COUNT;
}

function size_of_known(n: u32): u32 {
  return n == KNOWN_RX_TIMESTAMP || n == KNOWN_PACKET_ID ? 8 : 4;
}

/** A number as the program's buffer of `size` bytes has it. */
function give(n: u32, value: u64, to: usize, size: u32): i64 {
  const length = size_of_known(n);
  if (size < length) return ENOSPC;
  if (length == 8) store<u64>(to, value);
  else store<u32>(to, <u32>value);
  return <i64>length;
}

function take(n: u32, from: usize): u64 {
  return size_of_known(n) == 8 ? load<u64>(from) : <u64>load<u32>(from);
}

/** HINT_* bit of the value in the fixed form (fixed.ts), 0: it is not there. */
function hint_of(n: u32): u32 {
  if (n == KNOWN_RX_HASH || n == KNOWN_RX_HASH_TYPE) return HINT_HASH;
  return n == KNOWN_RX_TIMESTAMP ? HINT_TIMESTAMP : n == KNOWN_VLAN ? HINT_VLAN : 0;
}

function frame_has(frame: usize, n: u32): i64 {
  if (n == KNOWN_MARK || n == KNOWN_CSUM) return EOPNOTSUPP;
  if (n == KNOWN_COUNT) return EINVAL;
  if (n == KNOWN_IFINDEX) return 1;
  if (n == KNOWN_PACKET_ID) return load<u64>(frame, FRAME_PACKET_ID) != 0 ? 1 : 0;
  if ((frame_rx_known(frame) & hint_of(n)) != 0) return 1;
  return n == KNOWN_RX_TIMESTAMP && load<u64>(frame, FRAME_TIMESTAMP) != 0 ? 1 : 0;
}

function frame_value(frame: usize, n: u32): u64 {
  if (n == KNOWN_RX_HASH) return <u64>frame_rx_hash(frame);
  if (n == KNOWN_RX_HASH_TYPE) return <u64>frame_rx_hash_type(frame);
  if (n == KNOWN_VLAN) return <u64>frame_rx_vlan(frame);
  if (n == KNOWN_IFINDEX) return <u64>load<u32>(frame, FRAME_INGRESS_IFINDEX);
  if (n == KNOWN_PACKET_ID) return load<u64>(frame, FRAME_PACKET_ID);
  return (frame_rx_known(frame) & HINT_TIMESTAMP) != 0 ? frame_rx_timestamp(frame) : load<u64>(frame, FRAME_TIMESTAMP);
}

export function frame_known_get(frame: usize, key: u64, to: usize, size: u32): i64 {
  const n = index_of(key);
  const has = frame_has(frame, n);
  return has < 0 ? has : has == 0 ? ENOENT : give(n, frame_value(frame, n), to, size);
}

export function frame_known_is_set(frame: usize, key: u64): i64 {
  return frame_has(frame, index_of(key));
}

/** What setting the value would be refused with, 0: nothing. */
export function frame_known_refuses(frame: usize, key: u64, size: u32): i64 {
  const n = index_of(key);
  if (n == KNOWN_COUNT) return EINVAL;
  if (n == KNOWN_MARK || n == KNOWN_CSUM || n == KNOWN_IFINDEX) return EOPNOTSUPP;
  if (size != size_of_known(n)) return EINVAL;
  // A type is one of a hash.
  return n == KNOWN_RX_HASH_TYPE && frame_has(frame, n) == 0 ? ENOENT : 0;
}

export function frame_known_set(frame: usize, key: u64, from: usize, size: u32): i64 {
  const refused = frame_known_refuses(frame, key, size);
  if (refused != 0) return refused;
  const n = index_of(key);
  const value = take(n, from);
  if (n == KNOWN_PACKET_ID) {
    store<u64>(frame, value, FRAME_PACKET_ID);
    return 0;
  }
  if (n == KNOWN_RX_HASH) frame_store_hash(frame, <u32>value, frame_has(frame, n) != 0 ? frame_rx_hash_type(frame) : 0);
  else if (n == KNOWN_RX_HASH_TYPE) frame_store_hash(frame, frame_rx_hash(frame), <u32>value);
  else if (n == KNOWN_VLAN) frame_store_vlan(frame, <u32>value);
  else frame_store_timestamp(frame, value);
  return 0;
}

/** Takes back what programs stored, a hash with its type; what the driver says remains (-EOPNOTSUPP if there is nothing else). */
export function frame_known_del(frame: usize, key: u64): i64 {
  const n = index_of(key);
  if (n == KNOWN_IFINDEX || n == KNOWN_RX_HASH_TYPE) return EOPNOTSUPP;
  const has = frame_has(frame, n);
  if (has <= 0) return has < 0 ? has : ENOENT;
  if (n == KNOWN_PACKET_ID) {
    store<u64>(frame, 0, FRAME_PACKET_ID);
    return 0;
  }
  return frame_unstore(frame, hint_of(n)) ? 0 : EOPNOTSUPP;
}

function skb_has(skb: usize, n: u32): i64 {
  if (n == KNOWN_COUNT) return EINVAL;
  if (n == KNOWN_RX_HASH_TYPE) return EOPNOTSUPP;
  if (n == KNOWN_RX_HASH) return <i64>load<u32>(skb, SKB_HASH_VALID);
  if (n == KNOWN_RX_TIMESTAMP) return (load<u64>(skb, SKB_HWTSTAMP) | load<u64>(skb, SKB_TSTAMP)) != 0 ? 1 : 0;
  if (n == KNOWN_VLAN) return load<u32>(skb, SKB_VLAN_PRESENT) != 0 ? 1 : 0;
  if (n == KNOWN_PACKET_ID) return load<u64>(skb, SKB_PACKET_ID) != 0 ? 1 : 0;
  if (n == KNOWN_IFINDEX) return load<u32>(skb, SKB_INGRESS_IFINDEX) != 0 ? 1 : 0;
  return 1;
}

function skb_value(skb: usize, n: u32): u64 {
  if (n == KNOWN_RX_HASH) return <u64>load<u32>(skb, SKB_HASH);
  if (n == KNOWN_VLAN) return <u64>((load<u32>(skb, SKB_VLAN_PROTO) & 0xffff) | (load<u32>(skb, SKB_VLAN_TCI) << 16));
  if (n == KNOWN_CSUM) return <u64>load<u32>(skb, SKB_IP_SUMMED);
  if (n == KNOWN_MARK) return <u64>load<u32>(skb, SKB_MARK);
  if (n == KNOWN_IFINDEX) return <u64>load<u32>(skb, SKB_INGRESS_IFINDEX);
  if (n == KNOWN_PACKET_ID) return load<u64>(skb, SKB_PACKET_ID);
  const hardware = load<u64>(skb, SKB_HWTSTAMP);
  return hardware != 0 ? hardware : load<u64>(skb, SKB_TSTAMP);
}

export function skb_known_get(skb: usize, key: u64, to: usize, size: u32): i64 {
  const n = index_of(key);
  const has = skb_has(skb, n);
  return has < 0 ? has : has == 0 ? ENOENT : give(n, skb_value(skb, n), to, size);
}

export function skb_known_is_set(skb: usize, key: u64): i64 {
  return skb_has(skb, index_of(key));
}

export function skb_known_refuses(key: u64, size: u32): i64 {
  const n = index_of(key);
  if (n == KNOWN_COUNT) return EINVAL;
  if (n == KNOWN_RX_HASH || n == KNOWN_RX_TIMESTAMP || n == KNOWN_MARK || n == KNOWN_PACKET_ID)
    return size != size_of_known(n) ? EINVAL : 0;
  return EOPNOTSUPP;
}

export function skb_known_set(skb: usize, key: u64, from: usize, size: u32): i64 {
  const refused = skb_known_refuses(key, size);
  if (refused != 0) return refused;
  const n = index_of(key);
  const value = take(n, from);
  if (n == KNOWN_MARK) store<u32>(skb, <u32>value, SKB_MARK);
  else if (n == KNOWN_PACKET_ID) store<u64>(skb, value, SKB_PACKET_ID);
  else if (n == KNOWN_RX_TIMESTAMP) store<u64>(skb, value, SKB_HWTSTAMP);
  else {
    store<u32>(skb, <u32>value, SKB_HASH);
    store<u32>(skb, 1, SKB_HASH_VALID);
  }
  return 0;
}

export function skb_known_del(skb: usize, key: u64): i64 {
  const n = index_of(key);
  const refused = skb_known_refuses(key, size_of_known(n));
  if (refused != 0) return refused;
  if (skb_has(skb, n) == 0) return ENOENT;
  if (n == KNOWN_MARK) store<u32>(skb, 0, SKB_MARK);
  else if (n == KNOWN_PACKET_ID) store<u64>(skb, 0, SKB_PACKET_ID);
  else if (n == KNOWN_RX_TIMESTAMP) {
    if (load<u64>(skb, SKB_HWTSTAMP) == 0) return EOPNOTSUPP;
    store<u64>(skb, 0, SKB_HWTSTAMP);
  } else {
    store<u32>(skb, 0, SKB_HASH);
    store<u32>(skb, 0, SKB_HASH_VALID);
  }
  return 0;
}
