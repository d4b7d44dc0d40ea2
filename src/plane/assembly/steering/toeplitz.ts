// steering: queues for packets, and the hash that says which. What runs for each packet; blocks are laid out in layout/steering.ts.
// This file: the Toeplitz hash by a table of the key: for each byte of input 256 words, what that byte adds. By linearity the hash is the XOR of one word a byte.
import { RSS_INPUT, RSS_KEY, RSS_KEY_LENGTH, RSS_KEY_TABLE, RSS_KEY_TABLE_STRIDE } from '../../layout/steering';

/** Fills the table of a configuration's key, as long as the key reaches. */
export function rss_key_table(configuration: usize): void {
  const length = load<u32>(configuration, RSS_KEY_LENGTH);
  const inputs: u32 = length > 4 ? length - 4 : 0;
  store<u32>(configuration, inputs, RSS_INPUT);
  let table = <usize>load<u32>(configuration, RSS_KEY_TABLE);
  for (let i: u32 = 0; i < inputs; i++) {
    // The window of the highest bit of the byte, and the eight bits that come into it.
    const key = configuration + RSS_KEY + i;
    let window = bswap<u32>(load<u32>(key));
    const next = <u32>load<u8>(key, 4);
    store<u32>(table, 0);
    for (let bit: i32 = 7; bit >= 0; bit--) {
      store<u32>(table + (<usize>1 << (bit + 2)), window);
      window = (window << 1) | ((next >> bit) & 1);
    }
    for (let byte: usize = 3; byte < 256; byte++) {
      const rest = byte & (byte - 1);
      if (rest == 0) continue;
      store<u32>(table + (byte << 2), load<u32>(table + (rest << 2)) ^ load<u32>(table + ((byte ^ rest) << 2)));
    }
    table += RSS_KEY_TABLE_STRIDE;
  }
}

// What 4 bytes of input add, `table` being that of the first of them.

@inline export function fold4(table: usize, from: usize): u32 {
  return (
    load<u32>(table + (<usize>load<u8>(from, 0) << 2), 0) ^
    load<u32>(table + (<usize>load<u8>(from, 1) << 2), 1024) ^
    load<u32>(table + (<usize>load<u8>(from, 2) << 2), 2048) ^
    load<u32>(table + (<usize>load<u8>(from, 3) << 2), 3072)
  );
}

/** What 8 bytes add. */
@inline export function fold8(table: usize, from: usize): u32 {
  return fold4(table, from) ^ fold4(table + 4 * RSS_KEY_TABLE_STRIDE, from + 4);
}

/**
 * `hash`, and what so many bytes add to it, a multiple of 4. A loop, so that each word is added up before the next is looked up: of one long expression V8 looks everything up first, and
 * has no registers for it (36 bytes: 16.8 ns, against 11.9). It ends by the table, whose end is the same for all packets: 0.3 ns less than by the input.
 */
@inline export function foldWords(table: usize, from: usize, bytes: usize, hash: u32): u32 {
  const behind = table + bytes * RSS_KEY_TABLE_STRIDE;
  do {
    hash ^= fold4(table, from);
    from += 4;
    table += 4 * RSS_KEY_TABLE_STRIDE;
  } while (table < behind);
  return hash;
}

/** Hash of `length` bytes, at most RSS_INPUT of the configuration. */
export function rss_toeplitz(configuration: usize, from: usize, length: u32): u32 {
  let table = <usize>load<u32>(configuration, RSS_KEY_TABLE);
  let hash: u32 = 0;
  const end = from + length;
  for (; from + 4 <= end; from += 4) {
    hash ^= fold4(table, from);
    table += 4 * RSS_KEY_TABLE_STRIDE;
  }
  for (; from < end; from++) {
    hash ^= load<u32>(table + (<usize>load<u8>(from) << 2));
    table += RSS_KEY_TABLE_STRIDE;
  }
  return hash;
}

/** XOR of the hashes of `count` inputs of 36 bytes, taken in turn from 64 that lie 64 bytes apart (the benchmark's). */
export function rss_toeplitz36(configuration: usize, inputs: usize, count: u32): u32 {
  const table = <usize>load<u32>(configuration, RSS_KEY_TABLE);
  let hash: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    hash = foldWords(table, inputs + (<usize>(i & 63) << 6), 36, hash);
  }
  return hash;
}
