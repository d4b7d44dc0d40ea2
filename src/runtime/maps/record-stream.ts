/** The reading side of a ring buffer, whichever target it lies in: at once, by callback, or as an async iterator. */
import { codecFor } from '../../btf/codec.ts';
import type { Btf } from '../../btf/types.ts';
import type { MapSpec } from '../../object/spec.ts';
import type { RingbufHandle, Value } from '../handles.ts';

/** One ring as its target reads it. */
export interface RecordSource {
  /** False after close: waiting ends and nothing more comes. */
  readonly isOpen: boolean;
  /** Next record as a copy, its space given back; undefined if none is ready. */
  take(): Uint8Array | undefined;
  /** Number of wake-ups so far. Read before draining, so that none is lost between the last `take` and `wait`. */
  wakes(): number;
  /**
   * Resolves when there were more wake-ups than `seen`, when the source is closed, when the signal aborts, or after a while; never
   * rejects.
   */
  wait(seen: number, signal: AbortSignal | undefined): Promise<void>;
}

/**
 * By the BTF type that the map's definition gives as its value, if it gives one. Records of another size than the type's stay bytes: a program may
 * write several kinds into one ring.
 */
export function recordDecoder({ valueTypeId }: MapSpec, btf: Btf | undefined): (record: Uint8Array) => Value {
  const codec = btf === undefined || valueTypeId === 0 ? undefined : codecFor(btf, valueTypeId);
  return (record) => (codec?.size === record.length ? codec.decode(record) : record);
}

/** What a ring buffer's handle does besides being a map, over any source. */
export class RecordStream<E> implements Pick<RingbufHandle<E>, 'consume' | 'events' | 'on'> {
  readonly #source: RecordSource;
  readonly #decode: (record: Uint8Array) => E;

  constructor(source: RecordSource, decode: (record: Uint8Array) => E) {
    this.#source = source;
    this.#decode = decode;
  }

  consume(callback: (event: E, record: Uint8Array) => void, limit = Number.POSITIVE_INFINITY): number {
    let count = 0;
    while (count < limit) {
      const record = this.#source.take();
      if (record === undefined) break;
      count++;
      callback(this.#decode(record), record);
    }
    return count;
  }

  async *events(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<E, void, undefined> {
    const source = this.#source;
    const { signal } = options;
    const ended = () => !source.isOpen || signal?.aborted === true;
    while (!ended()) {
      const seen = source.wakes();
      for (let record = source.take(); record !== undefined; record = source.take()) {
        yield this.#decode(record);
        if (ended()) return;
      }
      await source.wait(seen, signal);
    }
  }

  on(callback: (event: E) => void): () => void {
    const stop = new AbortController();
    const run = async () => {
      for await (const event of this.events({ signal: stop.signal })) callback(event);
    };
    void run();
    return () => stop.abort();
  }
}
