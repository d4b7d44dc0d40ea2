/** BPF_PROG_TEST_RUN for XDP: bpf_prog_test_run_xdp in net/bpf/test_run.c (Linux 6.18), without live frames. */
import { InputError, UnsupportedError } from '../../errors.ts';
import {
  FRAME_DATA,
  FRAME_DATA_END,
  FRAME_DATA_META,
  FRAME_INGRESS_IFINDEX,
  FRAME_PACKET_ID,
  FRAME_RX_QUEUE_INDEX,
  XDP_FRAME_RESERVED,
  XDP_HEADROOM,
  XDP_MD_SIZE,
} from '../../plane/layout/frame.ts';
import type { RunInput, RunResult } from '../../runtime/handles.ts';
import type { Executable } from '../../runtime/hook.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { packetIdAt, setTraits, traitsAfter, traitsOf } from '../traits.ts';
import { FramePool, LOOPBACK_IFINDEX, type PacketOrigin, refusal, SHORTEST_PACKET } from './frames.ts';
import { storedAfter } from './hints.ts';
import { xdpPlane } from './plane.ts';
import { redirectOf } from './redirect.ts';

export function testRunXdp(runtime: Runtime, program: Executable, input: RunInput): RunResult {
  const { data } = input;
  if (data === undefined) throw invalid('an XDP program takes a packet');
  const refused = refusal(data.length);
  if (refused !== undefined) throw refused;
  const repeat = input.repeat ?? 1;
  if (!Number.isInteger(repeat) || repeat < 1 || repeat > 0xffff_ffff) throw invalid(`repeat ${repeat}`);
  const origin = input.context === undefined ? {} : originOf(input.context, data.length);

  const pool = framePoolOf(runtime);
  pool.fill(0, data, input.hints === undefined ? origin : { ...origin, hints: input.hints });
  if (input.traits !== undefined) setTraits(runtime, 'xdp', pool.descriptor(0), input.traits);
  const start = performance.now();
  const r0 = runRepeatedly(runtime, program, pool.descriptor(0), repeat);
  const durationNs = ((performance.now() - start) * 1e6) / repeat;
  return {
    returnValue: Number(r0 & 0xffff_ffffn),
    r0,
    data: pool.read(0, true),
    context: input.context === undefined ? undefined : contextOf(pool, input.context),
    durationNs,
    ...traitsAfter(traitsOf(runtime, 'xdp', pool.descriptor(0))),
    ...storedAfter(runtime.view(), pool.descriptor(0)),
    ...packetIdAt(runtime.view(), pool.descriptor(0) + FRAME_PACKET_ID),
    ...redirectOf(runtime, pool, 0),
  };
}

function runRepeatedly(runtime: Runtime, program: Executable, frame: number, repeat: number): bigint {
  if (program.entry !== 0)
    return BigInt.asUintN(
      64,
      program.enter(() => xdpPlane(runtime).xdp_repeat(program.entry, frame, repeat)),
    );
  let r0 = 0n;
  const plane = xdpPlane(runtime);
  plane.xdp_begin(frame);
  for (let i = 0; i < repeat; i++) r0 = program.run(frame);
  plane.xdp_finish(frame, Number(BigInt.asIntN(32, r0)));
  return r0;
}

const pools = new WeakMap<Runtime, FramePool>();

/** The one frame of test runs, kept for the life of the runtime. */
function framePoolOf(runtime: Runtime): FramePool {
  let pool = pools.get(runtime);
  if (pool === undefined) {
    pool = new FramePool(runtime, 1);
    pools.set(runtime, pool);
  }
  return pool;
}

/** struct xdp_md of the caller: data and data_end are offsets; what lies before data is metadata. */
function originOf(context: Uint8Array, length: number): PacketOrigin {
  const md = new Uint8Array(XDP_MD_SIZE);
  md.set(context.subarray(0, XDP_MD_SIZE));
  if (context.subarray(XDP_MD_SIZE).some((byte) => byte !== 0))
    throw invalid('context is longer than struct xdp_md', 'E2BIG');
  const view = new DataView(md.buffer);
  const field = (offset: number) => view.getUint32(offset, true);
  const metadata = field(FRAME_DATA);
  if (field(FRAME_DATA_END) < length) {
    throw new UnsupportedError(
      'XDP fragments',
      `context says data_end ${field(FRAME_DATA_END)} of ${length} bytes: the rest would be fragments`,
    );
  }
  if (field(FRAME_DATA_META) !== 0 || field(FRAME_DATA_END) !== length || metadata > length) {
    throw invalid(
      `context says data ${metadata}, data_end ${field(FRAME_DATA_END)}, data_meta ${field(FRAME_DATA_META)}: data_meta must be 0 and data_end the ${length} bytes given`,
    );
  }
  if (length - metadata < SHORTEST_PACKET) {
    throw invalid(`${length - metadata} bytes behind the metadata are shorter than an Ethernet header`);
  }
  if ((metadata & 3) !== 0 || metadata > 255 || metadata > XDP_HEADROOM - XDP_FRAME_RESERVED) {
    throw invalid(`${metadata} bytes of metadata: must be a multiple of 4, at most 216`);
  }
  if (view.getUint32(20, true) !== 0) throw invalid('egress_ifindex must be 0');
  const ingressIfindex = field(FRAME_INGRESS_IFINDEX);
  const rxQueueIndex = field(FRAME_RX_QUEUE_INDEX);
  if (ingressIfindex === 0 && rxQueueIndex !== 0) throw invalid('rx_queue_index without ingress_ifindex');
  if (ingressIfindex === LOOPBACK_IFINDEX && rxQueueIndex !== 0) throw invalid('the loopback device has one queue');
  return { metadata, rxQueueIndex, ...(ingressIfindex === 0 ? {} : { ingressIfindex }) };
}

/** The caller's context with data and data_end as the program left them; the other fields come back as they were given. */
function contextOf(pool: FramePool, given: Uint8Array): Uint8Array {
  const md = new Uint8Array(XDP_MD_SIZE);
  md.set(given.subarray(0, XDP_MD_SIZE));
  const view = new DataView(md.buffer);
  const meta = pool.field(0, FRAME_DATA_META);
  view.setUint32(FRAME_DATA, pool.field(0, FRAME_DATA) - meta, true);
  view.setUint32(FRAME_DATA_END, pool.field(0, FRAME_DATA_END) - meta, true);
  return md;
}

function invalid(text: string, errno = 'EINVAL'): InputError {
  return new InputError('SLUICE_RUN_INPUT', `${errno}: ${text}`);
}
