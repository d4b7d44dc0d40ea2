/**
 * What a driver tells a virtio-net device about hashing and steering, checked, and in its wire format: class VIRTIO_NET_CTRL_MQ (4), commands RSS_CONFIG (1)
 * and HASH_CONFIG (2). All numbers little-endian.
 */
import { InputError } from '../../errors.ts';
import { HASH_TYPES_ALL, inputBytes, TUNNEL_TYPES_ALL } from './hash-types.ts';
import { TOEPLITZ_WINDOW } from './toeplitz.ts';

/** What a device can do; the specification asks for at least 40 and 128. */
export interface RssLimits {
  /** `rss_max_key_size` in bytes, at most 255. */
  readonly keyBytes: number;
  /** `rss_max_indirection_table_length` in entries, at most 32768. */
  readonly tableEntries: number;
  readonly hashTypes: number;
  readonly tunnelTypes: number;
}

export const defaultRssLimits: RssLimits = {
  keyBytes: 255,
  tableEntries: 32768,
  hashTypes: HASH_TYPES_ALL,
  tunnelTypes: TUNNEL_TYPES_ALL,
};

export interface RssConfiguration {
  /** Bits of hashType. */
  readonly hashTypes: number;
  /** Bits of tunnelType; default 0. Has a command of its own on the wire. */
  readonly tunnelTypes?: number;
  /** Queues, counted from 0 (receiveq1); a power of two of them. queue = table[hash & (table.length - 1)]. */
  readonly table: readonly number[];
  /** Queue of packets without a hash. */
  readonly unclassifiedQueue: number;
  /** 4 bytes more than the longest input of the types; 40 serve all. */
  readonly key: Uint8Array;
  /**
   * Automatic steering: a flow that was sent within the last 3 s is received on the queue that it was last sent on. Others go by the table, those without a reported hash
   * by the hash over all types under `verificationKey`; `unclassifiedQueue` is for what is neither IPv4 nor IPv6.
   */
  readonly automatic?: boolean;
}

/** Hashes that are reported, and do not steer. */
export interface HashConfiguration {
  readonly hashTypes: number;
  readonly tunnelTypes?: number;
  readonly key: Uint8Array;
}

/** Key of Microsoft's RSS verification suite: what most drivers start with, and of all published vectors. */
export const verificationKey: Uint8Array = Uint8Array.from(
  '6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa'.match(/../g)!,
  (byte) => Number.parseInt(byte, 16),
);

function refuse(text: string): never {
  throw new InputError('SLUICE_RSS_CONFIGURATION', text);
}

/** Throws InputError `SLUICE_RSS_CONFIGURATION`. */
export function checkHashConfiguration(given: HashConfiguration, limits: RssLimits = defaultRssLimits): void {
  const unknown = (given.hashTypes & ~limits.hashTypes) >>> 0;
  if (unknown !== 0) refuse(`hash types 0x${unknown.toString(16)} are not supported`);
  const tunnels = ((given.tunnelTypes ?? 0) & ~limits.tunnelTypes) >>> 0;
  if (tunnels !== 0) refuse(`tunnel types 0x${tunnels.toString(16)} are not supported`);
  if (given.key.length > limits.keyBytes) refuse(`a key of ${given.key.length} bytes: at most ${limits.keyBytes}`);
  const input = inputBytes(given.hashTypes);
  if (input > 0 && given.key.length < input + TOEPLITZ_WINDOW)
    refuse(`a key of ${given.key.length} bytes: the hash types need ${input + TOEPLITZ_WINDOW}`);
}

/** Throws InputError `SLUICE_RSS_CONFIGURATION`. Whether the queues exist is the device's to say. */
export function checkConfiguration(given: RssConfiguration, limits: RssLimits = defaultRssLimits): void {
  checkHashConfiguration(given, limits);
  const { length } = given.table;
  if (length < 1 || length > limits.tableEntries || (length & (length - 1)) !== 0)
    refuse(`an indirection table of ${length} entries: must be a power of two, at most ${limits.tableEntries}`);
  for (const queue of [...given.table, given.unclassifiedQueue])
    if (!Number.isInteger(queue) || queue < 0 || queue > 0x7fff) refuse(`queue ${queue}: must be from 0 to 32767`);
}

/** struct virtio_net_rss_config. `maxTxQueues`: max_tx_vq, of which steering knows nothing. */
export function encodeRssConfig(given: RssConfiguration, maxTxQueues = 1): Uint8Array<ArrayBuffer> {
  checkConfiguration(given);
  const table = given.table.length * 2;
  const bytes = new Uint8Array(8 + table + 3 + given.key.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, given.hashTypes, true);
  view.setUint16(4, given.table.length - 1, true);
  view.setUint16(6, given.unclassifiedQueue, true);
  for (const [index, queue] of given.table.entries()) view.setUint16(8 + index * 2, queue, true);
  view.setUint16(8 + table, maxTxQueues, true);
  bytes[10 + table] = given.key.length;
  bytes.set(given.key, 11 + table);
  return bytes;
}

/** Also gives `max_tx_vq`. Bytes behind are ignored, as devices do. Throws InputError `SLUICE_RSS_CONFIGURATION` for what is cut or not valid. */
export function decodeRssConfig(
  bytes: Uint8Array,
  limits: RssLimits = defaultRssLimits,
): { readonly configuration: RssConfiguration; readonly maxTxQueues: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8) refuse(`struct virtio_net_rss_config of ${bytes.length} bytes is cut`);
  const entries = view.getUint16(4, true) + 1;
  const behind = 8 + entries * 2;
  if (bytes.length < behind + 3)
    refuse(`struct virtio_net_rss_config of ${bytes.length} bytes is cut: its table has ${entries} entries`);
  const configuration = {
    hashTypes: view.getUint32(0, true),
    unclassifiedQueue: view.getUint16(6, true),
    table: Array.from({ length: entries }, (_, index) => view.getUint16(8 + index * 2, true)),
    key: keyAt(bytes, behind + 2),
  };
  checkConfiguration(configuration, limits);
  return { configuration, maxTxQueues: view.getUint16(behind, true) };
}

/** struct virtio_net_hash_config. */
export function encodeHashConfig(given: HashConfiguration): Uint8Array<ArrayBuffer> {
  checkHashConfiguration(given);
  const bytes = new Uint8Array(13 + given.key.length);
  new DataView(bytes.buffer).setUint32(0, given.hashTypes, true);
  bytes[12] = given.key.length;
  bytes.set(given.key, 13);
  return bytes;
}

/** Reserved fields must be zero. Throws InputError `SLUICE_RSS_CONFIGURATION`. */
export function decodeHashConfig(bytes: Uint8Array, limits: RssLimits = defaultRssLimits): HashConfiguration {
  if (bytes.length < 13) refuse(`struct virtio_net_hash_config of ${bytes.length} bytes is cut`);
  if (bytes.subarray(4, 12).some((byte) => byte !== 0))
    refuse('reserved fields of struct virtio_net_hash_config must be zero');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const configuration = { hashTypes: view.getUint32(0, true), key: keyAt(bytes, 12) };
  checkHashConfiguration(configuration, limits);
  return configuration;
}

/** u8 length, then the key; a copy. */
function keyAt(bytes: Uint8Array, at: number): Uint8Array {
  const length = bytes[at]!;
  if (bytes.length < at + 1 + length) refuse(`a key of ${length} bytes is cut after ${bytes.length - at - 1}`);
  return bytes.slice(at + 1, at + 1 + length);
}
