/** A packet's way as `sluice xdp trace` prints it, and as its JSON has it. */
import { isProgramStep, type PathPacket, type ProgramStep, type WayStep } from '../hooks/path/index.ts';
import type { TraitRegistry } from '../traits/registry.ts';

/** The program that gives numbers: it is on no line. */
export const STAMP = 'stamp_packet_id';

export interface TraceNames {
  interface(index: number): string;
  readonly traits: TraitRegistry;
}

/** Steps without the stamp. */
export function stepsOf({ steps }: PathPacket): readonly (ProgramStep | WayStep)[] {
  return steps.filter((step) => !isProgramStep(step) || step.program !== STAMP);
}

/** Program that had the last word; undefined: none ran. */
export function lastProgram(packet: PathPacket): string | undefined {
  return packet.steps.findLast(isProgramStep)?.program;
}

/** `xdp firewall PASS -> tc nat OK -> reader 74 bytes`. */
export function wayOf(packet: PathPacket, names: TraceNames): string {
  const steps = stepsOf(packet);
  // The end says it again.
  const shown = packet.end === 'sent' && steps.at(-1)?.kind === 'sent' ? steps.slice(0, -1) : steps;
  const parts = shown.flatMap((step) => describeStep(step, names) ?? []);
  return [...parts, describeEnd(packet, names)].join(' -> ');
}

function describeStep(step: ProgramStep | WayStep, names: TraceNames): string | undefined {
  if (isProgramStep(step)) {
    const verdict = step.verdictName.replace(/^(XDP|TC_ACT)_/, '');
    return `${step.kind === 'cpumap' ? `cpu ${step.at}` : step.kind} ${step.program} ${verdict}`;
  }
  switch (step.kind) {
    case 'redirect':
      return step.map === undefined ? undefined : `${step.map.type}[${step.map.key}]`;
    case 'sent':
      return `out ${names.interface(step.at)}`;
    case 'arrived':
      return `in ${names.interface(step.at)}`;
    case 'skb':
      return undefined;
    case 'copy':
      return `copy ${step.copy + 1}`;
    case 'merged':
      return `with packet ${step.index}`;
  }
}

function describeEnd(packet: PathPacket, names: TraceNames): string {
  const { end, reason, data } = packet;
  const by = lastProgram(packet);
  switch (end) {
    case 'passed':
      return `reader ${data.length} bytes`;
    case 'sent':
      return `sent by ${names.interface(packet.interface)} ${data.length} bytes`;
    case 'socket':
      return `socket of queue ${packet.queue} ${data.length} bytes`;
    case 'merged':
      return `part of packet ${packet.mergedInto}`;
    case 'dropped':
    case 'aborted':
    case 'consumed':
      return `${end} by ${by}`;
    default:
      return `${end}: ${reason}`;
  }
}

/** Values by name, or by key where the key has none. */
export function traitsByName({ traits }: PathPacket, names: TraceNames): Record<string, Uint8Array> {
  return Object.fromEntries(
    [...(traits ?? [])].map(([key, value]) => [names.traits.at(key)?.name ?? String(key), value]),
  );
}
