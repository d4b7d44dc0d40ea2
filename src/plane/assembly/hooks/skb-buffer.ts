// The buffer of an sk_buff and its edges, as the helpers move them. Facts from net/core/skbuff.c. Not exported from the module.
import {
  KMALLOC_MAX, SKB_CSUM_LEVEL, SKB_DATA, SKB_DATA_END, SKB_DATA_META, SKB_END, SKB_HASH, SKB_HASH_VALID, SKB_HEAD, SKB_IP_SUMMED, SKB_LEN,
  SKB_LINUX_END, SKB_LINUX_HEADROOM, SKB_MAC_HEADER, SKB_NETWORK_HEADER, SKB_PAD, SKB_SHARED_INFO, SKB_SMALL_HEAD, SKB_TRANSPORT_HEADER,
} from '../../layout/skb';

/** Big-endian, as SKB_PROTOCOL holds them. */
export const ETH_P_IP: u32 = 0x0008;
export const ETH_P_IPV6: u32 = 0xdd86;
export const ETH_P_8021Q: u32 = 0x0081;
export const ETH_P_8021AD: u32 = 0xa888;

export const CHECKSUM_NONE: u32 = 0;
export const CHECKSUM_UNNECESSARY: u32 = 1;

@inline export function isVlan(protocol: u32): bool {
  return protocol == ETH_P_8021Q || protocol == ETH_P_8021AD;
}

@inline export function skbData(skb: usize): usize {
  return <usize>load<u32>(skb, SKB_DATA);
}

@inline export function skbLength(skb: usize): u32 {
  return load<u32>(skb, SKB_LEN);
}

/** Offset of the network header from the data; negative where the program sees less than the link header. */
@inline export function networkOffset(skb: usize): i32 {
  return <i32>(load<u32>(skb, SKB_NETWORK_HEADER) - load<u32>(skb, SKB_DATA));
}

@inline export function macHeaderLength(skb: usize): u32 {
  return load<u32>(skb, SKB_NETWORK_HEADER) - load<u32>(skb, SKB_MAC_HEADER);
}

/**
 * Moves the data pointer by `distance` (down: room in front) and what depends on it. As in Linux up to 6.18 only the length of the metadata in front is known: what lies there
 * afterwards is not what was put there (skb_metadata_len, include/linux/skbuff.h). A buffer that is made anew has none.
 */
export function moveData(skb: usize, distance: i32): void {
  const data = <u32>(<i32>load<u32>(skb, SKB_DATA) + distance);
  store<u32>(skb, <u32>(<i32>load<u32>(skb, SKB_DATA_META) + distance), SKB_DATA_META);
  store<u32>(skb, data, SKB_DATA);
  store<u32>(skb, load<u32>(skb, SKB_LEN) - <u32>distance, SKB_LEN);
  store<u32>(skb, load<u32>(skb, SKB_LINUX_HEADROOM) + <u32>distance, SKB_LINUX_HEADROOM);
}

export function setEnd(skb: usize, length: u32): void {
  store<u32>(skb, length, SKB_LEN);
  store<u32>(skb, load<u32>(skb, SKB_DATA) + length, SKB_DATA_END);
}

@inline function slide(skb: usize, distance: i32, field: usize): void {
  const at = load<u32>(skb + field);
  if (at != 0) store<u32>(skb + field, <u32>(<i32>at + distance));
}

// pskb_expand_head: `head` and `tail` bytes more than the buffer has now, and no metadata in front any more. False: more than the allocator gives.
function expandInLinux(skb: usize, head: u32, tail: u32): bool {
  let size = ((load<u32>(skb, SKB_LINUX_END) + head + tail + SKB_PAD - 1) & ~(SKB_PAD - 1)) + SKB_SHARED_INFO;
  if (size <= <u32>SKB_SMALL_HEAD) size = SKB_SMALL_HEAD;
  else size = <u32>1 << (32 - clz<u32>(size - 1));
  if (size > <u32>KMALLOC_MAX) return false;
  store<u32>(skb, size - SKB_SHARED_INFO, SKB_LINUX_END);
  store<u32>(skb, load<u32>(skb, SKB_DATA), SKB_DATA_META);
  return true;
}

// skb_cow where the headroom does not suffice: 0xffff, the transport header that was not set, moves up like the others.
function growLinuxHeadroom(skb: usize, head: u32): bool {
  const headroom = load<u32>(skb, SKB_LINUX_HEADROOM);
  if (head <= headroom) return true;
  const more = (head - headroom + SKB_PAD - 1) & ~(SKB_PAD - 1);
  if (!expandInLinux(skb, more, 0)) return false;
  store<u32>(skb, headroom + more, SKB_LINUX_HEADROOM);
  if (load<u32>(skb, SKB_TRANSPORT_HEADER) == 0) store<u32>(skb, load<u32>(skb, SKB_DATA) - headroom - 1, SKB_TRANSPORT_HEADER);
  return true;
}

/** Whether Linux's buffer has room for the link header that a test run puts back, made in steps of HH_DATA_MOD (16). */
export function roomForLinkHeader(skb: usize): bool {
  const headroom = load<u32>(skb, SKB_LINUX_HEADROOM);
  return headroom >= 14 || expandInLinux(skb, (14 - headroom + 15) & ~15, 0);
}

// __skb_grow.
function growLinuxTailroom(skb: usize, tail: u32): bool {
  const used = load<u32>(skb, SKB_LINUX_HEADROOM) + load<u32>(skb, SKB_LEN);
  const tailroom = load<u32>(skb, SKB_LINUX_END) - used;
  return tail <= tailroom || expandInLinux(skb, 0, tail - tailroom);
}

/** Makes room for `head` bytes before the data and `tail` after its end: moves the packet in its buffer. False: none left (ENOMEM). */
export function makeRoom(skb: usize, head: u32, tail: u32): bool {
  if (!growLinuxHeadroom(skb, head) || (tail != 0 && !growLinuxTailroom(skb, tail))) return false;
  const low = <u32>min<u32>(load<u32>(skb, SKB_DATA_META), min<u32>(load<u32>(skb, SKB_DATA), load<u32>(skb, SKB_MAC_HEADER)));
  const high = load<u32>(skb, SKB_DATA_END);
  const first = load<u32>(skb, SKB_HEAD);
  const last = load<u32>(skb, SKB_END);
  const spare = (last - first) - (high - low);
  if (head > spare || tail > spare - head) return false;
  if (low - first >= head && last - high >= tail) return true;
  // Half of what remains goes to the front, so that the next helper need not move again.
  const to = first + head + ((spare - head - tail) >> 1);
  memory.copy(<usize>to, <usize>low, <usize>(high - low));
  const distance = <i32>to - <i32>low;
  slide(skb, distance, SKB_DATA);
  slide(skb, distance, SKB_DATA_META);
  slide(skb, distance, SKB_DATA_END);
  slide(skb, distance, SKB_MAC_HEADER);
  slide(skb, distance, SKB_NETWORK_HEADER);
  slide(skb, distance, SKB_TRANSPORT_HEADER);
  return true;
}

export function clearHash(skb: usize): void {
  store<u32>(skb, 0, SKB_HASH);
  store<u32>(skb, 0, SKB_HASH_VALID);
}

export function resetChecksum(skb: usize): void {
  if (load<u32>(skb, SKB_IP_SUMMED) != CHECKSUM_UNNECESSARY) return;
  store<u32>(skb, CHECKSUM_NONE, SKB_IP_SUMMED);
  store<u32>(skb, 0, SKB_CSUM_LEVEL);
}
