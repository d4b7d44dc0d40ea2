/** Frames in the memory that are given to CPUs by their hash, and come back when these have run their program (plane/assembly/cpus/spread.ts). */
import { InputError } from '../../errors.ts';
import type { RssConfiguration } from '../../net/rss/configuration.ts';
import { verificationKey } from '../../net/rss/configuration.ts';
import { automaticConfiguration } from '../../net/rss/control.ts';
import { HASH_TYPES_ALL } from '../../net/rss/hash-types.ts';
import { FRAME_DESCRIPTOR_SIZE } from '../../plane/layout/frame.ts';
import * as layout from '../../plane/layout/frames.ts';
import { MAX_CPUS } from '../../plane/layout/memory.ts';
import { STEER_FRAME_SIZE } from '../../plane/layout/steering.ts';
import { WORKER_INBOX } from '../../plane/layout/worker.ts';
import { abandonItems } from '../../runtime/cpus/recovery.ts';
import { workerAddress } from '../../runtime/memory.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { SteeringDevice } from '../../runtime/steering/device.ts';
import { RssBlock } from '../../runtime/steering/rss-block.ts';
import { waitForChange } from '../../runtime/waiting.ts';
import type { XdpAttachment } from './attachment.ts';

/** The plane's functions on a source, by its address. All of one thread. */
interface SpreadPlane {
  spread(source: number, frames: number, count: number, records: number): number;
  spread_records(frames: number, count: number, records: number): void;
  spread_flush(source: number): number;
  spread_collect(source: number): number;
  copies_free(source: number, first: number): void;
  copies_close(source: number): void;
}

/** A set of CPUs that take frames: `Cpus` of the package is one. */
export interface FrameCpus {
  readonly runtime: Runtime;
  /** Numbers of the CPUs. */
  readonly list: readonly number[];
}

export interface FrameSourceOptions {
  /** Descriptors in a row, and how many. */
  readonly frames: number;
  readonly count: number;
  /** Its table's entries are queues: places in `cpus.list`, modulo its length. Default: all hash types, Microsoft's key, 128 entries in turn. */
  readonly rss?: RssConfiguration;
  /**
   * A device that says the queues in place of `rss`, by its configuration or its program, and counts them (hooks/steering: `steering.device`); hash and report stay with it. A program
   * that is stopped throws ProgramFault out of `give`, and none of the frames is given. Default: none.
   */
  readonly steering?: SteeringDevice;
  /** What happens to frames for which a CPU has no room: they wait at the source (default), or are dropped and counted. */
  readonly full?: 'wait' | 'drop';
  /** Frames get the queue that their hash leads to as rx_queue_index; default false: it stays what it was. */
  readonly setQueue?: boolean;
}

/** What became of a frame. */
export interface FrameOutcome {
  readonly cpu: number;
  /** FRAME_ENDED_*. */
  readonly end: number;
  readonly place: number;
  /** Function-table index of the program that ran last. */
  readonly entry: number;
  /** Of a broadcast: its copies, in the order in which they were made. They are there until `free`. */
  readonly copies: readonly FrameCopy[];
}

/** A copy that a broadcast made of a frame; what became of it. */
export interface FrameCopy extends Omit<FrameOutcome, 'copies'> {
  /** Address of its descriptor (plane/layout/frame.ts). */
  readonly frame: number;
  /** Address of its record. */
  readonly record: number;
}

export interface SpreadCounters {
  readonly sent: bigint;
  /** How often frames found no room at a CPU; one that waits counts each time. */
  readonly refused: bigint;
  readonly dropped: bigint;
  /** Frames by CPU. */
  readonly cpus: readonly { readonly cpu: number; readonly frames: bigint }[];
}

const LONGEST_WAIT_MS = 5;

export class FrameSource {
  readonly address: number;
  readonly #runtime: Runtime;
  readonly #cpus: readonly number[];
  /** CPUs that have threads: cpumaps lead to all of them. */
  readonly #watched: readonly number[];
  readonly #plane: SpreadPlane;
  readonly #rss: RssBlock;
  readonly #frames: number;
  readonly #results: number;
  readonly #steering: SteeringDevice | undefined;
  /** Of the device, one a frame; 0 without. */
  readonly #records: number;
  /** Frames in a row that the device has steered, and that are not given yet. */
  #steered = { first: 0, count: 0 };
  readonly #bytes: number;
  #words: Int32Array;

  /** Throws InputError `SLUICE_CPU` where there are no CPUs, and for an RSS configuration that is none. */
  constructor({ runtime, list }: FrameCpus, attachment: XdpAttachment, options: FrameSourceOptions) {
    if (list.length === 0) throw new InputError('SLUICE_CPU', 'there are no CPUs to spread frames over: start some');
    if (list.length > MAX_CPUS) throw new InputError('SLUICE_CPU', `${list.length} CPUs: at most ${MAX_CPUS}`);
    this.#runtime = runtime;
    this.#cpus = [...list];
    this.#plane = runtime.plane.exports as unknown as SpreadPlane; // fixed by the plane's sources
    this.#frames = options.frames;
    this.#rss = new RssBlock(runtime, options.rss ?? defaultRss(list.length));
    // As many lots as there may be at once: full ones, and one that is being filled for each CPU.
    const lots = Math.ceil(options.count / layout.LOT_FRAMES) * 2 + list.length * 2;
    const lotsAt = 1280 + Math.ceil((options.count * layout.RESULT_SIZE) / 64) * 64;
    const recordsAt = lotsAt + lots * layout.LOT_SIZE;
    this.#steering = options.steering;
    this.#bytes = recordsAt + (options.steering === undefined ? 0 : options.count * STEER_FRAME_SIZE);
    this.address = runtime.allocatePages(this.#bytes);
    this.#records = this.address + recordsAt;
    this.#results = this.address + 1280;
    const view = runtime.view();
    const set = (field: number, value: number) => view.setUint32(this.address + field, value, true);
    set(layout.SOURCE_RSS, this.#rss.address);
    set(layout.SOURCE_ATTACHMENT, attachment.address);
    set(
      layout.SOURCE_FLAGS,
      (options.full === 'drop' ? layout.SOURCE_DROPS : 0) | (options.setQueue === true ? layout.SOURCE_SETS_QUEUE : 0),
    );
    set(layout.SOURCE_QUEUES, list.length);
    set(layout.SOURCE_FRAMES, options.frames);
    set(layout.SOURCE_RESULTS, this.#results);
    for (const [queue, cpu] of list.entries())
      set(layout.SOURCE_TARGETS + queue * layout.SOURCE_TARGET_SIZE + layout.TARGET_CPU, cpu);
    let next = 0;
    for (let lot = lots - 1; lot >= 0; lot--) {
      const at = this.address + lotsAt + lot * layout.LOT_SIZE;
      view.setUint32(at + layout.LOT_NEXT, next, true);
      next = at;
    }
    set(layout.SOURCE_FREE, next);
    this.#words = new Int32Array(runtime.plane.memory.buffer);
    this.#watched = Array.from({ length: runtime.cpus }, (_, cpu) => cpu).filter(
      (cpu) => list.includes(cpu) || this.#words[(workerAddress(cpu) + WORKER_INBOX) / 4] !== 0,
    );
  }

  /** Gives `count` frames from the one with that place on to their CPUs; returns how many it could. */
  give(first: number, count: number): number {
    const frames = this.#frames + first * FRAME_DESCRIPTOR_SIZE;
    if (this.#steering === undefined) return this.#plane.spread(this.address, frames, count, 0);
    // What was steered and found no room has its queue already.
    const known = this.#steered.first === first ? Math.min(this.#steered.count, count) : 0;
    if (known < count) {
      this.#plane.spread_records(frames + known * FRAME_DESCRIPTOR_SIZE, count - known, this.#record(first + known));
      this.#steering.steer(this.#record(first + known), count - known);
    }
    const took = this.#plane.spread(this.address, frames, count, this.#record(first));
    this.#steered = { first: first + took, count: count - took };
    return took;
  }

  #record(index: number): number {
    return this.#records + index * STEER_FRAME_SIZE;
  }

  /** Sends what found no room before. */
  flush(): void {
    this.#plane.spread_flush(this.address);
  }

  /** Takes what has come back; returns the number of frames. */
  collect(): number {
    this.recover();
    return this.#plane.spread_collect(this.address);
  }

  /** What a CPU had whose thread has ended comes back as well: before lots are taken back other than by `collect`. */
  recover(): void {
    for (const cpu of this.#watched)
      if (Atomics.load(this.#words, (workerAddress(cpu) + WORKER_INBOX) / 4) === 0) abandonItems(this.#runtime, cpu);
  }

  /** Of a frame that has come back, by its place, once; undefined: it has not. */
  take(index: number): FrameOutcome | undefined {
    const view = this.#runtime.view();
    const at = this.#results + index * layout.RESULT_SIZE;
    const cpu = view.getUint32(at + layout.RESULT_CPU, true);
    if (cpu === 0) return undefined;
    view.setUint32(at + layout.RESULT_CPU, 0, true);
    return {
      cpu: cpu - 1,
      end: view.getUint32(at + layout.RESULT_END, true),
      place: view.getUint32(at + layout.RESULT_PLACE, true),
      entry: view.getUint32(at + layout.RESULT_ENTRY, true),
      copies: this.#copies(view, view.getUint32(at + layout.RESULT_COPIES, true)),
    };
  }

  #copies(view: DataView, first: number): FrameCopy[] {
    const copies: FrameCopy[] = [];
    for (let record = first; record !== 0; record = view.getUint32(record + layout.RECORD_COPIES, true))
      copies.unshift({
        record,
        frame: view.getUint32(record + layout.RECORD_FRAME, true),
        cpu: view.getUint32(record + layout.RECORD_CPU, true),
        end: view.getUint32(record + layout.RECORD_END, true),
        place: view.getUint32(record + layout.RECORD_PLACE, true),
        entry: view.getUint32(record + layout.RECORD_ENTRY, true),
      });
    return copies;
  }

  /** Gives the copies of an outcome back; without, they are kept until `close`. */
  free({ copies }: FrameOutcome): void {
    const last = copies.at(-1);
    if (last !== undefined) this.#plane.copies_free(this.address, last.record);
  }

  /** Frames are with a CPU, or wait to be sent to one. */
  get isBusy(): boolean {
    const view = this.#runtime.view();
    if (view.getUint32(this.address + layout.SOURCE_SENT_FIRST, true) !== 0) return true;
    return this.#cpus.some(
      (_, queue) =>
        view.getUint32(
          this.address + layout.SOURCE_TARGETS + queue * layout.SOURCE_TARGET_SIZE + layout.TARGET_LOT,
          true,
        ) !== 0,
    );
  }

  /** Number of lots that have come back so far, for `wait`. */
  rings(): number {
    return Atomics.load(this.#words, (this.address + layout.SOURCE_DOORBELL) / 4);
  }

  /** Until more lots have come back than `seen`, or a moment has gone by. */
  async wait(seen: number): Promise<void> {
    const waiting = (this.address + layout.SOURCE_WAITING) / 4;
    Atomics.store(this.#words, waiting, 1);
    await waitForChange(this.#words, (this.address + layout.SOURCE_DOORBELL) / 4, seen, LONGEST_WAIT_MS);
    Atomics.store(this.#words, waiting, 0);
  }

  counters(): SpreadCounters {
    const view = this.#runtime.view();
    const u64 = (offset: number) => view.getBigUint64(this.address + offset, true);
    return {
      sent: u64(layout.SOURCE_FRAMES_SENT),
      refused: u64(layout.SOURCE_REFUSED),
      dropped: u64(layout.SOURCE_DROPPED),
      cpus: this.#cpus.map((cpu, queue) => ({
        cpu,
        frames: u64(layout.SOURCE_TARGETS + queue * layout.SOURCE_TARGET_SIZE + layout.TARGET_FRAMES),
      })),
    };
  }

  /** Waits until all frames have come back, and frees what it has; the frames are their owner's. */
  async close(): Promise<void> {
    for (;;) {
      const seen = this.rings();
      this.flush();
      this.collect();
      if (!this.isBusy) break;
      await this.wait(seen);
    }
    // A CPU that has just given a lot back may still ring.
    await this.#runtime.synchronize();
    this.#plane.copies_close(this.address);
    this.#rss.free();
    this.#runtime.freePages(this.address, this.#bytes);
  }
}

/** By all hashes that there are, over the queues in turn. */
export function defaultRss(queues: number): RssConfiguration {
  return automaticConfiguration(queues, { hashTypes: HASH_TYPES_ALL, key: verificationKey });
}
