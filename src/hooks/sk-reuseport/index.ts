/** hooks/sk-reuseport: which of the sockets that share a port. `data` begins with the transport header. bpf_run_sk_reuseport, net/core/filter.c; Linux has no test run. */
import { skReuseport } from '../../abi/programs/sk-reuseport.ts';
import { CONTEXT_SELECTED, CONTEXT_SKB, CONTEXT_SKB_DESCRIPTOR } from '../../plane/layout/context.ts';
import { SKB_DATA, SKB_DATA_END, SKB_LEN, SKB_MAC_HEADER, SKB_NETWORK_HEADER } from '../../plane/layout/skb.ts';
import { HOOK_REUSEPORT } from '../../plane/layout/worker.ts';
import { contextHook } from '../context/hook.ts';

/** struct sk_reuseport_md. */
const FIELD = { data: 0, dataEnd: 8, len: 16, ethProtocol: 20, ipProtocol: 24, sk: 40 };
const ETH_P_IPV6 = 0xdd86;
const SK_PASS = 1;

/** Without a socket of the caller's, one of the context's protocols. With SK_PASS and no choice, Linux takes a socket by the packet's hash. */
export const skReuseportHook = contextHook({
  declaration: skReuseport,
  data: 'packet',
  hook: HOOK_REUSEPORT,
  prepare(frame, input) {
    const data = input.data ?? new Uint8Array();
    const family = (frame.u32(FIELD.ethProtocol) & 0xffff) === ETH_P_IPV6 ? 10 : 2;
    frame.socket(input, { family, protocol: frame.u32(FIELD.ipProtocol) }, FIELD.sk);
    const at = frame.data(data, { start: FIELD.data, end: FIELD.dataEnd });
    frame.u32(FIELD.len, data.length);
    const skb = CONTEXT_SKB_DESCRIPTOR;
    frame.u32(CONTEXT_SKB, frame.address + skb);
    for (const field of [SKB_DATA, SKB_MAC_HEADER, SKB_NETWORK_HEADER]) frame.u32(skb + field, at);
    frame.u32(skb + SKB_DATA_END, at + data.length);
    frame.u32(skb + SKB_LEN, data.length);
  },
  result(frame, r0) {
    const socket = frame.u32(CONTEXT_SELECTED);
    return r0 === SK_PASS && socket !== 0 ? { socket } : {};
  },
});
