/** Program tests as JSON (docs/program-tests.md): parsed and checked, with packets built. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Value } from '../btf/codec.ts';
import { InputError } from '../errors.ts';
import { readCapture } from '../net/capture.ts';
import type { RssConfiguration } from '../net/rss/configuration.ts';
import { rssFromJson } from '../net/rss/json.ts';
import type { XdpHints } from '../runtime/handles.ts';
import { type HelperResults, helperResultsFromJson } from '../runtime/helper-results.ts';
import { hintsFromJson } from '../runtime/hints.ts';
import { type MapInput, mapInputFromJson, valueFromJson } from '../runtime/json-value.ts';
import type { Network } from '../runtime/network.ts';
import { networkFromJson } from '../runtime/network-json.ts';
import type { Clock, Task } from '../runtime/surroundings.ts';
import {
  type TraitFormat,
  type TraitLayout,
  type TraitPlacement,
  traitLayouts,
  traitPlacements,
} from '../runtime/traits.ts';
import type { ContextValues } from './context-fields.ts';
import { packetFromJson } from './packet-json.ts';

export interface TestFile {
  readonly path: string;
  /** Path of the object. */
  readonly object: string;
  /** All files that the outcome depends on. */
  readonly inputs: readonly string[];
  readonly program: string | undefined;
  readonly maps: MapInput;
  readonly seed: bigint | undefined;
  readonly network: Network | undefined;
  readonly clock: Clock | undefined;
  readonly cpu: number | undefined;
  readonly task: Task | undefined;
  readonly metadata: Partial<TraitFormat> | undefined;
  readonly helperResults: HelperResults | undefined;
  readonly cases: readonly TestCase[];
}

export interface TestCase {
  readonly name: string;
  readonly maps: MapInput;
  /** Packets that run first, and whose outcome does not count. */
  readonly before: readonly Uint8Array[];
  readonly packet: Uint8Array | undefined;
  readonly context: ContextValues | undefined;
  /** What a driver knows of the packet. */
  readonly hints: XdpHints | undefined;
  /** Traits that the packet has before. */
  readonly traits: ReadonlyMap<number, Uint8Array> | undefined;
  /** The device that asks a steering program for a queue. */
  readonly steering: RssConfiguration | undefined;
  readonly repeat: number;
  readonly expect: Expectation;
}

export interface Expectation {
  readonly verdict: string | number | undefined;
  readonly packet: Uint8Array | 'unchanged' | undefined;
  readonly context: ContextValues;
  /** All traits that the packet has after. */
  readonly traits: ReadonlyMap<number, Uint8Array> | undefined;
  /** All that the program stored (bpf_xdp_store_rx_*). */
  readonly stored: XdpHints | undefined;
  /** What a steering program set: hash and `hash_report`. */
  readonly reported: { readonly hash: number; readonly report: number } | undefined;
  /** Entries by map: undefined value: there is no such key. A map that is one value (globals) has the key 0. */
  readonly maps: ReadonlyMap<string, readonly (readonly [Value, Value | undefined])[]>;
  /** All records by ring buffer. */
  readonly events: ReadonlyMap<string, readonly Value[]>;
  readonly printk: readonly string[] | undefined;
}

/** Of a steering device whose table is left out. */
const STEERING_QUEUES = 4;

type Json = Readonly<Record<string, unknown>>;

const fileMembers = [
  'object',
  'program',
  'maps',
  'seed',
  'clock',
  'cpu',
  'task',
  'network',
  'metadata',
  'helperResults',
  'cases',
  '$schema',
];
const caseMembers = ['name', 'maps', 'before', 'packet', 'context', 'hints', 'traits', 'steering', 'repeat', 'expect'];
const expectMembers = ['verdict', 'packet', 'context', 'traits', 'stored', 'reported', 'maps', 'events', 'printk'];

/** Throws InputError `SLUICE_TEST_FILE` (or of the packet, the capture, the JSON) with the place in the file. */
export function readTestFile(path: string): TestFile {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new InputError('SLUICE_JSON', error instanceof Error ? error.message : String(error), { input: path });
  }
  const file = members(json, fileMembers, path);
  const folder = dirname(path);
  const captures = new Captures(folder);
  if (typeof file['object'] !== 'string') throw bad(path, 'object must be the path of an object, from this file');
  if (!Array.isArray(file['cases'])) throw bad(path, 'cases must be a list');
  const cases = file['cases'].map((each: unknown, i) => caseFromJson(each, `${path}: cases[${i}]`, captures));
  return {
    path,
    object: resolve(folder, file['object']),
    inputs: [path, resolve(folder, file['object']), ...captures.paths()],
    program: optional(file['program'], 'string', `${path}: program`),
    maps: mapInputFromJson(file['maps'] ?? {}, `${path}: maps`),
    seed: file['seed'] === undefined ? undefined : integer(file['seed'], `${path}: seed`),
    clock: clockFromJson(file['clock'], `${path}: clock`),
    cpu: optional(file['cpu'], 'number', `${path}: cpu`),
    task:
      file['task'] === undefined
        ? undefined
        : (members(file['task'], ['pid', 'tgid', 'uid', 'gid', 'comm'], `${path}: task`) as Task), // numbers and a text, as set
    metadata: file['metadata'] === undefined ? undefined : formatFromJson(file['metadata'], `${path}: metadata`),
    helperResults:
      file['helperResults'] === undefined
        ? undefined
        : helperResultsFromJson(file['helperResults'], `${path}: helperResults`),
    network: file['network'] === undefined ? undefined : networkFromJson(file['network'], `${path}: network`),
    cases,
  };
}

function caseFromJson(json: unknown, path: string, captures: Captures): TestCase {
  const test = members(json, caseMembers, path);
  const packet = (value: unknown, place: string) => captures.packet(value, place) ?? packetFromJson(value, place);
  const before = test['before'] ?? [];
  if (!Array.isArray(before)) throw bad(path, 'before must be a list of packets');
  return {
    name: optional(test['name'], 'string', `${path}.name`) ?? path.replace(/^.*: /, ''),
    maps: mapInputFromJson(test['maps'] ?? {}, `${path}.maps`),
    before: before.map((each: unknown, i) => packet(each, `${path}.before[${i}]`)),
    packet: test['packet'] === undefined ? undefined : packet(test['packet'], `${path}.packet`),
    context: test['context'] === undefined ? undefined : fieldsFromJson(test['context'], `${path}.context`),
    hints: test['hints'] === undefined ? undefined : hintsFromJson(test['hints'], `${path}.hints`),
    traits: test['traits'] === undefined ? undefined : traitsFromJson(test['traits'], `${path}.traits`),
    steering:
      test['steering'] === undefined ? undefined : rssFromJson(test['steering'], `${path}.steering`, STEERING_QUEUES),
    repeat: optional(test['repeat'], 'number', `${path}.repeat`) ?? 1,
    expect: expectationFromJson(test['expect'], `${path}.expect`, packet),
  };
}

function expectationFromJson(
  json: unknown,
  path: string,
  packet: (value: unknown, place: string) => Uint8Array,
): Expectation {
  const expected = members(json, expectMembers, path);
  if (Object.keys(expected).length === 0) throw bad(path, `expects nothing; it may name ${expectMembers.join(', ')}`);
  const { verdict, printk } = expected;
  if (verdict !== undefined && typeof verdict !== 'string' && typeof verdict !== 'number')
    throw bad(path, 'verdict is a name or a number');
  if (printk !== undefined && !(Array.isArray(printk) && printk.every((line) => typeof line === 'string')))
    throw bad(path, 'printk is a list of lines');
  const after = expected['packet'];
  return {
    verdict,
    packet: after === undefined ? undefined : after === 'unchanged' ? after : packet(after, `${path}.packet`),
    context: fieldsFromJson(expected['context'] ?? {}, `${path}.context`),
    traits: expected['traits'] === undefined ? undefined : traitsFromJson(expected['traits'], `${path}.traits`),
    stored: expected['stored'] === undefined ? undefined : hintsFromJson(expected['stored'], `${path}.stored`),
    reported:
      expected['reported'] === undefined ? undefined : reportedFromJson(expected['reported'], `${path}.reported`),
    maps: new Map(
      Object.entries(object(expected['maps'] ?? {}, `${path}.maps`)).map(([map, content]) => [
        map,
        entriesFromJson(content, `${path}.maps.${map}`),
      ]),
    ),
    events: new Map(
      Object.entries(object(expected['events'] ?? {}, `${path}.events`)).map(([map, records]) => {
        if (!Array.isArray(records)) throw bad(`${path}.events.${map}`, 'must be a list of records');
        return [map, records.map((record: unknown, i) => valueFromJson(record, `${path}.events.${map}[${i}]`))];
      }),
    ),
    printk: printk as readonly string[] | undefined, // lines, as checked
  };
}

/** `{"5": "0a000001", "9": ""}`: hex by key. */
function reportedFromJson(json: unknown, path: string): { hash: number; report: number } {
  const { hash, report } = members(json, ['hash', 'report'], path);
  const value = typeof hash === 'string' ? Number(hash) : hash;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
    throw bad(path, 'hash is a number of 32 bits, or "0x…"');
  if (typeof report !== 'number' || !Number.isInteger(report) || report < 0 || report > 9)
    throw bad(path, 'report is a number from 0 (none) to 9');
  return { hash: value, report };
}

function traitsFromJson(json: unknown, path: string): Map<number, Uint8Array> {
  return new Map(
    Object.entries(object(json, path)).map(([key, hex]) => {
      if (!/^\d{1,2}$/.test(key) || typeof hex !== 'string' || !/^([0-9a-fA-F]{2})*$/.test(hex.replaceAll(' ', '')))
        throw bad(path, `${key}: a trait is a key from 0 to 63 and bytes as hex`);
      const digits = hex.replaceAll(' ', '');
      return [
        Number(key),
        Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16)),
      ];
    }),
  );
}

function formatFromJson(json: unknown, path: string): Partial<TraitFormat> {
  const { layout, placement } = members(json, ['layout', 'placement'], path);
  if (layout !== undefined && !(typeof layout === 'string' && Object.hasOwn(traitLayouts, layout)))
    throw bad(path, `layout is one of ${Object.keys(traitLayouts).join(', ')}`);
  if (placement !== undefined && !(typeof placement === 'string' && Object.hasOwn(traitPlacements, placement)))
    throw bad(path, `placement is one of ${Object.keys(traitPlacements).join(', ')}`);
  return {
    ...(layout === undefined ? {} : { layout: layout as TraitLayout }), // as just asked
    ...(placement === undefined ? {} : { placement: placement as TraitPlacement }),
  };
}

/** `[[KEY, VALUE], …]`, null for a key that is not there; anything but a list is the one value of globals. */
function entriesFromJson(json: unknown, path: string): [Value, Value | undefined][] {
  if (!Array.isArray(json)) return [[0, valueFromJson(json, path)]];
  return json.map((entry: unknown, i) => {
    if (!Array.isArray(entry) || entry.length !== 2) throw bad(`${path}[${i}]`, 'an entry is [key, value]');
    const value = entry[1] === null ? undefined : valueFromJson(entry[1], `${path}[${i}]`);
    return [valueFromJson(entry[0], `${path}[${i}]`), value];
  });
}

function clockFromJson(json: unknown, path: string): Clock | undefined {
  if (json === undefined) return undefined;
  if (typeof json !== 'object') return { at: integer(json, path) };
  const { at, step } = members(json, ['at', 'step'], path);
  return {
    at: integer(at, `${path}.at`),
    ...(step === undefined ? {} : { step: Number(integer(step, `${path}.step`)) }),
  };
}

function fieldsFromJson(json: unknown, path: string): ContextValues {
  return Object.fromEntries(
    Object.entries(object(json, path)).map(([name, value]) => [name, integer(value, `${path}.${name}`)]),
  );
}

function integer(json: unknown, path: string): bigint {
  if (typeof json === 'number' && Number.isSafeInteger(json)) return BigInt(json);
  if (typeof json === 'string' && /^(0x[0-9a-fA-F]+|\d+)$/.test(json)) return BigInt(json);
  throw bad(path, 'must be an integer, or one as text');
}

function optional(json: unknown, kind: 'string', path: string): string | undefined;
function optional(json: unknown, kind: 'number', path: string): number | undefined;
function optional(json: unknown, kind: string, path: string): unknown {
  if (json !== undefined && typeof json !== kind) throw bad(path, `must be a ${kind}`);
  return json;
}

function members(json: unknown, known: readonly string[], path: string): Json {
  const found = object(json, path);
  for (const name of Object.keys(found))
    if (!known.includes(name)) throw bad(path, `no member ${name}; there are ${known.join(', ')}`);
  return found;
}

function object(json: unknown, path: string): Json {
  if (json === null || typeof json !== 'object' || Array.isArray(json)) throw bad(path, 'must be an object');
  return json as Json; // an object with text keys
}

function bad(path: string, problem: string): InputError {
  return new InputError('SLUICE_TEST_FILE', problem, { input: path });
}

/** Packets of captures beside the file, each read once. */
class Captures {
  readonly #folder: string;
  readonly #read = new Map<string, readonly Uint8Array[]>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  paths(): string[] {
    return [...this.#read.keys()];
  }

  /** `{"pcap": FILE, "index": N}`; undefined for anything else. */
  packet(json: unknown, path: string): Uint8Array | undefined {
    if (json === null || typeof json !== 'object' || Array.isArray(json)) return undefined;
    const { pcap, index = 0 } = members(json, ['pcap', 'index'], path);
    if (typeof pcap !== 'string' || typeof index !== 'number') throw bad(path, 'give {"pcap": FILE, "index": N}');
    const file = resolve(this.#folder, pcap);
    let packets = this.#read.get(file);
    if (packets === undefined) {
      let bytes: Uint8Array;
      try {
        bytes = readFileSync(file);
      } catch (error) {
        throw bad(path, `${pcap} cannot be read: ${error instanceof Error ? error.message : error}`);
      }
      packets = [...readCapture(bytes, file)].map(({ data }) => data.slice());
      this.#read.set(file, packets);
    }
    const packet = packets[index];
    if (packet === undefined) throw bad(path, `${pcap} has ${packets.length} packets, none with index ${index}`);
    return packet;
  }
}
