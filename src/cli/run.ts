/** `sluice run OBJ:P`: one input as bpftool's prog run takes it, or a whole capture, on one or more targets and engines. */
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { ProgramTypeName } from '../abi/program-types.ts';
import type { InputError } from '../errors.ts';
import type { CapturedPacket } from '../net/capture.ts';
import { describePacket } from '../net/dissect.ts';
import { type PolicyName, policyNames } from '../runtime/allocators/policy.ts';
import type { HelperResults } from '../runtime/helper-results.ts';
import { hintsToJson, hintsToText } from '../runtime/hints.ts';
import type { Clock, Task } from '../runtime/surroundings.ts';
import type { TraitFormat } from '../runtime/traits.ts';
import type { TraitRegistry } from '../traits/registry.ts';
import { readGoodPackets, writeCaptureFile } from './capture-file.ts';
import { optionsWith, withCarried } from './capture-traits.ts';
import { compareMaps, type Divergence, describeOutcome, type Outcome, runOnAll } from './comparison.ts';
import { type ExitCode, exitCode, UsageError } from './exit.ts';
import { addHints, type HintsOptions, hintsOf, type WithHints } from './hints-option.ts';
import { describeInput, takesPackets, withContext } from './inputs.ts';
import { mapContents } from './map-contents.ts';
import { readMapInput } from './map-input.ts';
import { addObjectChanges, type ChangeOptions, changesOf } from './object-changes.ts';
import { choiceOption, integerOption, listOption } from './options.ts';
import { type Output, table } from './output.ts';
import { Progress } from './progress.ts';
import { recordSubject } from './recording.ts';
import type { RegistryOptions } from './registry-option.ts';
import { coverSubject } from './run-coverage.ts';
import { type GivenPacket, runOnCpus } from './run-cpus.ts';
import { readInput, selectOne } from './selector.ts';
import { createSubject, type Subject, type SubjectName } from './subjects.ts';
import { addSurroundings, surroundingsOf } from './surroundings.ts';
import type { Verb } from './verb.ts';
import { bytesKept, verdictName } from './verdicts.ts';

interface RunOptions extends ChangeOptions, HintsOptions, RegistryOptions {
  readonly dataIn?: string;
  readonly dataOut?: string;
  readonly ctxIn?: string;
  readonly ctxOut?: string;
  readonly repeat: number;
  readonly pcap?: string;
  readonly out?: string;
  readonly count?: number;
  readonly target: readonly ('user' | 'linux')[];
  readonly engine: readonly ('jit' | 'interpreter')[];
  readonly show: number;
  readonly seed: number;
  readonly unverified?: boolean;
  readonly policy?: PolicyName;
  readonly merge?: boolean;
  readonly maps?: string;
  readonly clock?: Clock;
  readonly cpu?: number;
  readonly cpus?: number;
  readonly task?: Task;
  readonly helperResult?: HelperResults;
  readonly metadata?: Partial<TraitFormat>;
  readonly pinPath?: string;
  readonly record?: string;
  readonly coverage?: string;
  readonly json?: boolean;
}

export const runVerb: Verb = (program, finish) => {
  const command: Command = program
    .command('run')
    .description(
      'run a program over one input or over a capture; several targets or engines are held against each other',
    )
    .argument('<obj:program>', 'object file and program (or section)')
    .option('--data-in <file>', 'packet, as raw bytes; - is standard input')
    .option('--data-out <file>', 'packet after the run')
    .option('--ctx-in <file>', 'context in its UAPI layout')
    .option('--ctx-out <file>', 'context after the run')
    .option('--repeat <n>', 'runs over the same input', integerOption(1, 0xffff_ffff), 1)
    .option('--pcap <file>', 'capture (pcap or pcapng) instead of one input')
    .option(
      '--out <file>',
      'with --pcap: packets that were passed, sent back or redirected; .pcapng gives pcapng, with their traits',
    )
    .option('--count <n>', 'with --pcap: at most so many packets', integerOption(1, 1e9))
    .option(
      '--cpus <n>',
      'with --pcap: threads that the packets are spread over by their hash (XDP, jit); CPUs 1 to n',
      integerOption(1, 63),
    )
    .option('--show <n>', 'with --pcap: print the first packets one by one', integerOption(0, 1e9), 0)
    .option('--target <list>', 'user, linux', listOption(['user', 'linux']), ['user'])
    .option('--engine <list>', 'jit, interpreter (for target user)', listOption(['jit', 'interpreter']), ['jit'])
    .option('--seed <n>', 'of the random numbers that programs see', integerOption(0, 0xffff_ffff), 1)
    .option('--maps <file>', 'initial contents of maps, as JSON: {"MAP": [[KEY, VALUE], …]}')
    .option(
      '--pin-path <dir>',
      'folder of maps that are pinned by name: files, or with --target linux a bpf file system',
    )
    .option('--record <file>', 'everything that `sluice replay` needs to run it again and compare')
    .option('--unverified', 'user space runs what the verifier refuses or does not follow')
    .option(
      '--policy <policy>',
      `allocators of objects (docs/allocators.md): ${policyNames.join(', ')}; user space`,
      choiceOption(policyNames),
    )
    .option('--merge', 'with --policy: makes allocators that are alike one where they meet')
    .option('--coverage <file>', 'with --engine interpreter: lines and functions that ran, as lcov')
    .option('--json', 'result as JSON');
  addObjectChanges(command);
  addSurroundings(command);
  addHints(command);
  command.action((selector: string, options: RunOptions) =>
    finish(options.json === true, async (output) => {
      const changes = changesOf(options);
      const { object, program: spec } = selectOne(selector, changes);
      const given = [options.pcap, options.dataIn ?? options.ctxIn].filter((path) => path !== undefined);
      if (given.length !== 1)
        throw new UsageError('give --data-in FILE or --pcap FILE; --ctx-in FILE alone for programs without packets');
      const names = options.target.flatMap((target): readonly SubjectName[] =>
        target === 'linux' ? ['linux'] : options.engine,
      );
      if (options.pinPath !== undefined && names.length > 1)
        throw new UsageError('--pin-path takes one target and one engine: several would share the pinned maps');
      const pinned = options.pinPath === undefined ? {} : { pinPath: options.pinPath };
      const maps = options.maps === undefined ? {} : readMapInput(options.maps);
      checkCpus(options, names);
      const surroundings = withCpus(surroundingsOf(options, options.record !== undefined), options.cpus);
      const subjects: Subject[] = [];
      try {
        for (const name of names)
          subjects.push(
            await createSubject(object, spec, name, {
              seed: BigInt(options.seed),
              maps,
              surroundings,
              unverified: options.unverified,
              policy: options.policy,
              merge: options.merge,
              ...pinned,
            }),
          );
        const coverage = options.coverage === undefined ? undefined : coverSubject(subjects, options.coverage);
        const recording = options.record === undefined ? undefined : recordSubject(subjects, options.record);
        const code =
          options.pcap === undefined
            ? runOne(subjects, options, output)
            : await runCapture(subjects, options.pcap, options, output);
        coverage?.finish(output);
        recording?.finish(
          {
            selector,
            program: spec.name,
            seed: options.seed,
            surroundings,
            unverified: options.unverified === true,
            maps: options.maps,
            changes,
          },
          output,
        );
        return code;
      } finally {
        for (const subject of subjects) subject.close();
      }
    }),
  );
};

function runOne(subjects: readonly Subject[], options: RunOptions, output: Output): ExitCode {
  const data = options.dataIn === undefined ? undefined : readInput(options.dataIn);
  const context = options.ctxIn === undefined ? undefined : readInput(options.ctxIn);
  const { type } = subjects[0]!.program;
  const hinted = hintedBy(options, type, false);
  const results = subjects.map((subject) => ({
    engine: subject.name,
    ...subject.program.run({
      repeat: options.repeat,
      ...(data === undefined ? {} : hinted({ data, timestampNs: 0n }, 0)),
      ...(context === undefined ? {} : { context }),
    }),
  }));
  const first = results[0]!;
  if (options.dataOut !== undefined && first.data !== undefined) writeFileSync(options.dataOut, first.data);
  if (options.ctxOut !== undefined && first.context !== undefined) writeFileSync(options.ctxOut, first.context);
  const agreed = results.every(
    (each) =>
      each.returnValue === first.returnValue &&
      sameBytes(each.data, first.data) &&
      sameBytes(each.context, first.context),
  );
  const rows = [['ENGINE', 'RETURN', 'NS/RUN', 'BYTES OUT']];
  for (const each of results) {
    const name = verdictName(type, each.returnValue);
    rows.push([
      each.engine,
      `${name} (${each.returnValue})`,
      each.durationNs.toFixed(1),
      String(each.data?.length ?? 0),
    ]);
  }
  for (const row of table(rows)) output.line(row);
  for (const { engine, redirect, redirectMap } of results) {
    if (redirect !== undefined) output.line(`redirected (${engine}): interface ${redirect.ifindex}, ${redirect.to}`);
    if (redirectMap !== undefined)
      output.line(`redirected (${engine}): key ${redirectMap.key} of the map with id ${redirectMap.mapId}`);
  }
  const registry = subjects.find(({ runtime }) => runtime !== undefined)?.runtime?.traits;
  for (const { engine, traits } of results)
    if (traits !== undefined) output.line(`traits (${engine}): ${traitText(traits, registry)}`);
  for (const { engine, stored } of results)
    if (stored !== undefined) output.line(`stored (${engine}): ${hintsToText(stored)}`);
  for (const { engine, packetId } of results)
    if (packetId !== undefined) output.line(`packet id (${engine}): ${packetId}`);
  for (const { engine, systemCall, socket, message } of results) {
    if (systemCall !== undefined) output.line(`system call (${engine}): ${systemCall}`);
    if (socket !== undefined) output.line(`socket (${engine}): ${socket}`);
    if (message !== undefined && (message.apply !== 0 || message.cork !== 0))
      output.line(`message (${engine}): verdict for ${message.apply} bytes, next run at ${message.cork}`);
  }
  for (const subject of subjects) for (const line of subject.trace()) output.line(`trace (${subject.name}): ${line}`);
  if (results.length > 1)
    output.line(agreed ? 'return values, packets and contexts agree' : output.colors.red('results differ'));
  output.document({
    schema: 'sluice.run/1',
    agreed,
    results: results.map(({ engine, returnValue, r0, data: after, context: contextAfter, durationNs, ...to }) => ({
      engine,
      returnValue,
      r0: r0 ?? null,
      verdict: verdictName(type, returnValue),
      data: after ?? null,
      context: contextAfter ?? null,
      durationNs,
      redirect: to.redirect ?? null,
      redirectMap: to.redirectMap ?? null,
      systemCall: to.systemCall ?? null,
      message: to.message ?? null,
      traits: to.traits === undefined ? null : Object.fromEntries(to.traits),
      traitNames: Object.fromEntries(
        [...(to.traits?.keys() ?? [])].flatMap((key) => {
          const name = registry?.at(key)?.name;
          return name === undefined ? [] : [[key, name]];
        }),
      ),
      stored: to.stored === undefined ? null : hintsToJson(to.stored),
      packetId: to.packetId ?? null,
    })),
  });
  return agreed ? exitCode.yes : exitCode.no;
}

/** Inputs with what a driver knows of them; only programs of type xdp ask one. */
function hintedBy(options: RunOptions, type: ProgramTypeName, isCapture: boolean): WithHints {
  if (type === 'xdp') return hintsOf(options, isCapture);
  if (options.hints !== undefined || options.device !== undefined)
    throw new UsageError(`programs of type ${type} are given no hints; XDP programs are`);
  return ({ data }) => ({ data });
}

/** `5=0a000001 flow_id=07000000 9=`: names where the registry has them, else keys, and values in the order of their bytes. */
function traitText(traits: ReadonlyMap<number, Uint8Array>, registry: TraitRegistry | undefined): string {
  return [...traits]
    .map(([key, value]) => `${registry?.at(key)?.name ?? key}=${Buffer.from(value).toString('hex')}`)
    .join(' ');
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return Buffer.compare(a ?? new Uint8Array(), b ?? new Uint8Array()) === 0;
}

/** Threads have CPUs of their own, besides the one of this thread. */
function withCpus<T extends { readonly cpus?: number }>(surroundings: T, cpus: number | undefined): T {
  return cpus === undefined ? surroundings : { ...surroundings, cpus: Math.max(cpus + 1, surroundings.cpus ?? 1) };
}

function checkCpus(options: RunOptions, names: readonly SubjectName[]): void {
  if (options.cpus === undefined) return;
  if (options.pcap === undefined) throw new UsageError('--cpus takes --pcap FILE');
  if (names.length !== 1 || names[0] !== 'jit')
    throw new UsageError('--cpus takes the target user and the engine jit, alone');
  const given = (['record', 'coverage', 'cpu', 'clock', 'helperResult'] as const).find(
    (name) => options[name] !== undefined,
  );
  if (given !== undefined)
    throw new UsageError(
      `--cpus goes without --${given === 'helperResult' ? 'helper-result' : given}: that is of one thread`,
    );
}

async function runCapture(
  subjects: readonly Subject[],
  path: string,
  options: RunOptions,
  output: Output,
): Promise<ExitCode> {
  const { type } = subjects[0]!.program;
  if (!takesPackets(type)) throw new UsageError(`programs of type ${type} take no packets; give --ctx-in FILE`);
  const hinted = hintedBy(options, type, true);
  const progress = new Progress(`run ${subjects.map(({ name }) => name).join(' ')}`);
  const verdicts = new Map<string, number>();
  const divergences: Divergence[] = [];
  let packets = 0;
  let refused = 0;
  let badCapture: InputError | undefined;
  let firstFault: { readonly packet: number; readonly reason: string } | undefined;
  const registry = subjects[0]!.runtime?.traits;
  const inputs = function* (): Generator<GivenPacket, void, undefined> {
    let index = 0;
    for (const packet of readGoodPackets(path, (fault) => {
      badCapture = fault;
    })) {
      if (options.count !== undefined && index >= options.count) break;
      const input = hinted(packet, index++);
      const asked = options.hints !== undefined || options.device !== undefined;
      const { hints, ...carried } = withCarried(
        packet,
        { ...withContext(type, input.data), ...input },
        asked,
        registry,
      );
      // Hints are of XDP packets alone.
      yield { packet, given: type === 'xdp' && hints !== undefined ? { ...carried, hints } : carried };
    }
  };
  /** Counts what became of a packet; the packet that goes on, undefined: none does. */
  const take = (packet: CapturedPacket, outcome: Outcome): CapturedPacket | undefined => {
    const name = outcome.kind === 'ran' ? verdictName(type, outcome.verdict) : outcome.kind;
    if (outcome.kind === 'fault') firstFault ??= { packet: packets, reason: outcome.reason };
    verdicts.set(name, (verdicts.get(name) ?? 0) + 1);
    if (packets < options.show)
      output.line(`${String(packets).padStart(6)}  ${name.padEnd(12)} ${describePacket(packet.data)}`);
    packets++;
    progress.update(packets);
    if (outcome.kind !== 'ran') {
      refused++;
      return undefined;
    }
    const data = outcome.data.subarray(0, bytesKept(type, outcome.verdict, outcome.data.length));
    if (data.length === 0) return undefined;
    const after = {
      traits: outcome.carried?.traits,
      hints: outcome.carried?.stored,
      packetId: outcome.carried?.packetId,
    };
    const { options: _, ...rest } = packet;
    return { ...rest, ...optionsWith(packet, after, registry), data, wireLength: outcome.data.length };
  };
  const emitted = function* (): Generator<CapturedPacket, void, undefined> {
    for (const { packet, given } of inputs()) {
      const { outcome, divergence } = runOnAll(subjects, given, packets);
      if (divergence !== undefined) divergences.push(divergence);
      const after = take(packet, outcome);
      if (after !== undefined) yield after;
    }
  };
  const perCpu = new Map<number, number>();
  if (options.cpus !== undefined) {
    const kept: CapturedPacket[] = [];
    for await (const { packet, outcome } of runOnCpus(subjects[0]!, inputs(), options.cpus, perCpu)) {
      const after = take(packet, outcome);
      if (after !== undefined && options.out !== undefined) kept.push(after);
    }
    if (options.out !== undefined) writeCaptureFile(options.out, kept);
  } else if (options.out !== undefined) writeCaptureFile(options.out, emitted());
  else for (const _ of emitted());
  progress.end();

  const rows = [['VERDICT', 'PACKETS']];
  for (const [name, count] of [...verdicts].sort((a, b) => b[1] - a[1])) rows.push([name, String(count)]);
  for (const row of table(rows)) output.line(row);
  if (options.cpus !== undefined)
    for (const row of table([['CPU', 'PACKETS'], ...[...perCpu].map((each) => each.map(String))])) output.line(row);
  if (options.out !== undefined) output.line(`written to ${options.out}: packets that were not dropped`);
  if (firstFault !== undefined)
    output.line(output.colors.red(`fault at packet ${firstFault.packet}: ${firstFault.reason}`));
  const maps = subjects.length > 1 ? compareMaps(subjects) : undefined;
  const agreed = divergences.length === 0 && (maps === undefined || maps.divergences.length === 0);
  if (maps !== undefined) {
    const who = subjects.map(({ name }) => name).join(', ');
    if (agreed)
      output.line(output.colors.green(`${who} agree: ${packets} verdicts and packets, ${maps.compared} map entries`));
    else {
      output.line(
        output.colors.red(`${who} differ: ${divergences.length} packets, ${maps.divergences.length} map entries`),
      );
      printDivergence(subjects, divergences[0], output);
      for (const each of maps.divergences.slice(0, 5)) {
        output.line(
          `  map ${each.map} key ${each.key}: ${[...each.values].map(([who2, value]) => `${who2} ${value ?? '-'}`).join(', ')}`,
        );
      }
    }
  }
  output.document({
    schema: 'sluice.run-capture/1',
    packets,
    refused,
    fault: firstFault ?? null,
    captureFault: badCapture?.message ?? null,
    verdicts,
    engines: subjects.map(({ name }) => name),
    ...(options.cpus === undefined ? {} : { cpus: [...perCpu].map(([cpu, of]) => ({ cpu, packets: of })) }),
    agreed,
    divergences: divergences.slice(0, 100).map(({ input, given }) => ({ input, data: given.data ?? null })),
    mapDivergences: maps?.divergences.slice(0, 100) ?? [],
    maps: Object.fromEntries(
      Object.values(subjects[0]!.object.maps).map((map) => [
        map.name,
        map.type === 'ringbuf' ? null : mapContents(map),
      ]),
    ),
  });
  if (badCapture !== undefined) {
    output.note(`sluice: ${badCapture.message}; the packets before it are counted above`);
    return exitCode.input;
  }
  return agreed && firstFault === undefined ? exitCode.yes : exitCode.no;
}

function printDivergence(subjects: readonly Subject[], divergence: Divergence | undefined, output: Output): void {
  if (divergence === undefined) return;
  const { type } = subjects[0]!.program;
  output.line(`  first: packet ${divergence.input}, ${describeInput(divergence.given)}`);
  for (const [name, outcome] of divergence.outcomes) output.line(`    ${name}: ${describeOutcome(outcome, type)}`);
}
