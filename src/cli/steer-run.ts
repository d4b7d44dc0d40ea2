/** `sluice steer run --tap NAME`: steers the packets of a real TAP to queues and hands them to consumers, until it is told to end. */
import type { Command } from 'commander';
import type { Steering } from '../hooks/steering/index.ts';
import { interfaceDrops } from '../linux/netdev.ts';
import { type TapCounters, TapSteering, type TapWorkCounters } from '../linux/steering/index.ts';
import { type TunOffload, tunOffloads } from '../linux/tun-ioctl.ts';
import { formatFlowRule } from '../net/rss/flow-rules.ts';
import type { LoadedObject } from '../runtime/handles.ts';
import { every, onSignals } from './ends.ts';
import { exitCode } from './exit.ts';
import { mapContents } from './map-contents.ts';
import { addObjectChanges } from './object-changes.ts';
import { choiceOption, integerOption, listOption, secondsOption } from './options.ts';
import { type Output, table } from './output.ts';
import { createSteerEngine, type SteerEngine, type SteerEngineOptions } from './steer-engine.ts';
import { addContextOptions } from './steer-rss.ts';
import { sinkHelp, sinkOf } from './steer-sink.ts';
import { cpusFor, type SteerXdp, type SteerXdpOptions, startXdp } from './steer-xdp.ts';
import type { Finish } from './verb.ts';

interface RunOptions extends SteerEngineOptions, Omit<SteerXdpOptions, 'offloads'> {
  readonly tap: string;
  readonly sink: string;
  readonly whenFull: 'drop' | 'wait';
  readonly offloads?: readonly TunOffload[];
  readonly buffers?: number;
  readonly duration?: number;
  readonly count?: number;
  readonly statsInterval?: number;
  readonly json?: boolean;
}

/** Since `seconds`: packets so far, and how many a second since the sample before. */
interface Sample {
  readonly seconds: number;
  readonly packets: number;
  readonly perSecond: number;
}

export function addSteerRun(steer: Command, finish: Finish): void {
  const command = steer
    .command('run')
    .description(
      'steer the packets of a TAP to queues, behind struct virtio_net_hdr_v1_hash, until a signal, a time or a number of packets',
    )
    .requiredOption('--tap <name>', 'TAP to read; made, and taken up, where it is not there')
    .requiredOption('--queues <n>', 'queues that packets are steered to', integerOption(1, 256))
    .option(
      '--program <obj:program>',
      'a socket filter whose return value is the queue, or a program of type vnet_hash',
    )
    .option(
      '--rss <config.json>',
      'receive-side scaling: {"hashTypes": ["tcpv4", …], "table": [0, 1, …], "unclassifiedQueue": 0, "key": "6d5a…"}, each optional',
    )
    .option(
      '--xdp <obj:program>',
      'a program of XDP that runs over the packets of each queue: those that pass go to the sink, XDP_TX gives one back to the TAP',
    )
    .option('--cpus <n>', 'threads for --xdp: queue q is run by CPU 1 + q modulo n (default 1)', integerOption(1, 63))
    .option('--xdp-maps <file>', 'initial contents of maps of --xdp, as --maps')
    .option('--sink <sink>', sinkHelp, 'none')
    .option(
      '--kernel',
      'steer in the kernel instead, and read the queues that it chooses (no hash): by the program, by one for --rss, or without both by flow',
    )
    .option(
      '--when-full <what>',
      'packets whose consumer has no room: drop, wait',
      choiceOption(['drop', 'wait']),
      'drop',
    )
    .option(
      '--offloads <list>',
      `what the stack may leave to consumers: ${Object.keys(tunOffloads).join(', ')}`,
      listOption(Object.keys(tunOffloads) as TunOffload[]),
    )
    .option(
      '--buffers <n>',
      'packets that can be with consumers at once, a power of two (default 1024, with offloads 256)',
      integerOption(64, 32768),
    )
    .option('--engine <engine>', 'jit, interpreter', choiceOption(['jit', 'interpreter']), 'jit')
    .option(
      '--fallback',
      'a return value of -1 asks for the computation of --rss (in Linux it is queue 65535 modulo the queues)',
    )
    .option('--maps <file>', 'initial contents of maps, as JSON: {"MAP": [[KEY, VALUE], …]}')
    .option('--duration <s>', 'end after so many seconds', secondsOption)
    .option('--count <n>', 'end after about so many packets', integerOption(1, Number.MAX_SAFE_INTEGER))
    .option('--stats-interval <s>', 'print packets and rate every so many seconds', secondsOption)
    .option('--unverified', 'runs what the verifier refuses or does not follow')
    .option('--json', 'result as JSON (sluice.steer-run/1)');
  addContextOptions(command);
  addObjectChanges(command);
  command.action((options: RunOptions) => finish(options.json === true, (output) => run(options, output)));
}

async function run(options: RunOptions, output: Output) {
  const sink = sinkOf(options.sink);
  const engine = await createSteerEngine(options, cpusFor(options));
  let xdp: SteerXdp | undefined;
  try {
    xdp = await startXdp(engine.runtime, options, output);
    const device = new TapSteering(engine.runtime, options.tap, {
      queues: options.queues,
      engine: engine.steering?.device,
      sink,
      whenFull: options.whenFull,
      ...(xdp === undefined ? {} : { xdp }),
      ...(options.offloads === undefined ? {} : { offloads: options.offloads }),
      ...(options.buffers === undefined ? {} : { buffers: options.buffers }),
    });
    const start = performance.now();
    const samples: Sample[] = [];
    const stop = new AbortController();
    const undo: (() => void)[] = [];
    const before = interfaceDrops(device.name) ?? 0;
    let lost = 0;
    try {
      if (engine.kernelProgram !== undefined) device.sources[0]!.setSteering(engine.kernelProgram);
      undo.push(
        onSignals(stop),
        every(options.duration, () => stop.abort()),
        every(options.statsInterval, () => samples.push(sample(device.counters(), start, samples.at(-1), output))),
      );
      output.note(
        `${device.name}: ${options.queues} queue${options.queues === 1 ? '' : 's'} ${engine.how}${xdp === undefined ? '' : `, through ${xdp.program} on ${xdp.cpus.list.length} CPU${xdp.cpus.list.length === 1 ? '' : 's'}`}, to ${device.sink.what}; SIGINT or SIGTERM ends it`,
      );
      await device.serve({ signal: stop.signal, count: options.count ?? Number.POSITIVE_INFINITY });
    } finally {
      for (const each of undo) each();
      if (engine.kernelProgram !== undefined) clear(device);
      lost = Math.max(0, (interfaceDrops(device.name) ?? 0) - before);
      await device.close();
    }
    report(device, engine, xdp, options, { seconds: (performance.now() - start) / 1000, samples, lost }, output);
    return exitCode.yes;
  } finally {
    await xdp?.close();
    engine.close();
  }
}

/** The program would outlive us on a device that is persistent. */
function clear(device: TapSteering): void {
  try {
    device.sources[0]!.setSteering(undefined);
  } catch {
    // A device that has been deleted has no program either.
  }
}

function report(
  device: TapSteering,
  engine: SteerEngine,
  xdp: SteerXdp | undefined,
  options: RunOptions,
  run: { readonly seconds: number; readonly samples: readonly Sample[]; readonly lost: number },
  output: Output,
): void {
  const counters = device.counters();
  const rows = [['QUEUE', 'PACKETS', 'SHARE', 'BYTES', 'NO HASH', 'DROPPED']];
  for (const { queue, packets, bytes, noHash, dropped } of counters.queues) {
    const share = counters.packets === 0 ? 0 : (packets / counters.packets) * 100;
    rows.push([queue, packets, `${share.toFixed(1)} %`, bytes, noHash, dropped].map(String));
  }
  for (const row of table(rows)) output.line(row);
  const work = device.workCounters();
  if (work !== undefined) printWork(work, output);
  printRules(engine.steering, output);
  const others = [
    ...(counters.runts > 0 ? [`${counters.runts} shorter than an Ethernet header`] : []),
    ...(run.lost > 0 ? [`${run.lost} lost before, the device's queue was full (txqueuelen)`] : []),
    ...(counters.exhausted > 0 ? [`reading stopped ${counters.exhausted} times for want of buffers`] : []),
  ];
  if (others.length > 0) output.line(others.join(', '));
  output.line(
    `${counters.packets} packets in ${run.seconds.toFixed(1)} s, ${Math.round(counters.packets / run.seconds)} a second`,
  );
  output.document({
    schema: 'sluice.steer-run/1',
    tap: device.name,
    how: engine.steering?.way ?? 'kernel',
    program: engine.program ?? null,
    sink: options.sink,
    whenFull: options.whenFull,
    ...run,
    ...counters,
    rules: rulesOf(engine.steering),
    maps: contentsOf(engine.object),
    ...(xdp === undefined ? {} : { xdp: { program: xdp.program, queues: work, maps: contentsOf(xdp.object) } }),
  });
}

function contentsOf(object: LoadedObject | undefined) {
  return Object.fromEntries(
    Object.values(object?.maps ?? {}).map((map) => [map.name, map.type === 'ringbuf' ? null : mapContents(map)]),
  );
}

/** What the program of XDP did with the packets of each queue. */
function printWork(work: readonly TapWorkCounters[], output: Output): void {
  const rows = work.map((of, queue) =>
    [queue, of.cpu, of.passed, of.dropped, of.returned, of.aborted, of.lost + of.refused].map(String),
  );
  for (const row of table([['QUEUE', 'CPU', 'PASSED', 'XDP_DROP', 'XDP_TX', 'ABORTED', 'LOST'], ...rows]))
    output.line(row);
}

/** Rules and how many packets each chose the context of. */
function rulesOf(steering: Steering | undefined) {
  const hits = steering?.device.ruleHits() ?? [];
  return (steering?.rules ?? []).map((rule, index) => ({ rule: formatFlowRule(rule), packets: Number(hits[index]) }));
}

function printRules(steering: Steering | undefined, output: Output): void {
  const rows = rulesOf(steering).map(({ rule, packets }) => [rule, String(packets)]);
  if (rows.length > 0) for (const row of table([['RULE', 'PACKETS'], ...rows])) output.line(row);
}

function sample(counters: TapCounters, start: number, last: Sample | undefined, output: Output): Sample {
  const seconds = (performance.now() - start) / 1000;
  const { packets } = counters;
  const perSecond = Math.round((packets - (last?.packets ?? 0)) / (seconds - (last?.seconds ?? 0)));
  const queues = counters.queues.map((queue) => queue.packets).join(' ');
  const line = `${seconds.toFixed(1).padStart(7)} s  ${String(packets).padStart(12)} packets  ${String(perSecond).padStart(10)} /s  queues ${queues}`;
  // The document comes at the end; who watches wants to see it now.
  if (output.json) output.note(line);
  else output.line(line);
  return { seconds, packets, perSecond };
}
