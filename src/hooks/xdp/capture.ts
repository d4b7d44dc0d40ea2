/** A capture as an XDP source: packets go into frames batch by batch, the plane runs the program, results come out in order. */
import type { InputError, UnsupportedError } from '../../errors.ts';
import type { CapturedPacket } from '../../net/capture.ts';
import { FRAME_PACKET_ID, FRAME_REDIRECT_INDEX, FRAME_REDIRECT_MAP, FRAME_VERDICT } from '../../plane/layout/frame.ts';
import type { XdpHints } from '../../runtime/handles.ts';
import type { Executable } from '../../runtime/hook.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { Flight } from '../../traits/flight-epochs.ts';
import { packetIdAt, type Traits, traitsAfter, traitsOf } from '../traits.ts';
import { captureDevice, type Device } from './device.ts';
import { FramePool, refusal } from './frames.ts';
import { storedAfter } from './hints.ts';
import { xdpPlane } from './plane.ts';
import { mapIdAt } from './redirect.ts';

const BATCH = 64;

export type FrameResult =
  | {
      readonly kind: 'ran';
      readonly index: number;
      readonly packet: CapturedPacket;
      readonly verdict: number;
      /** Packet after the program, without metadata; a copy. */
      readonly data: Uint8Array;
      /** Metadata that lies before the packet; a copy, empty if there is none. */
      readonly metadata: Uint8Array;
      /** Copies of the packet's traits; undefined without any. */
      readonly traits?: Traits;
      /** What the program stored of the packet (bpf_xdp_store_rx_*); undefined without any. */
      readonly stored?: XdpHints;
      /** Number that the program gave the packet (well-known trait packet_id); undefined without any. */
      readonly packetId?: bigint;
      /** Interface or map key of a redirect. */
      readonly redirectIndex: number;
      /** Id of the map that the redirect's key is of, undefined for an interface. */
      readonly redirectMap: number | undefined;
    }
  | {
      /** Cannot be an XDP frame here; the kernel would refuse it as well. */
      readonly kind: 'refused';
      readonly index: number;
      readonly packet: CapturedPacket;
      readonly reason: InputError | UnsupportedError;
    };

export interface CaptureOptions {
  /** What the packets come through (default captureDevice: it knows when they came). */
  readonly device?: Device;
}

/** Lazily runs `program` over `packets`. Frames are released when the iteration ends, early or not. */
export function* runCapture(
  runtime: Runtime,
  program: Executable,
  packets: Iterable<CapturedPacket>,
  { device = captureDevice }: CaptureOptions = {},
): Generator<FrameResult, void, undefined> {
  const pool = new FramePool(runtime, BATCH);
  const flight = new Flight(runtime.traits.flights);
  try {
    let waiting: ((FrameResult & { kind: 'refused' }) | { kind: 'frame'; index: number; packet: CapturedPacket })[] =
      [];
    let filled = 0;
    let index = 0;
    const flush = function* () {
      runBatch(runtime, program, pool, filled);
      let frame = 0;
      for (const entry of waiting) {
        if (entry.kind === 'refused') yield entry;
        else yield frameResult(runtime, pool, frame++, entry.index, entry.packet);
      }
      waiting = [];
      filled = 0;
      flight.renew();
    };
    for (const packet of packets) {
      const reason = refusal(packet.data.length);
      if (reason !== undefined) waiting.push({ kind: 'refused', index, packet, reason });
      else {
        const { data, hints } = device.receive(packet);
        pool.fill(filled++, data, {
          timestampNs: packet.timestampNs,
          wireLength: packet.wireLength - (packet.data.length - data.length),
          ...(hints === undefined ? {} : { hints }),
        });
        waiting.push({ kind: 'frame', index, packet });
      }
      index++;
      if (filled === BATCH) yield* flush();
    }
    yield* flush();
  } finally {
    flight.end();
    pool.free();
  }
}

function runBatch(runtime: Runtime, program: Executable, pool: FramePool, count: number): void {
  if (program.entry !== 0) {
    program.enter(() => xdpPlane(runtime).xdp_run_batch(program.entry, pool.address, count));
    return;
  }
  const plane = xdpPlane(runtime);
  for (let i = 0; i < count; i++) {
    const frame = pool.descriptor(i);
    plane.xdp_begin(frame);
    plane.xdp_finish(frame, Number(BigInt.asIntN(32, program.run(frame))));
  }
}

/** What a program left of a frame. */
export function frameResult(
  runtime: Runtime,
  pool: FramePool,
  frame: number,
  index: number,
  packet: CapturedPacket,
): Extract<FrameResult, { kind: 'ran' }> {
  const data = pool.read(frame);
  const whole = pool.read(frame, true);
  return {
    kind: 'ran',
    index,
    packet,
    verdict: pool.field(frame, FRAME_VERDICT),
    data,
    metadata: whole.subarray(0, whole.length - data.length),
    ...traitsAfter(traitsOf(runtime, 'xdp', pool.descriptor(frame))),
    ...storedAfter(runtime.view(), pool.descriptor(frame)),
    ...packetIdAt(runtime.view(), pool.descriptor(frame) + FRAME_PACKET_ID),
    redirectIndex: pool.field(frame, FRAME_REDIRECT_INDEX),
    redirectMap: mapIdAt(runtime, pool.field(frame, FRAME_REDIRECT_MAP)),
  };
}
