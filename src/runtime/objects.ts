/**
 * Objects of the kernel that are models here (plane/layout/object.ts): sockets, control groups, inodes, tasks. Maps that are keyed by
 * them, or hold them, take their ids where Linux takes descriptors.
 */
import { InputError, InternalError } from '../errors.ts';
import { parseIpv4, parseIpv6 } from '../net/addresses.ts';
import {
  BPF_SOCK_DST_IP4,
  BPF_SOCK_DST_IP6,
  BPF_SOCK_DST_PORT,
  BPF_SOCK_FAMILY,
  BPF_SOCK_PROTOCOL,
  BPF_SOCK_SRC_IP4,
  BPF_SOCK_SRC_IP6,
  BPF_SOCK_SRC_PORT,
  BPF_SOCK_STATE,
  BPF_SOCK_TYPE,
  OBJECT_CGROUP,
  OBJECT_INODE,
  OBJECT_SOCKET,
  OBJECT_TASK,
  SOCKET_CGROUP,
  SOCKET_COOKIE,
  SOCKET_REUSEPORT,
} from '../plane/layout/object.ts';
import { WORKER_CGROUP, WORKER_TASK } from '../plane/layout/worker.ts';
import type { Runtime } from './runtime.ts';

const kinds = { socket: OBJECT_SOCKET, task: OBJECT_TASK, inode: OBJECT_INODE, cgroup: OBJECT_CGROUP } as const;
export type ObjectKind = keyof typeof kinds;

/** One object. Storage that hangs on it goes when it is closed and no map holds it any more. */
export class ModelledObject {
  readonly kind: ObjectKind;
  readonly runtime: Runtime;
  /** What programs hold a pointer to. */
  readonly address: number;
  /** Its number among the objects of the runtime: the key of storage maps, the value of socket maps. */
  readonly id: number;
  readonly #owned: boolean;
  #open = true;

  /** @param owned takes over the reference that object_create gave. */
  constructor(runtime: Runtime, kind: ObjectKind, address: number, owned = true) {
    this.runtime = runtime;
    this.kind = kind;
    this.address = address;
    this.id = runtime.plane.exports.object_id(address) >>> 0;
    this.#owned = owned;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#owned) this.runtime.plane.exports.object_release(this.address);
  }
}

function create(runtime: Runtime, kind: ObjectKind): ModelledObject {
  const address = runtime.plane.exports.object_create(kinds[kind]) >>> 0;
  if (address === 0) throw new InternalError(`the linear memory has no room for a ${kind}`);
  return new ModelledObject(runtime, kind, address);
}

/** Fields of struct bpf_sock, and what else maps and helpers ask a socket for. */
export interface SocketOptions {
  /** AF_INET (2, the default) or AF_INET6 (10). */
  readonly family?: number;
  /** Where it is bound: bpf_sk_lookup_* find it by that. Without an address, or with one of zeros, on all. */
  readonly local?: SocketEnd;
  /** The other end of a connection. */
  readonly remote?: SocketEnd;
  readonly protocol?: 'tcp' | 'udp';
  /** Of TCP; default `established`. */
  readonly state?: 'established' | 'listen' | 'close';
  /** SO_REUSEPORT, as a reuseport_sockarray wants it. */
  readonly reuseport?: boolean;
  /** Default: a number that no other socket of the runtime has. */
  readonly cookie?: bigint;
  readonly cgroup?: ModelledObject;
}

export interface SocketEnd {
  /** Text of the socket's family; default: all addresses. */
  readonly address?: string;
  readonly port: number;
}

const states = { established: 1, close: 7, listen: 10 } as const;

export function createSocket(runtime: Runtime, options: SocketOptions = {}): ModelledObject {
  const { family = 2, protocol = 'tcp', reuseport = false } = options;
  const state = states[options.state ?? (protocol === 'tcp' ? 'established' : 'close')];
  const socket = create(runtime, 'socket');
  const view = runtime.view();
  const at = socket.address;
  view.setUint32(at + BPF_SOCK_FAMILY, family, true);
  view.setUint32(at + BPF_SOCK_TYPE, protocol === 'tcp' ? 1 : 2, true);
  view.setUint32(at + BPF_SOCK_PROTOCOL, protocol === 'tcp' ? 6 : 17, true);
  view.setUint32(at + BPF_SOCK_STATE, state, true);
  const v4 = family === 2;
  const place = (end: SocketEnd | undefined, to: number) => {
    if (end?.address !== undefined) runtime.bytes().set(v4 ? parseIpv4(end.address) : parseIpv6(end.address), at + to);
    if (end !== undefined && !(Number.isInteger(end.port) && end.port >= 0 && end.port <= 0xffff))
      throw new InputError('SLUICE_OBJECT', `a port is 0 to 65535, not ${end.port}`);
    return end?.port ?? 0;
  };
  view.setUint32(at + BPF_SOCK_SRC_PORT, place(options.local, v4 ? BPF_SOCK_SRC_IP4 : BPF_SOCK_SRC_IP6), true);
  view.setUint16(at + BPF_SOCK_DST_PORT, place(options.remote, v4 ? BPF_SOCK_DST_IP4 : BPF_SOCK_DST_IP6), false);
  view.setBigUint64(at + SOCKET_COOKIE, options.cookie ?? BigInt(socket.id), true);
  view.setBigUint64(at + SOCKET_CGROUP, BigInt(options.cgroup?.id ?? 1), true);
  view.setUint32(at + SOCKET_REUSEPORT, reuseport ? 1 : 0, true);
  return socket;
}

export function createCgroup(runtime: Runtime): ModelledObject {
  return create(runtime, 'cgroup');
}

export function createInode(runtime: Runtime): ModelledObject {
  return create(runtime, 'inode');
}

/** A task besides the current one, for user space: programs come to the current one alone. */
export function createTask(runtime: Runtime): ModelledObject {
  return create(runtime, 'task');
}

/** The task that programs run in, as bpf_get_current_task_btf gives it; one for the life of the runtime. */
export function currentTask(runtime: Runtime): ModelledObject {
  const { plane } = runtime;
  const at = plane.worker + WORKER_TASK;
  if (runtime.view().getUint32(at, true) === 0) runtime.view().setUint32(at, create(runtime, 'task').address, true);
  return new ModelledObject(runtime, 'task', runtime.view().getUint32(at, true), false);
}

/**
 * The control group that programs run for from now on, a child of the root: packets and the current task are in it, bpf_get_local_storage gives its values. Without one (undefined) each run has
 * storage of its own that begins with zeros, as under BPF_PROG_TEST_RUN.
 */
export function attachCgroup(runtime: Runtime, cgroup: ModelledObject | undefined): void {
  if (cgroup !== undefined && (cgroup.kind !== 'cgroup' || cgroup.runtime !== runtime))
    throw new InputError('SLUICE_OBJECT', `a ${cgroup.kind} is no control group of this runtime`);
  runtime.view().setUint32(runtime.plane.worker + WORKER_CGROUP, cgroup?.address ?? 0, true);
}
