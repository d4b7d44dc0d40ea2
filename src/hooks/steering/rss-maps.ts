/** The maps of bpf/steering/rss.h, which are those of QEMU's steering program: a configuration as they hold it. */
import { InputError } from '../../errors.ts';
import type { RssConfiguration } from '../../net/rss/configuration.ts';
import type { MapHandle } from '../../runtime/handles.ts';

export const RSS_CONFIG_MAP = 'tap_rss_map_configurations';
export const RSS_KEY_MAP = 'tap_rss_map_toeplitz_key';
export const RSS_TABLE_MAP = 'tap_rss_map_indirection_table';
export const RSS_MAP_KEY_BYTES = 40;
export const RSS_MAP_ENTRIES = 128;

/** The values as bytes: what a VMM writes into its maps, mapped or by update. The table has 128 entries, those behind the configuration's 0. */
export function rssMapValues(configuration: RssConfiguration): {
  readonly config: Uint8Array;
  readonly key: Uint8Array;
  readonly table: readonly Uint8Array[];
} {
  const { table } = configuration;
  if (table.length > RSS_MAP_ENTRIES)
    throw new InputError(
      'SLUICE_RSS_MAPS',
      `an indirection table of ${table.length} entries: the map has ${RSS_MAP_ENTRIES}`,
    );
  if (configuration.key.length < RSS_MAP_KEY_BYTES && configuration.hashTypes !== 0)
    throw new InputError(
      'SLUICE_RSS_MAPS',
      `a key of ${configuration.key.length} bytes: the map takes ${RSS_MAP_KEY_BYTES}`,
    );
  if ((configuration.tunnelTypes ?? 0) !== 0)
    throw new InputError('SLUICE_RSS_MAPS', 'tunnel types: this program hashes outer headers alone');
  if (configuration.automatic === true)
    throw new InputError(
      'SLUICE_RSS_MAPS',
      'automatic steering: this program steers by a table, and sees nothing sent',
    );
  const config = new Uint8Array(10);
  const view = new DataView(config.buffer);
  view.setUint8(0, 1); // redirect
  view.setUint32(2, configuration.hashTypes, true);
  view.setUint16(6, table.length, true);
  view.setUint16(8, configuration.unclassifiedQueue, true);
  const key = new Uint8Array(RSS_MAP_KEY_BYTES);
  key.set(configuration.key.subarray(0, RSS_MAP_KEY_BYTES));
  // The first 32 bits are a number there.
  key.subarray(0, 4).reverse();
  return {
    config,
    key,
    table: Array.from({ length: RSS_MAP_ENTRIES }, (_, index) => {
      const queue = table[index] ?? 0;
      return Uint8Array.of(queue & 0xff, queue >> 8);
    }),
  };
}

/** Writes them into the maps of a loaded object, of either target. Throws InputError `SLUICE_RSS_MAPS` for a configuration that they cannot hold, or without such maps. */
export function fillRssMaps(maps: Readonly<Record<string, MapHandle>>, configuration: RssConfiguration): void {
  const map = (name: string): MapHandle => {
    const found = maps[name];
    if (found === undefined) throw new InputError('SLUICE_RSS_MAPS', `the object has no map ${name}`);
    return found;
  };
  const values = rssMapValues(configuration);
  const index = (at: number) => Uint8Array.of(at & 0xff, at >> 8, 0, 0);
  map(RSS_CONFIG_MAP).raw.update(index(0), values.config);
  map(RSS_KEY_MAP).raw.update(index(0), values.key);
  for (const [at, value] of values.table.entries()) map(RSS_TABLE_MAP).raw.update(index(at), value);
}
