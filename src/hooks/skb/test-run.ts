/** BPF_PROG_TEST_RUN for programs over sk_buffs: bpf_prog_test_run_skb in net/bpf/test_run.c (Linux 6.18). */
import {
  SKB_CONTEXT_SIZE,
  SKB_PACKET_ID,
  SKB_STEER_CONFIGURATION,
  SKB_TEST_RUN_MAX,
  SKB_VNET_HASH,
  SKB_VNET_REPORT,
} from '../../plane/layout/skb.ts';
import { WORKER_REDIRECT_MAP } from '../../plane/layout/worker.ts';
import type { RunInput, RunResult } from '../../runtime/handles.ts';
import type { Executable } from '../../runtime/hook.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { RssBlock } from '../../runtime/steering/rss-block.ts';
import { invalid, mustBeZero, repeatOf, wholeStruct } from '../input.ts';
import { packetIdAt, setTraits, traitsAfter, traitsOf } from '../traits.ts';
import { checkDevice, contextAfter, originOf } from './context.ts';
import { checkLength, ETH_P_IP, ETH_P_IPV6, ETHERNET_HEADER, type Layer, protocolOf, SkbPool } from './frames.ts';
import { skbPlane } from './plane.ts';
import { redirectsOf } from './redirect.ts';

/**
 * A test run for programs whose data begins at that layer. A context of more than struct __sk_buff has fields behind it that only the program writes: such a
 * program says something by its context, which a run gives back always. `steers`: a device may ask such programs for a queue.
 */
export function testRunSkb(layer: Layer, contextSize = SKB_CONTEXT_SIZE, steers = false) {
  return (runtime: Runtime, program: Executable, input: RunInput): RunResult => {
    const { data } = input;
    if (input.steering !== undefined && !steers)
      throw invalid('only programs of types socket_filter and vnet_hash are asked by a steering device');
    if (data === undefined) throw invalid('a program over sk_buffs takes a packet');
    checkLength(data.length, SKB_TEST_RUN_MAX);
    const repeat = repeatOf(input);
    const context = input.context ?? (contextSize > SKB_CONTEXT_SIZE ? new Uint8Array() : undefined);
    const given = context === undefined ? undefined : wholeStruct(context, contextSize, '__sk_buff');
    if (given !== undefined) mustBeZero(given, SKB_CONTEXT_SIZE, contextSize);
    if (given !== undefined) checkDevice(given);
    checkNetworkHeader(data);
    const length = layer === 'link' ? data.length : data.length - ETHERNET_HEADER;
    const origin = given === undefined ? {} : originOf(given, length);

    const pool = poolOf(runtime);
    pool.fill(0, data, layer, origin);
    if (input.traits !== undefined) setTraits(runtime, 'skb', pool.descriptor(0), input.traits);
    const device = input.steering === undefined ? undefined : new RssBlock(runtime, input.steering);
    const skb = pool.descriptor(0);
    runtime.view().setUint32(skb + SKB_STEER_CONFIGURATION, device?.address ?? 0, true);
    let start = 0;
    let r0 = 0n;
    try {
      start = performance.now();
      r0 = runSkb(runtime, program, skb, repeat);
    } finally {
      device?.free();
    }
    const durationNs = ((performance.now() - start) * 1e6) / repeat;
    if (layer === 'network' && skbPlane(runtime).skb_room_for_link_header(pool.descriptor(0)) === 0)
      throw invalid('no room for the link header: the program made the packet grow too often', 'ENOMEM');
    return {
      returnValue: Number(r0 & 0xffff_ffffn),
      r0,
      data: output(pool, layer),
      context: given === undefined ? undefined : contextAfter(given, pool.bytes(0)),
      durationNs,
      ...(device === undefined ? {} : { reported: reportedIn(runtime.view(), skb) }),
      ...packetIdAt(runtime.view(), pool.descriptor(0) + SKB_PACKET_ID),
      ...traitsAfter(traitsOf(runtime, 'skb', pool.descriptor(0))),
      ...redirectsOf(pool, 0),
    };
  };
}

function reportedIn(view: DataView, skb: number) {
  return {
    hash: view.getUint32(skb + SKB_VNET_HASH, true),
    report: view.getUint16(skb + SKB_VNET_REPORT, true),
  };
}

/** Runs `repeat` times over one descriptor; changes add up. Returns the last r0. */
export function runSkb(runtime: Runtime, program: Executable, skb: number, repeat: number): bigint {
  const plane = skbPlane(runtime);
  runtime.view().setUint32(runtime.plane.worker + WORKER_REDIRECT_MAP, 0, true);
  try {
    if (program.entry !== 0)
      return BigInt.asUintN(
        64,
        program.enter(() => plane.skb_repeat(program.entry, skb, repeat)),
      );
    plane.skb_begin(skb);
    let r0 = 0n;
    for (let i = 0; i < repeat; i++) r0 = program.run(skb);
    plane.skb_finish(skb, Number(r0 & 0xffff_ffffn));
    return r0;
  } catch (error) {
    plane.skb_finish(skb, 0);
    throw error;
  }
}

/** The kernel takes the addresses of its socket from the packet, so they must be there. */
function checkNetworkHeader(data: Uint8Array): void {
  const protocol = protocolOf(data);
  const length = data.length - ETHERNET_HEADER;
  if (protocol === ETH_P_IP && length < 20) throw invalid(`${length} bytes are too short for an IPv4 header`);
  if (protocol === ETH_P_IPV6 && length < 40) throw invalid(`${length} bytes are too short for an IPv6 header`);
}

const pools = new WeakMap<Runtime, SkbPool>();

/** The one sk_buff of test runs, kept for the life of the runtime. */
function poolOf(runtime: Runtime): SkbPool {
  let pool = pools.get(runtime);
  if (pool === undefined) {
    pool = new SkbPool(runtime, 1);
    pools.set(runtime, pool);
  }
  return pool;
}

/** Programs that begin behind the link header get zeros in its place. */
function output(pool: SkbPool, layer: Layer): Uint8Array {
  const data = pool.read(0);
  if (layer === 'link') return data;
  const whole = new Uint8Array(ETHERNET_HEADER + data.length);
  whole.set(data, ETHERNET_HEADER);
  return whole;
}
