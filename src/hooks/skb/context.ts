/** struct __sk_buff as BPF_PROG_TEST_RUN takes it and gives it back: convert___skb_to_skb in net/bpf/test_run.c. */
import {
  SKB_CB,
  SKB_CONTEXT_SIZE,
  SKB_GSO_SEGS,
  SKB_GSO_SIZE,
  SKB_HASH,
  SKB_HWTSTAMP,
  SKB_IFINDEX,
  SKB_INGRESS_IFINDEX,
  SKB_MARK,
  SKB_PRIORITY,
  SKB_TSTAMP,
  SKB_TSTAMP_TYPE,
  SKB_WIRE_LEN,
} from '../../plane/layout/skb.ts';
import { invalid, mustBeZero } from '../input.ts';
import { LOOPBACK_IFINDEX, type SkbOrigin } from './frames.ts';

/** GSO_LEGACY_MAX_SIZE and GSO_MAX_SEGS. */
const MAX_WIRE_LENGTH = 65536;
const MAX_SEGMENTS = 65535;

/** Fields that the caller may set, in order, as [first byte, one past the last]; all others must be zero. */
const settable = [
  [SKB_MARK, SKB_MARK + 4],
  [SKB_PRIORITY, SKB_IFINDEX + 4],
  [SKB_CB, SKB_HASH],
  [SKB_TSTAMP, SKB_GSO_SEGS + 4],
  [SKB_GSO_SIZE, SKB_TSTAMP_TYPE],
  [SKB_HWTSTAMP, SKB_CONTEXT_SIZE],
] as const;

/** Fields that come back; gso_size does not. */
const returned = [
  [SKB_MARK, SKB_MARK + 4],
  [SKB_PRIORITY, SKB_IFINDEX + 4],
  [SKB_CB, SKB_HASH],
  [SKB_TSTAMP, SKB_GSO_SEGS + 4],
  [SKB_HWTSTAMP, SKB_CONTEXT_SIZE],
] as const;

/** Device that the context asks for. ENODEV: only loopback exists here. */
export function checkDevice(context: Uint8Array): void {
  const ifindex = new DataView(context.buffer).getUint32(SKB_IFINDEX, true);
  if (ifindex > LOOPBACK_IFINDEX) {
    throw invalid(
      `ifindex ${ifindex}: the user-space target has no interface but loopback (${LOOPBACK_IFINDEX})`,
      'ENODEV',
    );
  }
}

/** @param context the whole struct. @param length of the packet as the program sees it. */
export function originOf(context: Uint8Array, length: number): SkbOrigin {
  let from = 0;
  for (const [start, end] of [...settable, [SKB_CONTEXT_SIZE, SKB_CONTEXT_SIZE]] as const) {
    mustBeZero(context, from, start);
    from = end;
  }
  const view = new DataView(context.buffer);
  const field = (offset: number) => view.getUint32(offset, true);
  const wireLength = field(SKB_WIRE_LEN);
  if (wireLength !== 0 && (wireLength < length || wireLength > MAX_WIRE_LENGTH)) {
    throw invalid(
      `wire_len ${wireLength}: must be 0 or from ${length}, the length of the packet, to ${MAX_WIRE_LENGTH}`,
    );
  }
  if (field(SKB_GSO_SEGS) > MAX_SEGMENTS) throw invalid(`gso_segs ${field(SKB_GSO_SEGS)}: at most ${MAX_SEGMENTS}`);
  return {
    mark: field(SKB_MARK),
    priority: field(SKB_PRIORITY),
    ingressIfindex: field(SKB_INGRESS_IFINDEX),
    cb: [0, 1, 2, 3, 4].map((i) => field(SKB_CB + 4 * i)),
    timestampNs: view.getBigUint64(SKB_TSTAMP, true),
    ...(wireLength === 0 ? {} : { wireLength }),
    gsoSegments: field(SKB_GSO_SEGS),
    // The kernel keeps 16 bits.
    gsoSize: field(SKB_GSO_SIZE) & 0xffff,
    hardwareTimestampNs: view.getBigUint64(SKB_HWTSTAMP, true),
  };
}

/** What the caller gets back: what he gave, with the fields that the kernel writes taken from the descriptor. */
export function contextAfter(given: Uint8Array, descriptor: Uint8Array): Uint8Array {
  const context = given.slice();
  context.set(descriptor.subarray(SKB_CONTEXT_SIZE, context.length), SKB_CONTEXT_SIZE);
  for (const [start, end] of returned) context.set(descriptor.subarray(start, end), start);
  return context;
}
