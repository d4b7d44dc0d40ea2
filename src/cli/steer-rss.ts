/** `--rss FILE`: receive-side scaling as JSON. */
import type { RssConfiguration } from '../net/rss/configuration.ts';
import { rssFromJson } from '../net/rss/json.ts';
import { readJson } from './selector.ts';

/** Throws InputError `SLUICE_STEER_RSS`, `SLUICE_RSS_CONFIGURATION`, and those of reading. */
export function readRssConfiguration(path: string, queues: number): RssConfiguration {
  return rssFromJson(readJson(path), path, queues);
}
