/** `sluice steer compare`: all ways to steer on the same packets: are queue, hash and report equal, and what does each cost. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import { fillRssMaps, RSS_CONFIG_MAP, RSS_MAP_ENTRIES, RSS_MAP_KEY_BYTES } from '../hooks/steering/rss-maps.ts';
import { Steering } from '../hooks/steering/steering.ts';
import { load, Runtime, readObject } from '../index.ts';
import { bpfRefusal } from '../linux/features.ts';
import { loadLinux } from '../linux/load.ts';
import type { CapturedPacket } from '../net/captured-packet.ts';
import { rss } from '../net/rss/compute.ts';
import type { RssConfiguration } from '../net/rss/configuration.ts';
import { type FlowRule, flowRuleOf, formatFlowRule } from '../net/rss/flow-rules.ts';
import { reportNames } from '../net/rss/hash-types.ts';
import type { ProgramHandle } from '../runtime/handles.ts';
import { SteeringFrames } from '../runtime/steering/frames.ts';
import { exitCode } from './exit.ts';
import { type Output, table } from './output.ts';
import { addPacketOptions, configurationOf, packetsOf, type SteerPacketOptions } from './steer-packets.ts';
import { addContextOptions, type ContextOptions, contextsOf } from './steer-rss.ts';
import type { Finish } from './verb.ts';

const objects = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'bpf', 'objects', 'steering');

interface Outcome {
  readonly queue: number;
  /** Undefined: the way reports none. */
  readonly hash: number | undefined;
  readonly report: number | undefined;
}

interface Way {
  readonly way: string;
  readonly how: string;
  /** By packet; undefined: it was not run (the kernel's test run refuses frames that are cut within their IP header). */
  readonly outcomes: readonly (Outcome | undefined)[];
  /** Of a packet; NaN where it was not timed. */
  readonly ns: number;
}

/** What all ways are given. */
interface Task {
  readonly packets: readonly CapturedPacket[];
  readonly queues: number;
  readonly configuration: RssConfiguration;
  readonly contexts: ReadonlyMap<number, RssConfiguration>;
  readonly rules: readonly FlowRule[];
  /** Configurations that packets fall under, by their rules, and which packets. Programs in C have one configuration, in their maps: they run once for each. */
  readonly parts: readonly { readonly configuration: RssConfiguration; readonly indices: readonly number[] }[];
}

/** What is compared, by the three proposals of 2023; a program is one of bpf/steering. */
const ways: readonly {
  readonly way: string;
  readonly how: string;
  readonly program?: string;
  readonly reports: boolean;
}[] = [
  { way: '1 built-in', how: "the device's own computation", reports: true },
  { way: '2 kfuncs', how: 'socket filter that asks the device for it', program: 'device_socket', reports: true },
  { way: '2 kfuncs', how: 'socket filter in C, which reports by a kfunc', program: 'rss_report', reports: true },
  { way: '2 as today', how: 'the same without kfuncs: a queue, no hash', program: 'rss_socket', reports: false },
  {
    way: '3 vnet_hash',
    how: 'program type with the hash in its context, asks the device',
    program: 'device_vnet_hash',
    reports: true,
  },
  { way: '3 vnet_hash', how: 'the same, all in C', program: 'rss_vnet_hash', reports: true },
];

const BATCH = 64;
const TIMED_MS = 60;
const FASTEST_OF = 5;

export function addSteerCompare(steer: Command, finish: Finish): void {
  addContextOptions(
    addPacketOptions(
      steer
        .command('compare')
        .description('all ways to steer on the same packets: queue, hash and report of each, and what it costs'),
    ),
  )
    .option('--json', 'result as JSON (sluice.steer-compare/1)')
    .action((options: SteerPacketOptions & ContextOptions) =>
      finish(options.json === true, (output) => compare(options, output)),
    );
}

async function compare(options: SteerPacketOptions & ContextOptions, output: Output) {
  const configuration = configurationOf(options);
  const { contexts, rules } = contextsOf(options, options.queues);
  const packets = packetsOf(options);
  const chosen = packets.map(({ data }) => flowRuleOf(data, rules));
  const under = chosen.map((index) => contexts.get(rules[index]?.context ?? 0) ?? configuration);
  const expected = packets.map(({ data }, i) => {
    const { hash, report, queue } = rss(data, under[i]!);
    return { hash, report, queue: queue % options.queues };
  });
  const parts = [configuration, ...contexts.values()]
    .map((each) => ({ configuration: each, indices: packets.flatMap((_, i) => (under[i] === each ? [i] : [])) }))
    .filter(({ indices }) => indices.length > 0);
  const task: Task = { packets, queues: options.queues, configuration, contexts, rules, parts };
  const problem = parts.map((part) => notInC(part.configuration)).find((each) => each !== undefined);
  if (problem === undefined && parts.length > 1)
    output.note(
      'programs in C have one configuration, in their maps: they run once for each context, over its packets',
    );
  const done: Way[] = [];
  for (const each of ways) {
    if (problem !== undefined && inC(each.program)) {
      output.note(`${each.program} is left out: ${problem}`);
      continue;
    }
    done.push(await inUserSpace(each, task));
  }
  const refusal = problem ?? bpfRefusal();
  if (refusal === undefined) done.push(inKernel(task));
  else output.note(`the kernel is left out: ${refusal}`);

  const rows = done.map(({ way, how, outcomes, ns }) => {
    const differs = outcomes.findIndex((outcome, i) => !equal(outcome, expected[i]!));
    const run = outcomes.filter((each) => each !== undefined);
    return { way, how, packets: run.length, reports: run[0]?.hash !== undefined, agrees: differs < 0, differs, ns };
  });
  output.line(`${packets.length} packets, ${options.queues} queues; expected: the specification, bit by bit`);
  for (const line of table([
    ['WAY', 'HOW', 'QUEUE', 'HASH, REPORT', 'NS/PACKET'],
    ...rows.map(({ way, how, agrees, reports, ns, packets: run }) => [
      way,
      how,
      agrees ? (run === packets.length ? 'equal' : `equal (${run} packets)`) : 'DIFFERS',
      reports ? (agrees ? 'equal' : 'see below') : 'none',
      ns.toFixed(1),
    ]),
  ]))
    output.line(line);
  for (const { way, how, differs } of rows)
    if (differs >= 0) {
      const there = done.find((each) => each.how === how)!.outcomes[differs]!;
      output.line(
        `${way} (${how}): packet ${differs + 1} has ${describe(there)}, expected ${describe(expected[differs]!)}`,
      );
    }
  const kinds = new Map<string, number>();
  for (const { report } of expected) kinds.set(reportNames[report]!, (kinds.get(reportNames[report]!) ?? 0) + 1);
  output.line(`reports: ${[...kinds].map(([name, count]) => `${name} ${count}`).join(', ')}`);
  const byRule = rules.map((rule, index) => ({
    rule: formatFlowRule(rule),
    packets: chosen.filter((each) => each === index).length,
  }));
  if (byRule.length > 0)
    for (const line of table([
      ['RULE', 'PACKETS'],
      ...byRule.map(({ rule, packets: count }) => [rule, String(count)]),
      ['none', String(chosen.filter((each) => each < 0).length)],
    ]))
      output.line(line);
  const agree = rows.every(({ agrees }) => agrees);
  output.line(agree ? 'all ways agree' : 'the ways do not agree');
  output.document({
    schema: 'sluice.steer-compare/1',
    packets: packets.length,
    queues: options.queues,
    reports: Object.fromEntries(kinds),
    rules: byRule,
    ways: rows.map(({ differs, ...row }) => ({ ...row, firstDifference: differs < 0 ? null : differs })),
    agree,
  });
  return agree ? exitCode.yes : exitCode.no;
}

function equal(there: Outcome | undefined, expected: Outcome): boolean {
  return (
    there === undefined ||
    (there.queue === expected.queue &&
      (there.hash === undefined || (there.hash === expected.hash && there.report === expected.report)))
  );
}

const describe = ({ queue, hash, report }: Outcome) =>
  hash === undefined
    ? `queue ${queue}`
    : `queue ${queue}, hash 0x${hash.toString(16).padStart(8, '0')}, report ${reportNames[report ?? 0] ?? report}`;

/** What the portable program cannot be told. */
function notInC({ hashTypes, tunnelTypes = 0, table, key, automatic }: RssConfiguration): string | undefined {
  if (automatic === true) return 'it steers by a table';
  if (tunnelTypes !== 0) return 'it knows no tunnels';
  if (table.length > RSS_MAP_ENTRIES) return `its table has ${RSS_MAP_ENTRIES} entries`;
  const fits = key.length <= RSS_MAP_KEY_BYTES && (hashTypes === 0 || key.length === RSS_MAP_KEY_BYTES);
  return fits ? undefined : `its key has ${RSS_MAP_KEY_BYTES} bytes`;
}

/** Programs that compute by themselves, and are configured by maps. */
function inC(program: string | undefined): boolean {
  return program?.startsWith('rss_') === true;
}

async function inUserSpace({ way, how, program, reports }: (typeof ways)[number], task: Task): Promise<Way> {
  const { packets, queues, configuration, contexts, rules, parts } = task;
  const runtime = new Runtime();
  const object =
    program === undefined
      ? undefined
      : await load(readObject(readFileSync(join(objects, `${program}.bpf.o`)), `${program}.bpf.o`), { runtime });
  const handle = object === undefined ? undefined : Object.values(object.programs)[0];
  const steering = new Steering({
    queues,
    runtime,
    configuration,
    ...(inC(program) ? {} : { contexts, rules }),
    ...(handle === undefined ? {} : { program: handle }),
  });
  try {
    const outcomes: Outcome[] = [];
    const whole = { configuration, indices: packets.map((_, i) => i) };
    for (const part of inC(program) ? parts : [whole]) {
      if (object?.maps[RSS_CONFIG_MAP] !== undefined) fillRssMaps(object.maps, part.configuration);
      for (const { index, queue, hash, report } of steering.run(part.indices.map((i) => packets[i]!)))
        outcomes[part.indices[index]!] = reports
          ? { queue, hash, report }
          : { queue, hash: undefined, report: undefined };
    }
    return { way, how, outcomes, ns: timed(steering, packets) };
  } finally {
    steering.close();
    object?.close();
  }
}

/** The fastest of several stretches, over the first packets in one batch. */
function timed(steering: Steering, packets: readonly CapturedPacket[]): number {
  const some = packets.slice(0, BATCH);
  const frames = new SteeringFrames(steering.runtime, some.length);
  for (const [i, { data }] of some.entries()) frames.fill(i, data);
  let best = Number.POSITIVE_INFINITY;
  for (let stretch = 0; stretch < FASTEST_OF; stretch++) {
    const start = performance.now();
    let rounds = 0;
    for (; performance.now() - start < TIMED_MS; rounds += 16)
      for (let i = 0; i < 16; i++) steering.device.steer(frames.address, some.length);
    best = Math.min(best, ((performance.now() - start) * 1e6) / (rounds * some.length));
  }
  frames.free();
  return best;
}

function inKernel({ packets, queues, parts }: Task): Way {
  const object = loadLinux(readObject(readFileSync(join(objects, 'rss_socket.bpf.o')), 'rss_socket.bpf.o'));
  try {
    const program = Object.values(object.programs)[0]!;
    const outcomes = new Array<Outcome | undefined>(packets.length);
    for (const { configuration, indices } of parts) {
      fillRssMaps(object.maps, configuration);
      for (const i of indices) {
        const returned = testRun(program, packets[i]!.data);
        // As drivers/net/tun.c: 16 bits of it, modulo the queues.
        if (returned !== undefined)
          outcomes[i] = { queue: (returned & 0xffff) % queues, hash: undefined, report: undefined };
      }
    }
    const some = packets.filter((_, i) => outcomes[i] !== undefined).slice(0, BATCH);
    const ns = some.reduce((sum, { data }) => sum + program.run({ data, repeat: 20_000 }).durationNs, 0) / some.length;
    return { way: 'Linux', how: "rss_socket in the kernel's JIT, as QEMU does it", outcomes, ns };
  } finally {
    object.close();
  }
}

/** Undefined: the kernel refuses the packet, not the program. */
function testRun(program: ProgramHandle, data: Uint8Array): number | undefined {
  try {
    return Number(program.run({ data }).returnValue);
  } catch (error) {
    if (error instanceof InputError && error.code === 'SLUICE_LINUX_EINVAL') return undefined;
    throw error;
  }
}
