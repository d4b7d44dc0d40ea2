/**
 * A device that gives packets their queues: its block in the one memory, configurations, program and counters. What feeds it puts records of
 * frames into the memory (plane/layout/steering.ts, STEER_FRAME_*) and calls `steer`; nothing of JavaScript runs for a packet.
 */
import { InputError } from '../../errors.ts';
import { defaultRssLimits, type RssConfiguration, type RssLimits } from '../../net/rss/configuration.ts';
import type { FlowRule } from '../../net/rss/flow-rules.ts';
import {
  STEER_CONFIGURATIONS,
  STEER_CONTEXT_QUEUE,
  STEER_CONTEXTS,
  STEER_COUNTER_SIZE,
  STEER_COUNTERS,
  STEER_FALLBACK,
  STEER_FALLBACKS,
  STEER_FLAGS,
  STEER_FRAME_SIZE,
  STEER_IFINDEX,
  STEER_MAX_QUEUES,
  STEER_PROGRAM,
  STEER_QUEUES,
  STEER_RULE_COUNT,
  STEER_RULES,
  STEER_SIZE,
  STEER_UNHASHED,
} from '../../plane/layout/steering.ts';
import type { Executable } from '../hook.ts';
import type { Runtime } from '../runtime.ts';
import { FlowRulesBlock } from './flow-rules-block.ts';
import { type FlowCounters, FlowsBlock } from './flows-block.ts';
import { type SteeringPlane, steeringPlane } from './plane.ts';
import { RssBlock } from './rss-block.ts';

export interface SteeringDeviceOptions {
  /** 1 to 1024. */
  readonly queues: number;
  /** Interface that programs see; default 0. */
  readonly ifindex?: number;
  readonly limits?: RssLimits;
}

export interface SteeringProgram {
  readonly executable: Executable;
  /**
   * Where the queue stands: in the return value, of which 16 bits count (socket filters, as in drivers/net/tun.c), or in the context's
   * vnet_rss_queue (programs of type vnet_hash). Both are taken modulo the number of queues.
   */
  readonly queueFrom: 'return' | 'context';
  /** A return value of -1 asks for the device's own computation; without, it is queue 65535 modulo the number of queues. Default false. */
  readonly fallback?: boolean;
}

export interface QueueCounters {
  readonly packets: bigint;
  readonly bytes: bigint;
}

export interface SteeringCounters {
  readonly queues: readonly QueueCounters[];
  /** Packets without a hash. */
  readonly unhashed: bigint;
  /** Packets for which the program returned -1 and `fallback` was set. */
  readonly fallbacks: bigint;
  /** Of automatic steering. */
  readonly flows: FlowCounters;
}

/** What a device is before a driver configures it: all hash types off, reports NONE, all to the first queue. */
export const initialConfiguration: RssConfiguration = {
  hashTypes: 0,
  table: [0],
  unclassifiedQueue: 0,
  key: new Uint8Array(),
};

export class SteeringDevice {
  readonly runtime: Runtime;
  /** Of the block. */
  readonly address: number;
  readonly limits: RssLimits;
  readonly #plane: SteeringPlane;
  readonly #blocks = new Map<number, RssBlock>();
  /** Replaced configurations: kept until the next replacement, for a batch of another thread that has just begun. */
  #retired: RssBlock | undefined;
  #program: SteeringProgram | undefined;
  #rules: FlowRulesBlock | undefined;
  #retiredRules: FlowRulesBlock | undefined;
  /** Made with the first configuration that steers automatically. */
  #flows: FlowsBlock | undefined;

  constructor(runtime: Runtime, options: SteeringDeviceOptions) {
    this.runtime = runtime;
    this.limits = options.limits ?? defaultRssLimits;
    this.#plane = steeringPlane(runtime);
    checkQueues(options.queues);
    this.address = runtime.allocatePages(STEER_SIZE);
    this.#set(STEER_IFINDEX, options.ifindex ?? 0);
    this.#set(STEER_QUEUES, options.queues);
    this.configure(initialConfiguration);
  }

  #set(field: number, value: number): void {
    this.runtime.view().setUint32(this.address + field, value, true);
  }

  get queues(): number {
    return this.runtime.view().getUint32(this.address + STEER_QUEUES, true);
  }

  /** As TUNSETQUEUE and VQ_PAIRS_SET do: from the next batch on. 1 to 1024. */
  set queues(count: number) {
    checkQueues(count);
    if (count < this.queues) this.#flows?.clear();
    this.#set(STEER_QUEUES, count);
  }

  /** The one in force; of an RSS context by its number. */
  configuration(context = 0): RssConfiguration | undefined {
    return this.#blocks.get(context)?.configuration;
  }

  /** Its block in the memory; 0 is always there. */
  block(context = 0): RssBlock | undefined {
    return this.#blocks.get(context);
  }

  /** From the next packet on. `context`: 0, the default configuration, or an RSS context from 1 to 31. Throws InputError. */
  configure(configuration: RssConfiguration, context = 0): void {
    if (!Number.isInteger(context) || context < 0 || context >= STEER_CONTEXTS)
      throw new InputError('SLUICE_STEER_CONTEXT', `RSS context ${context}: there are 1 to ${STEER_CONTEXTS - 1}`);
    const automatic = configuration.automatic === true;
    if (automatic && context !== 0)
      throw new InputError(
        'SLUICE_STEER_CONTEXT',
        `RSS context ${context}: the default configuration alone is automatic`,
      );
    if (automatic) this.#flows ??= new FlowsBlock(this.runtime);
    const flows = automatic ? this.#flows?.address : undefined;
    this.#replace(context, new RssBlock(this.runtime, configuration, this.limits, flows));
    if (automatic) this.#flows?.use(Math.max(...configuration.table) + 1, configuration.tunnelTypes ?? 0);
  }

  /**
   * For automatic steering: the frames of `count` records in a row were sent on `queue`, on the thread that steers. What answers them is received there. Nothing without
   * such a configuration, and for queues that it does not have.
   */
  learn(frames: number, count: number, queue: number): void {
    if (this.configuration()?.automatic === true && this.#flows !== undefined)
      this.#plane.flows_learn(this.#flows.address, frames, count, queue);
  }

  /** Packets of that context are steered by the default configuration from then on. */
  removeContext(context: number): void {
    if (context !== 0) this.#replace(context, undefined);
  }

  /** What a reset of the device leaves: the initial configuration, no contexts. The program and the counters stay. */
  reset(): void {
    for (const context of [...this.#blocks.keys()]) this.removeContext(context);
    this.#flows?.clear();
    this.configure(initialConfiguration);
  }

  #replace(context: number, block: RssBlock | undefined): void {
    this.#retired?.free();
    this.#retired = this.#blocks.get(context);
    if (block === undefined) this.#blocks.delete(context);
    else this.#blocks.set(context, block);
    this.#set(STEER_CONFIGURATIONS + context * 4, block?.address ?? 0);
  }

  get rules(): readonly FlowRule[] {
    return this.#rules?.rules ?? [];
  }

  /**
   * Rules that choose an RSS context for frames whose record asks for none, the first that fits; they stay through `reset`. From the next batch on. Throws InputError
   * `SLUICE_STEER_RULE`.
   */
  set rules(rules: readonly FlowRule[]) {
    const block = rules.length === 0 ? undefined : new FlowRulesBlock(this.runtime, [...rules]);
    this.#retiredRules?.free();
    this.#retiredRules = this.#rules;
    this.#rules = block;
    this.#set(STEER_RULE_COUNT, 0);
    this.#set(STEER_RULES, block?.address ?? 0);
    this.#set(STEER_RULE_COUNT, rules.length);
  }

  /** Packets that each rule chose the context of, since the rules were set. */
  ruleHits(): readonly bigint[] {
    return this.#rules?.hits() ?? [];
  }

  get program(): SteeringProgram | undefined {
    return this.#program;
  }

  /** Undefined: the device's own computation. The program stays loaded as long as its owner keeps it. */
  set program(program: SteeringProgram | undefined) {
    this.#program = program;
    this.#set(STEER_PROGRAM, program?.executable.entry ?? 0);
    this.#set(
      STEER_FLAGS,
      (program?.fallback === true ? STEER_FALLBACK : 0) | (program?.queueFrom === 'context' ? STEER_CONTEXT_QUEUE : 0),
    );
  }

  /**
   * Steers the frames of `count` records (STEER_FRAME_SIZE bytes each, in a row from `frames`): fills hash, report, queue and return value in, completes
   * virtio-net headers, counts. One thread at a time. A fault of the program ends the batch: ProgramFault; the frames before it are done.
   */
  steer(frames: number, count: number): void {
    const executable = this.#program?.executable;
    if (executable === undefined) {
      this.#plane.steer_batch(this.address, frames, count);
      return;
    }
    try {
      if (executable.entry !== 0) executable.enter(() => this.#plane.steer_batch(this.address, frames, count));
      else
        for (let frame = frames; frame < frames + count * STEER_FRAME_SIZE; frame += STEER_FRAME_SIZE) {
          const r0 = executable.run(this.#plane.steer_begin(this.address, frame) >>> 0);
          this.#plane.steer_end(this.address, frame, Number(BigInt.asUintN(32, r0)));
        }
    } catch (error) {
      this.#plane.steer_abort(this.address);
      throw error;
    }
  }

  counters(): SteeringCounters {
    const view = this.runtime.view();
    const at = (offset: number) => view.getBigUint64(this.address + offset, true);
    return {
      queues: Array.from({ length: this.queues }, (_, queue) => ({
        packets: at(STEER_COUNTERS + queue * STEER_COUNTER_SIZE),
        bytes: at(STEER_COUNTERS + queue * STEER_COUNTER_SIZE + 8),
      })),
      unhashed: at(STEER_UNHASHED),
      fallbacks: at(STEER_FALLBACKS),
      flows: this.#flows?.counters() ?? { found: 0n, learned: 0n, displaced: 0n },
    };
  }

  clearCounters(): void {
    this.runtime
      .bytes()
      .fill(0, this.address + STEER_COUNTERS, this.address + STEER_COUNTERS + STEER_MAX_QUEUES * STEER_COUNTER_SIZE);
    this.runtime.bytes().fill(0, this.address + STEER_UNHASHED, this.address + STEER_FALLBACKS + 8);
    this.#flows?.clearCounters();
  }

  /** Frees the block and its configurations; the program is its owner's. */
  close(): void {
    this.#retired?.free();
    this.#retiredRules?.free();
    this.#rules?.free();
    this.#flows?.free();
    for (const block of this.#blocks.values()) block.free();
    this.#blocks.clear();
    this.runtime.freePages(this.address, STEER_SIZE);
  }
}

function checkQueues(queues: number): void {
  if (!Number.isInteger(queues) || queues < 1 || queues > STEER_MAX_QUEUES)
    throw new InputError('SLUICE_STEER_QUEUES', `${queues} queues: must be from 1 to ${STEER_MAX_QUEUES}`);
}
