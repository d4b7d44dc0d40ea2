/** Typed handles of kernel maps. */
import type { Btf } from '../btf/types.ts';
import { InputError } from '../errors.ts';
import type { MapSpec } from '../object/spec.ts';
import type {
  ArrayHandle,
  BloomFilterHandle,
  MapHandle,
  MapOfMapsHandle,
  PerfEventHandle,
  ProgramHandle,
  QueueHandle,
  RingbufHandle,
  UserRingbufHandle,
  Value,
} from '../runtime/handles.ts';
import { RecordProducer } from '../runtime/maps/record-producer.ts';
import { RecordStream, recordDecoder } from '../runtime/maps/record-stream.ts';
import { recordEncoder } from '../runtime/maps/user-ringbuf.ts';
import { openById } from './bpf.ts';
import { LinuxMap } from './linux-map.ts';
import { BPF_F_MMAPABLE, BPF_F_RDONLY_PROG, KernelMap } from './maps.ts';
import { PerfEvent } from './perf-events.ts';
import { KernelProgram } from './programs.ts';
import { KernelRingbuf } from './ringbuf.ts';
import { LinuxStructOps } from './struct-ops-map.ts';
import { SyscallError } from './syscall-error.ts';
import { KernelProducerRing } from './user-ringbuf.ts';

export class LinuxArray extends LinuxMap implements ArrayHandle {
  get stride(): number {
    return (this.spec.valueSize + 7) & ~7;
  }

  get inPlace(): boolean {
    return (this.kernel.flags & BPF_F_MMAPABLE) !== 0;
  }

  bytes(): Uint8Array {
    if (!this.inPlace)
      throw new InputError(
        'SLUICE_MAP_EPERM',
        `map ${this.name}: only arrays with BPF_F_MMAPABLE can be mapped: EPERM`,
      );
    // Constants of an object are frozen, and then mapped for reading alone.
    return this.kernel
      .mapped((this.kernel.flags & BPF_F_RDONLY_PROG) === 0)
      .subarray(0, this.stride * this.kernel.maxEntries);
  }
}

/** A ring buffer with its consumer. Its pages are mapped at the first read; a ring has one consumer position, shared by all who read it. */
export class LinuxRingbuf extends LinuxMap implements RingbufHandle {
  readonly #decode: (record: Uint8Array) => Value;
  #ring: KernelRingbuf | undefined;
  #stream: RecordStream<Value> | undefined;

  constructor(kernel: KernelMap, spec: MapSpec, btf: Btf | undefined) {
    super(kernel, spec, btf);
    this.#decode = recordDecoder(spec, btf);
  }

  consume(callback: (event: Value, record: Uint8Array) => void, limit?: number): number {
    return this.#records().consume(callback, limit);
  }

  events(options?: { readonly signal?: AbortSignal }): AsyncGenerator<Value, void, undefined> {
    return this.#records().events(options);
  }

  on(callback: (event: Value) => void): () => void {
    return this.#records().on(callback);
  }

  override close(): void {
    this.#ring?.close();
    super.close();
  }

  #records(): RecordStream<Value> {
    this.#ring ??= new KernelRingbuf(this.kernel.fd, this.kernel.maxEntries);
    this.#stream ??= new RecordStream(this.#ring, this.#decode);
    return this.#stream;
  }
}

/** The producer of a user ring buffer. Its pages are mapped at the first record. */
export class LinuxUserRingbuf extends LinuxMap implements UserRingbufHandle {
  readonly #encode: (event: Value) => Uint8Array;
  #ring: KernelProducerRing | undefined;
  #producer: RecordProducer<Value> | undefined;

  constructor(kernel: KernelMap, spec: MapSpec, btf: Btf | undefined) {
    super(kernel, spec, btf);
    this.#encode = recordEncoder(spec, btf);
  }

  get available(): number {
    return this.#records().available;
  }

  push(event: Value): boolean {
    return this.#records().push(event);
  }

  reserve(length: number) {
    return this.#records().reserve(length);
  }

  override close(): void {
    this.#ring?.close();
    super.close();
  }

  #records(): RecordProducer<Value> {
    this.#ring ??= new KernelProducerRing(this.kernel.fd, this.kernel.maxEntries, this.name);
    this.#producer ??= new RecordProducer(this.#ring, this.#encode);
    return this.#producer;
  }
}

const noKey = new Uint8Array(0);

export class LinuxQueue extends LinuxMap implements QueueHandle {
  push(value: Value, mode: 'any' | 'exist' = 'any'): void {
    this.raw.update(noKey, this.valueCodec.encode(value), mode);
  }

  pop(): Value | undefined {
    return this.#decode(this.kernel.take());
  }

  peek(): Value | undefined {
    return this.#decode(this.kernel.lookup(noKey));
  }

  #decode(bytes: Uint8Array | undefined): Value | undefined {
    return bytes === undefined ? undefined : this.valueCodec.decode(bytes);
  }
}

export class LinuxBloomFilter extends LinuxMap implements BloomFilterHandle {
  push(value: Value): void {
    this.raw.update(noKey, this.valueCodec.encode(value));
  }

  contains(value: Value): boolean {
    return this.kernel.contains(this.valueCodec.encode(value));
  }
}

/** An element that bpf(2) is given as a descriptor. */
function descriptor(fd: number): Uint8Array {
  return new Uint8Array(Int32Array.of(fd).buffer);
}

export class LinuxMapOfMaps extends LinuxMap implements MapOfMapsHandle {
  readonly #btf: Btf | undefined;

  constructor(kernel: KernelMap, spec: MapSpec, btf: Btf | undefined) {
    super(kernel, spec, btf);
    this.#btf = btf;
  }

  put(key: Value, map: MapHandle): void {
    if (!(map instanceof LinuxMap))
      throw new InputError('SLUICE_MAP_INNER', `map ${this.name}: map ${map.name} is not of the linux target`);
    this.raw.update(this.keyCodec.encode(key), descriptor(map.kernel.fd));
  }

  inner(key: Value): MapHandle | undefined {
    const id = this.raw.lookup(this.keyCodec.encode(key));
    const { inner } = this.spec;
    if (id === undefined || inner === undefined) return undefined;
    const fd = openById('map', new DataView(id.buffer, id.byteOffset).getUint32(0, true));
    // Replaced since, and gone.
    return fd === undefined ? undefined : linuxMap(new KernelMap(fd, inner), inner, this.#btf);
  }
}

/** Tail calls jump to the programs that are put here. */
export class LinuxProgArray extends LinuxMap {
  put(index: number, program: ProgramHandle): void {
    if (!(program instanceof KernelProgram))
      throw new InputError(
        'SLUICE_MAP_PROGRAM',
        `map ${this.name}: program ${program.name} is not of the linux target`,
      );
    this.raw.update(new Uint8Array(Uint32Array.of(index).buffer), descriptor(program.fd));
  }
}

/** Records of bpf_perf_event_output; those of CPUs that are not there stay away. */
export class LinuxPerfEvents extends LinuxMap implements PerfEventHandle {
  #events: { readonly cpu: number; readonly event: PerfEvent }[] = [];

  open(pages = 8): void {
    if (this.#events.length > 0) throw new InputError('SLUICE_MAP_OPEN', `map ${this.name} has a reader already`);
    for (let cpu = 0; cpu < this.kernel.maxEntries; cpu++) {
      const event = eventOf(cpu, pages);
      if (event === undefined) continue;
      this.#events.push({ cpu, event });
      this.raw.update(new Uint8Array(Uint32Array.of(cpu).buffer), descriptor(event.fd));
    }
  }

  consume(callback: (record: Uint8Array, cpu: number) => void): number {
    let count = 0;
    for (const { cpu, event } of this.#events) count += event.consume((record) => callback(record, cpu));
    return count;
  }

  lost(): number {
    return this.#events.reduce((sum, { event }) => sum + event.lost(), 0);
  }

  override close(): void {
    for (const { event } of this.#events.splice(0)) event.close();
    super.close();
  }
}

function eventOf(cpu: number, pages: number): PerfEvent | undefined {
  try {
    return new PerfEvent(cpu, pages);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === 'ENODEV') return undefined;
    throw error;
  }
}

export function linuxMap(kernel: KernelMap, spec: MapSpec, btf: Btf | undefined): LinuxMap {
  switch (spec.type) {
    case 'array':
      return new LinuxArray(kernel, spec, btf);
    case 'ringbuf':
      return new LinuxRingbuf(kernel, spec, btf);
    case 'user_ringbuf':
      return new LinuxUserRingbuf(kernel, spec, btf);
    case 'queue':
    case 'stack':
      return new LinuxQueue(kernel, spec, btf);
    case 'bloom_filter':
      return new LinuxBloomFilter(kernel, spec, btf);
    case 'array_of_maps':
    case 'hash_of_maps':
      return new LinuxMapOfMaps(kernel, spec, btf);
    case 'perf_event_array':
      return new LinuxPerfEvents(kernel, spec, btf);
    case 'struct_ops':
      return new LinuxStructOps(kernel, spec, btf);
    case 'prog_array':
      return new LinuxProgArray(kernel, spec, btf);
    default:
      return new LinuxMap(kernel, spec, btf);
  }
}
