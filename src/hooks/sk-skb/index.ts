/** hooks/sk-skb: streams between the sockets of a sockmap. `data` is what the socket received, without headers. net/core/skmsg.c; Linux has no test run. */
import { skSkb } from '../../abi/programs/sk-skb.ts';
import type { Hook } from '../../runtime/hook.ts';
import { redirectedTo } from '../context/redirect.ts';
import { invalid } from '../input.ts';
import { ETHERNET_HEADER } from '../skb/frames.ts';
import { testRunSkb } from '../skb/test-run.ts';

const run = testRunSkb('network');

export const skSkbHook: Hook = {
  declaration: skSkb,
  testRun(runtime, program, input) {
    if (input.data === undefined) throw invalid('a program of type sk_skb takes data');
    // The frame wants a link header, which the program does not see.
    const framed = new Uint8Array(ETHERNET_HEADER + input.data.length);
    framed.set(input.data, ETHERNET_HEADER);
    const { redirect: _, ...result } = run(runtime, program, { ...input, data: framed });
    return { ...result, data: result.data?.slice(ETHERNET_HEADER), ...redirectedTo(runtime, result.returnValue) };
  },
};
