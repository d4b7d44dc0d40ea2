/** Receive-side scaling as JSON. What is left out is as drivers begin with: all hash types, a table that goes round, the well-known key. */
import { InputError } from '../../errors.ts';
import { checkConfiguration, type RssConfiguration, verificationKey } from './configuration.ts';
import { automaticConfiguration } from './control.ts';
import { HASH_TYPES_ALL, hashType, TUNNEL_TYPES_ALL, tunnelType } from './hash-types.ts';

const TABLE_ENTRIES = 128;
const fields = ['hashTypes', 'tunnelTypes', 'table', 'unclassifiedQueue', 'key', 'automatic'] as const;

/** `queues`: those of the table that is left out. Throws InputError `SLUICE_STEER_RSS` naming `path`, and `SLUICE_RSS_CONFIGURATION`. */
export function rssFromJson(json: unknown, path: string, queues: number): RssConfiguration {
  const refuse = (text: string): never => {
    throw new InputError('SLUICE_STEER_RSS', text, { input: path });
  };
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return refuse('must be an object');
  const given: Readonly<Record<string, unknown>> = { ...json };
  for (const name of Object.keys(given))
    if (!fields.some((field) => field === name)) refuse(`has no field ${name}; there are ${fields.join(', ')}`);

  const bits = (name: string, names: Readonly<Record<string, number>>, all: number, otherwise: number): number => {
    const value = given[name];
    if (value === undefined) return otherwise;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
    const words = value === 'all' ? Object.keys(names) : value;
    if (!Array.isArray(words)) return refuse(`${name}: a number, "all", or a list of ${Object.keys(names).join(', ')}`);
    let sum = 0;
    for (const word of words as readonly unknown[]) {
      const bit = typeof word === 'string' && Object.hasOwn(names, word) ? names[word] : undefined;
      if (bit === undefined)
        return refuse(`${name}: no ${JSON.stringify(word)}; there are ${Object.keys(names).join(', ')}`);
      sum |= bit;
    }
    return sum & all;
  };
  const queue = (value: unknown, name: string): number =>
    typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0x7fff
      ? value
      : refuse(`${name}: ${JSON.stringify(value)} is no number of a queue`);
  const { table, key, unclassifiedQueue = 0, automatic = false } = given;
  if (typeof automatic !== 'boolean') return refuse('automatic: true or false');
  if (automatic && (table ?? given['unclassifiedQueue']) !== undefined)
    return refuse(
      'automatic: the device chooses queues by flow, without table and unclassifiedQueue; leave these away',
    );
  if (table !== undefined && !Array.isArray(table)) return refuse('table: a list of queues, a power of two of them');
  if (key !== undefined && !(typeof key === 'string' && /^([0-9a-fA-F]{2}[: ]?)*$/.test(key)))
    return refuse('key: bytes as hexadecimal digits, two each');
  const hash = {
    hashTypes: bits('hashTypes', hashType, HASH_TYPES_ALL, HASH_TYPES_ALL),
    tunnelTypes: bits('tunnelTypes', tunnelType, TUNNEL_TYPES_ALL, 0),
    key:
      typeof key === 'string'
        ? Uint8Array.from(key.replace(/[: ]/g, '').match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
        : verificationKey,
  };
  const configuration: RssConfiguration = automatic
    ? automaticConfiguration(queues, hash)
    : {
        ...hash,
        table:
          table === undefined
            ? Array.from({ length: TABLE_ENTRIES }, (_, i) => i % queues)
            : (table as readonly unknown[]).map((each) => queue(each, 'table')),
        unclassifiedQueue: queue(unclassifiedQueue, 'unclassifiedQueue'),
      };
  try {
    checkConfiguration(configuration);
  } catch (error) {
    if (error instanceof InputError) throw new InputError(error.code, error.message, { input: path }, { cause: error });
    throw error;
  }
  return configuration;
}
