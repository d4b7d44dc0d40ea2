/** How packets spread over queues, and which flows keep them from it. */
import { fiveTuple } from '../../net/dissect.ts';
import type { SteeredPacket } from './steering.ts';

export interface QueueShare {
  readonly queue: number;
  readonly packets: number;
  readonly bytes: number;
  readonly flows: number;
  /** Of all packets, 0 to 1. */
  readonly share: number;
}

export interface FlowShare {
  /** Addresses, ports and protocol as text; `no flow` for what has none. */
  readonly flow: string;
  readonly queue: number;
  readonly packets: number;
  readonly bytes: number;
  /** Of the packets of its queue, 0 to 1. */
  readonly ofQueue: number;
}

export interface SteeringHistogram {
  readonly packets: number;
  readonly queues: readonly QueueShare[];
  /** Packets of the fullest queue over those of a queue on average; 1 is even. */
  readonly imbalance: number;
  /** The same if each flow had one packet: what the hash does, whatever the flows do. */
  readonly flowImbalance: number;
  /** Packets by `hash_report`. */
  readonly reports: ReadonlyMap<number, number>;
  /** The flows with the most packets in queues that are above the average, the greatest first. */
  readonly causes: readonly FlowShare[];
}

/** Takes all packets of a run. @param queues of the device. */
export function steeringHistogram(steered: Iterable<SteeredPacket>, queues: number, causes = 8): SteeringHistogram {
  const counts = Array.from({ length: queues }, () => ({ packets: 0, bytes: 0 }));
  const flows = new Map<string, { flow: string; queue: number; packets: number; bytes: number }>();
  const reports = new Map<number, number>();
  let packets = 0;
  for (const { packet, queue, report } of steered) {
    const bytes = packet.data.length;
    packets++;
    counts[queue]!.packets++;
    counts[queue]!.bytes += bytes;
    reports.set(report, (reports.get(report) ?? 0) + 1);
    const flow = flowName(packet.data);
    const key = `${queue} ${flow}`;
    const entry = flows.get(key) ?? { flow, queue, packets: 0, bytes: 0 };
    entry.packets++;
    entry.bytes += bytes;
    flows.set(key, entry);
  }
  const flowsOf = counts.map((_, queue) => [...flows.values()].filter((each) => each.queue === queue).length);
  const most = (values: readonly number[]) => {
    const sum = values.reduce((a, b) => a + b, 0);
    return sum === 0 ? 1 : (Math.max(...values) * queues) / sum;
  };
  const average = packets / queues;
  return {
    packets,
    queues: counts.map((each, queue) => ({
      queue,
      ...each,
      flows: flowsOf[queue]!,
      share: packets === 0 ? 0 : each.packets / packets,
    })),
    imbalance: most(counts.map((each) => each.packets)),
    flowImbalance: most(flowsOf),
    reports,
    causes: [...flows.values()]
      .filter(({ queue }) => counts[queue]!.packets > average)
      .sort((a, b) => b.packets - a.packets)
      .slice(0, causes)
      .map((each) => ({ ...each, ofQueue: each.packets / counts[each.queue]!.packets })),
  };
}

const protocols: Readonly<Record<number, string>> = { 1: 'ICMP', 6: 'TCP', 17: 'UDP', 58: 'ICMPv6', 132: 'SCTP' };

function flowName(data: Uint8Array): string {
  const tuple = fiveTuple(data);
  if (tuple === undefined) return 'no flow';
  const { family, src, dst, srcPort, dstPort, protocol } = tuple;
  const end = (address: string, port: number) =>
    port === 0 ? address : `${family === 6 ? `[${address}]` : address}:${port}`;
  return `${end(src, srcPort)} > ${end(dst, dstPort)} ${protocols[protocol] ?? `protocol ${protocol}`}`;
}
