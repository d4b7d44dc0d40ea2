/**
 * AF_XDP on an interface: one socket a queue, and a small program in the kernel that sends each packet to the socket of its queue. The
 * program is held by a link: when the process ends, however it ends, the kernel detaches it and its stack gets the packets again.
 */
import { readdirSync } from 'node:fs';
import { xdpAction } from '../abi/programs/xdp.ts';
import { InputError } from '../errors.ts';
import type { XdpAttachment } from '../hooks/xdp/index.ts';
import { assemble } from '../isa/assembler.ts';
import type { ObjectSpec } from '../object/spec.ts';
import type { Executable } from '../runtime/hook.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { AfXdpSocket, type FrameMetadata } from './af-xdp.ts';
import { type AfXdpCounters, sumCounters } from './af-xdp-counters.ts';
import { type ServeOnCpusOptions, type SocketCpus, serveOnCpus } from './af-xdp-cpus.ts';
import type { XdpStatistics } from './af-xdp-layout.ts';
import type { ChecksumOffload, CopyMode } from './af-xdp-setup.ts';
import { createMap, MapElements } from './bpf-maps.ts';
import { close } from './ffi.ts';
import { attachXdp, type KernelLink, type XdpMode } from './links.ts';
import type { LinuxMap } from './linux-map.ts';
import type { LiveFrame } from './live-frame.ts';
import { type LinuxObject, loadLinux } from './load.ts';
import { interfaceIndex } from './netdev.ts';
import { type KernelProgram, loadRaw } from './programs.ts';
import { ReadableWait } from './sockets.ts';
import { SyscallError } from './syscall-error.ts';
import { passingObject, withSockets } from './xsk-ingress.ts';

export interface AfXdpAttachOptions {
  /** How the redirecting program is attached (default auto: native where the driver can). */
  readonly mode?: Extract<XdpMode, 'auto' | 'generic' | 'native'>;
  readonly copy?: CopyMode;
  /** Frames of each queue (default 4096). */
  readonly frames?: number;
  /** Interface that passed frames are sent out of (queue 0); without it they end here. */
  readonly passTo?: string;
  /** TCP and UDP checksums of what is sent (default none: frames leave as they are). */
  readonly checksums?: ChecksumOffload;
  /**
   * A program in the kernel before the sockets: its XDP_PASS comes here, other verdicts are the kernel's. Maps of type xskmap that the object has get
   * the sockets, by queue, for programs that redirect by themselves.
   */
  readonly ingress?: IngressProgram;
  /** What comes before the data of each packet (default none). With `traits` and `opaque` the kernel's side seals what the ingress program left. */
  readonly metadata?: FrameMetadata;
  /** True: the driver's hash, VLAN and time come with each packet, for bpf_xdp_metadata_rx_* here. Native mode, Linux 6.3, and a driver that has them. */
  readonly hints?: boolean;
}

export interface IngressProgram {
  readonly object: ObjectSpec;
  readonly program: string;
  /** Is called with the loaded object before it is attached, to fill its maps. */
  readonly prepare?: (object: LinuxObject) => void;
}

/** How long one wait lasts: how late a stop is seen at worst. */
const WAIT_MS = 50;
/** How long this thread is kept from other work, at most, and how long after a packet the next one is expected soon. */
const TURN_MS = 1;
const BUSY_MS = 10;

export class AfXdpAttachment {
  readonly sockets: readonly AfXdpSocket[];
  readonly link: KernelLink;
  /** The ingress program's object; its maps can be read while packets come. */
  readonly ingress: LinuxObject | undefined;
  readonly #program: KernelProgram;
  readonly #wait: ReadableWait;
  #executable: Executable;
  #waiting: Promise<unknown> = Promise.resolve();
  #open = true;

  /** From its return on packets come here. `program` belongs to `runtime`. Throws as AfXdpSocket and attachXdp do; nothing stays behind then. */
  constructor(runtime: Runtime, interfaceName: string, program: Executable, options: AfXdpAttachOptions = {}) {
    const ifindex = interfaceIndex(interfaceName);
    const queues = receiveQueues(interfaceName);
    const sockets: AfXdpSocket[] = [];
    const undo: (() => void)[] = [];
    try {
      for (let queue = 0; queue < queues; queue++) {
        const socket = new AfXdpSocket(runtime, ifindex, {
          queue,
          ...(options.copy === undefined ? {} : { copy: options.copy }),
          ...(options.frames === undefined ? {} : { frames: options.frames }),
          ...(options.checksums === undefined ? {} : { checksums: options.checksums }),
          metadata: options.metadata ?? (options.hints === true ? 'opaque' : 'none'),
        });
        undo.push(() => socket.close());
        sockets.push(socket);
      }
      if (options.passTo !== undefined) {
        const out = interfaceIndex(options.passTo);
        // One queue out, so only one socket may lead there.
        new AfXdpSocket(runtime, out, {
          passFrom: sockets[0]!,
          ...(options.frames === undefined ? {} : { frames: options.frames }),
        });
      }
      const { program: redirecting, object } = redirectingProgram(runtime, sockets, ifindex, options);
      this.ingress = object;
      this.#program = redirecting;
      undo.push(() => (object ?? redirecting).close());
      // Frames must be in the fill rings before the first packet comes.
      for (const socket of sockets) socket.prepare();
      this.link = attachXdp(this.#program, ifindex, options.hints === true ? 'native' : (options.mode ?? 'auto'));
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
    this.sockets = sockets;
    this.#executable = program;
    this.#wait = new ReadableWait(sockets.map(({ fd }) => fd));
  }

  /** Puts another program in place, between two batches: every packet sees one of the two. It may belong to another object, of the same runtime. */
  replace(program: Executable): void {
    this.#executable = program;
  }

  /** Runs the program over what has arrived on all queues, at most about `limit` packets a queue. Returns the number of packets. */
  run(limit?: number, each?: (frame: LiveFrame) => void): number {
    let done = 0;
    for (const socket of this.sockets) done += socket.run(this.#executable, limit, each);
    return done;
  }

  /**
   * Runs until the signal aborts or `count` packets were seen (then a batch more may have been). The thread is free between
   * batches. Faults of the program end it, and are thrown.
   */
  async serve(
    options: {
      readonly signal?: AbortSignal;
      readonly count?: number;
      readonly each?: (frame: LiveFrame) => void;
    } = {},
  ): Promise<number> {
    let done = 0;
    const most = options.count ?? Number.POSITIVE_INFINITY;
    let yielded = performance.now();
    let busy = Number.NEGATIVE_INFINITY;
    while (this.#open && options.signal?.aborted !== true && done < most) {
      const packets = this.run(Math.min(4096, most - done), options.each);
      done += packets;
      const now = performance.now();
      if (packets > 0) busy = now;
      if (now - yielded >= TURN_MS) {
        await new Promise((resolve) => setImmediate(resolve));
        yielded = performance.now();
      } else if (packets === 0) {
        // A wait on another thread costs some ten microseconds: too much between packets that follow each other.
        if (now - busy < BUSY_MS) this.#wait.block(TURN_MS);
        else {
          await this.wait();
          yielded = performance.now();
        }
      }
    }
    return done;
  }

  /**
   * As `serve`, with the sockets on CPUs, one after the other over `cpus.list`, and the program that is attached there; `replace` is the attachment's. A passed frame's way out
   * (passTo) is one socket's.
   */
  serveOn(cpus: SocketCpus, attachment: XdpAttachment, options: ServeOnCpusOptions = {}): Promise<number> {
    return serveOnCpus(this.sockets, cpus, attachment, () => this.wait(), options);
  }

  /** Until a packet comes, at most 50 ms. */
  async wait(): Promise<void> {
    const waiting = this.#wait.wait(WAIT_MS);
    this.#waiting = waiting;
    await waiting;
    // What a full device did not take before.
    for (const socket of this.sockets) socket.send();
  }

  counters(): AfXdpCounters {
    return this.sockets.map((socket) => socket.counters()).reduce(sumCounters);
  }

  statistics(): XdpStatistics {
    const each = this.sockets.map((socket) => socket.statistics());
    const names = Object.keys(each[0]!) as (keyof XdpStatistics)[]; // it has no others
    return Object.fromEntries(
      names.map((name) => [name, each.reduce((sum, one) => sum + one[name], 0)]),
    ) as unknown as XdpStatistics; // all its names are there
  }

  /** From here on the kernel's stack gets the packets again. What is in the rings can still be run. */
  detach(): void {
    this.link.close();
  }

  /** Detaches and closes all; counters are to be read before, and packets that are still in the rings are lost. */
  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.link.close();
    await this.#waiting;
    for (const socket of this.sockets) socket.close();
    (this.ingress ?? this.#program).close();
  }
}

/** Receive queues of an interface, as sysfs lists them; 1 where it does not. */
function receiveQueues(name: string): number {
  try {
    return Math.max(1, readdirSync(`/sys/class/net/${name}/queues`).filter((each) => each.startsWith('rx-')).length);
  } catch {
    return 1; // sysfs of another network namespace, or none
  }
}

/** What is attached; `object` where it is one of an object. */
function redirectingProgram(
  runtime: Runtime,
  sockets: readonly AfXdpSocket[],
  ifindex: number,
  { ingress, metadata, hints = false }: AfXdpAttachOptions,
): { readonly program: KernelProgram; readonly object: LinuxObject | undefined } {
  const seal = metadata === 'traits' || metadata === 'opaque' || hints;
  if (hints && typeof metadata === 'number')
    throw new InputError(
      'SLUICE_AFXDP_METADATA',
      `hints are sealed; ${metadata} bytes of metadata without a seal are not`,
    );
  if (ingress === undefined && !seal) return { program: plainProgram(sockets), object: undefined };
  const given = ingress?.object ?? passingObject();
  const name = ingress?.program ?? 'to_socket';
  const spec = withSockets(given, name, { queues: sockets.length, seal, hints });
  const programs = [name, ...tailCallTargets(given)];
  // Names of traits mean there what they mean here.
  const object = loadLinux(spec, { programs, traits: runtime.traits, ...(hints ? { device: ifindex } : {}) });
  try {
    for (const map of Object.values(object.maps)) if (map.type === 'xskmap') connect(map, sockets);
    ingress?.prepare?.(object);
  } catch (error) {
    object.close();
    throw error;
  }
  return { program: object.programs[name]!, object };
}

/** Programs that the object puts into program arrays. */
function tailCallTargets({ maps }: ObjectSpec): string[] {
  return [...maps.values()].flatMap(({ type, contents }) =>
    type === 'prog_array' && contents.kind === 'references' ? [...contents.targets.values()] : [],
  );
}

function connect(map: LinuxMap, sockets: readonly AfXdpSocket[]): void {
  for (const { queue, fd } of sockets) if (queue < map.kernel.maxEntries) map.raw.update(word(queue), word(fd));
}

function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

/** Packets of a queue without a socket go on to the stack. Five instructions, and no BTF. */
function plainProgram(sockets: readonly AfXdpSocket[]): KernelProgram {
  const map = createMap({ type: 'xskmap', keySize: 4, valueSize: 4, maxEntries: sockets.length, name: 'sluice_xsks' });
  try {
    const elements = new MapElements(map, 4, 4);
    for (const socket of sockets) {
      new DataView(elements.key.buffer).setUint32(0, socket.queue, true);
      new DataView(elements.value.buffer).setUint32(0, socket.fd, true);
      const result = elements.update();
      if (result < 0) throw new SyscallError('bpf(BPF_MAP_UPDATE_ELEM)', -result, 'map sluice_xsks');
    }
    const text = `
    r2 = *(u32 *)(r1 + 16)
    r1 = 0 ll
    r3 = ${xdpAction.pass}
    call 51
    exit`;
    const insns = assemble(text, { syntax: 'llvm' }).insns.map((insn) =>
      insn.opcode === 0x18 ? { ...insn, src: 1, imm: map } : insn,
    );
    // The program holds the map.
    return loadRaw(insns, 'xdp', 'GPL', { name: 'sluice_to_xsk' });
  } finally {
    close(map);
  }
}
