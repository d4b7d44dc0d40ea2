/** Flows that were sent, by queue, in the one memory (plane/layout/steering.ts, FLOWS_*): what automatic steering goes by. */
import { verificationKey } from '../../net/rss/configuration.ts';
import { HASH_TYPES_ALL, hashType } from '../../net/rss/hash-types.ts';
import {
  FLOWS_DISPLACED,
  FLOWS_ENTRIES,
  FLOWS_FOUND,
  FLOWS_HASH,
  FLOWS_HASH_SENT4,
  FLOWS_HASH_SENT6,
  FLOWS_LEARNED,
  FLOWS_QUEUES,
  FLOWS_SIZE,
  RSS_KEY_TABLE,
  RSS_KEY_TABLE_STRIDE,
  RSS_TUNNEL_TYPES,
} from '../../plane/layout/steering.ts';
import type { Runtime } from '../runtime.ts';
import { RssBlock } from './rss-block.ts';

export interface FlowCounters {
  /** Packets whose queue was that which their flow was sent on. */
  readonly found: bigint;
  /** Flows that were put in, and of them those in place of another that was not yet 3 s old. */
  readonly learned: bigint;
  readonly displaced: bigint;
}

const TYPES4 = hashType.ipv4 | hashType.tcpv4 | hashType.udpv4;

export class FlowsBlock {
  readonly address: number;
  readonly #runtime: Runtime;
  /** What a flow is known by: received, sent by IPv4, sent by IPv6. */
  readonly #hashes: readonly RssBlock[];
  #queues = 0;
  #tunnelTypes = 0;

  /** Owned by whoever made it until `free`; empty, and for no queue until `use`. */
  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.address = runtime.allocatePages(FLOWS_SIZE);
    const hash = (hashTypes: number) =>
      new RssBlock(runtime, { hashTypes, table: [0], unclassifiedQueue: 0, key: verificationKey });
    this.#hashes = [hash(HASH_TYPES_ALL), hash(TYPES4), hash(HASH_TYPES_ALL & ~TYPES4)];
    this.#exchange(this.#hashes[1]!, 4);
    this.#exchange(this.#hashes[2]!, 16);
    for (const [i, field] of [FLOWS_HASH, FLOWS_HASH_SENT4, FLOWS_HASH_SENT6].entries())
      this.#set(this.address + field, this.#hashes[i]!.address);
  }

  #set(at: number, value: number): void {
    this.#runtime.view().setUint32(at, value, true);
  }

  /** Makes the hash that of a packet with source and destination exchanged: what their bytes add, exchanged. */
  #exchange(block: RssBlock, addressBytes: number): void {
    const bytes = this.#runtime.bytes();
    const table = this.#runtime.view().getUint32(block.address + RSS_KEY_TABLE, true);
    const swap = (first: number, count: number) => {
      const at = table + first * RSS_KEY_TABLE_STRIDE;
      const size = count * RSS_KEY_TABLE_STRIDE;
      const source = bytes.slice(at, at + size);
      bytes.copyWithin(at, at + size, at + 2 * size);
      bytes.set(source, at + size);
    };
    swap(0, addressBytes);
    swap(2 * addressBytes, 2);
  }

  /** For the first `queues` queues from here on, inside of tunnels of these types. What is known of others is forgotten. */
  use(queues: number, tunnelTypes: number): void {
    if (queues < this.#queues || tunnelTypes !== this.#tunnelTypes) this.clear();
    this.#queues = queues;
    this.#tunnelTypes = tunnelTypes;
    this.#set(this.address + FLOWS_QUEUES, queues);
    for (const { address } of this.#hashes) this.#set(address + RSS_TUNNEL_TYPES, tunnelTypes);
  }

  clear(): void {
    this.#runtime.bytes().fill(0, this.address + FLOWS_ENTRIES, this.address + FLOWS_SIZE);
  }

  counters(): FlowCounters {
    const at = (field: number) => this.#runtime.view().getBigUint64(this.address + field, true);
    return { found: at(FLOWS_FOUND), learned: at(FLOWS_LEARNED), displaced: at(FLOWS_DISPLACED) };
  }

  clearCounters(): void {
    this.#runtime.bytes().fill(0, this.address + FLOWS_FOUND, this.address + FLOWS_DISPLACED + 8);
  }

  free(): void {
    for (const block of this.#hashes) block.free();
    this.#runtime.freePages(this.address, FLOWS_SIZE);
  }
}
