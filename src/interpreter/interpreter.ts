/** The engine: loads programs as images, runs and steps them, reads out registers and faults. */
import { helperBody } from '../abi/helpers/index.ts';
import { programDeclarations } from '../abi/programs/index.ts';
import type { HelperPrototype } from '../abi/prototype.ts';
import { InputError, InternalError, UnsupportedError } from '../errors.ts';
import type { ResolvedProgram } from '../object/resolved.ts';
import { MAP_HEADER_SIZE, MAP_VALUE_SIZE } from '../plane/layout/map.ts';
import { FRAME_SIZE, STACK_AREA_SIZE, STACKS, WORKER_SIZE, WORKERS } from '../plane/layout/memory.ts';
import { WORKER_STACK_TOP } from '../plane/layout/worker.ts';
import { type CoreExports, createCore, type InterpreterHost } from './core.ts';
import { type BoundFunction, type Context, type Image, writeImage } from './image.ts';
import { kfuncRules } from './kfunc-rules.ts';
import * as layout from './layout.ts';
import { helperRules } from './prototype.ts';
import { type RegisterValue, readFault, readRegister } from './readout.ts';
import type { Argument, LoadedImage, Outcome, Position, RunOptions, StepOutcome } from './run.ts';

export interface LoadOptions {
  /** Context of the program; by default that of its type in abi/programs. */
  readonly context?: Context;
  /** Prototypes of kfuncs by name; by default those of Linux. */
  readonly kfuncs?: ReadonlyMap<string, HelperPrototype>;
  /** Packet pointers may only be read through. */
  readonly readOnlyPacket?: boolean;
}

const DEFAULT_BUDGET = 100_000_000n;
const NEVER = (1n << 64n) - 1n;

/** One worker's interpreter. Several images; one run at a time. */
export class Interpreter {
  readonly #host: InterpreterHost;
  readonly #core: CoreExports;
  readonly #state: number;
  readonly #images = new Map<number, Image>();
  /** Places in the table of helpers and kfuncs, by name. */
  readonly #bound = new Map<string, number>();
  readonly #breakpoints = new Map<number, Set<number>>();
  readonly #callbackEntry: number;
  #tailTable: number;
  #tailCapacity = 1024;
  #view: DataView;
  #stackTop = 0;
  #running = false;

  constructor(host: InterpreterHost) {
    this.#host = host;
    this.#core = createCore(host);
    this.#state = host.allocate(layout.STATE_SIZE);
    this.#tailTable = host.allocate(this.#tailCapacity * 4);
    this.#view = new DataView(host.memory.buffer);
    this.#callbackEntry = this.#place(this.#core.callback);
  }

  /** Gives back the memory and table entries of the interpreter and of all its images. */
  close(): void {
    for (const image of [...this.#images.values()]) this.unload(image);
    for (const index of [this.#callbackEntry, ...this.#bound.values()]) {
      this.#host.table.set(index, null);
      this.#host.releaseEntries?.(index, 1);
    }
    this.#bound.clear();
    this.#host.free(this.#state, layout.STATE_SIZE);
    this.#host.free(this.#tailTable, this.#tailCapacity * 4);
  }

  /**
   * Makes an image of the program. Instructions that are none fault when they are reached, not here.
   * Throws UnsupportedError, by name, for a helper or kfunc without a body.
   */
  load(program: ResolvedProgram, options: LoadOptions = {}): LoadedImage {
    if (program.insns.length === 0 || program.functions.length === 0) {
      throw new InputError('SLUICE_PROGRAM_EMPTY', 'a program needs at least one instruction and one function', {
        input: program.name,
      });
    }
    const helpers = new Map<number, BoundFunction>();
    for (const [id, prototype] of program.helpers)
      helpers.set(id, { rules: helperRules(prototype), index: this.#bind(helperBody(prototype)) });
    const kfuncs = program.kfuncs.map((name) => {
      const prototype = options.kfuncs?.get(name);
      const rules = prototype === undefined ? kfuncRules(name) : helperRules(prototype);
      if (rules === undefined) throw new UnsupportedError(`kfunc ${name}`, `no prototype for kfunc ${name}`);
      return { rules, index: this.#bind(name) };
    });
    const context =
      options.context ?? (program.type === undefined ? undefined : programDeclarations.get(program.type)?.context);
    const image = writeImage(
      program,
      { context, helpers, kfuncs, readOnlyPacket: options.readOnlyPacket ?? false },
      (bytes) => this.#host.allocate(bytes),
      () => this.#memory(),
    );
    this.#images.set(image.address, image);
    return image;
  }

  unload(image: LoadedImage): void {
    const known = this.#imageAt(image.address);
    const memory = this.#memory();
    for (let entry = 0; entry < this.#tailCapacity; entry++) {
      const at = this.#tailTable + entry * 4;
      if (memory.getUint32(at, true) === image.address) memory.setUint32(at, 0, true);
    }
    this.#images.delete(image.address);
    this.#breakpoints.delete(image.address);
    this.#host.free(known.address, known.size);
  }

  /** What a tail call to this function-table index runs; undefined: nothing. */
  setTailTarget(entry: number, image: LoadedImage | undefined): void {
    if (entry >= this.#tailCapacity) {
      const capacity = 2 ** Math.ceil(Math.log2(entry + 1));
      const table = this.#host.allocate(capacity * 4);
      const bytes = new Uint8Array(this.#memory().buffer);
      bytes.copyWithin(table, this.#tailTable, this.#tailTable + this.#tailCapacity * 4);
      this.#host.free(this.#tailTable, this.#tailCapacity * 4);
      this.#tailTable = table;
      this.#tailCapacity = capacity;
    }
    this.#memory().setUint32(this.#tailTable + entry * 4, image === undefined ? 0 : image.address, true);
  }

  setBreakpoint(image: LoadedImage, slot: number): void {
    const operations = this.#operations(image, slot);
    this.#memory().setUint16(operations.at, layout.OP_BREAKPOINT, true);
    const slots = this.#breakpoints.get(image.address) ?? new Set<number>();
    this.#breakpoints.set(image.address, slots.add(slot));
  }

  clearBreakpoint(image: LoadedImage, slot: number): void {
    const operations = this.#operations(image, slot);
    this.#memory().setUint16(operations.at, operations.original, true);
    this.#breakpoints.get(image.address)?.delete(slot);
  }

  /** Runs a program to its end. `args` are r1 to r5; those not given are uninitialised. Breakpoints are passed over. */
  run(image: LoadedImage, args: readonly Argument[] = [], options: RunOptions = {}): Outcome {
    this.begin(image, args, options);
    return this.#toEnd();
  }

  #toEnd(): Outcome {
    for (;;) {
      const outcome = this.resume();
      if (outcome.kind === 'exit' || outcome.kind === 'fault') return outcome;
    }
  }

  /**
   * As `run`, one step at a time: `visit` is called before each with where it is; `registers()` works inside. Helpers' callbacks
   * (not those of bpf_loop) run within one step.
   */
  trace(
    image: LoadedImage,
    args: readonly Argument[],
    visit: (position: Position) => void,
    options: RunOptions = {},
  ): Outcome {
    this.begin(image, args, options);
    for (;;) {
      visit(this.position());
      const outcome = this.step();
      if (outcome.kind === 'exit' || outcome.kind === 'fault') return outcome;
    }
  }

  /** Runs a function that the program gave to a timer or work, as `run`. */
  runCallback(image: number, functionIndex: number, args: readonly Argument[], options: RunOptions = {}): Outcome {
    this.begin(this.#imageAt(image), args, options, functionIndex);
    return this.#toEnd();
  }

  /** Makes ready to step or resume; a run in progress is dropped. */
  begin(image: LoadedImage, args: readonly Argument[] = [], options: RunOptions = {}, functionIndex = 0): void {
    const known = this.#imageAt(image.address);
    const s = this.#state;
    const memory = this.#memory();
    const set = (field: number, value: number) => memory.setUint32(s + field, value, true);
    this.#stackTop = memory.getUint32(this.#host.worker + WORKER_STACK_TOP, true);
    // By the worker's place: what it runs may be told that it is on another CPU (cpumaps on a path).
    const cpu = (this.#host.worker - WORKERS) / WORKER_SIZE;
    const top = this.#stackTop;
    set(layout.STATE_STACK_TOP, top);
    const floor = STACKS + cpu * STACK_AREA_SIZE;
    set(layout.STATE_STACK_LIMIT, options.stackSize === undefined ? floor : Math.max(floor, top - options.stackSize));
    set(layout.STATE_OPTIONS, options.uninitialisedStack === true ? layout.OPTION_UNINITIALISED_STACK : 0);
    set(layout.STATE_TAIL_TABLE, this.#tailTable);
    set(layout.STATE_TAIL_COUNT, this.#tailCapacity);
    set(layout.STATE_CALLBACK_ENTRY, this.#callbackEntry);
    set(layout.STATE_PACKET, options.packet?.address ?? 0);
    set(layout.STATE_PACKET_SIZE, options.packet?.size ?? 0);
    memory.setBigUint64(s + layout.STATE_BUDGET, BigInt(options.budget ?? DEFAULT_BUDGET), true);
    this.#core.begin(s, known.address, functionIndex);
    if (args.length > 5)
      throw new InputError('SLUICE_ARGUMENT_COUNT', `a program takes at most 5 arguments, not ${args.length}`);
    for (const [at, argument] of args.entries()) this.#setArgument(known, at + 1, argument);
    this.#running = true;
  }

  /** Makes one step. */
  step(): StepOutcome {
    return this.#continue(1n);
  }

  /** Goes on to the end or to the next breakpoint. */
  resume(): StepOutcome {
    return this.#continue(NEVER);
  }

  /** Where the run is. */
  position(): Position {
    const memory = this.#memory();
    return {
      image: this.#imageAt(memory.getUint32(this.#state + layout.STATE_IMAGE, true)),
      slot: memory.getUint32(this.#state + layout.STATE_SLOT, true),
      steps: Number(memory.getBigUint64(this.#state + layout.STATE_STEPS, true)),
    };
  }

  /** r0 to r10 as they are, undefined where uninitialised. */
  registers(): readonly (RegisterValue | undefined)[] {
    const memory = this.#memory();
    const image = this.#imageAt(memory.getUint32(this.#state + layout.STATE_IMAGE, true));
    return Array.from({ length: 11 }, (_, register) => readRegister(memory, this.#state, register, image.program));
  }

  #continue(count: bigint): StepOutcome {
    if (!this.#running) throw new InputError('SLUICE_RUN_NOT_BEGUN', 'no run is in progress: begin one first');
    const s = this.#state;
    let memory = this.#memory();
    const worker = this.#host.worker;
    // Frames below this one's are for what helpers call back.
    memory.setUint32(worker + WORKER_STACK_TOP, this.#stackTop - layout.MAX_FRAMES * FRAME_SIZE, true);
    let status: number;
    try {
      const slot = memory.getUint32(s + layout.STATE_SLOT, true);
      const met =
        memory.getUint32(s + layout.STATE_STATUS, true) === layout.STATUS_BREAKPOINT ||
        memory.getBigUint64(s + layout.STATE_STEPS, true) > 0n;
      if (count === 1n) {
        status = this.#overBreakpoint(slot);
      } else {
        // Over the instruction that a breakpoint was already met on, then on.
        status = met ? this.#overBreakpoint(slot) : layout.STATUS_PAUSED;
        if (status === layout.STATUS_PAUSED) status = this.#advance(count);
      }
    } catch (error) {
      this.#running = false;
      throw new InternalError('a helper trapped', { cause: error });
    } finally {
      memory = this.#memory();
      memory.setUint32(worker + WORKER_STACK_TOP, this.#stackTop, true);
    }
    const steps = Number(memory.getBigUint64(s + layout.STATE_STEPS, true));
    switch (status) {
      case layout.STATUS_EXIT:
        this.#running = false;
        return {
          kind: 'exit',
          r0: memory.getBigUint64(s, true),
          steps,
          byAddress: memory.getUint32(s + layout.STATE_BY_ADDRESS, true),
        };
      case layout.STATUS_FAULT: {
        this.#running = false;
        const image = this.#imageAt(memory.getUint32(s + layout.STATE_IMAGE, true));
        return { kind: 'fault', fault: readFault(memory, s, image), steps };
      }
      case layout.STATUS_PAUSED:
        return { kind: 'paused', position: this.position(), steps };
      case layout.STATUS_BREAKPOINT:
        return { kind: 'breakpoint', position: this.position(), steps };
      default:
        throw new InternalError(`the stepping core ended with status ${status}`);
    }
  }

  #advance(count: bigint): number {
    const memory = this.#memory();
    const steps = memory.getBigUint64(this.#state + layout.STATE_STEPS, true);
    const pause = count === NEVER ? NEVER : steps + count;
    memory.setBigUint64(this.#state + layout.STATE_PAUSE, pause, true);
    return this.#core.resume(this.#state);
  }

  /** One step, as if no breakpoint stood at `slot`. */
  #overBreakpoint(slot: number): number {
    const image = this.#imageAt(this.#memory().getUint32(this.#state + layout.STATE_IMAGE, true));
    if (this.#breakpoints.get(image.address)?.has(slot) !== true) return this.#advance(1n);
    const operations = this.#operations(image, slot);
    this.#memory().setUint16(operations.at, operations.original, true);
    try {
      return this.#advance(1n);
    } finally {
      this.#memory().setUint16(operations.at, layout.OP_BREAKPOINT, true);
    }
  }

  #setArgument(image: Image, register: number, argument: Argument): void {
    const memory = this.#memory();
    const at = this.#state + register * layout.REGISTER_SIZE;
    const set = (value: bigint, tag: number, base: number, size: number, aux = 0) => {
      memory.setBigUint64(at, BigInt.asUintN(64, value), true);
      memory.setUint32(at + layout.REGISTER_TAG, tag, true);
      memory.setUint32(at + layout.REGISTER_BASE, base, true);
      memory.setUint32(at + layout.REGISTER_OBJECT_SIZE, size, true);
      memory.setUint32(at + layout.REGISTER_AUX, aux, true);
    };
    if (typeof argument === 'number' || typeof argument === 'bigint') {
      set(BigInt(argument), layout.KIND_SCALAR, 0, 0);
    } else if (argument.kind === 'memory') {
      const tag = layout.KIND_MEMORY | (argument.readOnly === true ? layout.TAG_READ_ONLY : 0);
      set(BigInt(argument.address), tag, argument.address, argument.size);
    } else if (argument.kind === 'map') {
      set(BigInt(argument.address), layout.KIND_MAP, argument.address, MAP_HEADER_SIZE);
    } else if (argument.kind === 'map_value') {
      const { address, map } = argument;
      set(BigInt(address), layout.KIND_MAP_VALUE, address, memory.getUint32(map + MAP_VALUE_SIZE, true), map);
    } else {
      if (image.context === undefined) {
        throw new InputError('SLUICE_NO_CONTEXT', 'the program has no declared context', { input: image.program.name });
      }
      set(BigInt(argument.address), layout.KIND_CONTEXT, argument.address, image.context.size);
      memory.setUint32(this.#state + layout.STATE_CONTEXT, argument.address, true);
      const field = (state: number, header: number) => {
        const offset = memory.getUint32(image.address + header, true);
        memory.setUint32(this.#state + state, offset === layout.NO_FIELD ? 0 : argument.address + offset, true);
      };
      field(layout.STATE_DATA_FIELD, layout.IMAGE_DATA);
      field(layout.STATE_DATA_END_FIELD, layout.IMAGE_DATA_END);
      field(layout.STATE_DATA_META_FIELD, layout.IMAGE_DATA_META);
    }
  }

  /** Where the operation of a slot is, and what it is without a breakpoint. */
  #operations(image: LoadedImage, slot: number): { readonly at: number; readonly original: number } {
    const memory = this.#memory();
    if (!Number.isInteger(slot) || slot < 0 || slot >= image.program.insns.length) {
      throw new InputError('SLUICE_SLOT', `the program has no slot ${slot}`, { input: image.program.name });
    }
    return {
      at: memory.getUint32(image.address + layout.IMAGE_CODE, true) + slot * layout.INSN_SIZE,
      original: memory.getUint16(memory.getUint32(image.address + layout.IMAGE_ORIGINALS, true) + slot * 2, true),
    };
  }

  #imageAt(address: number): Image {
    const image = this.#images.get(address);
    if (image === undefined) throw new InputError('SLUICE_IMAGE_UNLOADED', 'the image is not loaded');
    return image;
  }

  /** Place of a helper's or kfunc's body in the table. */
  #bind(name: string): number {
    if (name === 'bpf_loop' || name === 'bpf_tail_call' || name === layout.THROW) return 0; // the interpreter's own
    const known = this.#bound.get(name);
    if (known !== undefined) return known;
    const body = this.#host.functions[name];
    if (typeof body !== 'function') {
      throw new UnsupportedError(`helper ${name}`, `there is no body for ${name}`);
    }
    const index = this.#place(body);
    this.#bound.set(name, index);
    return index;
  }

  #place(body: unknown): number {
    const index = this.#host.reserveEntries?.(1) ?? this.#host.table.grow(1);
    this.#host.table.set(index, body);
    return index;
  }

  /** The memory as it is now: growing it leaves views behind. */
  #memory(): DataView {
    if (this.#view.buffer !== this.#host.memory.buffer) this.#view = new DataView(this.#host.memory.buffer);
    return this.#view;
  }
}
