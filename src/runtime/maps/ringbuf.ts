/** The consumer of a ring buffer in the linear memory: woken by the plane's notifications, by polling where the engine has no waitAsync. */

import type { Btf } from '../../btf/types.ts';
import type { MapSpec } from '../../object/spec.ts';
import { MAP_VALUES } from '../../plane/layout/map.ts';
import {
  RINGBUF_CONSUMER,
  RINGBUF_DISCARD,
  RINGBUF_LENGTH_MASK,
  RINGBUF_MASK,
  RINGBUF_RECORD_HEADER,
  RINGBUF_WAITERS,
  RINGBUF_WAKES,
} from '../../plane/layout/map-ringbuf.ts';
import type { RingbufHandle } from '../handles.ts';
import { TypedMap } from '../typed-map.ts';
import type { PlaneMap } from './plane-map.ts';
import { type RecordSource, RecordStream, recordDecoder } from './record-stream.ts';

/** Longest wait without looking, in ms: records submitted with BPF_RB_NO_WAKEUP are seen then at the latest. */
const LONGEST_WAIT = 1000;
/** Interval of polling without waitAsync. */
const POLL_INTERVAL = 5;

/** Atomics.waitAsync (ES2024), which the library of ES2023 does not declare. */
type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
  timeout: number,
) => { readonly async: boolean; readonly value: Promise<string> | string };
const waitAsync = (Atomics as { readonly waitAsync?: WaitAsync }).waitAsync;

export class PlaneRingbuf implements RecordSource {
  readonly #map: PlaneMap;
  readonly #next: (map: number) => number;
  readonly #release: (map: number, record: number) => void;
  readonly #wake: (map: number) => void;

  constructor(map: PlaneMap) {
    const { ringbuf_next, ringbuf_release, ringbuf_wake } = map.plane.exports;
    this.#map = map;
    this.#next = ringbuf_next;
    this.#release = ringbuf_release;
    this.#wake = ringbuf_wake;
    map.onClose(() => this.#wake(map.address));
  }

  get isOpen(): boolean {
    return this.#map.isOpen;
  }

  take(): Uint8Array | undefined {
    if (!this.isOpen) return undefined;
    const { plane, address } = this.#map;
    const record = this.#next(address) >>> 0;
    if (record === 0) return undefined;
    const length = plane.view().getUint32(record, true) & RINGBUF_LENGTH_MASK;
    const start = record + RINGBUF_RECORD_HEADER;
    const sample = plane.bytes().slice(start, start + length);
    this.#release(address, record);
    return sample;
  }

  /** As RingbufHandle.scan. */
  scan(read: (memory: DataView, at: number, length: number) => void): number {
    if (!this.isOpen) return 0;
    const { plane, address } = this.#map;
    const bytes = plane.exports.ringbuf_ready(address) >>> 0;
    if (bytes === 0) return 0;
    const view = plane.view();
    const place = view.getUint32(address + RINGBUF_CONSUMER, true) & view.getUint32(address + RINGBUF_MASK, true);
    let at = view.getUint32(address + MAP_VALUES, true) + place;
    const end = at + bytes;
    let count = 0;
    try {
      while (at < end) {
        const word = view.getUint32(at, true);
        const length = word & RINGBUF_LENGTH_MASK;
        const start = at + RINGBUF_RECORD_HEADER;
        at = start + ((length + 7) & ~7);
        if ((word & RINGBUF_DISCARD) !== 0) continue;
        count++;
        read(view, start, length);
      }
    } finally {
      plane.exports.ringbuf_consume(address, bytes);
    }
    return count;
  }

  wakes(): number {
    return Atomics.load(this.#words(), this.#word(RINGBUF_WAKES));
  }

  async wait(seen: number, signal: AbortSignal | undefined): Promise<void> {
    if (!this.isOpen || signal?.aborted) return;
    const words = this.#words();
    let ended = () => {};
    const ends = new Promise<void>((resolve) => {
      ended = resolve;
    });
    // The timer also keeps the process alive: a pending waitAsync alone does not.
    const timer = setTimeout(ended, waitAsync === undefined ? POLL_INTERVAL : LONGEST_WAIT);
    signal?.addEventListener('abort', ended);
    Atomics.add(words, this.#word(RINGBUF_WAITERS), 1);
    try {
      const woken = waitAsync?.(words, this.#word(RINGBUF_WAKES), seen, LONGEST_WAIT);
      if (woken !== undefined && !woken.async) return;
      await (woken === undefined ? ends : Promise.race([woken.value, ends]));
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', ended);
      // A closed map's memory may be another's by now.
      if (this.isOpen) Atomics.sub(words, this.#word(RINGBUF_WAITERS), 1);
    }
  }

  #words(): Int32Array {
    return new Int32Array(this.#map.plane.memory.buffer);
  }

  #word(offset: number): number {
    return (this.#map.address + offset) / 4;
  }
}

export class RingbufMap extends TypedMap implements RingbufHandle {
  readonly consume: RingbufHandle['consume'];
  readonly scan: NonNullable<RingbufHandle['scan']>;
  readonly events: RingbufHandle['events'];
  readonly on: RingbufHandle['on'];

  /** Owns `map`. */
  constructor(map: PlaneMap, spec: MapSpec, btf: Btf | undefined) {
    super(map, spec, 'user', btf);
    const ring = new PlaneRingbuf(map);
    const stream = new RecordStream(ring, recordDecoder(spec, btf));
    this.scan = ring.scan.bind(ring);
    this.consume = stream.consume.bind(stream);
    this.events = stream.events.bind(stream);
    this.on = stream.on.bind(stream);
  }
}
