/** `sluice run OBJ:P --pcap IN --cpus N`: the packets spread over threads by their hash, with the results of one CPU. */
import { Cpus } from '../cpus.ts';
import { type Device, type SpreadPacket, spreadCapture } from '../hooks/xdp/index.ts';
import type { CapturedPacket } from '../net/capture.ts';
import type { RunInput } from '../runtime/handles.ts';
import type { Outcome } from './comparison.ts';
import { UsageError } from './exit.ts';
import type { Subject } from './subjects.ts';

/** A packet as it was captured, and what a program is given for it. */
export interface GivenPacket {
  readonly packet: CapturedPacket;
  readonly given: RunInput & { readonly data: Uint8Array };
}

/** Outcomes in the order of the packets, on CPUs 1 to `count`; `perCpu` counts the packets that each CPU ran. Throws UsageError for a subject that threads cannot run. */
export async function* runOnCpus(
  subject: Subject,
  inputs: Iterable<GivenPacket>,
  count: number,
  perCpu: Map<number, number>,
): AsyncGenerator<{ readonly packet: CapturedPacket; readonly outcome: Outcome }, void, undefined> {
  const { runtime, program } = subject;
  if (runtime === undefined || subject.name !== 'jit')
    throw new UsageError('--cpus takes the target user and the engine jit, alone');
  if (program.type !== 'xdp')
    throw new UsageError(`programs of type ${program.type} run on one CPU; --cpus is for those of type xdp`);
  const hintsOf = new WeakMap<object, RunInput['hints']>();
  const sources: GivenPacket[] = [];
  let taken = 0;
  const packets = function* (): Generator<SpreadPacket, void, undefined> {
    for (const input of inputs) {
      sources.push(input);
      const { data, traits, hints } = input.given;
      const packet = { ...input.packet, data, ...(traits === undefined ? {} : { traits }) };
      hintsOf.set(packet, hints);
      yield packet;
    }
  };
  let why: string | undefined;
  const cpus = await Cpus.start(runtime, {
    cpus: Array.from({ length: count }, (_, i) => i + 1),
    onFault: ({ message }) => {
      why ??= message;
    },
  });
  for (const cpu of cpus.list) perCpu.set(cpu, 0);
  try {
    const device: Device = { receive: (packet) => ({ data: packet.data, hints: hintsOf.get(packet) }) };
    for await (const result of spreadCapture(cpus, program, packets(), { device })) {
      const { packet } = sources[result.index - taken]!;
      // What is behind is not needed any more.
      if (result.index - taken > 4096) taken += sources.splice(0, result.index - taken).length;
      if (result.kind === 'refused') {
        yield { packet, outcome: { kind: 'refused', reason: result.reason.message } };
        continue;
      }
      perCpu.set(result.cpu, (perCpu.get(result.cpu) ?? 0) + 1);
      if (result.end !== 'verdict') {
        yield { packet, outcome: { kind: 'fault', reason: why ?? `${result.end} on CPU ${result.cpu}` } };
        continue;
      }
      const { verdict, metadata, data, traits, stored, packetId } = result;
      yield {
        packet,
        outcome: {
          kind: 'ran',
          verdict,
          data: metadata.length === 0 ? data : Buffer.concat([metadata, data]),
          context: new Uint8Array(),
          carried: {
            ...(traits === undefined ? {} : { traits }),
            ...(stored === undefined ? {} : { stored }),
            ...(packetId === undefined ? {} : { packetId }),
          },
        },
      };
    }
  } finally {
    await cpus.close();
  }
}
