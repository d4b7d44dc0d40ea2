/**
 * Links: programs attached to what they act on. A link holds its program and ends with its descriptor, so that nothing stays behind when
 * the process dies.
 */
import { closeSync, openSync } from 'node:fs';
import type { AttachTypeName } from '../abi/program-types.ts';
import { InputError } from '../errors.ts';
import { createLink, detachLink, openRawTracepoint, updateLink } from './bpf.ts';
import { close } from './ffi.ts';
import { type LinkInfo, linkInfoOf } from './info.ts';
import { interfaceIndex } from './netdev.ts';
import type { KernelProgram } from './programs.ts';
import { LinuxStructOps } from './struct-ops-map.ts';
import { SyscallError } from './syscall-error.ts';

export class KernelLink {
  readonly fd: number;
  #open = true;

  constructor(fd: number) {
    this.fd = fd;
  }

  info(): LinkInfo {
    this.#alive();
    return linkInfoOf(this.fd);
  }

  /** Puts another program, or of a struct_ops link another map of that struct, in place at once: no packet sees neither or both. */
  update(next: KernelProgram | LinuxStructOps): void {
    this.#alive();
    updateLink(this.fd, next instanceof LinuxStructOps ? ready(next) : next.fd);
  }

  /** Detaches, even if someone else holds the link too. */
  detach(): void {
    this.#alive();
    detachLink(this.fd);
  }

  /** Gives up the descriptor; the program is detached unless the link is pinned or held elsewhere. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    close(this.fd);
  }

  #alive(): void {
    if (!this.#open) throw new InputError('SLUICE_LINUX_EBADF', 'the link is closed');
  }
}

/** XDP_FLAGS_* (include/uapi/linux/if_link.h): generic works on every interface, native needs the driver, offload the hardware. */
const xdpModes = { auto: 0, generic: 1 << 1, native: 1 << 2, offload: 1 << 3 } as const;
export type XdpMode = keyof typeof xdpModes;

/**
 * Attaches an XDP program. `auto`: native where the driver can and does, else generic. Throws InputError for an interface that is not there or that
 * has an XDP program already (`SLUICE_LINUX_EBUSY`).
 */
export function attachXdp(
  program: KernelProgram,
  interfaceOrIndex: string | number,
  mode: XdpMode = 'auto',
): KernelLink {
  try {
    return attach(program, interfaceOrIndex, 'xdp', xdpModes[mode]);
  } catch (error) {
    const refused = error instanceof InputError && /^SLUICE_LINUX_(EOPNOTSUPP|ERANGE|EINVAL)$/.test(error.code);
    // A driver may have a native mode and refuse it: for its MTU, or its queues.
    if (refused && mode === 'auto') return attach(program, interfaceOrIndex, 'xdp', xdpModes.generic);
    if (refused && mode === 'native')
      throw withHint(error, 'its driver has no native mode for it as it is: generic mode works on every interface');
    if (error instanceof InputError && error.code === 'SLUICE_LINUX_EBUSY')
      throw withHint(error, 'it has an XDP program already (bpftool net, ip -d link)');
    throw error;
  }
}

function withHint(error: InputError, hint: string): InputError {
  return new InputError(error.code, `${error.message}; ${hint}`, {}, { cause: error });
}

/** Attaches a sched_cls program to one side of an interface, behind those that are there (Linux 6.6). */
export function attachTcx(
  program: KernelProgram,
  interfaceOrIndex: string | number,
  side: 'ingress' | 'egress',
): KernelLink {
  return attach(program, interfaceOrIndex, side === 'ingress' ? 'tcx_ingress' : 'tcx_egress', 0);
}

/** Attaches a cgroup program to a cgroup by the descriptor of its folder. */
export function attachCgroup(program: KernelProgram, cgroupFd: number, type: AttachTypeName): KernelLink {
  return new KernelLink(createLink({ programFd: program.fd, target: cgroupFd, attachType: type }));
}

/**
 * Attaches a program that acts on a whole network namespace, by default that of this process: sk_lookup (Linux 5.9; several run one after the
 * other) or flow_dissector (one a namespace). `path` names another one: `/run/netns/NAME`, `/proc/PID/ns/net`.
 */
export function attachNetns(
  program: KernelProgram,
  type: 'sk_lookup' | 'flow_dissector',
  path = '/proc/self/ns/net',
): KernelLink {
  let netns: number;
  try {
    netns = openSync(path, 'r');
  } catch (error) {
    throw new InputError(
      'SLUICE_LINUX_NO_NETNS',
      `${path} is no network namespace that can be opened`,
      {},
      { cause: error },
    );
  }
  try {
    return new KernelLink(createLink({ programFd: program.fd, target: netns, attachType: type }));
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const why = `program ${program.name} cannot be attached to the network namespace ${path}: ${error.errno}`;
    throw new InputError(`SLUICE_LINUX_${error.errno}`, why, {}, { cause: error });
  } finally {
    closeSync(netns);
  }
}

/**
 * Registers what a struct_ops map of `.struct_ops.link` (BPF_F_LINK) holds, for as long as the link is there. Maps without that flag are registered by their
 * handle, and stay so beyond the process.
 */
export function attachStructOps(map: LinuxStructOps): KernelLink {
  const programFd = ready(map);
  try {
    return new KernelLink(createLink({ programFd, target: 0, attachType: 'struct_ops' }));
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const why = `map ${map.name} cannot be attached: ${error.errno}`;
    throw new InputError(`SLUICE_LINUX_${error.errno}`, why, {}, { cause: error });
  }
}

/** Descriptor of a map that has its struct. */
function ready(map: LinuxStructOps): number {
  if (map.state === 'init') map.register();
  return map.kernel.fd;
}

/** Attaches to a raw tracepoint by name. */
export function attachRawTracepoint(program: KernelProgram, name: string): KernelLink {
  return new KernelLink(openRawTracepoint(name, program.fd));
}

function attach(program: KernelProgram, at: string | number, attachType: AttachTypeName, flags: number): KernelLink {
  const target = typeof at === 'number' ? at : interfaceIndex(at);
  try {
    return new KernelLink(createLink({ programFd: program.fd, target, attachType, flags }));
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const why = `program ${program.name} cannot be attached to interface ${at}: ${error.errno}`;
    throw new InputError(`SLUICE_LINUX_${error.errno}`, why, {}, { cause: error });
  }
}
