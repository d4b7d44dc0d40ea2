// Services and backends for bpf/xdp_load_balancer.bpf.c, written by people, as contents of its maps.
// Usage: node bpf/control/load-balancer.mjs SERVICES.json > MAPS.json
// SERVICES.json: {
//   "source": ["10.255.0.1", "fdff::1"], "mtu": 1500,
//   "backends": {"1": {"address": "192.168.7.1", "mac": "02:00:c0:a8:07:01", "encapsulation": "gue", "health": "up"}},
//   "services": [{"address": "203.0.113.80", "port": 443, "protocol": "tcp", "backends": [1]}]
// }
// Backends have numbers from 1 to 255; encapsulation: ipip (default), gue; health: up (default), down, draining.
import { readFileSync } from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import { argv, exit, stderr, stdout } from 'node:process';
import { pathToFileURL } from 'node:url';

/** Slots of a ring; a prime. */
export const RING_SIZE = 1021;
const ENCAPSULATIONS = ['ipip', 'gue'];
const HEALTH = ['down', 'up', 'draining'];
const PROTOCOLS = { tcp: 6, udp: 17 };

/**
 * FNV-1a, 32 bits.
 * @param {string} text
 * @param {number} seed
 */
function hash(text, seed) {
  let value = 0x811c9dc5 ^ seed;
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193);
  return value >>> 0;
}

/**
 * Maglev's table (Eisenbud and others, NSDI 2016, section 3.4): backend numbers by slot. Each backend takes the next free slot of its own
 * permutation in turn, so that one that comes or goes moves few of the others' slots.
 * @param {readonly { number: number, name: string }[]} backends
 */
export function maglev(backends) {
  const slots = new Uint8Array(RING_SIZE);
  const taken = new Uint8Array(RING_SIZE);
  const walks = backends.map(({ number, name }) => ({
    number,
    at: hash(name, 1) % RING_SIZE,
    step: 1 + (hash(name, 2) % (RING_SIZE - 1)),
  }));
  for (let filled = 0; walks.length > 0 && filled < RING_SIZE; ) {
    for (const walk of walks) {
      if (filled === RING_SIZE) break;
      while (taken[walk.at] === 1) walk.at = (walk.at + walk.step) % RING_SIZE;
      slots[walk.at] = walk.number;
      taken[walk.at] = 1;
      filled++;
    }
  }
  return slots;
}

/**
 * An address in 16 bytes: IPv4 in the first 4.
 * @param {string} text
 */
export function addressBytes(text) {
  const bytes = new Uint8Array(16);
  if (isIPv4(text)) {
    bytes.set(text.split('.').map(Number));
    return { bytes, family: 4 };
  }
  if (!isIPv6(text) || text.includes('.')) throw new RangeError(`${text} is no address`);
  const [front = '', back] = text.split('::');
  /** @param {string} part */
  const groups = (part) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const head = groups(front);
  const tail = back === undefined ? [] : groups(back);
  const all = [...head, ...Array(8 - head.length - tail.length).fill(0), ...tail];
  all.forEach((group, i) => {
    bytes.set([group >> 8, group & 0xff], 2 * i);
  });
  return { bytes, family: 6 };
}

/** @param {Uint8Array | readonly number[]} bytes */
const hex = (bytes) => `hex:${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;

/**
 * @param {readonly string[]} words
 * @param {string} word
 */
function indexOf(words, word) {
  const index = words.indexOf(word);
  if (index < 0) throw new RangeError(`${word} is none of ${words.join(', ')}`);
  return index;
}

/**
 * @typedef {{ address: string, mac: string, encapsulation?: string, health?: string }} Backend
 * @typedef {{ address: string, port: number, protocol: 'tcp' | 'udp', backends: readonly number[] }} Service
 * @typedef {{ source?: readonly [string, string], mtu?: number, backends: Record<string, Backend>, services: readonly Service[] }} Plan
 */

/**
 * Contents of the maps, for `--maps`. A ring for each set of backends.
 * @param {Plan} plan
 */
export function balancerMaps({ source = ['10.255.0.1', 'fdff::1'], mtu = 1500, backends, services }) {
  /** @type {Map<string, number>} */
  const rings = new Map();
  const entries = services.map(({ address, port, protocol, backends: numbers }) => {
    for (const number of numbers) if (!(number in backends)) throw new RangeError(`there is no backend ${number}`);
    const set = [...numbers].sort((a, b) => a - b).join();
    const ring = rings.get(set) ?? rings.size;
    rings.set(set, ring);
    const { bytes, family } = addressBytes(address);
    return [{ address: hex(bytes), port, protocol: PROTOCOLS[protocol], family }, { ring }];
  });
  const known = Object.entries(backends).map(([number, backend]) => ({ number: Number(number), ...backend }));
  return {
    '.data': {
      config: {
        source_ipv4: hex(addressBytes(source[0]).bytes.subarray(0, 4)),
        source_ipv6: hex(addressBytes(source[1]).bytes),
        mtu,
      },
    },
    services: entries,
    rings: [...rings].map(([set, ring]) => {
      const members = known.filter(({ number }) => set.split(',').includes(String(number)));
      return [ring, { slots: hex(maglev(members.map(({ number, address }) => ({ number, name: address })))) }];
    }),
    backends: known.map(({ number, address, mac, encapsulation = 'ipip' }) => {
      const { bytes, family } = addressBytes(address);
      return [
        number,
        {
          address: hex(bytes),
          mac: hex(mac.split(':').map((byte) => Number.parseInt(byte, 16))),
          family,
          encapsulation: indexOf(ENCAPSULATIONS, encapsulation),
        },
      ];
    }),
    health: known.map(({ number, health = 'up' }) => [number, indexOf(HEALTH, health)]),
  };
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  const path = argv[2];
  if (path === undefined) {
    stderr.write('usage: node bpf/control/load-balancer.mjs SERVICES.json > MAPS.json\n');
    exit(2);
  }
  stdout.write(`${JSON.stringify(balancerMaps(JSON.parse(readFileSync(path, 'utf8'))), undefined, 2)}\n`);
}
