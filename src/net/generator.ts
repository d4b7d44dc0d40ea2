/**
 * A seeded generator of captures: a realistic mix of traffic with a hostile share, the same on every machine.
 * Blocklist ranges that a part of the outside addresses lie in: 198.51.100.0/24, 203.0.113.0/24, 2001:db8:bad::/48.
 */
import { InputError } from '../errors.ts';
import { arp } from './arp.ts';
import { get32 } from './bytes.ts';
import { type CapturedPacket, LINKTYPE_ETHERNET } from './capture.ts';
import { dissect } from './dissect.ts';
import { ethernet } from './ethernet.ts';
import { fragmentIpv4 } from './ipv4.ts';
import { ipv6, ipv6Fragment } from './ipv6.ts';
import { spoil } from './malformed.ts';
import { packet, padded } from './packet.ts';
import { type Random, random } from './random.ts';
import { type ScenarioName, scenarios } from './scenarios/index.ts';
import { createFlow, type Flow, nextFrame } from './traffic.ts';

export interface GeneratorOptions {
  /** An integer; the lower 32 bits count. */
  readonly seed: number;
  /** Packets to make. */
  readonly count: number;
  /** What the frames are; default the mix of flows. `flows` is of the mix alone. */
  readonly traffic?: 'mix' | ScenarioName;
  /** Conversations; default count / 16, at least 16 and at most 1024. Their weights fall as 1 / rank (Zipf). */
  readonly flows?: number;
  /** Malformed frames in percent; default 8. */
  readonly malformedPercent?: number;
  /** No frame is shorter; default 14, because the kernel's test run takes no less. 0 gives frames cut in the Ethernet header too. */
  readonly minimumLength?: number;
}

export const BLOCKED_RANGES = ['198.51.100.0/24', '203.0.113.0/24', '2001:db8:bad::/48'] as const;

/** Time of the first packet: 2026-01-01T00:00:00Z. */
const START_NS = 1_767_225_600_000_000_000n;

export function generateCapture(options: GeneratorOptions): CapturedPacket[] {
  return [...generatePackets(options)];
}

/** As generateCapture, one packet at a time. InputError SLUICE_NET_GENERATOR for options out of range. */
export function* generatePackets(options: GeneratorOptions): IterableIterator<CapturedPacket> {
  const { seed, count, malformedPercent = 8, minimumLength = 14 } = options;
  const flowCount = options.flows ?? Math.min(1024, Math.max(16, Math.floor(count / 16)));
  if (!Number.isInteger(seed) || !Number.isInteger(count) || count < 0 || !Number.isInteger(flowCount) || flowCount < 1)
    throw new InputError('SLUICE_NET_GENERATOR', 'seed, count and flows must be integers, flows at least 1');
  const rng = random(seed);
  const pickFlow = zipf(
    Array.from({ length: flowCount }, () => createFlow(rng)),
    rng,
  );
  const { traffic = 'mix' } = options;
  // Fragments of one packet follow each other with other traffic between them.
  const pending: Uint8Array[] = [];
  let timestampNs = START_NS;
  for (let i = 0; i < count; i++) {
    const frame =
      pending.length > 0 && rng.chance(1, 2)
        ? pending.shift()!
        : traffic === 'mix'
          ? oneFrame(rng, pickFlow, pending, malformedPercent, minimumLength)
          : scenarioFrame(rng, traffic, malformedPercent, minimumLength);
    timestampNs += BigInt(rng.below(20_000));
    yield { data: frame, timestampNs, wireLength: frame.length, interfaceId: 0, linkType: LINKTYPE_ETHERNET };
  }
}

/** Chooses flows with weight 1 / rank, in whole numbers so that all machines agree. */
function zipf(flows: readonly Flow[], rng: Random): () => Flow {
  let total = 0;
  const upTo = flows.map((_, rank) => {
    total += Math.floor(0x10_0000 / (rank + 1));
    return total;
  });
  return () => {
    const at = rng.below(total);
    let low = 0;
    let high = flows.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (at < upTo[middle]!) high = middle;
      else low = middle + 1;
    }
    return flows[low]!;
  };
}

function oneFrame(
  rng: Random,
  pickFlow: () => Flow,
  pending: Uint8Array[],
  malformedPercent: number,
  minimumLength: number,
): Uint8Array {
  const kind = rng.below(100);
  if (kind < malformedPercent) return spoil(nextFrame(pickFlow(), rng), rng, minimumLength);
  if (kind < malformedPercent + 2) return arpFrame(rng);
  if (kind < malformedPercent + 5) {
    const fragments = fragmented(pickFlow(), rng);
    pending.push(...fragments.slice(1));
    return fragments[0]!;
  }
  const frame = nextFrame(pickFlow(), rng);
  // What came over a wire is padded; what a virtual interface gives is not.
  return rng.chance(1, 2) ? padded(frame) : frame;
}

function scenarioFrame(rng: Random, name: ScenarioName, malformedPercent: number, minimumLength: number): Uint8Array {
  const frame = scenarios[name](rng);
  if (rng.below(100) < malformedPercent) return spoil(frame, rng, minimumLength);
  return rng.chance(1, 2) ? padded(frame) : frame;
}

function arpFrame(rng: Random): Uint8Array {
  const host = `10.0.0.${1 + rng.below(254)}`;
  const mac = '02:00:5e:00:00:01';
  const gateway = { mac: '02:00:5e:10:00:10', ip: '10.0.0.254' };
  return padded(
    rng.chance(1, 2)
      ? packet(
          ethernet({ src: mac, dst: 'ff:ff:ff:ff:ff:ff' }),
          arp({ operation: 'request', senderMac: mac, senderIp: host, targetIp: gateway.ip }),
        )
      : packet(
          ethernet({ src: gateway.mac, dst: mac }),
          arp({ operation: 'reply', senderMac: gateway.mac, senderIp: gateway.ip, targetMac: mac, targetIp: host }),
        ),
  );
}

/** A packet of up to 4000 bytes as its fragments, in order: first, middle, last. Just the packet if it is too short to cut. */
function fragmented(flow: Flow, rng: Random): Uint8Array[] {
  const frame = nextFrame(flow, rng, 4000);
  const { networkOffset } = dissect(frame);
  const size = rng.pick([1440, 1440, 576, 256, 8]);
  if (networkOffset === undefined || frame.length - networkOffset < 256) return [frame.slice(0, 1514)];
  if (flow.family === 4) {
    // A few of them are enough: two from the start, one from the middle, the last.
    const all = fragmentIpv4(frame, networkOffset, size);
    return all.length > 4 ? [all[0]!, all[1]!, all[all.length >> 1]!, all.at(-1)!] : all;
  }
  // Extension headers of such flows go into the fragmentable part: the chain goes on only in the first fragment.
  const payload = frame.subarray(networkOffset + 40);
  const link = frame.slice(0, networkOffset);
  const id = rng.u32();
  const pieces = Math.min(4, Math.ceil(payload.length / size));
  return Array.from({ length: pieces }, (_, index) => {
    const at = index * size;
    return packet(
      link,
      ipv6({
        src: frame.slice(networkOffset + 8, networkOffset + 24),
        dst: frame.slice(networkOffset + 24, networkOffset + 40),
        hopLimit: flow.ttl,
        flowLabel: get32(frame, networkOffset) & 0xfffff,
      }),
      ipv6Fragment({
        id,
        fragmentOffset: at / 8,
        moreFragments: index < pieces - 1,
        nextHeader: frame[networkOffset + 6]!,
      }),
      payload.subarray(at, Math.min(at + size, payload.length)),
    );
  });
}
