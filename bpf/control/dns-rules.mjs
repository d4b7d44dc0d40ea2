// Rules for bpf/xdp_dns_filter.bpf.c, written by people, as contents of its maps.
// Usage: node bpf/control/dns-rules.mjs RULES.json > MAPS.json
// RULES.json: {"names": {"ads.example": "nxdomain", "ok.ads.example": "pass"}, "types": {"ANY": "refuse", "65": "drop"}, "config": {"burst": 20}}
// Actions: pass, drop, truncate, nxdomain, refuse. A name stands for itself and for all below it; the longest one counts.
import { readFileSync } from 'node:fs';
import { argv, exit, stderr, stdout } from 'node:process';
import { pathToFileURL } from 'node:url';

const ACTIONS = ['pass', 'drop', 'truncate', 'nxdomain', 'refuse'];

/** @type {Record<string, number>} */
const TYPES = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  HTTPS: 65,
  AXFR: 252,
  ANY: 255,
};

const MASK = (1n << 64n) - 1n;
const FNV_START = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;
const MAX_RULE_LABELS = 16;

/**
 * Key of a name in the map `names`: FNV-1a of each label, mixed from the last label to the first. Throws RangeError for what is no name.
 * @param {string} name
 */
export function suffixKey(name) {
  const labels = name.toLowerCase().replace(/\.$/, '').split('.');
  if (labels.length > MAX_RULE_LABELS) throw new RangeError(`${name}: more than ${MAX_RULE_LABELS} labels`);
  let hash = 0n;
  for (const label of labels.reverse()) {
    const octets = new TextEncoder().encode(label);
    if (octets.length < 1 || octets.length > 63) throw new RangeError(`${name}: a label has 1 to 63 octets`);
    let own = FNV_START;
    for (const octet of [octets.length, ...octets]) own = ((own ^ BigInt(octet)) * FNV_PRIME) & MASK;
    hash = ((hash ^ own) * FNV_PRIME) & MASK;
    hash ^= hash >> 32n;
  }
  return { hash, labels: labels.length, zero: 0 };
}

/** @param {string} action */
export function rule(action) {
  const number = ACTIONS.indexOf(action);
  if (number < 0) throw new RangeError(`no action ${action}; there are ${ACTIONS.join(', ')}`);
  return { action: number, zero: 0, hits: 0 };
}

/**
 * Contents of the maps, for `--maps`.
 * @param {{ names?: Record<string, string>, types?: Record<string, string>, config?: Record<string, number | boolean> }} rules
 */
export function dnsMaps({ names = {}, types = {}, config }) {
  return {
    names: Object.entries(names).map(([name, action]) => {
      const { hash, ...rest } = suffixKey(name);
      return [{ hash: `0x${hash.toString(16)}`, ...rest }, rule(action)];
    }),
    types: Object.entries(types).map(([type, action]) => {
      const number = TYPES[type] ?? Number(type);
      if (!Number.isInteger(number)) throw new RangeError(`type ${type}: give its number`);
      return [number, rule(action)];
    }),
    ...(config === undefined
      ? {}
      : { '.data': { config: { rate: 100, burst: 0, slip: 2, max_labels: 127, report: true, ...config } } }),
  };
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  const path = argv[2];
  if (path === undefined) {
    stderr.write('usage: node bpf/control/dns-rules.mjs RULES.json > MAPS.json\n');
    exit(2);
  }
  stdout.write(`${JSON.stringify(dnsMaps(JSON.parse(readFileSync(path, 'utf8'))), undefined, 2)}\n`);
}
