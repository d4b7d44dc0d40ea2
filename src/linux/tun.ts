/**
 * TUN and TAP devices (Documentation/networking/tuntap.rst, drivers/net/tun.c): interfaces whose other end is a descriptor. What the stack
 * sends through the interface is read from it, a packet a read; what is written to it, the stack receives.
 *
 * A descriptor is one queue. The kernel chooses the queue of a packet by its flow, or by a program (`setSteering`).
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { InputError, UnsupportedError } from '../errors.ts';
import { ioctl } from './ffi.ts';
import { interfaceIndex } from './netdev.ts';
import { ReadableWait } from './sockets.ts';
import { SyscallError } from './syscall-error.ts';
import { MOST_TUN_QUEUES, type TunOffload, tunFlags, tunOffloads, tunRequests } from './tun-ioctl.ts';

export type { TunOffload } from './tun-ioctl.ts';

const DEVICE = '/dev/net/tun';
// struct ifreq: 16 bytes of name, then a union of 24 that begins with i16 flags.
const IFNAMSIZ = 16;
const IFREQ_SIZE = 40;
const MOST_OFFLOADS = Object.keys(tunOffloads) as TunOffload[];

/** Bytes of header before each packet: struct virtio_net_hdr, _mrg_rxbuf (or _v1), _v1_hash, _v1_hash_tunnel. */
export type VnetHeaderSize = 10 | 12 | 20 | 24;

export interface TunOptions {
  /** `tap` (default): Ethernet frames; `tun`: IP packets. */
  readonly layer?: 'tap' | 'tun';
  /** The device takes several queues (default false). Every one who opens it must say the same. */
  readonly multiQueue?: boolean;
  /** Little-endian virtio header before each packet; without, packets are as they are. */
  readonly vnetHeader?: VnetHeaderSize;
  /** What is left undone in packets that are read. Only with a header, whose fields tell it. */
  readonly offloads?: readonly TunOffload[];
  /** Reads and writes do not wait: undefined, or EAGAIN (default true). */
  readonly nonBlocking?: boolean;
  /** The device must not be there yet. */
  readonly exclusive?: boolean;
}

export interface TunFeatures {
  /** Names of flags without IFF_: `MULTI_QUEUE`, `VNET_HDR`, … */
  readonly flags: readonly string[];
  /** Header sizes, offloads and programs that a device of this kernel takes; undefined where making one is not allowed. */
  readonly device:
    | {
        readonly vnetHeaders: readonly VnetHeaderSize[];
        readonly offloads: readonly TunOffload[];
        /** TUNSETSTEERINGEBPF and TUNSETFILTEREBPF, Linux 4.16. */
        readonly programs: boolean;
      }
    | undefined;
}

/** A program of the kernel, by its descriptor: type socket_filter. */
export interface TunProgram {
  readonly fd: number;
}

/** One queue of a device. A device that is not persistent ends with its last queue. */
export class TunQueue {
  readonly fd: number;
  /** Name of the device: of the kernel's choice where it was opened by a pattern (`tap%d`). */
  readonly name: string;
  readonly ifindex: number;
  readonly layer: 'tap' | 'tun';
  #wait: ReadableWait | undefined;
  #open = true;

  /**
   * Opens a device in this thread's network namespace, or makes it. A queue stays with its device, wherever the thread goes.
   *
   * Throws UnsupportedError where there is no /dev/net/tun or no right to it; InputError `SLUICE_TUN_NAME`, `SLUICE_TUN_BUSY` (another process has
   * the device, or it has all its queues), `SLUICE_TUN_KIND` (it is of another kind: layer, header or number of queues), `SLUICE_TUN_HEADER`.
   */
  constructor(name: string, options: TunOptions = {}) {
    const { layer = 'tap', multiQueue = false, vnetHeader, nonBlocking = true } = options;
    this.layer = layer;
    const flags =
      (layer === 'tap' ? tunFlags.TAP : tunFlags.TUN) |
      tunFlags.NO_PI |
      (multiQueue ? tunFlags.MULTI_QUEUE : 0) |
      (vnetHeader === undefined ? 0 : tunFlags.VNET_HDR) |
      (options.exclusive === true ? tunFlags.TUN_EXCL : 0);
    if ((options.offloads?.length ?? 0) > 0 && vnetHeader === undefined)
      throw new InputError('SLUICE_TUN_HEADER', 'offloads need a header that tells of them: give vnetHeader');
    const request = interfaceRequest(name, flags);
    this.fd = openTun(nonBlocking);
    try {
      setInterface(this.fd, request, name, options);
      this.name = nameIn(request);
      this.ifindex = interfaceIndex(this.name);
      if (vnetHeader !== undefined) {
        this.setVnetHeader(vnetHeader);
        ioctl(this.fd, tunRequests.SETVNETLE, Int32Array.of(1));
        this.setOffloads(options.offloads ?? []);
      }
    } catch (error) {
      closeSync(this.fd);
      throw error;
    }
  }

  /** Of the whole device. */
  get vnetHeader(): number {
    const size = new Int32Array(1);
    ioctl(this.fd, tunRequests.GETVNETHDRSZ, size);
    return size[0]!;
  }

  setVnetHeader(size: VnetHeaderSize): void {
    this.#set(tunRequests.SETVNETHDRSZ, Int32Array.of(size), 'SLUICE_TUN_HEADER', `no headers of ${size} bytes`);
  }

  /** Of the whole device, in place of those before. */
  setOffloads(offloads: readonly TunOffload[]): void {
    let bits = 0;
    for (const offload of offloads) bits |= tunOffloads[offload];
    // The number itself, not where it is.
    this.#set(tunRequests.SETOFFLOAD, bits, 'SLUICE_TUN_OFFLOAD', `offloads ${offloads.join(', ') || 'none'} refused`);
  }

  /** Whether the device stays when its last queue is closed. */
  setPersistent(persistent: boolean): void {
    ioctl(this.fd, tunRequests.SETPERSIST, persistent ? 1 : 0);
  }

  /** A detached queue gets no packets and keeps its place in the device. Only of devices with several. */
  detach(): void {
    this.#setQueue(tunFlags.DETACH_QUEUE);
  }

  attach(): void {
    this.#setQueue(tunFlags.ATTACH_QUEUE);
  }

  /**
   * The device's program that chooses queues: `u16(result) % queues`. It sees the whole packet, header and trailer, as struct __sk_buff; none of its helpers
   * that write. Of the whole device, until it is cleared (undefined) or the device ends. Throws InputError `SLUICE_TUN_PROGRAM`.
   */
  setSteering(program: TunProgram | undefined): void {
    this.#setProgram(tunRequests.SETSTEERINGEBPF, program);
  }

  /** The device's program that cuts packets to the length that it returns; 0 drops. */
  setFilter(program: TunProgram | undefined): void {
    this.#setProgram(tunRequests.SETFILTEREBPF, program);
  }

  /** Bytes that packets written to the device, and not yet taken by the stack, may hold before a write waits. */
  setSendBuffer(bytes: number): void {
    ioctl(this.fd, tunRequests.SETSNDBUF, Int32Array.of(bytes));
  }

  /** Reads one packet, with its header, into `buffer`; bytes read (what does not fit is cut off), undefined if there is none. */
  read(buffer: Uint8Array): number | undefined {
    try {
      return readSync(this.fd, buffer);
    } catch (error) {
      if (isAgain(error)) return undefined;
      throw error;
    }
  }

  /** Copies of the packets that are there, at most `limit`. */
  *packets(limit = Number.POSITIVE_INFINITY): Generator<Uint8Array, void, undefined> {
    const buffer = new Uint8Array(LONGEST);
    for (let left = limit; left > 0; left--) {
      const length = this.read(buffer);
      if (length === undefined) return;
      yield buffer.slice(0, length);
    }
  }

  /** Writes one packet, with its header: the stack receives it. Throws the error of write(2), EIO while the interface is down. */
  write(packet: Uint8Array): void {
    writeSync(this.fd, packet);
  }

  /** Until a packet is there or the time is over. */
  wait(milliseconds: number): Promise<boolean> {
    this.#wait ??= new ReadableWait([this.fd]);
    return this.#wait.wait(milliseconds);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.fd);
  }

  #setQueue(flag: number): void {
    const request = interfaceRequest('', flag);
    const what = flag === tunFlags.DETACH_QUEUE ? 'detached' : 'attached';
    const why = `the queue cannot be ${what}: it is so already, or ${this.name} has one queue only`;
    this.#set(tunRequests.SETQUEUE, request, 'SLUICE_TUN_QUEUE', why);
  }

  #setProgram(request: number, program: TunProgram | undefined): void {
    const why = `${this.name} takes programs of type socket_filter alone, and this is none`;
    this.#set(request, Int32Array.of(program?.fd ?? -1), 'SLUICE_TUN_PROGRAM', why);
  }

  #set(request: number, argument: ArrayBufferView | number, code: string, refusal: string): void {
    try {
      ioctl(this.fd, request, argument);
    } catch (error) {
      if (error instanceof SyscallError && error.errno === 'EINVAL')
        throw new InputError(code, `${this.name}: ${refusal}`, {}, { cause: error });
      throw error;
    }
  }
}

/** Opens `count` queues of one device; what is not given is as in TunQueue, with `multiQueue`. None stays open if one cannot be had. */
export function openTunQueues(name: string, count: number, options: TunOptions = {}): TunQueue[] {
  if (!Number.isInteger(count) || count < 1 || count > MOST_TUN_QUEUES)
    throw new InputError('SLUICE_TUN_QUEUES', `a device has 1 to ${MOST_TUN_QUEUES} queues, not ${count}`);
  const queues: TunQueue[] = [];
  try {
    for (let i = 0; i < count; i++)
      queues.push(
        new TunQueue(queues[0]?.name ?? name, {
          multiQueue: true,
          ...options,
          exclusive: options.exclusive === true && i === 0,
        }),
      );
    return queues;
  } catch (error) {
    for (const queue of queues) queue.close();
    throw error;
  }
}

/** What this kernel's devices can do. Throws UnsupportedError as TunQueue; where only making a device is refused, `device` is undefined. */
export function tunFeatures(): TunFeatures {
  const fd = openTun(true);
  let bits: number;
  try {
    const answer = new Uint32Array(1);
    ioctl(fd, tunRequests.GETFEATURES, answer);
    bits = answer[0]!;
  } finally {
    closeSync(fd);
  }
  const flags = Object.entries(tunFlags).flatMap(([name, bit]) => ((bits & bit) === 0 ? [] : [name]));
  return { flags, device: deviceFeatures() };
}

/** Why devices cannot be made here; undefined where they can. */
export function tunRefusal(): string | undefined {
  try {
    new TunQueue(PROBE).close();
    return undefined;
  } catch (error) {
    if (error instanceof UnsupportedError) return error.message;
    throw error;
  }
}

const PROBE = 'slp%d';
/** Longest packet, with the longest header. */
const LONGEST = 65536 + 64;

function deviceFeatures(): TunFeatures['device'] {
  let queue: TunQueue;
  try {
    queue = new TunQueue(PROBE, { vnetHeader: 10 });
  } catch (error) {
    if (error instanceof UnsupportedError) return undefined;
    throw error;
  }
  const takes = (call: () => void) => {
    try {
      call();
      return true;
    } catch (error) {
      if (error instanceof InputError || error instanceof SyscallError) return false;
      throw error;
    }
  };
  // The last of a kind that the kernel takes only together with others.
  const beside = (offload: TunOffload): TunOffload[] => {
    if (offload === 'csum') return ['csum'];
    if (offload === 'tsoEcn') return ['csum', 'tso4', 'tsoEcn'];
    if (offload === 'uso4' || offload === 'uso6') return ['csum', 'uso4', 'uso6'];
    if (offload.startsWith('udpTunnel')) return ['csum', 'tso4', 'tso6', 'udpTunnelGso', offload];
    return ['csum', offload];
  };
  try {
    return {
      vnetHeaders: ([10, 12, 20, 24] as const).filter((size) => takes(() => queue.setVnetHeader(size))),
      offloads: MOST_OFFLOADS.filter((offload) => takes(() => queue.setOffloads(beside(offload)))),
      programs: takes(() => queue.setSteering(undefined)) && takes(() => queue.setFilter(undefined)),
    };
  } finally {
    queue.close();
  }
}

function openTun(nonBlocking: boolean): number {
  const O_NONBLOCK = 0o4000;
  const O_RDWR = 2;
  try {
    return openSync(DEVICE, O_RDWR | (nonBlocking ? O_NONBLOCK : 0));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO')
      throw new UnsupportedError(
        'TUN and TAP devices',
        `there is no ${DEVICE}: load the module (modprobe tun), or give the container the device (--device ${DEVICE})`,
        undefined,
        { cause: error },
      );
    if (code === 'EACCES' || code === 'EPERM')
      throw new UnsupportedError('TUN and TAP devices', `${DEVICE} may not be opened here (${code})`, undefined, {
        cause: error,
      });
    throw error;
  }
}

function interfaceRequest(name: string, flags: number): DataView {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length >= IFNAMSIZ || bytes.includes(0) || /[\s/]/.test(name))
    throw new InputError(
      'SLUICE_TUN_NAME',
      `${JSON.stringify(name)} is no name of an interface: 1 to 15 bytes, no blanks, no /`,
    );
  const request = new DataView(new ArrayBuffer(IFREQ_SIZE));
  new Uint8Array(request.buffer).set(bytes);
  request.setUint16(IFNAMSIZ, flags, true);
  return request;
}

function nameIn(request: DataView): string {
  const name = new Uint8Array(request.buffer, 0, IFNAMSIZ);
  return new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
}

function setInterface(fd: number, request: DataView, name: string, options: TunOptions): void {
  try {
    ioctl(fd, tunRequests.SETIFF, request);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const { errno } = error;
    const because = { cause: error };
    const { layer = 'tap', multiQueue = false, vnetHeader } = options;
    const kind = `${multiQueue ? 'multi-queue ' : ''}${layer}${vnetHeader === undefined ? '' : ' with vnet_hdr'}`;
    if (errno === 'EPERM')
      throw new UnsupportedError(
        'TUN and TAP devices',
        `${name} may not be made or opened: it takes root (CAP_NET_ADMIN), or a device that is yours (ip tuntap add … user NAME)`,
        undefined,
        because,
      );
    if (errno === 'EBUSY')
      throw new InputError(
        'SLUICE_TUN_BUSY',
        options.exclusive === true
          ? `${name} is there already`
          : `${name} is open elsewhere, and has one queue: end its user, or make it with several (ip tuntap add … multi_queue)`,
        {},
        because,
      );
    if (errno === 'E2BIG')
      throw new InputError('SLUICE_TUN_BUSY', `${name} has all of its ${MOST_TUN_QUEUES} queues`, {}, because);
    if (errno === 'EINVAL' || errno === 'EEXIST')
      throw new InputError(
        'SLUICE_TUN_KIND',
        `${name} cannot be opened as ${kind}: it is another kind of interface, or was made with other flags (ip -d link show ${name})`,
        {},
        because,
      );
    throw error;
  }
}

function isAgain(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN';
}
