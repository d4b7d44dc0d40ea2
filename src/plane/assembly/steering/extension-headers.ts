// Extension headers of IPv6: what each protocol number is, and what is looked for in them. Branches are written one by one: conditions that are joined become values in V8, at
// three instructions each.

// 1: hop-by-hop, mobility, HIP, Shim6.
export const EXTENSION_OPTIONS: u32 = 2;
export const EXTENSION_ROUTING: u32 = 3;
/** Its length counts words, and two of them less. */
export const EXTENSION_AUTHENTICATION: u32 = 4;
/** Nothing is looked for behind it. */
export const EXTENSION_FRAGMENT: u32 = 5;

/** By protocol number: 0, 135, 139, 140; 60; 43; 51; 44. */
const KINDS: usize = memory.data<u8>([
  1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 5, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);

export const MAX_EXTENSION_HEADERS: u32 = 11;
const MAX_OPTIONS: u32 = 30;
/** Type 0xc9, of 16 bytes. */
const HOME_ADDRESS: u32 = 0x10c9;
/** Type 2 with one address, between protocol and segments left. */
const ROUTING_TYPE_2: u32 = 0x20200;

/** What extension header a protocol (below 256) is, 0: none whose next one can be found. */
@inline export function extensionOf(protocol: u32): u32 {
  return <u32>load<u8>(KINDS + protocol);
}

/** Bytes of a header of that kind, which lies within the packet with its first two. */
@inline function sizeOf(kind: u32, at: usize): usize {
  const units = <usize>load<u8>(at, 1);
  return 8 + (kind == EXTENSION_AUTHENTICATION ? units << 2 : units << 3);
}

/** Where the header behind the extension headers of IPv6 begins, and its protocol above; 0: it is a fragment, or cut. `at`: a whole IPv6 header. */
export function transportOf(at: usize, end: usize): u64 {
  let protocol = <u32>load<u8>(at, 6);
  at += 40;
  for (let left = MAX_EXTENSION_HEADERS; ; left--) {
    const kind = extensionOf(protocol);
    if (kind == 0) return (<u64>protocol << 32) | <u64>at;
    if (left == 0 || kind == EXTENSION_FRAGMENT || at + 8 > end) return 0;
    const next = at + sizeOf(kind, at);
    if (next > end) return 0;
    protocol = <u32>load<u8>(at);
    at = next;
  }
  return 0;
}

/** Address in the first home address option of [at, to), 0: none. */
@inline export function homeAddress(at: usize, to: usize): usize {
  for (let left = MAX_OPTIONS; left != 0; left--) {
    if (at + 2 > to) break;
    // Type and length.
    const head = <u32>load<u16>(at);
    if (head == HOME_ADDRESS) return at + 18 <= to ? at + 2 : 0;
    at += (head & 0xff) == 0 ? 1 : 2 + <usize>(head >> 8);
  }
  return 0;
}

/** Address in a routing header of type 2 with one, 0: it is another one. */
@inline export function routedAddress(at: usize): usize {
  return (load<u32>(at) & 0xffff00) == ROUTING_TYPE_2 ? at + 8 : 0;
}
