/** `sluice xdp trace OBJ…`: each packet gets a number, and one line says which programs it met, where it was sent and where it ended. */
import { fileURLToPath } from 'node:url';
import { type Command, InvalidArgumentError } from 'commander';
import { InputError } from '../errors.ts';
import {
  type ChainLink,
  type InterfacePrograms,
  type PathPacket,
  type PathSource,
  runPath,
} from '../hooks/path/index.ts';
import type { DeviceName } from '../hooks/xdp/device.ts';
import { load, Runtime } from '../index.ts';
import { interfaceName } from '../linux/netdev.ts';
import type { ObjectSpec } from '../object/spec.ts';
import type { UserObject } from '../runtime/load.ts';
import { networkFromJson } from '../runtime/network-json.ts';
import type { UserProgram } from '../runtime/program.ts';
import type { TraitFormat } from '../runtime/traits.ts';
import { readEthernetCapture } from './capture-file.ts';
import { withCarried } from './capture-traits.ts';
import { exitCode, UsageError } from './exit.ts';
import { addHints, hintsOf } from './hints-option.ts';
import { fillMaps, readMapInput } from './map-input.ts';
import { choiceOption, integerOption, secondsOption } from './options.ts';
import type { Output } from './output.ts';
import { addRegistry, type RegistryOptions, readRegistryFile } from './registry-option.ts';
import { readJson, select } from './selector.ts';
import { withTailCallTargets } from './subjects.ts';
import { metadataOption } from './surroundings.ts';
import { conditionOption, flowOption } from './trace-filter.ts';
import { STAMP, type TraceNames } from './trace-line.ts';
import { TracedInterface } from './trace-live.ts';
import { Telling, type TellingOptions } from './trace-telling.ts';
import type { Finish } from './verb.ts';

export interface TraceOptions extends TellingOptions, RegistryOptions {
  readonly pcap?: string;
  readonly if?: string;
  readonly at?: readonly { readonly index: number; readonly selector: string }[];
  readonly name?: ReadonlyMap<number, string>;
  readonly network?: string;
  readonly maps?: string;
  readonly metadata?: Partial<TraitFormat>;
  readonly hints?: string;
  readonly device?: DeviceName;
  readonly ingress?: string;
  readonly ingressMaps?: string;
  readonly engine: 'jit' | 'interpreter';
  readonly gro?: boolean;
  readonly stamp: boolean;
  readonly count?: number;
  readonly duration?: number;
  readonly unverified?: boolean;
  readonly json?: boolean;
}

export function addTrace(parent: Command, finish: Finish): void {
  const command = parent
    .command('trace')
    .description('one line for every packet: its number, the programs it met, redirects, and where it ended')
    .argument('<obj[:program]...>', 'XDP programs in the order of their chain, and tc programs behind them')
    .option('--pcap <file>', 'packets of a capture, here')
    .option(
      '--if <name>',
      'packets of an interface, by AF_XDP, until a signal, --count or --duration; what is sent back leaves by it',
    )
    .option('--at <index=obj:program>', 'program of another interface; several times for several', atOption)
    .option('--name <index=name>', 'what an interface is called; several times for several', nameOption)
    .option('--network <file>', 'interfaces and which of them are pairs, as JSON (docs/metadata.md)')
    .option('--maps <file>', 'initial contents of maps, as JSON; each object takes those that it has')
    .option('--metadata <layout[:placement]>', 'how packets keep their traits', metadataOption)
    .option('--ingress <obj:program>', 'with --if: XDP program in the kernel in front, whose traits come along')
    .option('--ingress-maps <file>', 'initial contents of its maps')
    .option('--engine <engine>', 'jit, interpreter', choiceOption(['jit', 'interpreter']), 'jit')
    .option('--gro', 'segments of one TCP flow become one packet before tc')
    .option('--no-stamp', 'packets get no number but what the programs give them (well-known trait packet_id)')
    .option('--flow <name=v,…>', 'only packets that came with: src, dst, sport, dport, proto', flowOption)
    .option(
      '--where <name=v>',
      'only packets that have a value at their end: packet_id, mark, hash, a trait; also != < <= > >=',
      conditionOption,
    )
    .option('--drops', 'only packets that did not arrive anywhere')
    .option('--show-traits', 'with their traits at the end of the line')
    .option('--count <n>', 'end after so many packets', integerOption(1, Number.MAX_SAFE_INTEGER))
    .option('--duration <s>', 'with --if: end after so many seconds', secondsOption)
    .option('--unverified', 'runs what the verifier refuses or does not follow')
    .option('--json', 'result as JSON (sluice.xdp-trace/1)');
  addHints(command);
  addRegistry(command);
  command.action((selectors: string[], options: TraceOptions) =>
    finish(options.json === true, (output) => trace(selectors, options, output)),
  );
}

async function trace(selectors: readonly string[], options: TraceOptions, output: Output) {
  if ((options.pcap === undefined) === (options.if === undefined))
    throw new UsageError('give --pcap FILE or --if NAME: where the packets come from');
  const [source, others] =
    options.pcap === undefined ? (['--if', onlyCaptured] as const) : (['--pcap', onlyLive] as const);
  const wrong = others.find((name) => options[name] !== undefined);
  if (wrong !== undefined)
    throw new UsageError(`--${wrong === 'ingressMaps' ? 'ingress-maps' : wrong} has no meaning with ${source}`);
  const runtime = new Runtime({
    metadata: {
      ...options.metadata,
      ...(options.registry === undefined ? {} : { registry: readRegistryFile(options.registry) }),
    },
    ...(options.network === undefined ? {} : { network: networkFromJson(readJson(options.network), options.network) }),
  });
  const objects: UserObject[] = [];
  const live = options.if === undefined ? undefined : await TracedInterface.open(runtime, options);
  try {
    const chain = await chainOf(runtime, selectors, options, objects);
    const interfaces = await elsewhere(runtime, options, objects);
    if (options.maps !== undefined) checkMaps(options.maps, objects);
    const names: TraceNames = {
      interface: (index) =>
        options.name?.get(index) ?? (live === undefined ? undefined : interfaceName(index)) ?? `if${index}`,
      traits: runtime.traits,
    };
    const telling = new Telling(names, options, output);
    const path = { ...chain, interfaces, gro: options.gro === true };
    if (live === undefined) {
      for (const { source, packet } of walk(captured(options), path)) telling.packet(source, packet);
    } else {
      output.note(`packets of ${options.if} by AF_XDP; SIGINT or SIGTERM ends it`);
      await live.serve(options, (sources) => {
        for (const { source, packet } of walk(sources, { ...path, ingressIfindex: live.ifindex })) {
          live.follow(packet);
          telling.packet(source, packet);
        }
      });
    }
    telling.end();
    return exitCode.yes;
  } finally {
    await live?.close();
    for (const object of objects) object.close();
  }
}

/** Options of one source alone. */
const onlyCaptured = ['hints', 'device'] as const;
const onlyLive = ['ingress', 'ingressMaps', 'duration'] as const;

/** Every map of the file is somebody's. */
function checkMaps(path: string, objects: readonly UserObject[]): void {
  const known = new Set(objects.flatMap(({ maps }) => Object.keys(maps)));
  const stray = Object.keys(readMapInput(path)).find((name) => !known.has(name));
  if (stray !== undefined)
    throw new InputError('SLUICE_NO_MAP', `no map ${stray}; there are ${[...known].join(', ')}`, { input: path });
}

/** Packets with what they were at the beginning. */
function* walk(
  sources: Iterable<PathSource>,
  path: Parameters<typeof runPath>[1],
): Generator<{ readonly source: PathSource; readonly packet: PathPacket }> {
  const waiting: PathSource[] = [];
  let first = 0;
  const watched = function* () {
    for (const source of sources) {
      waiting.push(source);
      yield source;
    }
  };
  for (const packet of runPath(watched(), path)) {
    // In order, each once.
    while (first < packet.index) {
      waiting.shift();
      first++;
    }
    yield { source: waiting[0]!, packet };
  }
}

function* captured(options: TraceOptions): Generator<PathSource> {
  const withHints = hintsOf(options, true);
  let index = 0;
  for (const packet of readEthernetCapture(options.pcap!)) {
    if (index === options.count) return;
    const { timestampNs, wireLength } = packet;
    const input = withCarried(
      packet,
      withHints(packet, index++),
      options.hints !== undefined || options.device !== undefined,
    );
    yield { timestampNs, wireLength, ...input };
  }
}

/** Programs by type: those of XDP behind the one that gives numbers, those of tc. */
async function chainOf(
  runtime: Runtime,
  selectors: readonly string[],
  options: TraceOptions,
  objects: UserObject[],
): Promise<InterfacePrograms> {
  const xdp: (UserProgram | ChainLink)[] = [];
  const tc: UserProgram[] = [];
  if (options.stamp)
    xdp.push(...(await programsOf(runtime, `${stampObject}:${STAMP}`, { ...options, maps: undefined }, objects)));
  for (const selector of selectors)
    for (const program of await programsOf(runtime, selector, options, objects))
      (program.type === 'xdp' ? xdp : tc).push(program);
  return { xdp, tc };
}

const stampObject = fileURLToPath(new URL('../../bpf/objects/metadata/packet_trace.bpf.o', import.meta.url));

async function elsewhere(runtime: Runtime, options: TraceOptions, objects: UserObject[]) {
  const interfaces: Record<number, { xdp: UserProgram[]; tc: UserProgram[] }> = {};
  for (const { index, selector } of options.at ?? []) {
    const there = interfaces[index] ?? { xdp: [], tc: [] };
    interfaces[index] = there;
    for (const program of await programsOf(runtime, selector, options, objects))
      (program.type === 'xdp' ? there.xdp : there.tc).push(program);
  }
  return interfaces;
}

/** What a selector names; without a program all of the object that others do not tail-call. One object is loaded for each selector. */
async function programsOf(
  runtime: Runtime,
  selector: string,
  options: Pick<TraceOptions, 'engine' | 'unverified'> & { readonly maps?: string | undefined },
  objects: UserObject[],
): Promise<UserProgram[]> {
  const { object, programs } = select(selector);
  const called = new Set(targetsOf(object));
  const chosen = programs.filter(({ name, type }) =>
    programs.length === 1 ? true : (type === 'xdp' || type === 'sched_cls') && !called.has(name),
  );
  const wrong = chosen.find(({ type }) => type !== 'xdp' && type !== 'sched_cls' && type !== 'sched_act');
  if (wrong !== undefined || chosen.length === 0)
    throw new UsageError(
      `${selector}: ${wrong === undefined ? 'no program of XDP or tc' : `${wrong.name} is of type ${wrong.type ?? 'unknown'}, not of XDP or tc`}`,
    );
  const loaded = await load(object, {
    runtime,
    engine: options.engine,
    programs: [...new Set(chosen.flatMap((program) => withTailCallTargets(object, program)))],
    unverified: options.unverified === true,
  });
  objects.push(loaded);
  if (options.maps !== undefined) {
    const input = Object.entries(readMapInput(options.maps)).filter(([name]) => loaded.maps[name] !== undefined);
    fillMaps(loaded, Object.fromEntries(input));
  }
  return chosen.map(({ name }) => loaded.programs[name]!);
}

function targetsOf({ maps }: ObjectSpec): string[] {
  return [...maps.values()].flatMap(({ contents }) =>
    contents.kind === 'references' ? [...contents.targets.values()] : [],
  );
}

function atOption(
  text: string,
  before: readonly { readonly index: number; readonly selector: string }[] = [],
): readonly { readonly index: number; readonly selector: string }[] {
  const [, index, selector] = /^(\d+)=(.+)$/.exec(text) ?? [];
  if (index === undefined || selector === undefined) throw new InvalidArgumentError('must be INDEX=OBJ:PROGRAM.');
  return [...before, { index: Number(index), selector }];
}

function nameOption(text: string, before: ReadonlyMap<number, string> = new Map()): ReadonlyMap<number, string> {
  const [, index, name] = /^(\d+)=(\S+)$/.exec(text) ?? [];
  if (index === undefined || name === undefined) throw new InvalidArgumentError('must be INDEX=NAME.');
  return new Map([...before, [Number(index), name]]);
}
