/** The memory of a path (plane/layout/path.ts): the programs of its interfaces, and items with a frame and an sk_buff each. */
import * as layout from '../../plane/layout/path.ts';
import { callableIndex } from '../../runtime/callable.ts';
import type { UserProgram } from '../../runtime/program.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { SkbPool } from '../skb/frames.ts';
import { FramePool, type PacketOrigin } from '../xdp/frames.ts';
import { PathLanes } from './lanes.ts';

/** A program on XDP, and the verdicts (bit n: verdict n) after which the next one runs. */
export interface XdpStage {
  readonly program: UserProgram;
  readonly goesOn: number;
}

/** Programs of an interface, in order. */
export interface Hop {
  readonly xdp: readonly XdpStage[];
  readonly tc: readonly UserProgram[];
}

interface PathPlane {
  path_run(path: number, count: number): void;
  path_fault(path: number): number;
}

export class PathBlock {
  readonly frames: FramePool;
  readonly skbs: SkbPool;
  readonly runtime: Runtime;
  readonly #address: number;
  readonly #items: number;
  readonly #size: number;
  readonly #lanes: PathLanes | undefined;

  /** Room for `items` packets under way at once, copies included. */
  constructor(runtime: Runtime, hops: ReadonlyMap<number, Hop>, items: number, flags: number) {
    this.runtime = runtime;
    const stages = [...hops.values()].reduce((sum, { xdp, tc }) => sum + xdp.length + tc.length, 0);
    const records = layout.PATH_INTERFACE_RECORDS + hops.size * layout.HOP_SIZE;
    const programs = records + stages * layout.STAGE_SIZE;
    this.#size = programs + items * layout.ITEM_SIZE;
    this.frames = new FramePool(runtime, items);
    this.skbs = new SkbPool(runtime, items);
    this.#address = runtime.allocatePages(this.#size);
    this.#items = this.#address + programs;
    this.#writeHops(hops, this.#address + records);
    this.#set(this.#address, layout.PATH_FLAGS, flags);
    this.#set(this.#address, layout.PATH_ITEMS, this.#items);
    this.#set(this.#address, layout.PATH_ITEM_MAX, items);
    this.#set(this.#address, layout.PATH_COUNTER, this.#address + layout.PATH_ITEM_COUNT);
    // Programs of the interpreter, which are on this thread alone, have no entry.
    const all = [...hops.values()].flatMap(({ xdp, tc }) => [...xdp.map(({ program }) => program), ...tc]);
    if (runtime.cpus > 1 && all.every(({ executable }) => executable.entry !== 0))
      this.#lanes = new PathLanes(runtime, this.#address, records);
    for (let i = 0; i < items; i++) {
      const item = this.#items + i * layout.ITEM_SIZE;
      this.#set(item, layout.ITEM_FRAME, this.frames.descriptor(i));
      this.#set(item, layout.ITEM_SKB, this.skbs.descriptor(i));
      this.#set(item, layout.ITEM_FRAME_BUFFER, this.frames.buffer(i));
      this.#set(item, layout.ITEM_SKB_BUFFER, this.skbs.buffer(i));
      this.#set(item, layout.ITEM_SIDE, this.frames.side(i));
    }
  }

  #set(at: number, field: number, value: number): void {
    this.runtime.view().setUint32(at + field, value, true);
  }

  #writeHops(hops: ReadonlyMap<number, Hop>, stages: number): void {
    let record = this.#address + layout.PATH_INTERFACE_RECORDS;
    let stage = stages;
    const write = (program: UserProgram, goesOn: number) => {
      this.#set(stage, layout.STAGE_ENTRY, callableIndex(program));
      this.#set(stage, layout.STAGE_GOES_ON, goesOn);
      stage += layout.STAGE_SIZE;
    };
    this.#set(this.#address, layout.PATH_INTERFACES, hops.size);
    for (const [index, { xdp, tc }] of hops) {
      this.#set(record, layout.HOP_INDEX, index);
      this.#set(record, layout.HOP_XDP, stage);
      this.#set(record, layout.HOP_XDP_COUNT, xdp.length);
      for (const { program, goesOn } of xdp) write(program, goesOn);
      this.#set(record, layout.HOP_TC, stage);
      this.#set(record, layout.HOP_TC_COUNT, tc.length);
      for (const program of tc) write(program, program.spec.attachType?.startsWith('tcx_') === true ? 1 : 0);
      record += layout.HOP_SIZE;
    }
  }

  /** Puts a packet at the beginning of its way, as the `index`th of a batch; packets come in order. */
  begin(index: number, data: Uint8Array, origin: PacketOrigin & { readonly ingressIfindex: number }): void {
    this.frames.fill(index, data, origin);
    const item = this.#items + index * layout.ITEM_SIZE;
    this.runtime.bytes().fill(0, item + layout.ITEM_NEXT, item + layout.ITEM_STEPS);
    this.#set(item, layout.ITEM_NEXT, layout.NEXT_XDP);
    this.#set(item, layout.ITEM_INTERFACE, origin.ingressIfindex);
    this.#set(this.#address, layout.PATH_ITEM_COUNT, index + 1);
  }

  /**
   * Brings the first `count` items to their ends, on the threads of CPUs that cpumaps send them to, where there are any. `enter` is that of a program's engine, `fuel` its budget;
   * `onFault` hears what stopped a program, by its item.
   */
  run(
    count: number,
    enter: <T>(call: () => T) => T,
    fuel: number,
    onFault: (index: number, error: unknown) => void,
  ): void {
    const plane = this.runtime.plane.exports as unknown as PathPlane; // fixed by the plane's sources
    for (const field of [layout.PATH_NEXT, layout.PATH_READY_FIRST, layout.PATH_READY_LAST, layout.PATH_HELD_COUNT])
      this.#set(this.#address, field, 0);
    this.#lanes?.begin(fuel);
    for (;;) {
      try {
        enter(() => plane.path_run(this.#address, count));
        if (this.#lanes?.turn() !== true) break;
      } catch (error) {
        const item = plane.path_fault(this.#address);
        if (item === 0) throw error;
        onFault(item - 1, error);
      }
    }
    if (this.#lanes === undefined) return;
    for (let index = 0; index < this.used; index++) {
      if (this.field(index, layout.ITEM_END) !== layout.END_FAULT) continue;
      const cpu = this.field(index, layout.ITEM_CPU) - 1;
      const fault = this.#lanes.fault(cpu, this.field(index, layout.ITEM_REASON), fuel);
      if (fault !== undefined) onFault(index, fault);
    }
  }

  /** Items in use after a run: those of the batch, then copies. */
  get used(): number {
    return this.runtime.view().getUint32(this.#address + layout.PATH_ITEM_COUNT, true);
  }

  field(index: number, field: number): number {
    return this.runtime.view().getUint32(this.#items + index * layout.ITEM_SIZE + field, true);
  }

  /** Address of the item's steps, in order, and how many there were. */
  steps(index: number): { readonly at: number; readonly count: number } {
    return {
      at: this.#items + index * layout.ITEM_SIZE + layout.ITEM_STEPS,
      count: this.field(index, layout.ITEM_STEP_COUNT),
    };
  }

  free(): void {
    this.#lanes?.free();
    this.frames.free();
    this.skbs.free();
    this.runtime.freePages(this.#address, this.#size);
  }
}
