/**
 * A pinned map as bytes: what the user-space target keeps in a file. Layout: the 8 bytes `SLUICEMP`, u32 version (1), u32 length of a JSON header
 * (both little-endian), the header, then its `count` elements: key and value as bpf(2) gives them (values of per-CPU types of all CPUs).
 *
 * Queues and stacks have values alone, oldest first; a bloom filter its seed (u64) and its bits. Types whose elements are objects of a process
 * (programs, maps, sockets, storage) and rings have no elements in a file.
 */
import { type MapTypeName, mapTypes } from '../../abi/map-types.ts';
import { InputError } from '../../errors.ts';
import { MAP_FROZEN, MAP_VALUES } from '../../plane/layout/map.ts';
import { BLOOM_MASK, BLOOM_SEED } from '../../plane/layout/map-queue.ts';
import { perCpuTypes } from '../typed-map.ts';
import { rawEntries } from './entries.ts';
import type { MapAttributes, PlaneMap } from './plane-map.ts';

const MAGIC = new TextEncoder().encode('SLUICEMP');
const VERSION = 1;
const HEADER_AT = 16;

/** Types whose elements go into a file by key and value. */
const byKey: ReadonlySet<MapTypeName> = new Set([
  'array',
  'cpumap',
  'devmap',
  'devmap_hash',
  'hash',
  'lpm_trie',
  'lru_hash',
  'lru_percpu_hash',
  'percpu_array',
  'percpu_hash',
]);

export interface StoredMap {
  readonly attributes: Required<Omit<MapAttributes, 'prototype' | 'spinLock'>>;
  /** Puts the elements into an empty map of these attributes. Throws InputError if values are of more CPUs than there are here. */
  fill(map: PlaneMap): void;
}

interface Header {
  readonly name: string;
  readonly type: MapTypeName;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly mapExtra: string;
  readonly frozen: boolean;
  readonly count: number;
  /** Bytes of an element's value in this file. */
  readonly elementSize: number;
}

export function mapToFile(map: PlaneMap): Uint8Array {
  const { name, type, keySize, valueSize, maxEntries, flags, mapExtra } = map.attributes;
  const parts = elementsOf(map);
  const elementSize = type === 'bloom_filter' ? (parts[0]?.length ?? 0) : map.elementSize;
  const header: Header = {
    name: name ?? type,
    type,
    keySize,
    valueSize,
    maxEntries,
    flags: flags ?? 0,
    mapExtra: String(mapExtra ?? 0n),
    frozen: map.plane.view().getUint32(map.address + MAP_FROZEN, true) === 1,
    count: byKey.has(type) ? parts.length / 2 : parts.length,
    elementSize,
  };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = parts.reduce((sum, part) => sum + part.length, HEADER_AT + text.length);
  const bytes = new Uint8Array(length);
  bytes.set(MAGIC);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, VERSION, true);
  view.setUint32(12, text.length, true);
  bytes.set(text, HEADER_AT);
  let at = HEADER_AT + text.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function elementsOf(map: PlaneMap): readonly Uint8Array[] {
  if (byKey.has(map.type)) return [...rawEntries(map)].flat();
  if (map.type === 'bloom_filter') return [bloomBytes(map)];
  if (map.type !== 'queue' && map.type !== 'stack') return [];
  const values: Uint8Array[] = [];
  for (let value = map.take(); value !== undefined; value = map.take()) values.push(value);
  if (map.type === 'stack') values.reverse();
  for (const value of values) map.update(new Uint8Array(0), value);
  return values;
}

/** Seed and bits. */
function bloomBytes(map: PlaneMap): Uint8Array {
  const { at, length } = bloomBits(map);
  const bytes = new Uint8Array(8 + length);
  bytes.set(map.plane.bytes().subarray(map.address + BLOOM_SEED, map.address + BLOOM_SEED + 8));
  bytes.set(map.plane.bytes().subarray(at, at + length), 8);
  return bytes;
}

function bloomBits(map: PlaneMap): { readonly at: number; readonly length: number } {
  const view = map.plane.view();
  const mask = view.getUint32(map.address + BLOOM_MASK, true);
  return { at: view.getUint32(map.address + MAP_VALUES, true), length: (mask + 1) / 8 };
}

/** Throws InputError `SLUICE_MAP_PIN_FILE` for bytes that are none of `mapToFile`. */
export function mapFromFile(bytes: Uint8Array, path: string): StoredMap {
  const bad = (problem: string) => new InputError('SLUICE_MAP_PIN_FILE', problem, { input: path });
  if (bytes.length < HEADER_AT || MAGIC.some((byte, i) => bytes[i] !== byte)) throw bad('not a pinned map of Sluice');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = view.getUint32(8, true);
  if (version !== VERSION) throw bad(`version ${version} of pinned maps is not known here`);
  const at = HEADER_AT + view.getUint32(12, true);
  if (at > bytes.length) throw bad('the file is cut off');
  const header = parseHeader(new TextDecoder().decode(bytes.subarray(HEADER_AT, at)));
  if (header === undefined) throw bad('its header is damaged');
  const { name, type, keySize, valueSize, maxEntries, flags, elementSize, count } = header;
  const keyBytes = byKey.has(type) ? keySize : 0;
  if (bytes.length !== at + count * (keyBytes + elementSize)) throw bad('the file is cut off');
  return {
    attributes: { name, type, keySize, valueSize, maxEntries, flags, mapExtra: BigInt(header.mapExtra) },
    fill(map) {
      if (elementSize > map.elementSize && type !== 'bloom_filter')
        throw bad(
          `its values are of more CPUs than this runtime has; load with { cpus: ${elementSize / ((valueSize + 7) & ~7)} }`,
        );
      for (let i = 0, from = at; i < count; i++, from += keyBytes + elementSize)
        put(map, bytes.subarray(from, from + keyBytes), bytes.subarray(from + keyBytes, from + keyBytes + elementSize));
      if (header.frozen) map.freeze();
    },
  };
}

function put(map: PlaneMap, key: Uint8Array, stored: Uint8Array): void {
  if (map.type === 'bloom_filter') {
    const { at, length } = bloomBits(map);
    map.plane.bytes().set(stored.subarray(0, 8), map.address + BLOOM_SEED);
    map.plane.bytes().set(stored.subarray(8, 8 + length), at);
    return;
  }
  // CPUs that the file does not know start with zeros.
  let value = stored;
  if (perCpuTypes.has(map.type)) {
    value = new Uint8Array(map.elementSize);
    value.set(stored);
  }
  // Programs of another process are not here.
  if (map.type === 'devmap' || map.type === 'devmap_hash' || map.type === 'cpumap') value = value.slice().fill(0, 4);
  // An empty place of an array of targets.
  if ((map.type === 'devmap' || map.type === 'cpumap') && value.subarray(0, 4).every((byte) => byte === 0)) return;
  map.update(key, value);
}

function parseHeader(text: string): Header | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof json !== 'object' || json === null) return undefined;
  const fields = json as Readonly<Record<string, unknown>>; // each is checked here
  const numbers = ['keySize', 'valueSize', 'maxEntries', 'flags', 'count', 'elementSize'] as const;
  const sound =
    typeof fields['name'] === 'string' &&
    typeof fields['type'] === 'string' &&
    Object.hasOwn(mapTypes, fields['type']) &&
    typeof fields['mapExtra'] === 'string' &&
    /^\d{1,20}$/.test(fields['mapExtra']) &&
    typeof fields['frozen'] === 'boolean' &&
    numbers.every((name) => Number.isSafeInteger(fields[name]) && Number(fields[name]) >= 0);
  return sound ? (json as Header) : undefined; // as checked
}
