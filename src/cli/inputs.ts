/** What programs of a type are run over, where the user gives nothing or a capture: packets with contexts, or contexts alone. */
import type { ProgramTypeName } from '../abi/program-types.ts';
import { describePacket } from '../net/dissect.ts';
import { generatePackets } from '../net/generator.ts';
import { type Random, random } from '../net/random.ts';
import type { ScenarioName } from '../net/scenarios/index.ts';
import type { RunInput } from '../runtime/handles.ts';
import { toHex } from './output.ts';

/** Types whose test run takes struct __sk_buff and gives it back. */
const overSkb: ReadonlySet<ProgramTypeName> = new Set([
  'sched_cls',
  'sched_act',
  'socket_filter',
  'cgroup_skb',
  'lwt_in',
  'lwt_out',
  'lwt_xmit',
]);

/** Types that are run over a context, not over a packet. */
const contexts: Partial<Record<ProgramTypeName, (rng: Random) => Uint8Array>> = {
  raw_tracepoint: (rng) => rng.bytes(96),
  syscall: (rng) => rng.bytes(1024),
  sk_lookup: lookup,
};

export function takesPackets(type: ProgramTypeName): boolean {
  return !(type in contexts);
}

/** `count` inputs, the same for the same seed. */
export function* generateInputs(
  type: ProgramTypeName,
  seed: number,
  count: number,
  traffic: 'mix' | ScenarioName = 'mix',
): Generator<RunInput> {
  const rng = random(seed);
  const make = contexts[type];
  if (make !== undefined) for (let i = 0; i < count; i++) yield { context: make(rng) };
  else for (const { data } of generatePackets({ seed, count, traffic })) yield withContext(type, data, rng);
}

/** A packet with a context where the type has one: the fields that a caller may set without changing what the packet is. */
export function withContext(type: ProgramTypeName, data: Uint8Array, rng?: Random): RunInput {
  if (!overSkb.has(type)) return { data };
  const context = new Uint8Array(192);
  if (rng?.chance(1, 2)) {
    const view = new DataView(context.buffer);
    // mark, priority, ingress_ifindex; cb[]; tstamp
    for (const offset of [8, 32, 36, 48, 52, 56, 60, 64, 152]) view.setUint32(offset, rng.u32(), true);
  }
  return { data, context };
}

/** struct bpf_sk_lookup of a TCP or UDP packet to a socket of this machine. */
function lookup(rng: Random): Uint8Array {
  const context = rng.bytes(72);
  const view = new DataView(context.buffer);
  view.setBigUint64(0, 0n, true);
  view.setUint32(8, rng.pick([2, 10]), true);
  view.setUint32(12, rng.pick([6, 17]), true);
  view.setUint16(38, 0, true);
  view.setUint32(60, rng.chance(1, 2) ? rng.below(1024) : rng.below(0x10000), true);
  view.setUint32(64, 0, true);
  view.setUint32(68, 0, true);
  return context;
}

/** One line for people. */
export function describeInput(input: RunInput): string {
  if (input.data !== undefined) return describePacket(input.data);
  const context = input.context ?? new Uint8Array();
  return `context ${toHex(context.subarray(0, 72))}${context.length > 72 ? '…' : ''}`;
}
