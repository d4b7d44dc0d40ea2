// Rules for bpf/sk_lookup_steer.bpf.c, written by people, as contents of its maps (all but `sockets`, which live sockets are put into).
// Usage: node bpf/control/steering.mjs RULES.json > MAPS.json
// RULES.json: [{"prefix": "192.0.2.0/24", "protocol": "tcp", "ports": "80-89", "socket": 0, "sockets": 2}, {…, "refuse": true}]
// The longest prefix counts, and in it the first rule that has the port. Several sockets share the connections.
import { readFileSync } from 'node:fs';
import { argv, exit, stderr, stdout } from 'node:process';
import { pathToFileURL } from 'node:url';
import { addressBytes } from './load-balancer.mjs';

const PROTOCOLS = { tcp: 6, udp: 17 };

/**
 * @typedef {{ prefix: string, protocol: 'tcp' | 'udp', ports: string, socket?: number, sockets?: number, refuse?: boolean }} SteeringRule
 */

/**
 * Contents of the maps, for `--maps`.
 * @param {readonly SteeringRule[]} rules
 */
export function steeringMaps(rules) {
  /** @type {Map<string, SteeringRule[]>} */
  const groups = new Map();
  for (const rule of rules) {
    const name = `${rule.protocol} ${rule.prefix}`;
    groups.set(name, [...(groups.get(name) ?? []), rule]);
  }
  const prefixes = [];
  const ranges = [];
  for (const group of groups.values()) {
    const { prefix, protocol } = group[0] ?? { prefix: '', protocol: 'tcp' };
    if (group.length > 64) throw new RangeError(`${prefix}: more than 64 rules`);
    const [address = '', bits] = prefix.split('/');
    const { bytes, family } = addressBytes(address);
    const words = new DataView(bytes.buffer);
    const length = bits === undefined ? (family === 4 ? 32 : 128) : Number(bits);
    if (!(length >= 0 && length <= (family === 4 ? 32 : 128))) throw new RangeError(`${prefix} is no prefix`);
    prefixes.push([
      {
        prefix_length: 32 + length,
        protocol: PROTOCOLS[protocol],
        family,
        address: [0, 4, 8, 12].map((at) => words.getUint32(at, true)),
      },
      { first: ranges.length, count: group.length },
    ]);
    for (const { ports, socket = 0, sockets = 1, refuse = false } of group) {
      const [first, last = first] = ports.split('-').map(Number);
      if (!(first !== undefined && last !== undefined && first >= 0 && first <= last && last <= 65535))
        throw new RangeError(`${ports} are no ports`);
      const range = { first_port: first, last_port: last, socket, sockets: refuse ? 0 : sockets };
      ranges.push([ranges.length, range]);
    }
  }
  return { prefixes, ranges };
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  const path = argv[2];
  if (path === undefined) {
    stderr.write('usage: node bpf/control/steering.mjs RULES.json > MAPS.json\n');
    exit(2);
  }
  stdout.write(`${JSON.stringify(steeringMaps(JSON.parse(readFileSync(path, 'utf8'))), undefined, 2)}\n`);
}
