/** Typed handles of kernel maps. */
import { codecFor } from '../btf/codec.ts';
import type { Btf } from '../btf/types.ts';
import type { MapSpec } from '../object/spec.ts';
import type { RingbufHandle, Value } from '../runtime/handles.ts';
import { RecordStream } from '../runtime/maps/record-stream.ts';
import { TypedMap } from '../runtime/typed-map.ts';
import type { KernelMap } from './maps.ts';
import { KernelRingbuf } from './ringbuf.ts';

/** A typed map whose bytes are the kernel's. */
export class LinuxMap extends TypedMap {
  readonly kernel: KernelMap;

  constructor(kernel: KernelMap, spec: MapSpec, btf: Btf | undefined) {
    super(kernel, spec, 'linux', btf);
    this.kernel = kernel;
  }
}

/** A ring buffer with its consumer. Its pages are mapped at the first read; a ring has one consumer position, shared by all who read it. */
export class LinuxRingbuf extends LinuxMap implements RingbufHandle {
  readonly #decode: (record: Uint8Array) => Value;
  #ring: KernelRingbuf | undefined;
  #stream: RecordStream<Value> | undefined;

  constructor(kernel: KernelMap, spec: MapSpec, btf: Btf | undefined) {
    super(kernel, spec, btf);
    const codec = btf !== undefined && spec.valueTypeId > 0 ? codecFor(btf, spec.valueTypeId) : undefined;
    // Records of another size than the type's are bytes: a program may write several kinds into one ring.
    this.#decode = (record) => (codec?.size === record.length ? codec.decode(record) : record);
  }

  consume(callback: (record: Uint8Array) => void, limit?: number): number {
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

export function linuxMap(kernel: KernelMap, spec: MapSpec, btf: Btf | undefined): LinuxMap {
  return spec.type === 'ringbuf' ? new LinuxRingbuf(kernel, spec, btf) : new LinuxMap(kernel, spec, btf);
}
