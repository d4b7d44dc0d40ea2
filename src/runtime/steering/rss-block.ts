/** A configuration in the one memory (plane/layout/steering.ts): what devices steer by, and what a modelled network card hashes with. */

import type { RssResult } from '../../net/rss/compute.ts';
import type { RssConfiguration } from '../../net/rss/configuration.ts';
import { checkConfiguration, defaultRssLimits, type RssLimits } from '../../net/rss/configuration.ts';
import {
  RSS_FLOWS,
  RSS_HASH_TYPES,
  RSS_HEADER_SIZE,
  RSS_INPUT,
  RSS_KEY,
  RSS_KEY_LENGTH,
  RSS_KEY_TABLE,
  RSS_KEY_TABLE_STRIDE,
  RSS_MASK,
  RSS_PACKET_INPUT,
  RSS_TABLE,
  RSS_TUNNEL_TYPES,
  RSS_UNCLASSIFIED,
} from '../../plane/layout/steering.ts';
import type { Runtime } from '../runtime.ts';
import { steeringPlane } from './plane.ts';

export class RssBlock {
  readonly address: number;
  readonly configuration: RssConfiguration;
  readonly #runtime: Runtime;
  readonly #bytes: number;

  /** Owned by whoever made it until `free`. `flows`: address of the flows that choose before the table does, 0: none. Throws InputError `SLUICE_RSS_CONFIGURATION`. */
  constructor(runtime: Runtime, configuration: RssConfiguration, limits: RssLimits = defaultRssLimits, flows = 0) {
    checkConfiguration(configuration, limits);
    const { key, table } = configuration;
    const inputs = Math.max(RSS_PACKET_INPUT, key.length - 4);
    const keyTable = Math.ceil((RSS_HEADER_SIZE + table.length * 2) / 64) * 64;
    this.configuration = configuration;
    this.#runtime = runtime;
    this.#bytes = keyTable + inputs * RSS_KEY_TABLE_STRIDE;
    this.address = runtime.allocatePages(this.#bytes);
    const view = runtime.view();
    const set = (field: number, value: number) => view.setUint32(this.address + field, value, true);
    set(RSS_HASH_TYPES, configuration.hashTypes);
    set(RSS_TUNNEL_TYPES, configuration.tunnelTypes ?? 0);
    set(RSS_MASK, table.length - 1);
    set(RSS_UNCLASSIFIED, configuration.unclassifiedQueue);
    set(RSS_TABLE, this.address + RSS_HEADER_SIZE);
    set(RSS_KEY_TABLE, this.address + keyTable);
    set(RSS_KEY_LENGTH, key.length);
    set(RSS_FLOWS, flows);
    runtime.bytes().set(key, this.address + RSS_KEY);
    for (const [index, queue] of table.entries())
      view.setUint16(this.address + RSS_HEADER_SIZE + index * 2, queue, true);
    steeringPlane(runtime).rss_key_table(this.address);
  }

  /** Bytes of input that the key serves. */
  get inputBytes(): number {
    return this.#runtime.view().getUint32(this.address + RSS_INPUT, true);
  }

  /** Of one packet that lies in the memory, with its Ethernet header. For many, see SteeringDevice.steer. */
  compute(address: number, length: number): RssResult {
    const at = this.#runtime.plane.scratch(8);
    steeringPlane(this.#runtime).rss_compute(this.address, address, address + length, at);
    const view = this.#runtime.view();
    return {
      hash: view.getUint32(at, true),
      report: view.getUint16(at + 4, true),
      queue: view.getUint16(at + 6, true),
    };
  }

  /** Hash of any input up to `inputBytes`, which lies in the memory. */
  toeplitz(address: number, length: number): number {
    return steeringPlane(this.#runtime).rss_toeplitz(this.address, address, length) >>> 0;
  }

  free(): void {
    this.#runtime.freePages(this.address, this.#bytes);
  }
}
