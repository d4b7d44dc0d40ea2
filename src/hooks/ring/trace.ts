/** What a ring does, one effect after the other, as the plane writes it down (plane/assembly/ring/trace.ts). */
import { InputError } from '../../errors.ts';
import { RING_FLAGS, RING_TRACE, RING_TRACE_MASK, RING_TRACE_TAIL, RING_TRACING } from '../../plane/layout/ring.ts';
import {
  TRACE_CANCEL,
  TRACE_COMPLETE,
  TRACE_EMIT,
  TRACE_END,
  TRACE_ESCALATE,
  TRACE_FLAGS,
  TRACE_HANDLE,
  TRACE_ISSUE,
  TRACE_KIND,
  TRACE_POST,
  TRACE_REAP,
  TRACE_REQUEST,
  TRACE_RES,
  TRACE_RETURN,
  TRACE_RUN,
  TRACE_SIZE,
  TRACE_TIME,
  TRACE_USER_DATA,
} from '../../plane/layout/ring-trace.ts';
import type { Runtime } from '../../runtime/runtime.ts';

const kinds = {
  request: TRACE_REQUEST,
  issue: TRACE_ISSUE,
  complete: TRACE_COMPLETE,
  run: TRACE_RUN,
  return: TRACE_RETURN,
  post: TRACE_POST,
  cancel: TRACE_CANCEL,
  escalate: TRACE_ESCALATE,
  emit: TRACE_EMIT,
  reap: TRACE_REAP,
  end: TRACE_END,
} as const;
/**
 * `request`: one was staged, or emitted by a program; `issue`: it is in the kernel's queue; `complete`: the kernel's completion; `run`, `return`: of a
 * program; `post`: a completion in a queue; `cancel`: it ends without the kernel; `emit`, `reap`: calls of a program; `end`: its last effect.
 */
export type TraceKind = keyof typeof kinds;
const names = new Map<number, TraceKind>(Object.entries(kinds).map(([name, kind]) => [kind, name as TraceKind])); // keys of the table

export interface TraceRecord {
  /** ns of the monotonic clock. */
  readonly time: bigint;
  readonly kind: TraceKind;
  readonly userData: bigint;
  /** Result; of `return` what the program returned. */
  readonly res: number;
  /** `request`, `issue`: opcode; `complete`, `post`: flags; `run`, `return`: program from 0; `emit`, `reap`: queue; `escalate`: reason; `end`: 1 if it breaks its chain. */
  readonly detail: number;
  /** Of the request; 0n: the effect is of none. */
  readonly handle: bigint;
}

/** Writes a ring's effects down from its creation until `close`. One at a time for a ring. */
export class RingTrace {
  readonly #runtime: Runtime;
  readonly #ring: number;
  readonly #records: number;
  readonly #size: number;
  readonly #address: number;
  #read = 0;
  /** Records that were overwritten before they were taken. */
  lost = 0;

  /** `ring`: the ring's runtime and the address of its control block. `records`: a power of two (default 65536, 3 MiB). */
  constructor(ring: { readonly runtime: Runtime; readonly address: number }, records = 65536) {
    if (!(Number.isInteger(records) && records > 0 && records <= 2 ** 24 && (records & (records - 1)) === 0))
      throw new InputError('SLUICE_RING_TRACE', `${records} records of a trace: a power of two up to 16777216`);
    this.#runtime = ring.runtime;
    this.#ring = ring.address;
    const view = ring.runtime.view();
    if ((view.getUint32(ring.address + RING_FLAGS, true) & RING_TRACING) !== 0)
      throw new InputError('SLUICE_RING_TRACE', 'the ring is traced already: close that trace first');
    this.#records = records;
    this.#size = records * TRACE_SIZE;
    this.#address = ring.runtime.allocatePages(this.#size);
    this.#set(RING_TRACE, this.#address);
    this.#set(RING_TRACE_MASK, records - 1);
    this.#set(RING_TRACE_TAIL, 0);
    this.#set(RING_FLAGS, this.#get(RING_FLAGS) | RING_TRACING);
  }

  /** What has come since the last call, at most as many as there is room for; `lost` counts the others. */
  take(): TraceRecord[] {
    const tail = this.#get(RING_TRACE_TAIL);
    const behind = (tail - this.#read) >>> 0;
    if (behind > this.#records) this.lost += behind - this.#records;
    const count = Math.min(behind, this.#records);
    const view = this.#runtime.view();
    const taken: TraceRecord[] = [];
    for (let i = tail - count; i < tail; i++) {
      const at = this.#address + (i & (this.#records - 1)) * TRACE_SIZE;
      taken.push({
        time: view.getBigUint64(at + TRACE_TIME, true),
        kind: names.get(view.getUint32(at + TRACE_KIND, true)) ?? 'end',
        userData: view.getBigUint64(at + TRACE_USER_DATA, true),
        res: view.getInt32(at + TRACE_RES, true),
        detail: view.getUint32(at + TRACE_FLAGS, true),
        handle: view.getBigUint64(at + TRACE_HANDLE, true),
      });
    }
    this.#read = tail;
    return taken;
  }

  /** Ends the trace and gives its memory back; before the ring is closed. */
  close(): void {
    this.#set(RING_FLAGS, this.#get(RING_FLAGS) & ~RING_TRACING);
    this.#runtime.freePages(this.#address, this.#size);
  }

  #get(word: number): number {
    return this.#runtime.view().getUint32(this.#ring + word, true);
  }

  #set(word: number, value: number): void {
    this.#runtime.view().setUint32(this.#ring + word, value, true);
  }
}

/** A record without its time, for comparing runs. */
export function effectOf({ kind, userData, res, detail, handle }: TraceRecord): string {
  return `${kind} ${userData} ${res} ${detail} ${handle}`;
}

/** Where two traces part: the index of the first effect that differs, -1 if none does. */
export function firstDifference(left: readonly TraceRecord[], right: readonly TraceRecord[]): number {
  const length = Math.max(left.length, right.length);
  for (let i = 0; i < length; i++) {
    const [a, b] = [left[i], right[i]];
    if (a === undefined || b === undefined || effectOf(a) !== effectOf(b)) return i;
  }
  return -1;
}
