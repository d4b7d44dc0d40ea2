/**
 * Traits: values by key (0 to 63) that travel with a packet. An area begins with a header of two or three u64 words, whose bits k say how long the value
 * of key k is; the values follow in the order of their keys, packed, in native byte order (research: RFC "traits: Per packet metadata KV store", 2025).
 */

/** Layouts: sizes that the codes mean. Two words (high at 0, low at 8; code = high << 1 | low) but for the last. */
export const TRAITS_2_4_8 = 0;
export const TRAITS_0_4_8 = 1;
export const TRAITS_4_8_16 = 2;
/** Three words (bits 2, 1, 0 of the code, the highest first): codes 1 to 6 are 0, 1, 2, 4, 8, 16 bytes. */
export const TRAITS_WIDE = 3;
/** Without such a header, for comparison; lengths of TRAITS_WIDE. A list of type, length, value; a struct, whose fields have the same place in all packets (TRAIT_FIELDS). */
export const TRAITS_TLV = 4;
export const TRAITS_STATIC = 5;
/** u16: bytes of entries; u16 0. */
export const TRAITS_TLV_HEADER = 4;
/** u16: bytes of the struct; u16 0; u64: keys that are set. */
export const TRAITS_STATIC_HEADER = 12;
export const TRAITS_STATIC_FIELDS = 4;
/** TRAIT_FIELDS (memory.ts), u32 by key: 0, or offset in the struct << 8, and length + 1; then u32 bytes of all fields. */
export const TRAIT_FIELDS_TOTAL = 256;
export const TRAIT_FIELDS_BYTES = 260;

/** Placements: in front of the headroom, growing up; in the packet's metadata (data_meta to data), growing down; in a block of the frame's own. */
export const TRAITS_FRONT = 0;
export const TRAITS_META = 1;
export const TRAITS_SIDE = 2;

export const TRAIT_KEYS = 64;
/** Keys from here up are the system's: TRAIT_SYSTEM + n is the n-th well-known value. */
export const TRAIT_SYSTEM = 0x8000_0000_0000_0000;

/** Well-known values by n (traits/well-known.ts), and how many there are. */
export const KNOWN_RX_HASH = 0;
export const KNOWN_RX_HASH_TYPE = 1;
export const KNOWN_RX_TIMESTAMP = 2;
export const KNOWN_VLAN = 3;
export const KNOWN_CSUM = 4;
export const KNOWN_MARK = 5;
export const KNOWN_IFINDEX = 6;
export const KNOWN_PACKET_ID = 7;
export const KNOWN_COUNT = 8;

/** Bytes of a block of placement `side`, and of an sk_buff's area. */
export const TRAITS_SIDE_SIZE = 512;

/** One element of a batch: u64 key, u32 bytes, u32 offset of the value in the batch's buffer; then i32 result (get), padding. */
export const TRAIT_ENTRY_KEY = 0;
export const TRAIT_ENTRY_SIZE = 8;
export const TRAIT_ENTRY_OFFSET = 12;
export const TRAIT_ENTRY_RESULT = 16;
export const TRAIT_ENTRY_BYTES = 24;

/** FRAME_TRAITS bits: there is an area; data_meta is a program's own (bpf_xdp_adjust_meta). */
export const TRAITS_PRESENT = 1;
export const TRAITS_META_TAKEN = 2;

/**
 * What becomes of a key's values when two packets become one (GRO): the first packet's, the last one's, their sum, the smaller, the larger, all bits of both; MERGE_EQUAL:
 * packets whose values differ, or of which one has none, do not become one. Numbers are unsigned, little-endian, as long as the value; of a value that only one packet
 * has, that one stays.
 */
export const MERGE_KEEP_FIRST = 0;
export const MERGE_KEEP_LAST = 1;
export const MERGE_SUM = 2;
export const MERGE_MIN = 3;
export const MERGE_MAX = 4;
export const MERGE_OR = 5;
export const MERGE_EQUAL = 6;

/**
 * TRAIT_TABLE (memory.ts): what the runtime's registry says of keys, for the plane; written by control code alone (runtime/trait-table.ts). All zero without a registry: no key is
 * registered. Policies stand at ROOT_TRAIT_POLICIES.
 *
 * u64: keys that are registered (bit k: key k); keys that were and are not (tombstones).
 */
export const TRAIT_TABLE_REGISTERED = 0;
export const TRAIT_TABLE_FREED = 8;
/** u32: the epoch, which is how often a key was freed. A packet's area remembers the epoch that it was made in (FRAME_TRAITS_EPOCH, SKB_TRAITS_EPOCH). */
export const TRAIT_TABLE_EPOCH = 16;
/** u8 by key: length of values in bytes. */
export const TRAIT_TABLE_SIZES = 64;
/** u32 by key: epoch that began when the key was freed last, 0: never. Values of areas of earlier epochs are void. */
export const TRAIT_TABLE_EPOCHS = 128;
export const TRAIT_TABLE_BYTES = 384;
