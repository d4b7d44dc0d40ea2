/** hooks/sk-lookup: which socket takes a connection. bpf_prog_test_run_sk_lookup in net/bpf/test_run.c. No sockets exist here, so none is chosen. */
import { skLookup } from '../../abi/programs/sk-lookup.ts';
import type { RunInput, RunResult } from '../../runtime/handles.ts';
import type { Executable, Hook } from '../../runtime/hook.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { runOverContext } from '../context/run.ts';
import { invalid, mustBeZero, repeatOf, wholeStruct } from '../input.ts';

/** struct bpf_sk_lookup, include/uapi/linux/bpf.h. */
const FIELD = {
  family: 8,
  protocol: 12,
  remoteIp4: 16,
  remoteIp6: 20,
  remotePort: 36,
  localIp4: 40,
  localIp6: 44,
  localPort: 60,
  ingressIfindex: 64,
};
const AF_INET = 2;
const AF_INET6 = 10;

function testRun(runtime: Runtime, program: Executable, input: RunInput): RunResult {
  const { size, struct } = skLookup.context;
  if (input.data !== undefined) throw invalid('an sk_lookup program takes no packet');
  if (input.context === undefined) throw invalid(`an sk_lookup program takes struct ${struct}`);
  const repeat = repeatOf(input);
  const context = wholeStruct(input.context, size, struct);
  const seen = asSeen(context, size);
  const { r0, durationNs } = runOverContext(runtime, program, seen, size, repeat);
  // The kernel's array of one program: anything but SK_DROP lets the ordinary lookup go on.
  return {
    returnValue: (r0 & 0xffff_ffffn) === 0n ? 0 : 1,
    r0,
    data: undefined,
    context: input.context.slice(),
    durationNs,
  };
}

/** What the program sees of the caller's struct: addresses of the one family, ports and numbers cut to 16 bits. */
function asSeen(context: Uint8Array, size: number): Uint8Array {
  mustBeZero(context, 0, FIELD.family);
  mustBeZero(context, FIELD.ingressIfindex, size);
  const view = new DataView(context.buffer);
  if (view.getUint32(FIELD.localPort, true) > 0xffff) throw invalid('local_port has 16 bits', 'ERANGE');
  const family = view.getUint16(FIELD.family, true);
  if (family !== AF_INET && family !== AF_INET6) throw invalid(`address family ${family}`, 'EAFNOSUPPORT');
  const seen = context.slice();
  seen.fill(0, FIELD.family + 2, FIELD.family + 4);
  seen.fill(0, FIELD.protocol + 2, FIELD.protocol + 4);
  seen.fill(0, FIELD.remotePort + 2, FIELD.localIp4);
  for (const at of family === AF_INET ? [FIELD.remoteIp6, FIELD.localIp6] : []) seen.fill(0, at, at + 16);
  for (const at of family === AF_INET6 ? [FIELD.remoteIp4, FIELD.localIp4] : []) seen.fill(0, at, at + 4);
  return seen;
}

export const skLookupHook: Hook = { declaration: skLookup, testRun };
