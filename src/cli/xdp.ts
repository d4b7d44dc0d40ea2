/** `sluice xdp attach OBJ:P --if NAME`: a program on a real interface, in the kernel or here, until it is told to end. */
import { watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Command } from 'commander';
import { verdictNames } from '../abi/programs/verdicts.ts';
import { xdpAction } from '../abi/programs/xdp.ts';
import { SluiceError } from '../errors.ts';
import type { AfXdpAttachOptions } from '../linux/af-xdp-attachment.ts';
import type { LiveFrame } from '../linux/live-frame.ts';
import type { LinuxObject } from '../linux/load.ts';
import { interfaceIndex } from '../linux/netdev.ts';
import { traitOptions } from '../net/pcapng-traits.ts';
import type { ProgramSpec } from '../object/spec.ts';
import type { TraitFormat } from '../runtime/traits.ts';
import { LiveCapture } from './capture-live.ts';
import { carriedTraits } from './capture-traits.ts';
import { every, onSignals } from './ends.ts';
import { exitCode, UsageError } from './exit.ts';
import { mapContents } from './map-contents.ts';
import { fillMaps, readMapInput } from './map-input.ts';
import { addObjectChanges, type ChangeOptions, changesOf } from './object-changes.ts';
import { choiceOption, integerOption, secondsOption } from './options.ts';
import { type Output, table } from './output.ts';
import { addRegistry, type RegistryOptions, readRegistryFile } from './registry-option.ts';
import { selectOne } from './selector.ts';
import { metadataOption } from './surroundings.ts';
import type { Verb } from './verb.ts';
import { AfXdpSession } from './xdp-afxdp.ts';
import { KernelSession } from './xdp-kernel.ts';
import { addPathCommand } from './xdp-path.ts';
import type { LiveSession, SessionOptions } from './xdp-session.ts';
import { addTrace } from './xdp-trace.ts';

const modes = ['kernel', 'generic', 'native', 'afxdp'] as const;

interface AttachOptions extends ChangeOptions, RegistryOptions {
  readonly if: string;
  readonly mode: (typeof modes)[number];
  readonly engine: 'jit' | 'interpreter';
  readonly copy: 'auto' | 'copy' | 'zerocopy';
  readonly duration?: number;
  readonly count?: number;
  readonly cpus?: number;
  readonly out?: string;
  readonly passTo?: string;
  readonly ingress?: string;
  readonly ingressMaps?: string;
  readonly frameMetadata?: 'traits' | 'opaque' | number;
  readonly metadata?: Partial<TraitFormat>;
  readonly hints?: boolean;
  readonly checksums?: 'device' | 'software';
  readonly maps?: string;
  readonly pinPath?: string;
  readonly statsInterval?: number;
  readonly replace?: boolean;
  readonly unverified?: boolean;
  readonly json?: boolean;
}

/** Since `seconds`: packets so far, and how many a second since the sample before. */
interface Sample {
  readonly seconds: number;
  readonly packets: number;
  readonly perSecond: number;
}

export const xdpVerb: Verb = (program, finish) => {
  const command: Command = program
    .command('xdp')
    .description('XDP programs on real interfaces, and the ways of packets');
  addPathCommand(command, finish);
  const attachCommand = command
    .command('attach')
    .description('run a program on an interface until a signal, a time or a number of packets; then detach')
    .argument('<obj:program>', 'object file and program (or section)')
    .requiredOption('--if <name>', 'interface')
    .option('--mode <mode>', `${modes.join(', ')}; kernel: native where the driver can`, choiceOption(modes), 'kernel')
    .option('--engine <engine>', 'with afxdp: jit, interpreter', choiceOption(['jit', 'interpreter']), 'jit')
    .option('--cpus <n>', 'with afxdp: threads that the queues are given to in turn', integerOption(1, 63))
    .option('--copy <how>', 'with afxdp: auto, copy, zerocopy', choiceOption(['auto', 'copy', 'zerocopy']), 'auto')
    .option('--duration <s>', 'end after so many seconds', secondsOption)
    .option('--count <n>', 'end after about so many packets', integerOption(1, Number.MAX_SAFE_INTEGER))
    .option('--out <file.pcapng>', 'with afxdp: packets that were passed, sent back or redirected')
    .option('--pass-to <name>', 'with afxdp: interface that passed packets leave by (by default they end here)')
    .option('--ingress <obj:program>', 'with afxdp: XDP program in the kernel in front; what it passes comes here')
    .option('--ingress-maps <file>', 'initial contents of its maps')
    .option(
      '--frame-metadata <what>',
      'with afxdp: what lies before packets: traits or opaque (what the ingress program left), or a number of bytes',
      frameMetadataOption,
    )
    .option('--metadata <layout[:placement]>', 'with afxdp: how packets keep their traits here', metadataOption)
    .option('--hints', "the driver's hash, VLAN tag and time for bpf_xdp_metadata_rx_* (native mode; Linux 6.3)")
    .option(
      '--checksums <who>',
      'with afxdp: who fills in TCP and UDP checksums of what is sent: device, software',
      choiceOption(['device', 'software']),
    )
    .option('--maps <file>', 'initial contents of maps, as JSON: {"MAP": [[KEY, VALUE], …]}')
    .option('--pin-path <dir>', 'folder of maps that are pinned by name: a bpf file system, or with afxdp files')
    .option('--stats-interval <s>', 'print packets and rate every so many seconds', secondsOption)
    .option('--replace', 'put the program in again, without a gap, whenever its file changes or SIGHUP comes')
    .option('--unverified', 'with afxdp: runs what the verifier refuses or does not follow')
    .option('--json', 'result as JSON (sluice.xdp/1)');
  addObjectChanges(attachCommand);
  addRegistry(attachCommand);
  attachCommand.action((selector: string, options: AttachOptions) =>
    finish(options.json === true, (output) => attach(selector, options, output)),
  );
  addTrace(command, finish);
};

async function attach(selector: string, options: AttachOptions, output: Output) {
  const { object, program, path } = selectOne(selector, changesOf(options));
  checkOptions(program, options, selector);
  interfaceIndex(options.if);
  const capture = options.out === undefined ? undefined : new LiveCapture(options.out);
  const sessionOptions: SessionOptions = {
    interfaceName: options.if,
    hints: options.hints === true,
    ...(options.registry === undefined ? {} : { registry: readRegistryFile(options.registry) }),
    maps: options.maps === undefined ? {} : readMapInput(options.maps),
    pins: options.pinPath === undefined ? {} : { pinFolder: options.pinPath },
    count: options.count ?? Number.POSITIVE_INFINITY,
    each:
      capture === undefined
        ? undefined
        : (frame) => {
            if (frame.verdict >= xdpAction.pass) capture.add(frame.data, traitOptions(carriedBy(frame)));
          },
  };
  const session =
    options.mode === 'afxdp'
      ? await AfXdpSession.start(object, program, {
          ...sessionOptions,
          engine: options.engine,
          unverified: options.unverified === true,
          ...(options.metadata === undefined ? {} : { metadata: options.metadata }),
          ...(options.cpus === undefined ? {} : { cpus: options.cpus }),
          attach: attachOptions(options),
        })
      : new KernelSession(object, program, options.mode === 'kernel' ? 'auto' : options.mode, sessionOptions);
  const start = performance.now();
  const samples: Sample[] = [];
  let replaced = 0;
  const stop = new AbortController();
  const undo = [
    onSignals(stop),
    every(options.duration, () => stop.abort()),
    every(options.statsInterval, () => samples.push(sample(session, start, samples.at(-1), output))),
    options.replace === true
      ? onChange(
          path,
          async () => {
            const next = selectOne(selector, changesOf(options));
            await session.replace(next.object, next.program);
            output.note(`replaced by ${next.program.name} as it is now`);
            replaced++;
          },
          output,
        )
      : () => {},
  ];
  output.note(`${program.name} on ${options.if}, ${session.how}; SIGINT or SIGTERM ends it`);
  try {
    try {
      await session.serve(stop.signal);
    } finally {
      for (const each of undo) each();
      await session.detach();
      capture?.close();
    }
    const seconds = (performance.now() - start) / 1000;
    report(session, options, program, { seconds, samples, replaced }, output);
    return exitCode.yes;
  } finally {
    session.close();
  }
}

/** What a packet carries, for its place in a capture. */
function carriedBy({ traits, packetId, runtime }: LiveFrame) {
  return carriedTraits({ traits, ...(packetId === 0n ? {} : { packetId }) }, runtime.traits);
}

function attachOptions(options: AttachOptions): AfXdpAttachOptions {
  const { copy, passTo, checksums, frameMetadata } = options;
  const selected = options.ingress === undefined ? undefined : selectOne(options.ingress);
  const contents = options.ingressMaps === undefined ? {} : readMapInput(options.ingressMaps);
  const ingress = selected && {
    object: selected.object,
    program: selected.program.name,
    prepare: (object: LinuxObject) => fillMaps(object, contents),
  };
  return {
    copy,
    ...(passTo === undefined ? {} : { passTo }),
    ...(checksums === undefined ? {} : { checksums }),
    ...(frameMetadata === undefined ? {} : { metadata: frameMetadata }),
    ...(ingress === undefined ? {} : { ingress }),
  };
}

/** `traits`, `opaque`, or bytes. */
function frameMetadataOption(text: string): 'traits' | 'opaque' | number {
  return text === 'traits' || text === 'opaque' ? text : integerOption(4, 216)(text);
}

function checkOptions(program: ProgramSpec, options: AttachOptions, selector: string): void {
  if (program.type !== 'xdp')
    throw new UsageError(`${selector} is a program of type ${program.type ?? 'unknown'}, not xdp`);
  if (options.mode === 'afxdp') {
    if (options.out !== undefined && !options.out.endsWith('.pcapng'))
      throw new UsageError(`--out ${options.out}: live captures are written as .pcapng`);
    if (options.cpus !== undefined && (options.out !== undefined || options.engine !== 'jit'))
      throw new UsageError('--cpus takes the engine jit, and no --out: packets are not seen by this thread');
    return;
  }
  for (const [name, flag] of Object.entries(onlyHere))
    if (options[name as keyof typeof onlyHere] !== undefined)
      throw new UsageError(`${flag} needs --mode afxdp: in the kernel packets do not come here`);
}

/** Options of packets that come here. */
const onlyHere = {
  out: '--out',
  cpus: '--cpus',
  passTo: '--pass-to',
  ingress: '--ingress',
  frameMetadata: '--frame-metadata',
  metadata: '--metadata',
  checksums: '--checksums',
} as const;

function report(
  session: LiveSession,
  options: AttachOptions,
  program: ProgramSpec,
  run: { readonly seconds: number; readonly samples: readonly Sample[]; readonly replaced: number },
  output: Output,
): void {
  const names = verdictNames('XDP_', xdpAction);
  const verdicts = new Map(
    session
      .verdicts()
      .flatMap((count, verdict) => (count > 0 ? [[names.get(verdict) ?? 'other', count] as const] : [])),
  );
  const packets = [...verdicts.values()].reduce((sum, count) => sum + count, 0);
  const rows = [['VERDICT', 'PACKETS']];
  for (const [name, count] of [...verdicts].sort((a, b) => b[1] - a[1])) rows.push([name, String(count)]);
  for (const row of table(rows)) output.line(row);
  const details = Object.entries(session.details()).filter(([, count]) => count > 0);
  if (details.length > 0) output.line(details.map(([name, count]) => `${words(name)} ${count}`).join(', '));
  output.line(`${packets} packets, ${session.bytes()} bytes in ${run.seconds.toFixed(1)} s; detached`);
  output.document({
    schema: 'sluice.xdp/1',
    interface: options.if,
    mode: options.mode,
    program: program.name,
    ...run,
    packets,
    bytes: session.bytes(),
    verdicts,
    details: session.details(),
    maps: Object.fromEntries(
      Object.values(session.objects.at(-1)!.maps)
        .filter(({ name }) => !name.startsWith('.sluice.'))
        .map((map) => [map.name, map.type === 'ringbuf' ? null : mapContents(map)]),
    ),
  });
}

/** `rxRingFull` -> `rx ring full`. */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function sample(session: LiveSession, start: number, last: Sample | undefined, output: Output): Sample {
  const seconds = (performance.now() - start) / 1000;
  const packets = session.verdicts().reduce((sum, count) => sum + count, 0);
  const perSecond = Math.round((packets - (last?.packets ?? 0)) / (seconds - (last?.seconds ?? 0)));
  const line = `${seconds.toFixed(1).padStart(7)} s  ${String(packets).padStart(12)} packets  ${String(perSecond).padStart(10)} /s`;
  // The document comes at the end; who watches wants to see it now.
  if (output.json) output.note(line);
  else output.line(line);
  return { seconds, packets, perSecond };
}

/** A program that cannot be loaded is told of and not put in. */
function onChange(path: string, call: () => Promise<void>, output: Output): () => void {
  let pending: NodeJS.Timeout | undefined;
  const soon = () => {
    clearTimeout(pending);
    // A compiler writes in pieces.
    pending = setTimeout(() => {
      call().catch((error: unknown) => {
        if (!(error instanceof SluiceError)) throw error;
        output.note(`not replaced: ${error.message}`);
      });
    }, 50);
  };
  const watcher = watch(dirname(path), (_, name) => {
    if (name === basename(path)) soon();
  });
  process.on('SIGHUP', soon);
  return () => {
    clearTimeout(pending);
    watcher.close();
    process.off('SIGHUP', soon);
  };
}
