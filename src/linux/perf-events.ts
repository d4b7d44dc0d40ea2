/**
 * The events that programs of the kernel write records to (bpf_perf_event_output), one a CPU, each with a ring of its own. Layout: struct perf_event_attr,
 * struct perf_event_mmap_page and the records in include/uapi/linux/perf_event.h.
 */
import {
  addressOf,
  close,
  MAP_SHARED,
  type Mapping,
  memoryAt,
  mmap,
  munmap,
  PROT_READ,
  PROT_WRITE,
  pageSize,
  syscall,
} from './ffi.ts';
import { SyscallError } from './syscall-error.ts';

const attr = {
  size: 128,
  type: 0,
  attrSize: 4,
  config: 8,
  samplePeriod: 16,
  sampleType: 24,
  wakeupEvents: 48,
} as const;
const PERF_TYPE_SOFTWARE = 1;
const PERF_COUNT_SW_BPF_OUTPUT = 10n;
const PERF_SAMPLE_RAW = 1n << 10n;
const PERF_FLAG_FD_CLOEXEC = 8;

/** In the first page: u64 data_head, data_tail. */
const HEAD = 1024;
const TAIL = 1032;
const PERF_RECORD_LOST = 2;
const PERF_RECORD_SAMPLE = 9;
const RECORD_HEADER = 8;

/** One event. Its descriptor is what an element of a perf event array is written with. */
export class PerfEvent {
  readonly fd: number;
  readonly #mapping: Mapping;
  readonly #positions: BigUint64Array;
  readonly #data: Uint8Array;
  #lost = 0;

  /** `pages`: of data, a power of two. SyscallError ENODEV: there is no such CPU now. */
  constructor(cpu: number, pages: number) {
    const bytes = new Uint8Array(attr.size);
    const view = new DataView(bytes.buffer);
    view.setUint32(attr.type, PERF_TYPE_SOFTWARE, true);
    view.setUint32(attr.attrSize, attr.size, true);
    view.setBigUint64(attr.config, PERF_COUNT_SW_BPF_OUTPUT, true);
    view.setBigUint64(attr.samplePeriod, 1n, true);
    view.setBigUint64(attr.sampleType, PERF_SAMPLE_RAW, true);
    view.setUint32(attr.wakeupEvents, 1, true);
    const fd = syscall('perf_event_open', addressOf(bytes), -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0) throw new SyscallError('perf_event_open', -fd, `CPU ${cpu}`);
    this.fd = fd;
    const page = pageSize();
    const length = (1 + pages) * page;
    try {
      this.#mapping = mmap(length, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    } catch (error) {
      close(fd);
      throw error;
    }
    const memory = memoryAt(this.#mapping.address, length);
    this.#positions = new BigUint64Array(memory, HEAD, (TAIL - HEAD) / 8 + 1);
    this.#data = new Uint8Array(memory, page);
  }

  /** Takes the records that are there; `record` is a copy. Its length is a multiple of 8 less 4: the kernel pads, and does not tell with how much. */
  consume(callback: (record: Uint8Array) => void): number {
    let count = 0;
    const head = Atomics.load(this.#positions, 0);
    for (let tail = this.#positions[1]!; tail < head; ) {
      const at = Number(tail % BigInt(this.#data.length));
      const header = this.#copy(at, RECORD_HEADER);
      const size = header.getUint16(6, true);
      const record = this.#copy(at + RECORD_HEADER, size - RECORD_HEADER);
      tail += BigInt(size);
      // What was copied may be written over from here on.
      Atomics.store(this.#positions, 1, tail);
      const type = header.getUint32(0, true);
      if (type === PERF_RECORD_LOST) this.#lost += Number(record.getBigUint64(8, true));
      if (type !== PERF_RECORD_SAMPLE) continue;
      count++;
      callback(new Uint8Array(record.buffer, 4, record.getUint32(0, true)));
    }
    return count;
  }

  /** Records that found no room, as far as what was consumed told of them, since the last call. */
  lost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  close(): void {
    munmap(this.#mapping);
    close(this.fd);
  }

  #copy(at: number, length: number): DataView {
    const size = this.#data.length;
    const bytes = new Uint8Array(length);
    const first = Math.min(length, size - (at % size));
    bytes.set(this.#data.subarray(at % size, (at % size) + first));
    bytes.set(this.#data.subarray(0, length - first), first);
    return new DataView(bytes.buffer);
  }
}
