/** Several rings of one runtime as one: which of them a request goes to, programs on all of them, one queue for all results, one end. */
import { InputError } from '../../errors.ts';
import type { UserObject } from '../../runtime/load.ts';
import type { RingCounters } from './options.ts';
import type { RingBase } from './ring.ts';
import { type SharedCompletion, SharedQueue } from './shared-queue.ts';

export interface RingSetOptions {
  /** Completions that the shared queue holds, a power of two (default 4096). */
  readonly shared?: number;
}

export interface RingSetCounters extends RingCounters {
  /** By place in `list`. */
  readonly rings: readonly RingCounters[];
}

const counters = ['requests', 'completions', 'runs', 'posted', 'cancelled', 'escalated', 'enters'] as const;

/**
 * Requests of one ring keep the order that its groups and links give them; different rings run side by side. The failure of one (its thread has ended) rejects what it
 * had under way, and leaves the others as they are: it is chosen no more.
 */
export class RingSet<Of extends RingBase = RingBase> implements AsyncIterable<SharedCompletion<Of>> {
  readonly list: readonly Of[];
  /** Completions of requests with `queue: set.queueOf(ring)`, and `for await (const { ring, completion } of set)`. */
  readonly completions: SharedQueue<Of>;
  readonly #queues = new Map<Of, number>();
  #next = 0;
  #closed: Promise<void> | undefined;

  /** The rings are the set's from now on: it closes them. Throws InputError `SLUICE_RING_RUNTIME` where they are of several runtimes. */
  constructor(rings: readonly Of[], options: RingSetOptions = {}) {
    const [first] = rings;
    if (first === undefined) throw new InputError('SLUICE_RING_SET', 'a set of no rings: one at least');
    if (rings.some(({ runtime }) => runtime !== first.runtime))
      throw new InputError(
        'SLUICE_RING_RUNTIME',
        'rings of several runtimes share nothing: make them with one { runtime }',
      );
    this.list = rings;
    this.completions = new SharedQueue<Of>(first.runtime, options.shared);
    for (const ring of rings) this.#queues.set(ring, this.completions.connect(ring));
  }

  /** Rings that are there. */
  get living(): readonly Of[] {
    return this.list.filter((ring) => ring.failure === undefined);
  }

  /** Each in turn. Throws what ended the first one where all have ended; so do `least` and `of`. */
  next(): Of {
    return this.#from(this.#next++);
  }

  /** The one with the fewest requests under way. */
  least(): Of {
    let chosen: Of | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    for (const ring of this.list) {
      if (ring.failure !== undefined) continue;
      const { inFlight } = ring;
      if (inFlight >= fewest) continue;
      chosen = ring;
      fewest = inFlight;
    }
    return chosen ?? this.#from(0);
  }

  /** The same key, the same ring, as long as that lives: what one key is about keeps its order. */
  of(key: number | bigint | string): Of {
    return this.#from(hashed(String(key)));
  }

  /** Queue of the ring whose completions come to the set. */
  queueOf(ring: Of): number {
    const queue = this.#queues.get(ring);
    if (queue === undefined) throw new InputError('SLUICE_RING_SET', 'the ring is not of this set');
    return queue;
  }

  /**
   * Attaches the programs of an object to all rings, under the same numbers, so that rings can name each other's. Their maps and variables are the same on all, and
   * they run at once: what several write takes atomic operations or a lock. Throws as RingPrograms.attach, and InputError `SLUICE_RING_SET` where numbers differ.
   */
  attach(object: UserObject): ReadonlyMap<string, number> {
    const { living } = this;
    const [numbers, ...others] = living.map((ring) => ring.programs.attach(object));
    for (const other of others)
      for (const [name, number] of numbers!)
        if (other.get(name) !== number)
          throw new InputError(
            'SLUICE_RING_SET',
            `program ${name} has number ${number} on one ring and ${other.get(name)} on another: attach to all rings alike`,
          );
    return numbers ?? new Map();
  }

  /** Puts the object's programs in the place of those of the same names, on all rings (RingPrograms.replace). */
  async replace(object: UserObject): Promise<void> {
    await Promise.all(this.living.map((ring) => ring.programs.replace(object)));
  }

  /** Sums, and each ring's own. */
  get stats(): RingSetCounters {
    const rings = this.list.map(({ stats }) => stats);
    const sums = counters.map((name) => [name, rings.reduce((sum, each) => sum + each[name], 0n)] as const);
    return { ...(Object.fromEntries(sums) as unknown as RingCounters), rings }; // all of its names
  }

  /** Called with each ring whose thread ends before its time. */
  onFailure(failed: (ring: Of, error: Error) => void): void {
    for (const ring of this.list) ring.onFailure((error) => failed(ring, error));
  }

  /** Closes all rings, as `ring.close`, side by side. What one throws is thrown when all have ended. */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  [Symbol.asyncIterator](): AsyncGenerator<SharedCompletion<Of>, void, void> {
    return this.completions[Symbol.asyncIterator]();
  }

  async #end(): Promise<void> {
    const ends = await Promise.allSettled(this.list.map((ring) => ring.close()));
    this.completions.close();
    for (const each of ends) if (each.status === 'rejected') throw each.reason;
  }

  /** The living ring nearest behind this place. */
  #from(place: number): Of {
    const { list } = this;
    for (let i = 0; i < list.length; i++) {
      const ring = list[(place + i) % list.length]!;
      if (ring.failure === undefined) return ring;
    }
    throw list[0]!.failure!;
  }
}

/** FNV-1a, mixed so that its lower bits are as good as the others. */
function hashed(text: string): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
