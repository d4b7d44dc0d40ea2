/**
 * linux/steering: a TAP whose packets are steered here. They are read through an io_uring of its own into the program memory, each behind a
 * struct virtio_net_hdr_v1_hash; an engine computes hash, report and queue and completes the header; an XDP program may run over them, each queue's on a CPU of its own; sinks
 * take the packets of each queue.
 *
 * This file: the device and its loop. tap-block.ts: memory and counters; tap-work.ts: programs on CPUs; sink*.ts: consumers. Per packet all is the plane's (plane/assembly/steering/tap*.ts).
 */
import { opcodes } from '../../abi/io-uring/opcodes.ts';
import { InputError, UnsupportedError } from '../../errors.ts';
import { TAP_BATCH } from '../../plane/layout/steering-tap.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { LinuxRing } from '../io-uring.ts';
import { interfaceIndex, interfaceMtu, setInterfaceUp } from '../netdev.ts';
import { SyscallError } from '../syscall-error.ts';
import { openTunQueues, type TunOffload, TunQueue } from '../tun.ts';
import { MOST_TUN_QUEUES } from '../tun-ioctl.ts';
import { type Sink, type SinkFactory, toNobody } from './sink.ts';
import { TapBlock, type TapCounters } from './tap-block.ts';
import { TapWork, type TapWorkCounters, type TapWorkOptions, workRoom } from './tap-work.ts';

export type { QueueCounters, TapCounters } from './tap-block.ts';
export type { TapWorkCounters, TapWorkOptions } from './tap-work.ts';

/** sizeof(struct virtio_net_hdr_v1_hash). */
const HEADER = 20;
/** Ethernet header and two VLAN tags, which the MTU does not count. */
const LINK_HEADER = 22;
/** Longest packet that a TAP hands over unsegmented. */
const LONGEST_OFFLOADED = 65536 + LINK_HEADER;
/** Batches before timers and signals have their turn. */
const STREAK = 32;
const SQ_ENTRIES = 1024;

/** Computes hash, report and queue of `count` frame records (plane/layout/steering.ts) that begin at `frames`, and completes their headers. */
export interface SteeringEngine {
  steer(frames: number, count: number): void;
}

export interface TapSteeringOptions {
  /** Queues that packets are steered to. */
  readonly queues: number;
  /** Undefined: the kernel steers, and the device is read queue by queue; headers tell no hash. */
  readonly engine?: SteeringEngine | undefined;
  /** Who takes the packets (default: nobody, they are counted). */
  readonly sink?: SinkFactory;
  /** What becomes of packets whose consumer has no room (default `drop`). With `wait` the device's own queue fills in the end, and the kernel drops. */
  readonly whenFull?: 'drop' | 'wait';
  /** What the stack leaves undone in packets; their headers tell. */
  readonly offloads?: readonly TunOffload[];
  /** Packets that can be with sinks at once: a power of two from 64 to 32768 (default 1024, with offloads 256). */
  readonly buffers?: number;
  /**
   * A program of XDP that runs over the packets of each queue, on the queue's CPU, before the sink takes those that pass; XDP_TX gives a packet back to the device. It sees the
   * queue as rx_queue_index, and the hash by bpf_xdp_metadata_rx_hash. The packets of a queue stay in order. Not with `offloads`. Default: none.
   */
  readonly xdp?: TapWorkOptions;
}

export class TapSteering {
  readonly name: string;
  /** Whether this made the interface go up. */
  readonly tookUp: boolean;
  readonly sink: Sink;
  /** Queues of the device that are read: one, or all where the kernel steers. */
  readonly sources: readonly TunQueue[];
  readonly #ring: LinuxRing;
  readonly #block: TapBlock;
  readonly #engine: SteeringEngine | undefined;
  readonly #queues: number;
  readonly #waits: boolean;
  readonly #work: TapWork | undefined;
  /** By queue: a poll is under way for its consumer. */
  readonly #awaited: boolean[];
  #serving = false;
  /** What serves has thrown: sinks are given nothing any more. */
  #failed = false;
  #finished = false;
  #closed: Promise<void> | undefined;
  #last: TapCounters | undefined;
  #lastWork: readonly TapWorkCounters[] | undefined;

  /**
   * Opens the device in this thread's network namespace (or makes it, until it is closed) and takes it up. Throws as TunQueue, LinuxRing and the sink do;
   * UnsupportedError before Linux 6.7; InputError `SLUICE_STEER_QUEUES`, `SLUICE_STEER_BUFFERS`.
   */
  constructor(runtime: Runtime, name: string, options: TapSteeringOptions) {
    const { queues, engine, offloads = [], sink = toNobody } = options;
    if (!Number.isInteger(queues) || queues < 1 || queues > MOST_TUN_QUEUES)
      throw new InputError('SLUICE_STEER_QUEUES', `1 to ${MOST_TUN_QUEUES} queues, not ${queues}`);
    const buffers = options.buffers ?? (offloads.length > 0 ? 256 : 1024);
    if (!Number.isInteger(Math.log2(buffers)) || buffers < 64 || buffers > 32768)
      throw new InputError('SLUICE_STEER_BUFFERS', `${buffers} buffers: a power of two from 64 to 32768`);
    if (options.xdp !== undefined && offloads.length > 0)
      throw new InputError(
        'SLUICE_STEER_XDP',
        'a program of XDP takes packets as they are on the wire, and the stack leaves them unfinished with offloads: give one of the two',
      );
    this.#engine = engine;
    this.#queues = queues;
    this.#waits = options.whenFull === 'wait';
    this.#awaited = new Array<boolean>(queues).fill(false);
    this.sources = openSources(name, engine === undefined ? queues : 1, offloads);
    this.name = this.sources[0]!.name;
    let ring: LinuxRing | undefined;
    try {
      this.tookUp = setInterfaceUp(this.name);
      const mtu = interfaceMtu(this.name) ?? 1500;
      const longest = HEADER + (offloads.length > 0 ? LONGEST_OFFLOADED : mtu + LINK_HEADER);
      ring = new LinuxRing(runtime, { entries: SQ_ENTRIES, cqEntries: 4 * Math.max(SQ_ENTRIES, buffers) });
      if (!ring.supports(opcodes.read_multishot.number))
        throw new UnsupportedError('steering of TAP devices', 'this kernel has no multishot reads', 'Linux 6.7');
      this.#ring = ring;
      const { headroom, tailroom } = options.xdp === undefined ? { headroom: 0, tailroom: 0 } : workRoom(HEADER);
      this.#block = new TapBlock(runtime, ring, {
        sources: this.sources.map(({ fd }) => fd),
        queues,
        buffers,
        bufferSize: Math.ceil((headroom + longest + tailroom) / 256) * 256,
        headerSize: HEADER,
        headroom,
      });
      this.#work =
        options.xdp &&
        new TapWork(runtime, this.#block, options.xdp, {
          buffers,
          ifindex: interfaceIndex(this.name),
          drops: !this.#waits,
        });
      this.sink = sink({ runtime, block: this.#block, queues });
    } catch (error) {
      for (const source of this.sources) source.close();
      void ring?.close();
      throw error;
    }
  }

  /**
   * Steers until the signal aborts or about `count` packets have been read. What has been read by then is delivered, or counted as dropped where its consumer has
   * no room. Throws what ends the device earlier: SyscallError.
   */
  async serve(options: { readonly signal?: AbortSignal | undefined; readonly count?: number } = {}): Promise<void> {
    const { signal, count = Number.POSITIVE_INFINITY } = options;
    if (this.#serving || this.#finished || this.#closed !== undefined)
      throw new InputError('SLUICE_STEER_SERVING', `${this.name} is or was served, or is closed`);
    this.#serving = true;
    // A completion wakes who waits.
    const stop = () => this.#cancel();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      for (let streak = 0; signal?.aborted !== true && this.#block.packets < count; streak++) {
        const rings = this.#work?.rings() ?? 0;
        if (this.turn() === 0 && this.#block.staged === 0) {
          this.sink.rest?.();
          if (this.#work?.isBusy === true) await Promise.race([this.#ring.wait(), this.#work.wait(rings)]);
          else await this.#ring.wait();
        } else if (streak % STREAK === STREAK - 1) await new Promise(setImmediate);
      }
    } catch (error) {
      this.#failed = true;
      throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
      this.#serving = false;
    }
    this.#finish();
  }

  /** Takes what has been read, at most TAP_BATCH packets, and hands it on; the number of packets, those that come back from CPUs as well. Does not wait. */
  turn(): number {
    const { plane, address, frames } = this.#block;
    const { error } = this.#block;
    if (error !== 0) throw new SyscallError('read', -error, `${this.name} is gone, or its queue is`);
    let packets = plane.tap_take(address);
    if (packets < TAP_BATCH) {
      this.#enter();
      if (packets === 0) packets = plane.tap_take(address);
    }
    if (packets > 0) this.#sort(frames, packets);
    const ended = this.#collect();
    this.#deliver();
    plane.tap_arm(address);
    return packets + ended;
  }

  /** Steers the batch's packets, and puts them into the lists of their queues' consumers, or before their CPUs. */
  #sort(frames: number, packets: number): void {
    this.#engine?.steer(frames, packets);
    if (this.#work === undefined) this.#block.plane.tap_sort(this.#block.address, packets);
    else this.#work.take(packets);
  }

  /** Takes what CPUs are done with; how many packets. */
  #collect(): number {
    const ended = this.#work?.collect() ?? 0;
    const block = this.#block;
    // What goes back to the device, which takes as much as its queue has room for.
    if (ended > 0 || block.waiting(this.#queues) > 0)
      while (
        block.plane.tap_write(block.address, this.#queues, this.sources[0]!.fd) > 0 &&
        block.waiting(this.#queues) > 0
      )
        this.#enter();
    return ended;
  }

  /** What the program did with the packets of each queue; undefined without one. */
  workCounters(): readonly TapWorkCounters[] | undefined {
    return this.#lastWork ?? this.#work?.counters();
  }

  counters(): TapCounters {
    return this.#last ?? this.#block.counters();
  }

  /** Ends the device's reading, closes its sinks, and gives everything back. Counters stay. */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    try {
      this.#finish();
      await this.sink.close();
    } finally {
      this.#last = this.#block.counters();
      this.#lastWork = this.#work?.counters();
      await this.#ring.close();
      for (const source of this.sources) source.close();
      await this.#work?.close();
      this.#block.free();
    }
  }

  #deliver(): void {
    const block = this.#block;
    for (let queue = 0; queue < this.#queues; queue++) {
      if (block.waiting(queue) === 0) continue;
      if (this.#awaited[queue]) {
        if (!block.isReady(queue)) continue;
        this.#awaited[queue] = false;
      }
      this.#hand(queue);
      if (block.waiting(queue) > 0) this.#left(queue);
    }
  }

  /** A sink that writes by the ring may find its queue full of requests that the kernel has not been told of. */
  #hand(queue: number): void {
    const block = this.#block;
    this.sink.deliver(queue);
    while (block.waiting(queue) > 0 && block.staged > 0) {
      const { staged } = block;
      this.#enter();
      if (block.staged >= staged) return;
      this.sink.deliver(queue);
    }
  }

  /** Packets for which the sink of their queue had no room. */
  #left(queue: number): void {
    const block = this.#block;
    if (!this.#waits) {
      block.release(queue, block.waiting(queue), true);
      return;
    }
    const fd = this.sink.fdOf?.(queue);
    if (fd !== undefined && block.plane.tap_await(block.address, queue, fd) !== 0) this.#awaited[queue] = true;
  }

  #enter(): void {
    const { plane, address } = this.#block;
    plane.tap_arm(address);
    const { staged } = this.#block;
    const result = this.#ring.enter(staged, 0);
    if (result > 0) this.#block.submitted(result);
    if (result < 0 && result !== EINTR && result !== EBUSY && result !== EAGAIN)
      throw new SyscallError('io_uring_enter', -result);
  }

  #cancel(): void {
    const { plane, address } = this.#block;
    if (plane.tap_cancel(address) === 0) {
      this.#enter();
      plane.tap_cancel(address);
    }
    this.#enter();
  }

  /** Until the kernel has nothing to read or write any more, CPUs have nothing, and what was read is delivered. */
  #finish(): void {
    if (this.#finished) return;
    const block = this.#block;
    this.#finished = true;
    this.#cancel();
    const { plane, address } = block;
    for (;;) {
      const packets = plane.tap_take(address);
      if (packets > 0) this.#sort(block.frames, packets);
      this.#collect();
      for (let queue = 0; queue < this.#queues; queue++) {
        if (block.waiting(queue) > 0 && !this.#failed) this.#hand(queue);
        if (block.waiting(queue) > 0) block.release(queue, block.waiting(queue), true);
      }
      const works = this.#work?.isBusy === true;
      if (plane.tap_live(address) === 0 && !works) return;
      const submitted = this.#ring.enter(block.staged, packets > 0 ? 0 : 1, works ? 1_000_000 : 10_000_000);
      if (submitted > 0) block.submitted(submitted);
    }
  }
}

const EINTR = -4;
const EAGAIN = -11;
const EBUSY = -16;

/** A device that is there already says by a refusal whether it has several queues. */
function openSources(name: string, queues: number, offloads: readonly TunOffload[]): TunQueue[] {
  // Not O_NONBLOCK: requests of the ring are to wait.
  const options = { vnetHeader: HEADER, offloads, nonBlocking: false } as const;
  if (queues > 1) return openTunQueues(name, queues, options);
  try {
    return [new TunQueue(name, options)];
  } catch (error) {
    if (!(error instanceof InputError && error.code === 'SLUICE_TUN_KIND')) throw error;
    return [new TunQueue(name, { ...options, multiQueue: true })];
  }
}
