/**
 * Maps whose elements are maps (array_of_maps, hash_of_maps, perf_event_array): an element is the u32 address of a map header, on which it
 * holds a reference; user space names maps by their ids. What an inner map must be like is kept from the one given at creation.
 */

/** u32 each: type, key size, value size, flags, max_entries and MAP_SPIN_LOCK of the inner map. */
export const INNER_TYPE = 208;
export const INNER_KEY_SIZE = 212;
export const INNER_VALUE_SIZE = 216;
export const INNER_FLAGS = 220;
export const INNER_MAX_ENTRIES = 224;
export const INNER_SPIN_LOCK = 228;
/** u32: record of the inner map's values, held, or 0. */
export const INNER_RECORD = 148;

/** Element of the two array types: u32 map. A perf event array's maps are ring buffers, each of a CPU. */
export const MAP_SLOT_SIZE = 8;
