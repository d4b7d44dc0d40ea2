/** One packet under one configuration: hash, report and queue, out of one computation. */
import type { RssConfiguration } from './configuration.ts';
import { rssFields } from './fields.ts';
import { REPORT_NONE } from './hash-types.ts';
import { toeplitz } from './toeplitz.ts';

export interface RssResult {
  /** Unsigned; 0 where there is none, and a valid hash where the report says so. */
  readonly hash: number;
  /** `hash_report`; 0: there is no hash. */
  readonly report: number;
  readonly queue: number;
}

/** `packet` begins with an Ethernet header. */
export function rss(packet: Uint8Array, configuration: RssConfiguration): RssResult {
  const { hashTypes, tunnelTypes, key, table, unclassifiedQueue } = configuration;
  const fields = rssFields(packet, hashTypes, tunnelTypes);
  if (fields === undefined) return { hash: 0, report: REPORT_NONE, queue: unclassifiedQueue };
  const hash = toeplitz(key, fields.input);
  return { hash, report: fields.report, queue: table[hash & (table.length - 1)]! };
}
