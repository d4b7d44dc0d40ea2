/** An XDP program on CPUs between the steering of a TAP and the consumers of its queues (plane/assembly/steering/tap-work.ts): queue q is CPU q's, modulo their number. */
import { InputError } from '../../errors.ts';
import { type FrameCpus, FrameSource, type XdpAttachment } from '../../hooks/xdp/index.ts';
import { FRAME_DESCRIPTOR_SIZE, XDP_HEADROOM, XDP_TAILROOM } from '../../plane/layout/frame.ts';
import { ROOT, ROOT_TRAIT_PLACEMENT } from '../../plane/layout/memory.ts';
import * as layout from '../../plane/layout/steering-tap.ts';
import { TRAITS_SIDE, TRAITS_SIDE_SIZE } from '../../plane/layout/trait.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { TapBlock } from './tap-block.ts';

export interface TapWorkOptions {
  /** Threads of the TAP's runtime; `Cpus` of the package is one. */
  readonly cpus: FrameCpus;
  /** What runs there; it can be replaced while packets come. With `follow`, cpumaps send packets on to other CPUs. */
  readonly attachment: XdpAttachment;
}

/** What became of a queue's packets. */
export interface TapWorkCounters {
  /** CPU of the queue. */
  readonly cpu: number;
  /** To the queue's consumer. */
  readonly passed: number;
  /** XDP_DROP. */
  readonly dropped: number;
  /** XDP_TX: back to the device, whose stack gets them. */
  readonly returned: number;
  /** XDP_ABORTED, values that are no verdict, and programs that were stopped. */
  readonly aborted: number;
  /** Redirected to where there is no way from here, or to a cpumap's element without room; and what a CPU had whose thread ended. */
  readonly lost: number;
  /** Its CPU had as many as it may have: they are among the queue's `dropped`. */
  readonly refused: number;
}

const align = (size: number) => Math.ceil(size / 64) * 64;

/** Bytes in front of the header of a packet of a buffer, and behind the packet. */
export const workRoom = (headerSize: number) => ({
  headroom: layout.WORK_KEPT + XDP_HEADROOM - headerSize,
  tailroom: XDP_TAILROOM,
});

export class TapWork {
  readonly #runtime: Runtime;
  readonly #block: TapBlock;
  readonly #source: FrameSource;
  readonly #cpus: readonly number[];
  readonly #start: number;
  readonly #bytes: number;
  readonly #queues: number;

  /** `drops`: a CPU has at most its part of the buffers, beyond which packets are dropped; else they wait for it. InputError `SLUICE_CPU` where there are no CPUs. */
  constructor(
    runtime: Runtime,
    block: TapBlock,
    { cpus, attachment }: TapWorkOptions,
    { buffers, ifindex, drops }: { readonly buffers: number; readonly ifindex: number; readonly drops: boolean },
  ) {
    if (cpus.runtime !== runtime || attachment.runtime !== runtime)
      throw new InputError('SLUICE_CPU', 'the CPUs and the attachment of a TAP are of its runtime');
    const sides = runtime.view().getUint32(ROOT + ROOT_TRAIT_PLACEMENT, true) === TRAITS_SIDE;
    const sizes = [
      layout.WORK_SIZE,
      buffers * FRAME_DESCRIPTOR_SIZE,
      buffers * 4,
      block.queues * layout.WORK_QUEUE_SIZE,
      block.queues * buffers * 4,
      cpus.list.length * 4,
      sides ? buffers * TRAITS_SIDE_SIZE : 0,
    ];
    this.#bytes = sizes.reduce((sum, size) => sum + align(size), 0);
    this.#start = runtime.allocatePages(this.#bytes);
    let next = this.#start;
    const [work, frames, ends, queues, cells, underWay, sidesAt] = sizes.map((size) => {
      const at = next;
      next += align(size);
      return at;
    }) as [number, number, number, number, number, number, number]; // as many as there are sizes
    try {
      this.#source = new FrameSource(cpus, attachment, { frames, count: buffers });
    } catch (error) {
      runtime.freePages(this.#start, this.#bytes);
      throw error;
    }
    this.#runtime = runtime;
    this.#block = block;
    this.#cpus = [...cpus.list];
    this.#queues = queues;
    const view = runtime.view();
    const words: readonly (readonly [field: number, value: number])[] = [
      [layout.WORK_SOURCE, this.#source.address],
      [layout.WORK_FRAMES, frames],
      [layout.WORK_ENDS, ends],
      [layout.WORK_QUEUES, queues],
      [layout.WORK_CPUS, cpus.list.length],
      [layout.WORK_LIMIT, drops ? Math.max(1, Math.floor(buffers / cpus.list.length)) : 0],
      [layout.WORK_UNDER_WAY, underWay],
      [layout.WORK_IFINDEX, ifindex],
      [layout.WORK_SIDES, sides ? sidesAt : 0],
    ];
    for (const [field, value] of words) view.setUint32(work + field, value, true);
    for (let queue = 0; queue < block.queues; queue++)
      view.setUint32(queues + queue * layout.WORK_QUEUE_SIZE + layout.WORK_CELLS, cells + queue * buffers * 4, true);
    view.setUint32(block.address + layout.TAP_WORK, work, true);
  }

  /** Gives the batch's packets, steered, to their CPUs. */
  take(packets: number): void {
    this.#block.plane.tap_work(this.#block.address, packets);
    this.#block.plane.tap_hand(this.#block.address);
  }

  /** Puts what has come back where it goes; returns how many packets have ended. Gives CPUs what waits for them. */
  collect(): number {
    const { plane, address } = this.#block;
    this.#source.recover();
    const ended = plane.tap_collect(address);
    plane.tap_hand(address);
    return ended;
  }

  /** Packets are with CPUs, or wait for them. */
  get isBusy(): boolean {
    const view = this.#runtime.view();
    for (let queue = 0; queue < this.#block.queues; queue++) {
      const at = this.#queues + queue * layout.WORK_QUEUE_SIZE;
      if (view.getUint32(at + layout.WORK_HEAD, true) !== view.getUint32(at + layout.WORK_TAIL, true)) return true;
    }
    return false;
  }

  /** For `wait`: to be read before `collect`. */
  rings(): number {
    return this.#source.rings();
  }

  /** Until more has come back than `seen` says, or a moment has gone by. */
  wait(seen: number): Promise<void> {
    return this.#source.wait(seen);
  }

  counters(): TapWorkCounters[] {
    const view = this.#runtime.view();
    return Array.from({ length: this.#block.queues }, (_, queue) => {
      const count = (field: number) =>
        Number(view.getBigUint64(this.#queues + queue * layout.WORK_QUEUE_SIZE + field, true));
      return {
        cpu: this.#cpus[queue % this.#cpus.length]!,
        passed: count(layout.WORK_PASSED),
        dropped: count(layout.WORK_DROPPED),
        returned: count(layout.WORK_RETURNED),
        aborted: count(layout.WORK_ABORTED),
        lost: count(layout.WORK_LOST),
        refused: count(layout.WORK_REFUSED),
      };
    });
  }

  /** When nothing is under way any more. */
  async close(): Promise<void> {
    await this.#source.close();
    this.#runtime.freePages(this.#start, this.#bytes);
  }
}
