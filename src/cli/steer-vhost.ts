/** `sluice steer vhost --socket PATH`: the network device of a virtual machine, whose packets are a TAP's or the guest's own. */
import type { Command } from 'commander';
import { FrameWriter } from '../linux/steering/frame-writer.ts';
import { TapSteering } from '../linux/steering/index.ts';
import { toFrames } from '../linux/steering/sink-frames.ts';
import { VNET_HASH_HEADER_SIZE } from '../plane/layout/steering.ts';
import { virtioFeature } from '../runtime/virtio/network-device.ts';
import type { VirtqueueCounters } from '../runtime/virtio/virtqueue.ts';
import { VhostUserDevice, type VhostUserState } from '../vhost-user.ts';
import { endedBy } from './ends.ts';
import { exitCode, UsageError } from './exit.ts';
import { readMapInput } from './map-input.ts';
import { addObjectChanges } from './object-changes.ts';
import { choiceOption, integerOption, secondsOption } from './options.ts';
import { type Output, table } from './output.ts';
import { type SteerEngineOptions, steeringOf } from './steer-engine.ts';
import { addContextOptions } from './steer-rss.ts';
import type { Finish } from './verb.ts';

interface VhostOptions extends Omit<SteerEngineOptions, 'queues' | 'kernel'> {
  readonly socket: string;
  readonly pairs: number;
  readonly tap?: string;
  readonly duration?: number;
  readonly json?: boolean;
}

/** What a front end agreed to, the last that agreed to anything. */
interface Agreement {
  readonly features: readonly string[];
  readonly receiving: number;
}

const FEATURE_PROTOCOL = 1n << 30n;

export function addSteerVhost(steer: Command, finish: Finish): void {
  const command = steer
    .command('vhost')
    .description(
      "a network device that a VMM connects to (vhost-user): packets are steered to the guest's queues, the hash in their header where the guest may have it",
    )
    .requiredOption('--socket <path>', 'Unix socket to listen on; removed at the end')
    .requiredOption('--pairs <n>', 'queue pairs', integerOption(1, 256))
    .option(
      '--tap <name>',
      'TAP on the other side, made where it is not there; without it the guest gets back what it sends',
    )
    .option(
      '--program <obj:program>',
      'a socket filter whose return value is the queue, or a program of type vnet_hash',
    )
    .option(
      '--rss <config.json>',
      'receive-side scaling, as for steer run; a driver that has the control queue may change it',
    )
    .option('--engine <engine>', 'jit, interpreter', choiceOption(['jit', 'interpreter']), 'jit')
    .option('--fallback', 'a return value of -1 asks for the computation of --rss')
    .option('--maps <file>', 'initial contents of maps, as JSON: {"MAP": [[KEY, VALUE], …]}')
    .option('--duration <s>', 'end after so many seconds', secondsOption)
    .option('--unverified', 'runs what the verifier refuses or does not follow')
    .option('--json', 'result as JSON (sluice.steer-vhost/1)');
  addContextOptions(command);
  addObjectChanges(command);
  command.action((options: VhostOptions) => finish(options.json === true, (output) => vhost(options, output)));
}

async function vhost(options: VhostOptions, output: Output) {
  if (options.program === undefined && options.rss === undefined)
    throw new UsageError(
      'say what steers: --program OBJ[:P], --rss CONFIG.json, or both for a program that asks for the hash',
    );
  const maps = options.maps === undefined ? {} : readMapInput(options.maps);
  const { device: steering, how, close } = await steeringOf({ ...options, queues: options.pairs }, maps);
  const { signal, undo } = endedBy(options.duration);
  let device: VhostUserDevice | undefined;
  let tap: TapSteering | undefined;
  let writer: FrameWriter | undefined;
  let agreed: Agreement | undefined;
  let told = '';
  /** Packets of the guest that the TAP would not have. */
  let refused = 0;
  const tell = (state: VhostUserState) => {
    if (state.features !== 0n) agreed = { features: namesOf(state.features), receiving: state.receiving };
    const text = describe(state);
    if (text !== told) output.note(text);
    told = text;
  };
  try {
    device = await VhostUserDevice.listen({
      ...steering,
      path: options.socket,
      pairs: options.pairs,
      ...(options.tap === undefined
        ? { transmitted: (packets) => device?.deliver(packets.map(({ data }) => data)) }
        : {
            transmittedFrames: (frames, count) => {
              // What comes before the TAP is there has nowhere to go.
              refused += writer?.write(frames, count) ?? count;
            },
          }),
      changed: tell,
    });
    const guest = device;
    if (options.tap !== undefined) {
      tap = new TapSteering(steering.runtime, options.tap, {
        queues: options.pairs,
        engine: device.steering.device,
        sink: toFrames('the guest', (frames, count) => guest.deliverSteered(frames, count)),
      });
      writer = new FrameWriter(steering.runtime, tap.sources[0]!.fd, VNET_HASH_HEADER_SIZE);
    }
    output.note(
      `${options.socket}: ${options.pairs} queue pair${options.pairs === 1 ? '' : 's'} ${how}, ${tap === undefined ? 'what the guest sends comes back' : `to and from ${tap.name}`}; SIGINT or SIGTERM ends it`,
    );
    if (tap !== undefined) await tap.serve({ signal });
    else if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    report(device, tap, agreed, refused, output);
  } finally {
    undo();
    // What the guest sends from here on has nowhere to go: the TAP's descriptor ends before the device does.
    const last = writer;
    writer = undefined;
    await last?.close();
    await tap?.close();
    await device?.close();
    close();
  }
  return exitCode.yes;
}

function namesOf(features: bigint): string[] {
  return Object.entries(virtioFeature)
    .filter(([, bit]) => (features & bit) !== 0n)
    .map(([name]) => name);
}

function describe({ connected, features, receiving, problem }: VhostUserState): string {
  const because = problem === undefined ? '' : ` (${problem})`;
  if (!connected) return `no front end${because}`;
  if ((features & ~FEATURE_PROTOCOL) === 0n) return `a front end${because}`;
  return `a front end agreed to ${namesOf(features).join(', ')}; ${receiving} receive queue${receiving === 1 ? '' : 's'} run${receiving === 1 ? 's' : ''}${because}`;
}

function report(
  device: VhostUserDevice,
  tap: TapSteering | undefined,
  agreed: Agreement | undefined,
  refused: number,
  output: Output,
): void {
  const { receive, transmit, unqueued } = device.counters();
  const rows = [['PAIR', 'TO GUEST', 'BYTES', 'DROPPED', 'FROM GUEST', 'BYTES', 'DROPPED']];
  const cells = ({ packets, bytes, dropped }: VirtqueueCounters) => [packets, bytes, dropped];
  for (const [pair, to] of receive.entries()) rows.push([pair, ...cells(to), ...cells(transmit[pair]!)].map(String));
  for (const row of table(rows)) output.line(row);
  const { flows } = device.steering.counters();
  if (flows.learned > 0n)
    output.line(`${flows.found} to the queue that the guest sent their flow on, of ${flows.learned} flows`);
  if (unqueued > 0n) output.line(`${unqueued} for queues that did not run`);
  if (refused > 0)
    output.line(`${refused} from the guest that the TAP refused: it is down, or their headers are not good`);
  output.document({
    schema: 'sluice.steer-vhost/1',
    socket: device.path,
    pairs: device.pairs,
    tap: tap?.name ?? null,
    agreed: agreed ?? null,
    receive,
    transmit,
    unqueued,
    flows,
    refused,
    problem: device.state.problem ?? null,
    ...(tap === undefined ? {} : { tapCounters: tap.counters() }),
  });
}
