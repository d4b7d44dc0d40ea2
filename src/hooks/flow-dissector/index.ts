/** hooks/flow-dissector: packet headers into struct bpf_flow_keys. bpf_prog_test_run_flow_dissector in net/bpf/test_run.c, bpf_flow_dissect in net/core/flow_dissector.c. */
import { flowDissector } from '../../abi/programs/flow-dissector.ts';
import {
  FLOW_KEYS_SIZE,
  SKB_DATA,
  SKB_DATA_END,
  SKB_DATA_META,
  SKB_DESCRIPTOR_SIZE,
  SKB_FLOW_KEYS,
  SKB_KEYS,
} from '../../plane/layout/skb.ts';
import type { RunInput, RunResult } from '../../runtime/handles.ts';
import type { Executable, Hook } from '../../runtime/hook.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { invalid, mustBeZero, repeatOf, wholeStruct } from '../input.ts';
import { checkLength, ETHERNET_HEADER } from '../skb/frames.ts';

/** struct bpf_flow_keys. */
const KEYS = { nhoff: 0, thoff: 2, nProto: 10, flags: 48, flowLabel: 52 };
/** bpf_test_init takes a page without headroom. */
const MAX_LENGTH = 4096;

/** The packet begins with its Ethernet header; `data` of the result is struct bpf_flow_keys. */
function testRun(runtime: Runtime, program: Executable, input: RunInput): RunResult {
  const packet = input.data;
  if (packet === undefined) throw invalid('a flow dissector takes a packet');
  checkLength(packet.length, MAX_LENGTH);
  const repeat = repeatOf(input);
  const flags = input.context === undefined ? 0 : flagsOf(input.context);
  const bytes = SKB_DESCRIPTOR_SIZE + MAX_LENGTH;
  const skb = runtime.allocatePages(bytes);
  try {
    const data = skb + SKB_DESCRIPTOR_SIZE;
    const view = runtime.view();
    runtime.bytes().set(packet, data);
    // There is no sk_buff behind the context: len stays 0, so that bpf_skb_load_bytes fails as it does in the kernel.
    view.setUint32(skb + SKB_DATA, data, true);
    view.setUint32(skb + SKB_DATA_END, data + packet.length, true);
    view.setUint32(skb + SKB_DATA_META, data, true);
    view.setBigUint64(skb + SKB_FLOW_KEYS, BigInt(skb + SKB_KEYS), true);
    const start = performance.now();
    let r0 = 0n;
    for (let i = 0; i < repeat; i++) r0 = dissect(runtime, program, skb, packet, flags);
    const durationNs = ((performance.now() - start) * 1e6) / repeat;
    const keys = runtime.bytes().slice(skb + SKB_KEYS, skb + SKB_KEYS + FLOW_KEYS_SIZE);
    return { returnValue: Number(r0 & 0xffff_ffffn), r0, data: keys, context: input.context?.slice(), durationNs };
  } finally {
    runtime.freePages(skb, bytes);
  }
}

function dissect(runtime: Runtime, program: Executable, skb: number, packet: Uint8Array, flags: number): bigint {
  const keys = skb + SKB_KEYS;
  runtime.bytes().fill(0, keys, keys + FLOW_KEYS_SIZE);
  const before = runtime.view();
  before.setUint16(keys + KEYS.nhoff, ETHERNET_HEADER, true);
  before.setUint16(keys + KEYS.thoff, ETHERNET_HEADER, true);
  before.setUint16(keys + KEYS.nProto, (packet[12]! << 8) | packet[13]!, false);
  before.setUint32(keys + KEYS.flags, flags, true);
  const r0 = program.run(skb);
  const after = runtime.view();
  const clamp = (field: number, low: number) => {
    const value = Math.min(Math.max(after.getUint16(keys + field, true), low), packet.length);
    after.setUint16(keys + field, value, true);
    return value;
  };
  clamp(KEYS.thoff, clamp(KEYS.nhoff, ETHERNET_HEADER));
  return r0;
}

/** Of struct bpf_flow_keys only the flags may be set. */
function flagsOf(context: Uint8Array): number {
  const keys = wholeStruct(context, FLOW_KEYS_SIZE, 'bpf_flow_keys');
  mustBeZero(keys, 0, KEYS.flags);
  mustBeZero(keys, KEYS.flowLabel, FLOW_KEYS_SIZE);
  return new DataView(keys.buffer).getUint32(KEYS.flags, true);
}

export const flowDissectorHook: Hook = { declaration: flowDissector, testRun };
