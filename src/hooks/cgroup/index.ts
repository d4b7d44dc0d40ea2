/** hooks/cgroup: what the system calls of a control group's tasks may do: sockets, addresses, socket options, sysctl, devices. kernel/bpf/cgroup.c. Linux has no test run for them. */
import { cgroupDevice } from '../../abi/programs/cgroup-device.ts';
import { cgroupSock } from '../../abi/programs/cgroup-sock.ts';
import { cgroupSockAddr } from '../../abi/programs/cgroup-sock-addr.ts';
import { cgroupSockopt } from '../../abi/programs/cgroup-sockopt.ts';
import { cgroupSysctl } from '../../abi/programs/cgroup-sysctl.ts';
import {
  CONTEXT_CURRENT,
  CONTEXT_CURRENT_LENGTH,
  CONTEXT_DATA,
  CONTEXT_NAME,
  CONTEXT_NAME_LENGTH,
  CONTEXT_NEW,
  CONTEXT_NEW_LENGTH,
  CONTEXT_NEW_WRITTEN,
  CONTEXT_RETVAL,
  SOCKOPT_RETVAL,
} from '../../plane/layout/context.ts';
import type { Hook } from '../../runtime/hook.ts';
import type { ContextFrame } from '../context/frame.ts';
import { contextHook } from '../context/hook.ts';
import { invalid } from '../input.ts';

const EPERM = -1;
const EFAULT = -14;

/** bpf_prog_run_array_cg: a verdict without its first bit is EPERM, unless the program said which error it is. */
function systemCall(frame: ContextFrame, r0: number, at: number = CONTEXT_RETVAL): number {
  const retval = frame.i32(at);
  const failed = retval < 0 && retval >= -4095;
  return (r0 & 1) === 0 && !failed ? EPERM : retval;
}

const tellsCall = (frame: ContextFrame, r0: number) => ({ systemCall: systemCall(frame, r0) });

const cgroupDeviceHook = contextHook({ declaration: cgroupDevice, result: tellsCall });

/** struct bpf_sock. */
const SOCK = { family: 4, type: 8, protocol: 12 };

/** The context is the socket. */
const cgroupSockHook = contextHook({
  declaration: cgroupSock,
  prepare(frame, input) {
    const { family, type, protocol } = SOCK;
    frame.socket(input, { family: frame.u32(family), type: frame.u32(type), protocol: frame.u32(protocol) });
  },
  result: tellsCall,
});

/** struct bpf_sock_addr. */
const ADDR = { family: 28, type: 32, protocol: 36, sk: 64 };

const cgroupSockAddrHook = contextHook({
  declaration: cgroupSockAddr,
  prepare(frame, input) {
    const { family, type, protocol, sk } = ADDR;
    frame.socket(input, { family: frame.u32(family), type: frame.u32(type), protocol: frame.u32(protocol) }, sk);
  },
  result: tellsCall,
});

/** struct bpf_sockopt. */
const SOCKOPT = { sk: 0, optval: 8, optvalEnd: 16, optlen: 32 };

/** `data` is the option's value; what comes back of it is as long as optlen says. */
const cgroupSockoptHook = contextHook({
  declaration: cgroupSockopt,
  data: 'value',
  prepare(frame, input) {
    const value = input.data ?? new Uint8Array();
    frame.socket(input, {}, SOCKOPT.sk);
    frame.data(value, { start: SOCKOPT.optval, end: SOCKOPT.optvalEnd });
    if (input.context === undefined) frame.u32(SOCKOPT.optlen, value.length);
    frame.retvalAt(SOCKOPT_RETVAL);
  },
  result(frame, r0, input) {
    const given = input.data?.length ?? 0;
    const length = frame.i32(SOCKOPT.optlen);
    const called = systemCall(frame, r0, SOCKOPT_RETVAL);
    // -1: setsockopt goes no further than the program. More than there was is a fault of the program.
    const fits = length >= -1 && length <= given;
    const at = frame.address + CONTEXT_DATA;
    return {
      systemCall: called === 0 && !fits ? EFAULT : called,
      data: frame.read(at, at + (fits ? Math.max(length, 0) : given)),
    };
  },
});

/** Longest value that a program may write: a page less its NUL. */
const NEW_VALUE_ROOM = 4096;

/**
 * `data` is the file's name, its value and, for a write, the new one, with NULs between: `net/ipv4/ip_forward\\0` `0\\n\\0` `1\\n`. The result's
 * data is the value to write, if there is one.
 */
const cgroupSysctlHook = contextHook({
  declaration: cgroupSysctl,
  data: 'name, value and new value',
  prepare(frame, input) {
    const parts = splitAtNul(input.data ?? new Uint8Array());
    if (parts.length > 3) throw invalid('a sysctl has a name, a value and a new value, with NULs between');
    if (parts.some((part) => part.length >= NEW_VALUE_ROOM)) throw invalid(`longer than ${NEW_VALUE_ROOM - 1} bytes`);
    const whole = new Uint8Array(3 * NEW_VALUE_ROOM);
    for (const [i, part] of parts.entries()) whole.set(part, i * NEW_VALUE_ROOM);
    const base = frame.address + CONTEXT_DATA;
    frame.data(whole, { start: CONTEXT_NAME, end: CONTEXT_NAME_LENGTH });
    frame.u32(CONTEXT_NAME_LENGTH, parts[0]?.length ?? 0);
    frame.u32(CONTEXT_CURRENT, base + NEW_VALUE_ROOM);
    frame.u32(CONTEXT_CURRENT_LENGTH, parts[1]?.length ?? 0);
    frame.u32(CONTEXT_NEW, base + 2 * NEW_VALUE_ROOM);
    frame.u32(CONTEXT_NEW_LENGTH, parts[2]?.length ?? 0);
  },
  result(frame, r0) {
    const at = frame.u32(CONTEXT_NEW);
    const length = frame.u32(CONTEXT_NEW_LENGTH);
    const value = length === 0 && frame.u32(CONTEXT_NEW_WRITTEN) === 0 ? undefined : frame.read(at, at + length);
    return { systemCall: systemCall(frame, r0), data: value };
  },
});

function splitAtNul(bytes: Uint8Array): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  let start = 0;
  for (const [i, byte] of bytes.entries()) {
    if (byte !== 0) continue;
    parts.push(bytes.subarray(start, i));
    start = i + 1;
  }
  return [...parts, bytes.subarray(start)];
}

export const cgroupHooks: readonly Hook[] = [
  cgroupDeviceHook,
  cgroupSockHook,
  cgroupSockAddrHook,
  cgroupSockoptHook,
  cgroupSysctlHook,
];
