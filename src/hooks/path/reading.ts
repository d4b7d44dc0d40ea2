/** Reads what became of the packets of a batch out of the path's memory. */
import { mapTypeName } from '../../abi/map-types.ts';
import { tcAction } from '../../abi/programs/tc.ts';
import { verdictNames } from '../../abi/programs/verdicts.ts';
import { xdpAction } from '../../abi/programs/xdp.ts';
import { InputError } from '../../errors.ts';
import { FRAME_PACKET_ID } from '../../plane/layout/frame.ts';
import { MAP_ID, MAP_TYPE } from '../../plane/layout/map.ts';
import * as layout from '../../plane/layout/path.ts';
import * as skbLayout from '../../plane/layout/skb.ts';
import { callableAt } from '../../runtime/callable.ts';
import { ProgramFault } from '../../runtime/fault.ts';
import { packetIdAt, traitsAfter, traitsOf } from '../traits.ts';
import { knownOf } from '../xdp/hints.ts';
import type { PathBlock } from './block.ts';
import type { PathEnd, PathPacket, ProgramStep, SkbFields, WayStep } from './packet.ts';

const ends: Readonly<Record<number, PathEnd>> = {
  [layout.END_PASSED]: 'passed',
  [layout.END_DROPPED]: 'dropped',
  [layout.END_ABORTED]: 'aborted',
  [layout.END_SENT]: 'sent',
  [layout.END_SOCKET]: 'socket',
  [layout.END_CONSUMED]: 'consumed',
  [layout.END_MERGED]: 'merged',
  [layout.END_FAULT]: 'fault',
  [layout.END_LOST]: 'lost',
};

const reasons: Readonly<Record<number, string>> = {
  [layout.LOST_NO_INTERFACE]: 'there is no such interface',
  [layout.LOST_TOO_LONG]: "longer than the interface's MTU",
  [layout.LOST_NO_TARGET]: 'redirected to nothing',
  [layout.LOST_QUEUE]: 'the socket is bound to another queue than the packet came by',
  [layout.LOST_HOPS]: `sent on more than ${layout.HOPS_MAX} times`,
  [layout.LOST_NO_COPY]: 'no room for a copy',
  [layout.LOST_NO_ROOM]: 'too long for a frame',
  [layout.LOST_CRASH]: 'the thread of its CPU ended',
};

const kinds: Readonly<Record<number, ProgramStep['kind']>> = {
  [layout.STEP_XDP]: 'xdp',
  [layout.STEP_DEVMAP]: 'devmap',
  [layout.STEP_CPUMAP]: 'cpumap',
  [layout.STEP_TC]: 'tc',
};
const moves: Readonly<Record<number, 'sent' | 'arrived' | 'skb'>> = {
  [layout.STEP_SENT]: 'sent',
  [layout.STEP_ARRIVED]: 'arrived',
  [layout.STEP_SKB]: 'skb',
};
const xdpNames = verdictNames('XDP_', xdpAction);
const tcNames = verdictNames('TC_ACT_', tcAction);

/** Packets of the batch in order. `first`: index of its first packet in the source; `faults`: what stopped programs, by item. */
export function readBatch(
  block: PathBlock,
  count: number,
  indexOf: (item: number) => number,
  faults: ReadonlyMap<number, unknown>,
): PathPacket[] {
  const used = block.used;
  const copies = new Map<number, number[]>();
  for (let item = count; item < used; item++) {
    const of = block.field(item, layout.ITEM_COPY_OF) - 1;
    copies.set(of, [...(copies.get(of) ?? []), item]);
  }
  const sourceOf = (item: number): number =>
    item < count ? indexOf(item) : sourceOf(block.field(item, layout.ITEM_COPY_OF) - 1);
  const read = (item: number): PathPacket => {
    const own = copies.get(item) ?? [];
    const end = ends[block.field(item, layout.ITEM_END)] ?? 'lost';
    const merged = block.field(item, layout.ITEM_MERGED_INTO);
    const cpu = block.field(item, layout.ITEM_CPU);
    const error = faults.get(item);
    return {
      index: sourceOf(item),
      steps: readSteps(block, item, own, sourceOf),
      end,
      interface: block.field(item, layout.ITEM_INTERFACE),
      ...(end === 'socket' ? { queue: block.field(item, layout.ITEM_QUEUE) } : {}),
      ...(cpu === 0 ? {} : { cpu: cpu - 1 }),
      ...(merged === 0 ? {} : { mergedInto: sourceOf(merged - 1) }),
      ...(end === 'lost' ? { reason: reasons[block.field(item, layout.ITEM_REASON)] ?? 'lost' } : {}),
      ...faultOf(block, item, error),
      ...contents(block, item),
      copies: own.map(read),
    };
  };
  return Array.from({ length: count }, (_, item) => read(item));
}

/** Programs of one batch share a call into an engine, which knows one of their names: the one that ran is the last step's. */
function faultOf(block: PathBlock, item: number, error: unknown): { reason?: string; error?: InputError } {
  if (error === undefined) return {};
  if (!(error instanceof InputError)) throw error;
  const { at, count } = block.steps(item);
  const last = at + (Math.min(count, layout.STEP_MAX) - 1) * layout.STEP_SIZE;
  const program = callableAt(
    block.runtime.plane,
    block.runtime.view().getUint32(last + layout.STEP_SUBJECT, true),
  )?.name;
  const fault =
    error instanceof ProgramFault && program !== undefined && error.program !== program
      ? new ProgramFault(error.code, program, error.message.replace(/^program \S+: /, ''), { cause: error })
      : error;
  return { reason: fault.message, error: fault };
}

function readSteps(
  block: PathBlock,
  item: number,
  copies: readonly number[],
  sourceOf: (item: number) => number,
): (ProgramStep | WayStep)[] {
  const view = block.runtime.view();
  const { at, count } = block.steps(item);
  return Array.from({ length: Math.min(count, layout.STEP_MAX) }, (_, i) => {
    const word = (field: number) => view.getUint32(at + i * layout.STEP_SIZE + field, true);
    const kind = word(layout.STEP_KIND);
    const subject = word(layout.STEP_SUBJECT);
    const place = word(layout.STEP_PLACE);
    const result = word(layout.STEP_RESULT);
    const program = kinds[kind];
    if (program !== undefined) return programStep(block, program, subject, place, result);
    const move = moves[kind];
    if (move !== undefined) return { kind: move, at: place };
    if (kind === layout.STEP_COPY) return { kind: 'copy', copy: copies.indexOf(subject) };
    if (kind === layout.STEP_MERGED) return { kind: 'merged', index: sourceOf(subject) };
    if (subject === 0) return { kind: 'redirect', to: place };
    const type = mapTypeName(view.getUint32(subject + MAP_TYPE, true)) ?? 'map';
    return {
      kind: 'redirect',
      map: { id: view.getUint32(subject + MAP_ID, true), type, key: result },
      to: place,
    };
  });
}

function programStep(
  block: PathBlock,
  kind: ProgramStep['kind'],
  entry: number,
  at: number,
  result: number,
): ProgramStep {
  const program = callableAt(block.runtime.plane, entry)?.name ?? `function ${entry}`;
  if (result === layout.STEP_RUNS) return { kind, program, verdict: undefined, verdictName: 'stopped', at };
  const verdict = kind === 'tc' ? result | 0 : result;
  const names = kind === 'tc' ? tcNames : xdpNames;
  return { kind, program, verdict, verdictName: names.get(verdict) ?? String(verdict), at };
}

/** Bytes and metadata of the form that the packet has at its end. */
function contents(
  block: PathBlock,
  item: number,
): Pick<PathPacket, 'data' | 'metadata' | 'traits' | 'packetId' | 'hints' | 'skb'> {
  const { runtime, frames, skbs } = block;
  const hints = knownOf(runtime.view(), frames.descriptor(item));
  const known = hints === undefined ? {} : { hints };
  if (block.field(item, layout.ITEM_IS_SKB) === 0) {
    const data = frames.read(item);
    const whole = frames.read(item, true);
    return {
      data,
      metadata: whole.subarray(0, whole.length - data.length),
      ...traitsAfter(traitsOf(runtime, 'xdp', frames.descriptor(item))),
      ...packetIdAt(runtime.view(), frames.descriptor(item) + FRAME_PACKET_ID),
      ...known,
    };
  }
  const meta = skbs.field(item, skbLayout.SKB_DATA_META);
  return {
    data: skbs.read(item),
    metadata: runtime.bytes().slice(meta, skbs.field(item, skbLayout.SKB_DATA)),
    ...traitsAfter(traitsOf(runtime, 'skb', skbs.descriptor(item))),
    ...packetIdAt(runtime.view(), skbs.descriptor(item) + skbLayout.SKB_PACKET_ID),
    ...known,
    skb: skbFields(block, item),
  };
}

function skbFields({ runtime, skbs }: PathBlock, item: number): SkbFields {
  const view = runtime.view();
  const skb = skbs.descriptor(item);
  const u32 = (field: number) => view.getUint32(skb + field, true);
  const time = view.getBigUint64(skb + skbLayout.SKB_HWTSTAMP, true);
  const segments = u32(skbLayout.SKB_GSO_SEGS);
  return {
    protocol: view.getUint16(skb + skbLayout.SKB_PROTOCOL, false),
    mark: u32(skbLayout.SKB_MARK),
    priority: u32(skbLayout.SKB_PRIORITY),
    queueMapping: u32(skbLayout.SKB_QUEUE_MAPPING),
    ...(u32(skbLayout.SKB_HASH_VALID) === 0 ? {} : { hash: u32(skbLayout.SKB_HASH) }),
    ...(u32(skbLayout.SKB_VLAN_PRESENT) === 0
      ? {}
      : {
          vlan: {
            protocol: view.getUint16(skb + skbLayout.SKB_VLAN_PROTO, false),
            tci: u32(skbLayout.SKB_VLAN_TCI),
          },
        }),
    ...(time === 0n ? {} : { hardwareTimestampNs: time }),
    ...(segments === 0 ? {} : { gso: { size: u32(skbLayout.SKB_GSO_SIZE), segments } }),
  };
}
