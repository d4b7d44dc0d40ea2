/** A capture over many CPUs: packets are spread by their hash, each CPU runs the program over those of its flows, results come out in the order of the packets. */
import { InputError } from '../../errors.ts';
import type { CapturedPacket } from '../../net/capture.ts';
import type { RssConfiguration } from '../../net/rss/configuration.ts';
import { FRAME_DATA, FRAME_DATA_END } from '../../plane/layout/frame.ts';
import * as layout from '../../plane/layout/frames.ts';
import {
  LOST_HOPS,
  LOST_NO_COPY,
  LOST_NO_INTERFACE,
  LOST_NO_TARGET,
  LOST_QUEUE,
  LOST_TOO_LONG,
} from '../../plane/layout/path.ts';
import type { ProgramHandle } from '../../runtime/handles.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { SteeringDevice } from '../../runtime/steering/device.ts';
import { setTraits, type Traits } from '../traits.ts';
import { XdpAttachment } from './attachment.ts';
import { type FrameResult, frameResult } from './capture.ts';
import { captureDevice, type Device } from './device.ts';
import { type FrameCopy, type FrameCpus, FrameSource, type SpreadCounters } from './frame-source.ts';
import { FramePool, refusal } from './frames.ts';

/**
 * `verdict`: the program's verdict says it all (a redirect that is not followed). `dropped`: its CPU had no room. `fault`: the program was stopped. Of redirects that are
 * followed: `passed` by a cpumap's element to the stack; `sent` by an interface; `socket` of AF_XDP; `full`: the queue of a cpumap's element was; `lost`: `reason` says why.
 * `crashed`: the CPU that had it ended.
 */
export type SpreadEnd = 'verdict' | 'dropped' | 'fault' | 'passed' | 'sent' | 'socket' | 'lost' | 'full' | 'crashed';

export type SpreadResult =
  | (Extract<FrameResult, { kind: 'ran' }> & {
      /** CPU that ran a program over it last; of `dropped` the one that had no room. */
      readonly cpu: number;
      readonly end: SpreadEnd;
      /** Interface of `sent`, queue of `socket`. */
      readonly place?: number;
      /** Of `lost`. */
      readonly reason?: string;
      /** Program that ran over it last; undefined: none did. */
      readonly program?: string;
      /** Of a broadcast that is followed: the other copies. */
      readonly copies?: readonly SpreadCopy[];
    })
  | Extract<FrameResult, { kind: 'refused' }>;

/** A copy that a broadcast made: where it ended, with its bytes from the packet on. */
export interface SpreadCopy {
  readonly cpu: number;
  readonly end: SpreadEnd;
  readonly place?: number;
  readonly reason?: string;
  readonly data: Uint8Array;
}

/** A packet with traits that it has already, as far as it has any. */
export type SpreadPacket = CapturedPacket & { readonly traits?: Traits };

export interface SpreadOptions {
  /** What queue is whose: see FrameSourceOptions.rss. */
  readonly rss?: RssConfiguration;
  /** What the packets come through (default captureDevice). */
  readonly device?: Device;
  /** Packets that are under way at once (default 1024). */
  readonly window?: number;
  /** A steering device that says the queues in place of `rss`: FrameSourceOptions.steering. */
  readonly steering?: SteeringDevice;
  readonly full?: 'wait' | 'drop';
  readonly setQueue?: boolean;
  /** Told when all packets are through, before the iteration ends. */
  readonly onCounters?: (counters: SpreadCounters) => void;
}

const ends: Readonly<Record<number, SpreadEnd>> = {
  [layout.FRAME_ENDED_VERDICT]: 'verdict',
  [layout.FRAME_ENDED_REFUSED]: 'dropped',
  [layout.FRAME_ENDED_FAULT]: 'fault',
  [layout.FRAME_ENDED_PASSED]: 'passed',
  [layout.FRAME_ENDED_SENT]: 'sent',
  [layout.FRAME_ENDED_SOCKET]: 'socket',
  [layout.FRAME_ENDED_LOST]: 'lost',
  [layout.FRAME_ENDED_QUEUE_FULL]: 'full',
  [layout.FRAME_ENDED_CRASH]: 'crashed',
};

const reasons: Readonly<Record<number, string>> = {
  [LOST_NO_INTERFACE]: 'there is no such interface',
  [LOST_TOO_LONG]: "longer than the interface's MTU",
  [LOST_NO_TARGET]: 'redirected to nothing',
  [LOST_QUEUE]: 'the socket is bound to another queue than the packet came by',
  [LOST_HOPS]: 'sent from CPU to CPU too often',
  [LOST_NO_COPY]: 'no memory for a copy',
};

/**
 * Runs a program, or what an attachment has at the time, over packets on all CPUs of the set. Packets of one flow go through one CPU, in their order. The memory is freed when
 * the iteration ends, early or not; an attachment that was given stays.
 *
 * Throws InputError `SLUICE_CPU` without CPUs, `SLUICE_SPREAD_WINDOW` for a window that is none, and what XdpAttachment throws.
 */
export async function* spreadCapture(
  cpus: FrameCpus,
  program: ProgramHandle | XdpAttachment,
  packets: Iterable<SpreadPacket> | AsyncIterable<SpreadPacket>,
  options: SpreadOptions = {},
): AsyncGenerator<SpreadResult, void, undefined> {
  const { device = captureDevice, window = 1024 } = options;
  if (!Number.isInteger(window) || window < 1 || window > 65536)
    throw new InputError('SLUICE_SPREAD_WINDOW', `a window of ${window} packets: 1 to 65536`);
  const { runtime } = cpus;
  const attachment = program instanceof XdpAttachment ? program : new XdpAttachment(runtime, program);
  const pool = new FramePool(runtime, window);
  const source = new FrameSource(cpus, attachment, { ...options, frames: pool.address, count: window });
  const flights = runtime.traits.flights;
  const waiting: (
    | Extract<FrameResult, { kind: 'refused' }>
    | { kind: 'frame'; index: number; packet: CapturedPacket; epoch: number }
  )[] = [];
  // Frames so far: filled, given to CPUs, taken back; the place of each is its number modulo the window.
  let filled = 0;
  let given = 0;
  let taken = 0;
  try {
    const input = iterate(packets);
    let ended = false;
    for (let index = 0; ; ) {
      while (!ended && filled - taken < window && waiting.length < 2 * window) {
        const next = input.next();
        const { done, value: packet } = next instanceof Promise ? await next : next;
        if (done === true) {
          ended = true;
          break;
        }
        const reason = refusal(packet.data.length);
        if (reason !== undefined) waiting.push({ kind: 'refused', index, packet, reason });
        else {
          const { data, hints } = device.receive(packet);
          pool.fill(filled++ % window, data, {
            timestampNs: packet.timestampNs,
            wireLength: packet.wireLength - (packet.data.length - data.length),
            ...(hints === undefined ? {} : { hints }),
          });
          if (packet.traits !== undefined)
            setTraits(runtime, 'xdp', pool.descriptor((filled - 1) % window), packet.traits);
          waiting.push({ kind: 'frame', index, packet, epoch: flights.enter() });
        }
        index++;
      }
      const seen = source.rings();
      for (let room = true; room && given < filled; ) {
        const place = given % window;
        const count = Math.min(filled - given, window - place);
        const took = source.give(place, count);
        given += took;
        room = took === count;
      }
      source.flush();
      source.collect();
      const before = waiting.length;
      for (let entry = waiting[0]; entry !== undefined; entry = waiting[0]) {
        if (entry.kind === 'refused') {
          waiting.shift();
          yield entry;
          continue;
        }
        const place = taken % window;
        const outcome = source.take(place);
        if (outcome === undefined) break;
        const { cpu, end, entry: ran } = outcome;
        const name = attachment.nameOf(ran);
        const result: SpreadResult = {
          ...frameResult(runtime, pool, place, entry.index, entry.packet),
          cpu,
          ...endOf(end, outcome.place),
          ...(outcome.copies.length === 0 ? {} : { copies: outcome.copies.map((copy) => copyOf(runtime, copy)) }),
          ...(name === undefined ? {} : { program: name }),
        };
        source.free(outcome);
        waiting.shift();
        taken++;
        flights.leave(entry.epoch);
        yield result;
      }
      if (ended && waiting.length === 0) break;
      if (waiting.length === before) await source.wait(seen);
    }
    options.onCounters?.(source.counters());
  } finally {
    await source.close();
    for (const entry of waiting) if (entry.kind === 'frame') flights.leave(entry.epoch);
    pool.free();
    if (attachment !== program) await attachment.close();
  }
}

function endOf(end: number, place: number): Pick<SpreadCopy, 'end' | 'place' | 'reason'> {
  return {
    end: ends[end] ?? 'lost',
    ...(end === layout.FRAME_ENDED_SENT || end === layout.FRAME_ENDED_SOCKET ? { place } : {}),
    ...(end === layout.FRAME_ENDED_LOST ? { reason: reasons[place] ?? 'lost' } : {}),
  };
}

function copyOf(runtime: Runtime, { frame, cpu, end, place }: FrameCopy): SpreadCopy {
  const view = runtime.view();
  const from = view.getUint32(frame + FRAME_DATA, true);
  const data = runtime.bytes().slice(from, view.getUint32(frame + FRAME_DATA_END, true));
  return { cpu, ...endOf(end, place), data };
}

function iterate(
  packets: Iterable<SpreadPacket> | AsyncIterable<SpreadPacket>,
): Iterator<SpreadPacket> | AsyncIterator<SpreadPacket> {
  return Symbol.asyncIterator in packets ? packets[Symbol.asyncIterator]() : packets[Symbol.iterator]();
}
