/**
 * A network device for a virtual machine: the back end of vhost-user, over a Unix socket. The guest's memory is part of the program memory; packets are steered to its queues
 * with the hash in front of them.
 */
import { rmSync } from 'node:fs';
import { InputError, SluiceError } from './errors.ts';
import { Steering, type SteeringOptions } from './hooks/steering/index.ts';
import { close } from './linux/ffi.ts';
import { RingWakeup } from './linux/io-uring-wakeup.ts';
import { POLLIN } from './linux/sockets.ts';
import { acceptUnix, listenUnix, UnixStream } from './linux/unix-socket.ts';
import { HEADER_SIZE, parseHeader } from './linux/vhost-user/protocol.ts';
import { VhostUserSession } from './linux/vhost-user/session.ts';
import type { Vring } from './linux/vhost-user/vring.ts';
import { STEER_FRAME_LENGTH, STEER_FRAME_SIZE, VNET_HASH_HEADER_SIZE } from './plane/layout/steering.ts';
import { Ring } from './ring.ts';
import { SteeringFrames } from './runtime/steering/frames.ts';
import { NetworkDevice, queueSetup, virtioFeature } from './runtime/virtio/network-device.ts';
import type { VirtqueueCounters } from './runtime/virtio/virtqueue.ts';

export interface VhostUserOptions extends Omit<SteeringOptions, 'queues'> {
  /** Of the socket that is listened on; it is made, and removed at the end. */
  readonly path: string;
  /** Queue pairs, 1 to 512. Which of them are in use the driver says. */
  readonly pairs?: number;
  /** Longest packet in bytes, without its header (default 65550). */
  readonly capacity?: number;
  /** What the guest sends: called with a batch at most, on this thread. The packets are copies. */
  readonly transmitted?: (packets: readonly TransmittedPacket[]) => void;
  /**
   * The same without copies, in place of `transmitted`: frame records in the program memory (plane/layout/steering.ts), in a row, each with its header of 20 bytes in front;
   * good until it returns.
   */
  readonly transmittedFrames?: (frames: number, count: number) => void;
  /** A driver came, agreed to features and started queues, or left; or was sent away for what it did. */
  readonly changed?: (state: VhostUserState) => void;
}

export interface TransmittedPacket {
  /** Queue pair that it came from. */
  readonly queue: number;
  readonly data: Uint8Array;
  /** struct virtio_net_hdr_v1_hash as the driver wrote it, 20 bytes. */
  readonly header: Uint8Array;
}

export interface VhostUserState {
  readonly connected: boolean;
  /** Agreed virtio features; 0 before. */
  readonly features: bigint;
  /** Receive queues that run. */
  readonly receiving: number;
  /** Why the last front end was sent away, or what a driver did wrong. */
  readonly problem: string | undefined;
}

export interface VhostUserCounters {
  /** By queue pair. */
  readonly receive: readonly VirtqueueCounters[];
  readonly transmit: readonly VirtqueueCounters[];
  /** Packets for queues that did not run. */
  readonly unqueued: bigint;
}

const BATCH = 64;
const LONGEST = 65550;

const offered =
  virtioFeature.mergeableBuffers |
  virtioFeature.controlQueue |
  virtioFeature.multiqueue |
  virtioFeature.indirectDescriptors |
  virtioFeature.eventIndex |
  virtioFeature.version1 |
  virtioFeature.hashTunnel |
  virtioFeature.hashReport |
  virtioFeature.rss;

interface Connection {
  readonly stream: UnixStream;
  readonly session: VhostUserSession;
  readonly device: NetworkDevice;
  /** Rings of the receive queues, in order. */
  readonly receivers: readonly Vring[];
  /** Watches of kicks, by ring: which descriptor, and how to end it. */
  readonly watches: Map<Vring, { readonly fd: number; readonly stop: () => void }>;
}

export class VhostUserDevice {
  /** The device's computation, program and configuration: also when the front end keeps the control queue to itself, and cannot tell. */
  readonly steering: Steering;
  readonly path: string;
  readonly pairs: number;
  readonly #ring: Ring;
  readonly #options: VhostUserOptions;
  readonly #listener: number;
  readonly #received: SteeringFrames;
  readonly #sent: SteeringFrames;
  readonly #stop = new AbortController();
  #connection: Connection | undefined;
  #last: VhostUserCounters = { receive: [], transmit: [], unqueued: 0n };
  #problem: string | undefined;
  #serving: Promise<void> | undefined;

  private constructor(options: VhostUserOptions, pairs: number, ring: Ring) {
    this.#options = options;
    this.path = options.path;
    this.pairs = pairs;
    this.#ring = ring;
    this.#listener = listenUnix(options.path);
    this.steering = new Steering({ ...options, runtime: ring.runtime, queues: pairs });
    const capacity = options.capacity ?? LONGEST;
    this.#received = new SteeringFrames(ring.runtime, BATCH, capacity);
    this.#sent = new SteeringFrames(ring.runtime, BATCH, capacity);
    for (let i = 0; i < BATCH; i++) this.#sent.fill(i, new Uint8Array());
  }

  /** Listens. Throws InputError for options that cannot be, SyscallError EADDRINUSE for a path that is taken, and as Ring.create. */
  static async listen(options: VhostUserOptions): Promise<VhostUserDevice> {
    const pairs = options.pairs ?? 1;
    if (!Number.isInteger(pairs) || pairs < 1 || pairs > 512)
      throw new InputError('SLUICE_VHOST_QUEUES', `${pairs} queue pairs: 1 to 512`);
    const runtime = options.runtime ?? options.program?.runtime;
    const ring = await Ring.create({ entries: 256, ...(runtime === undefined ? {} : { runtime }) });
    try {
      const device = new VhostUserDevice(options, pairs, ring);
      device.#serving = device.#serve();
      return device;
    } catch (error) {
      await ring.close();
      throw error;
    }
  }

  get state(): VhostUserState {
    const session = this.#connection?.session;
    return {
      connected: session !== undefined,
      features: session?.features ?? 0n,
      receiving: this.#connection?.receivers.filter(({ queue }) => queue.running).length ?? 0,
      problem: this.#problem,
    };
  }

  /** Of the front end that is connected, or was last. */
  counters(): VhostUserCounters {
    if (this.#connection === undefined) return this.#last;
    const { session, device } = this.#connection;
    const rings = session.rings.slice(0, 2 * this.pairs);
    const of = (parity: number) =>
      rings.filter(({ index }) => index % 2 === parity).map(({ queue }) => queue.counters());
    return { receive: of(0), transmit: of(1), unqueued: device.unqueued };
  }

  /** Steers packets and puts each into the receive queue of its number. How many found buffers; the others are counted and gone. */
  deliver(packets: readonly Uint8Array[]): number {
    let delivered = 0;
    for (let from = 0; from < packets.length; from += BATCH) {
      const batch = packets.slice(from, from + BATCH);
      for (const [i, packet] of batch.entries()) this.#received.fill(i, packet);
      delivered += this.deliverFrames(this.#received.address, batch.length);
    }
    return delivered;
  }

  /** As `deliver`, for frame records in the program memory (plane/layout/steering.ts), each with room for a header of 20 bytes. */
  deliverFrames(frames: number, count: number): number {
    this.steering.device.steer(frames, count);
    return this.deliverSteered(frames, count);
  }

  /** As `deliverFrames`, for what `steering.device` has steered already. */
  deliverSteered(frames: number, count: number): number {
    const connection = this.#connection;
    if (connection === undefined) return 0;
    const delivered = connection.device.deliver(frames, count);
    for (const ring of connection.receivers) this.#settle(ring);
    return delivered;
  }

  /** Ends the connection, and listening. The socket is removed. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#serving;
  }

  async #serve(): Promise<void> {
    const { signal } = this.#stop;
    try {
      while (!signal.aborted) {
        await this.#ring.poll(this.#listener, POLLIN, { signal });
        await this.#converse(new UnixStream(acceptUnix(this.#listener)));
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      close(this.#listener);
      rmSync(this.path, { force: true });
      this.#received.free();
      this.#sent.free();
      await this.#ring.close();
      this.steering.close();
    }
  }

  /** One front end, until it leaves or is sent away. */
  async #converse(stream: UnixStream): Promise<void> {
    const { runtime } = this.#ring;
    const session = new VhostUserSession({
      runtime,
      features: offered,
      queues: this.pairs,
      rings: 2 * this.pairs + 1,
      ring: queueSetup,
      changed: (ring) => this.#changed(ring),
      reset: () => this.#reset(),
    });
    const receivers = session.rings.slice(0, -1).filter(({ index }) => index % 2 === 0);
    const device = new NetworkDevice(
      runtime,
      receivers.map(({ queue }) => queue),
    );
    const connection: Connection = { stream, session, device, receivers, watches: new Map() };
    this.#connection = connection;
    this.#tell(undefined);
    try {
      await this.#read(connection);
      this.#problem = undefined;
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      if (!this.#stop.signal.aborted) this.#problem = error.message;
    } finally {
      this.#last = this.counters();
      this.#connection = undefined;
      for (const { stop } of connection.watches.values()) stop();
      stream.close();
      device.free();
      session.close();
      this.#tell(this.#problem);
    }
  }

  async #read({ stream, session }: Connection): Promise<void> {
    const { signal } = this.#stop;
    const fds: number[] = [];
    const bytes = async (length: number): Promise<Uint8Array | undefined> => {
      const into = new Uint8Array(length);
      for (let at = 0; at < length; ) {
        const count = stream.receive(into.subarray(at), fds);
        if (count === undefined) await this.#ring.poll(stream.fd, POLLIN, { signal });
        else if (count === 0) return undefined;
        else at += count;
      }
      return into;
    };
    try {
      for (;;) {
        const head = await bytes(HEADER_SIZE);
        if (head === undefined) return;
        const header = parseHeader(head);
        const payload = await bytes(header.size);
        if (payload === undefined) return;
        const answer = session.handle(header, payload, fds.splice(0));
        if (session.problem !== undefined) this.#tell(session.problem.message);
        if (answer !== undefined) stream.send(answer);
      }
    } finally {
      for (const fd of fds) close(fd);
    }
  }

  #tell(problem: string | undefined): void {
    this.#problem = problem;
    this.#options.changed?.(this.state);
  }

  /** What was configured here stays: no front end that keeps the control queue to itself could say it again. */
  #reset(): void {
    this.steering.reset();
    const { configuration, contexts = [] } = this.#options;
    if (configuration !== undefined) this.steering.configure(configuration);
    for (const [context, own] of contexts) this.steering.configure(own, context);
  }

  /** Watches the kicks of what runs, and steers to the queues that the driver has enabled. */
  #changed(ring: Vring): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const watch = connection.watches.get(ring);
    const fd = ring.queue.running ? ring.kick : undefined;
    if (watch?.fd !== fd) {
      watch?.stop();
      connection.watches.delete(ring);
      if (fd !== undefined) connection.watches.set(ring, { fd, stop: this.#watch(ring, fd) });
    }
    const queues = connection.receivers;
    const off = queues.findIndex(({ queue }) => !queue.running);
    this.steering.queues = Math.max(1, off < 0 ? queues.length : off);
    // What was made available before the first kick.
    if (ring.queue.running) this.#work(ring);
    this.#options.changed?.(this.state);
  }

  /**
   * Not by a poll of the ring: a completion within a write to an eventfd signals the ring's own eventfd once, and never again (Linux 6.18, io_uring/eventfd.c:
   * IO_EVENTFD_OP_SIGNAL_BIT stays set).
   */
  #watch(ring: Vring, fd: number): () => void {
    const wakeup = new RingWakeup(fd);
    const arm = () =>
      wakeup.arm(() => {
        arm();
        this.#work(ring);
      });
    arm();
    return () => wakeup.close();
  }

  /** What the driver has made available: packets to send, commands. Receive buffers wait for packets. */
  #work(ring: Vring): void {
    if (ring.index === 2 * this.pairs) this.#command(ring);
    else if (ring.index % 2 === 1) this.#collect(ring);
    this.#settle(ring);
  }

  #settle(ring: Vring): void {
    const problem = ring.signal();
    if (problem !== undefined) this.#tell(`queue ${ring.index}: ${problem}`);
  }

  #collect(ring: Vring): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { device } = connection;
    const frames = this.#sent;
    do {
      for (;;) {
        const count = device.collect(ring.queue, frames.address, BATCH, frames.capacity);
        if (count === 0) break;
        this.steering.device.learn(frames.address, count, ring.index >> 1);
        const { transmitted, transmittedFrames } = this.#options;
        if (transmittedFrames !== undefined) transmittedFrames(frames.address, count);
        else transmitted?.(this.#packets(ring, count));
      }
    } while (!ring.queue.awaitKick());
  }

  #packets(ring: Vring, count: number): TransmittedPacket[] {
    const { runtime } = this.#ring;
    const view = runtime.view();
    return Array.from({ length: count }, (_, i) => {
      const data = this.#sent.data(i);
      const length = view.getUint32(this.#sent.address + i * STEER_FRAME_SIZE + STEER_FRAME_LENGTH, true);
      const bytes = runtime.bytes();
      return {
        queue: ring.index >> 1,
        data: bytes.slice(data, data + length),
        header: bytes.slice(data - VNET_HASH_HEADER_SIZE, data),
      };
    });
  }

  /** struct virtio_net_ctrl: class, command, data; the answer is one byte. */
  #command(ring: Vring): void {
    do {
      for (let asked = ring.queue.request(); asked !== undefined; asked = ring.queue.request()) {
        const [commandClass = 0, command = 0] = asked.data;
        asked.answer(Uint8Array.of(this.steering.command(commandClass, command, asked.data.subarray(2)).ack));
      }
    } while (!ring.queue.awaitKick());
  }
}
