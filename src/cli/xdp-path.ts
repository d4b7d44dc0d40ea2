/** `sluice xdp path OBJ…`: packets of a capture along their whole way, in user space: XDP, redirects, sk_buffs, tc. */
import { type Command, InvalidArgumentError } from 'commander';
import { xdpAction } from '../abi/programs/xdp.ts';
import { Cpus } from '../cpus.ts';
import type { InputError } from '../errors.ts';
import { describeWay, isProgramStep, type PathPacket, type PathSource, runPath } from '../index.ts';
import { concat } from '../net/bytes.ts';
import type { CapturedPacket, PacketOption } from '../net/captured-packet.ts';
import { generatePackets } from '../net/generator.ts';
import { commentOption, packetIdOption, verdictOption } from '../net/pcapng-options.ts';
import { describeTraits } from '../net/pcapng-traits.ts';
import { hintsToText } from '../runtime/hints.ts';
import type { TraitRegistry } from '../traits/registry.ts';
import { readGoodPackets, writeCaptureFile } from './capture-file.ts';
import { carriedTraits, optionsWith, withCarried } from './capture-traits.ts';
import { type ExitCode, exitCode, UsageError } from './exit.ts';
import { addHints, type HintsOptions, hintsOf } from './hints-option.ts';
import { readMapInput } from './map-input.ts';
import { addObjectChanges, type ChangeOptions, changesOf } from './object-changes.ts';
import { choiceOption, integerOption } from './options.ts';
import { type Output, table } from './output.ts';
import { type ElementOption, loadPath, type PathPrograms } from './path-programs.ts';
import { Progress } from './progress.ts';
import { addSurroundings, type SurroundingsOptions, surroundingsOf } from './surroundings.ts';
import type { Finish } from './verb.ts';

interface PathCommandOptions extends ChangeOptions, HintsOptions, SurroundingsOptions {
  readonly pcap?: string;
  readonly generate?: number;
  readonly seed: number;
  readonly count?: number;
  readonly ingress: number;
  readonly queue: number;
  readonly at?: ReadonlyMap<number, readonly string[]>;
  readonly element?: readonly ElementOption[];
  readonly goesOn?: ReadonlyMap<string, readonly number[]>;
  readonly gro?: boolean;
  readonly carryHints?: boolean;
  readonly cpus?: number;
  readonly engine: 'jit' | 'interpreter';
  readonly maps?: string;
  readonly show: number;
  readonly out?: string;
  readonly unverified?: boolean;
  readonly json?: boolean;
}

export function addPathCommand(xdp: Command, finish: Finish): void {
  const command = xdp
    .command('path')
    .description(
      'packets along their whole way in user space: XDP programs in order, redirects, sk_buff, tc programs, reader',
    )
    .argument('<obj:program...>', 'programs of the interface that packets come in by, of XDP and tc, each in order')
    .option('--pcap <file>', 'capture (pcap or pcapng; of pcapng with the traits that packets have)')
    .option('--generate <n>', 'as many generated packets in place of a capture', integerOption(1, 1e9))
    .option(
      '--seed <n>',
      'of generated packets, and of the random numbers that programs see',
      integerOption(0, 0xffff_ffff),
      1,
    )
    .option('--count <n>', 'at most so many packets', integerOption(1, 1e9))
    .option('--ingress <ifindex>', 'interface that packets come in by', integerOption(1, 0x7fff_ffff), 1)
    .option('--queue <n>', 'receive queue that packets come in by', integerOption(0, 0xffff), 0)
    .option('--at <ifindex=obj:program>', 'program of another interface; several times, in order', atOption)
    .option(
      '--element <map[key]=to[:program]>',
      'element of a devmap (interface), cpumap (length of the queue) or xskmap (queue), with the program that runs there; several times',
      elementOption,
    )
    .option(
      '--goes-on <program=verdict,…>',
      'verdicts after which the next XDP program of a chain runs, as names or numbers from 0 to 31 (default PASS,31); several times',
      goesOnOption,
    )
    .option('--gro', 'segments of one TCP flow become one packet before tc')
    .option('--carry-hints', 'what the driver knows goes along with redirects, as if a program had stored it')
    .option(
      '--cpus <n>',
      'threads for CPUs 1 to n, to which cpumaps lead (default: all on one thread)',
      integerOption(1, 63),
    )
    .option('--engine <engine>', 'jit, interpreter', choiceOption(['jit', 'interpreter']), 'jit')
    .option('--maps <file>', 'initial contents of maps, as JSON: {"MAP": [[KEY, VALUE], …]}')
    .option('--show <n>', 'print the way of the first packets', integerOption(0, 1e9), 20)
    .option('--out <file>', 'packets at the end of their way, but for dropped ones; .pcapng has their way and traits')
    .option('--unverified', 'runs what the verifier refuses or does not follow')
    .option('--json', 'result as JSON (sluice.xdp-path/1)');
  addHints(command);
  addObjectChanges(command);
  addSurroundings(command);
  command.action((selectors: string[], options: PathCommandOptions) =>
    finish(options.json === true, (output) => follow(selectors, options, output)),
  );
}

/** Ends of which packets are gone. */
const gone = new Set<PathPacket['end']>(['dropped', 'aborted', 'merged', 'fault', 'lost', 'refused', 'consumed']);

async function follow(selectors: readonly string[], options: PathCommandOptions, output: Output): Promise<ExitCode> {
  if ((options.pcap === undefined) === (options.generate === undefined))
    throw new UsageError('give --pcap FILE or --generate N');
  if (options.cpus !== undefined && options.engine !== 'jit')
    throw new UsageError('--cpus takes the engine jit: the interpreter is on one thread');
  const surroundings = surroundingsOf(options, false);
  const programs = await loadPath({
    ingress: selectors,
    others: options.at ?? new Map(),
    elements: options.element ?? [],
    goesOn: options.goesOn ?? new Map(),
    maps: options.maps === undefined ? {} : readMapInput(options.maps),
    changes: changesOf(options) ?? {},
    runtime: {
      ...surroundings,
      cpus: Math.max(surroundings.cpus ?? 1, (options.cpus ?? 0) + 1),
      seed: BigInt(options.seed),
    },
    load: { engine: options.engine, unverified: options.unverified === true },
  });
  let cpus: Cpus | undefined;
  try {
    if (options.cpus !== undefined)
      cpus = await Cpus.start(programs.runtime, { cpus: Array.from({ length: options.cpus }, (_, i) => i + 1) });
    return run(programs, options, output);
  } finally {
    await cpus?.close();
    programs.close();
  }
}

function run(programs: PathPrograms, options: PathCommandOptions, output: Output): ExitCode {
  const registry = programs.runtime.traits;
  const hinted = hintsOf(options, options.pcap !== undefined);
  const asked = options.hints !== undefined || options.device !== undefined;
  let fault: InputError | undefined;
  const captured: Iterable<CapturedPacket> =
    options.pcap === undefined
      ? generatePackets({ seed: options.seed, count: options.generate! })
      : readGoodPackets(options.pcap, (error) => {
          fault = error;
        });
  // Packets that are under way: their times and options are wanted at the end.
  const underWay = new Map<number, CapturedPacket>();
  const sources = function* (): Generator<PathSource> {
    let index = 0;
    for (const packet of captured) {
      if (options.count !== undefined && index >= options.count) return;
      underWay.set(index, packet);
      const { timestampNs, wireLength } = packet;
      yield {
        timestampNs,
        wireLength,
        rxQueueIndex: options.queue,
        ...withCarried(packet, hinted(packet, index++), asked),
      };
    }
  };
  const interfaceIds = new Map<number, number>();
  const ends = new Map<string, number>();
  const shown: unknown[] = [];
  let packets = 0;
  let faults = 0;
  const progress = new Progress('xdp path');
  const ended = function* (): Generator<CapturedPacket> {
    const ways = runPath(sources(), {
      ...programs.ingress,
      ingressIfindex: options.ingress,
      interfaces: programs.others,
      gro: options.gro === true,
      carryHints: options.carryHints === true,
    });
    for (const way of ways) {
      const packet = underWay.get(way.index)!;
      underWay.delete(way.index);
      const all = withCopies(way);
      for (const each of all) {
        const where = whereOf(each);
        ends.set(where, (ends.get(where) ?? 0) + 1);
        if (each.end === 'fault') faults++;
        if (gone.has(each.end)) continue;
        if (!interfaceIds.has(each.interface)) interfaceIds.set(each.interface, interfaceIds.size);
        yield capturedAt(each, packet, interfaceIds.get(each.interface)!, registry);
      }
      if (packets < options.show || output.json) show(way, packets < options.show, registry, output, shown);
      packets++;
      progress.update(packets);
    }
  };
  if (options.out === undefined) for (const _ of ended());
  else writeCaptureFile(options.out, ended());
  progress.end();
  if (packets > options.show && options.show > 0) output.line(`… and ${packets - options.show} more`);
  const rows = [['END', 'PACKETS']];
  for (const [where, count] of [...ends].sort((a, b) => b[1] - a[1])) rows.push([where, String(count)]);
  for (const row of table(rows)) output.line(row);
  if (options.out !== undefined)
    output.line(`written to ${options.out}: packets that were not dropped, lost or merged`);
  output.document({
    schema: 'sluice.xdp-path/1',
    count: packets,
    ends,
    captureFault: fault?.message ?? null,
    packets: shown,
  });
  if (fault !== undefined) {
    output.note(`sluice: ${fault.message}; the packets before it are counted above`);
    return exitCode.input;
  }
  return faults === 0 ? exitCode.yes : exitCode.no;
}

function withCopies(packet: PathPacket): PathPacket[] {
  return [packet, ...packet.copies.flatMap(withCopies)];
}

/** The end of a way, for counting. */
function whereOf({ end, interface: at, queue, reason }: PathPacket): string {
  switch (end) {
    case 'passed':
    case 'sent':
      return `${end}, interface ${at}`;
    case 'socket':
      return `socket, queue ${queue}`;
    case 'lost':
      return `lost: ${reason}`;
    default:
      return end;
  }
}

/** The packet as it was on the wire, with the tag that stands beside it, its way and what it carries. */
function capturedAt(
  packet: PathPacket,
  source: CapturedPacket,
  interfaceId: number,
  registry: TraitRegistry,
): CapturedPacket {
  const vlan = packet.skb?.vlan;
  const data = vlan === undefined ? packet.data : tagged(packet.data, vlan);
  const { options: _, ...rest } = source;
  const last = packet.steps.findLast(isProgramStep);
  const { options = [] } = optionsWith(source, packet, registry);
  const own: PacketOption[] = [
    commentOption(`way: ${describeWay(packet)}`),
    ...(last?.verdict === undefined ? [] : [verdictOption(last.kind === 'tc' ? 'tc' : 'xdp', last.verdict)]),
    ...(packet.packetId === undefined ? [] : [packetIdOption(packet.packetId)]),
  ];
  return { ...rest, data, wireLength: data.length, interfaceId, options: [...options, ...own] };
}

function tagged(data: Uint8Array, { protocol, tci }: { readonly protocol: number; readonly tci: number }): Uint8Array {
  return concat([
    data.subarray(0, 12),
    Uint8Array.of(protocol >> 8, protocol & 0xff, tci >> 8, tci & 0xff),
    data.subarray(12),
  ]);
}

function show(way: PathPacket, print: boolean, registry: TraitRegistry, output: Output, documents: unknown[]): void {
  if (print) {
    const lines = (packet: PathPacket, label: string) => {
      output.line(`${label.padStart(6)}  ${describeWay(packet)}${known(packet, registry)}`);
      for (const [i, copy] of packet.copies.entries()) lines(copy, `+${i}`);
    };
    lines(way, String(way.index));
  }
  if (output.json) documents.push(documentOf(way, registry));
}

/** What it carries, and what an sk_buff's fields say. */
function known(packet: PathPacket, registry: TraitRegistry): string {
  const traits = carriedTraits({ traits: packet.traits, packetId: packet.packetId }, registry);
  const { skb } = packet;
  const parts = [
    ...(traits.length === 0 ? [] : [describeTraits(traits)]),
    ...(packet.hints === undefined ? [] : [hintsToText(packet.hints)]),
    ...(skb === undefined || skb.mark === 0 ? [] : [`mark=${skb.mark}`]),
    ...(skb?.gso === undefined ? [] : [`segments=${skb.gso.segments}`]),
  ];
  return parts.length === 0 ? '' : `  [${parts.join(' ')}]`;
}

function documentOf(packet: PathPacket, registry: TraitRegistry): unknown {
  const { error: _, traits, copies, ...rest } = packet;
  return {
    ...rest,
    traits: carriedTraits({ traits }, registry).map(({ key, name, value }) => ({ key, name: name ?? null, value })),
    copies: copies.map((copy) => documentOf(copy, registry)),
  };
}

function atOption(text: string, before: ReadonlyMap<number, readonly string[]> = new Map()) {
  const [, index, selector] = /^(\d{1,9})=(.+)$/.exec(text) ?? [];
  if (index === undefined || selector === undefined || Number(index) === 0)
    throw new InvalidArgumentError('must be an interface, =, and a program: 3=prog.bpf.o:tc_in.');
  return new Map([...before, [Number(index), [...(before.get(Number(index)) ?? []), selector]]]);
}

function goesOnOption(text: string, before: ReadonlyMap<string, readonly number[]> = new Map()) {
  const [, program, list] = /^(\w+)=([\w,]+)$/.exec(text) ?? [];
  const verdicts = (list ?? '').split(',').map((word) => {
    const name = word.toLowerCase().replace(/^xdp_/, '');
    return name in xdpAction ? xdpAction[name as keyof typeof xdpAction] : /^\d+$/.test(name) ? Number(name) : -1; // as just asked
  });
  if (program === undefined || verdicts.some((verdict) => verdict < 0 || verdict > 31))
    throw new InvalidArgumentError('must be a program, =, and verdicts: steer=PASS,TX,31.');
  return new Map([...before, [program, verdicts]]);
}

function elementOption(text: string, before: readonly ElementOption[] = []): ElementOption[] {
  const [, map, key, to, program] = /^([\w.]+)\[(\d{1,10})\]=(\d{1,10})(?::(\w+))?$/.exec(text) ?? [];
  if (map === undefined) throw new InvalidArgumentError('must be map[key]=number, or map[key]=number:program.');
  return [...before, { map, key: Number(key), to: Number(to), ...(program === undefined ? {} : { program }) }];
}
