/** One packet under one configuration: hash, report and queue, out of one computation. */
import { type RssConfiguration, verificationKey } from './configuration.ts';
import { rssFields } from './fields.ts';
import { HASH_TYPES_ALL, REPORT_NONE } from './hash-types.ts';
import { toeplitz } from './toeplitz.ts';

export interface RssResult {
  /** Unsigned; 0 where there is none, and a valid hash where the report says so. */
  readonly hash: number;
  /** `hash_report`; 0: there is no hash. */
  readonly report: number;
  readonly queue: number;
}

/** What packets without a reported hash go by, where steering is automatic. */
export function byFlow(configuration: RssConfiguration): RssConfiguration {
  return { ...configuration, hashTypes: HASH_TYPES_ALL, key: verificationKey, automatic: false };
}

/** `packet` begins with an Ethernet header. Of a flow that was not sent, where steering is automatic. */
export function rss(packet: Uint8Array, configuration: RssConfiguration): RssResult {
  const { hashTypes, tunnelTypes, key, table, unclassifiedQueue, automatic = false } = configuration;
  const fields = rssFields(packet, hashTypes, tunnelTypes);
  if (fields === undefined) {
    const queue = automatic ? rss(packet, byFlow(configuration)).queue : unclassifiedQueue;
    return { hash: 0, report: REPORT_NONE, queue };
  }
  const hash = toeplitz(key, fields.input);
  return { hash, report: fields.report, queue: table[hash & (table.length - 1)]! };
}
