/** The producer of a user ring buffer in the linear memory. */
import { codecFor } from '../../btf/codec.ts';
import type { Btf } from '../../btf/types.ts';
import { InputError } from '../../errors.ts';
import type { MapSpec } from '../../object/spec.ts';
import { MAP_VALUES } from '../../plane/layout/map.ts';
import { RINGBUF_CONSUMER, RINGBUF_PRODUCER } from '../../plane/layout/map-ringbuf.ts';
import type { UserRingbufHandle, Value } from '../handles.ts';
import { TypedMap } from '../typed-map.ts';
import type { PlaneMap } from './plane-map.ts';
import { type ProducerRing, RecordProducer } from './record-producer.ts';

/** Values are encoded by the BTF type that the map's definition gives as its value, if it gives one; else they must be bytes. */
export function recordEncoder(spec: MapSpec, btf: Btf | undefined): (event: Value) => Uint8Array {
  const codec = btf === undefined || spec.valueTypeId === 0 ? undefined : codecFor(btf, spec.valueTypeId);
  return (event) => {
    if (codec !== undefined) return codec.encode(event);
    throw new InputError('SLUICE_VALUE', `map ${spec.name}: records are Uint8Array, as the map has no value type`);
  };
}

export function planeProducerRing(map: PlaneMap): ProducerRing {
  const { plane, address, maxEntries } = map;
  const values = plane.view().getUint32(address + MAP_VALUES, true);
  const position = (offset: number) => new BigInt64Array(plane.memory.buffer, address + offset, 1);
  return {
    size: maxEntries,
    data: () => plane.bytes().subarray(values, values + 2 * maxEntries),
    consumed: () => Number(Atomics.load(position(RINGBUF_CONSUMER), 0)),
    produced: () => Number(Atomics.load(position(RINGBUF_PRODUCER), 0)),
    publish(to) {
      Atomics.store(position(RINGBUF_PRODUCER), 0, BigInt(to));
    },
    check() {
      if (!map.isOpen) throw new InputError('SLUICE_MAP_CLOSED', `map ${map.name} is closed`);
    },
  };
}

export class UserRingbufMap extends TypedMap implements UserRingbufHandle {
  readonly #producer: RecordProducer<Value>;

  /** Owns `map`. */
  constructor(map: PlaneMap, spec: MapSpec, btf: Btf | undefined) {
    super(map, spec, 'user', btf);
    this.#producer = new RecordProducer(planeProducerRing(map), recordEncoder(spec, btf));
  }

  get available(): number {
    return this.#producer.available;
  }

  push(event: Value): boolean {
    return this.#producer.push(event);
  }

  reserve(length: number) {
    return this.#producer.reserve(length);
  }
}
