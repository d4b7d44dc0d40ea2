/**
 * hooks/sk-lookup: which socket takes a connection. bpf_prog_test_run_sk_lookup in net/bpf/test_run.c. Sockets are the modelled ones of a
 * sockmap (createSocket); the context has the cookie of the chosen one in the place of `sk`.
 */
import { skLookup } from '../../abi/programs/sk-lookup.ts';
import { SOCKET_COOKIE, SOCKET_REUSEPORT } from '../../plane/layout/object.ts';
import { SK_LOOKUP_NO_REUSEPORT, SK_LOOKUP_SIZE, SK_LOOKUP_SOCKET } from '../../plane/layout/sk-lookup.ts';
import { HOOK_SK_LOOKUP, WORKER_HOOK } from '../../plane/layout/worker.ts';
import type { RunInput, RunResult } from '../../runtime/handles.ts';
import type { Executable, Hook } from '../../runtime/hook.ts';
import type { Runtime } from '../../runtime/runtime.ts';
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
/** The plane's function that only this hook calls (plane/assembly/hooks/sk-lookup.ts). */
interface SkLookupPlane {
  sk_lookup_repeat(entry: number, frame: number, template: number, count: number): bigint;
}

const AF_INET = 2;
const AF_INET6 = 10;

function testRun(runtime: Runtime, program: Executable, input: RunInput): RunResult {
  const { size, struct } = skLookup.context;
  if (input.data !== undefined) throw invalid('an sk_lookup program takes no packet');
  if (input.context === undefined) throw invalid(`an sk_lookup program takes struct ${struct}`);
  const repeat = repeatOf(input);
  const context = wholeStruct(input.context, size, struct);
  const { r0, socket, noReuseport, durationNs } = lookUp(runtime, program, asSeen(context, size), repeat);
  const passed = (r0 & 0xffff_ffffn) !== 0n;
  const view = runtime.view();
  // The kernel would have to go through the group of the socket, and its test run does not.
  if (passed && socket !== 0 && view.getUint32(socket + SOCKET_REUSEPORT, true) !== 0 && !noReuseport)
    throw invalid('the socket has SO_REUSEPORT, and the test run chooses among no group', 'EOPNOTSUPP');
  const after = context.slice(0, size);
  if (passed && socket !== 0)
    new DataView(after.buffer).setBigUint64(0, view.getBigUint64(socket + SOCKET_COOKIE, true), true);
  // The kernel's array of one program: anything but SK_DROP lets the ordinary lookup go on.
  return { returnValue: passed ? 1 : 0, r0, data: undefined, context: after, durationNs };
}

/** Each run begins without a socket; the last one counts. */
function lookUp(runtime: Runtime, program: Executable, seen: Uint8Array, repeat: number) {
  const address = runtime.allocatePages(2 * SK_LOOKUP_SIZE);
  const template = address + SK_LOOKUP_SIZE;
  try {
    runtime.bytes().fill(0, address, template + SK_LOOKUP_SIZE);
    runtime.bytes().set(seen, template);
    const start = performance.now();
    let r0 = 0n;
    if (program.entry !== 0) {
      const plane = runtime.plane.exports as unknown as SkLookupPlane; // fixed by the plane's sources
      r0 = program.enter(() => plane.sk_lookup_repeat(program.entry, address, template, repeat));
    } else {
      runtime.view().setUint32(runtime.plane.worker + WORKER_HOOK, HOOK_SK_LOOKUP, true);
      for (let i = 0; i < repeat; i++) {
        runtime.bytes().copyWithin(address, template, template + SK_LOOKUP_SIZE);
        r0 = program.run(address);
      }
    }
    const durationNs = ((performance.now() - start) * 1e6) / repeat;
    const view = runtime.view();
    const socket = Number(view.getBigUint64(address + SK_LOOKUP_SOCKET, true));
    const noReuseport = view.getUint32(address + SK_LOOKUP_NO_REUSEPORT, true) !== 0;
    return { r0: BigInt.asUintN(64, r0), socket, noReuseport, durationNs };
  } finally {
    runtime.freePages(address, 2 * SK_LOOKUP_SIZE);
  }
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
