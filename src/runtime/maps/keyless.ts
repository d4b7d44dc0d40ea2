/** Maps without keys, of either target: queues and stacks, bloom filters. */
import type { BloomFilterHandle, QueueHandle, Value } from '../handles.ts';
import { TypedMap } from '../typed-map.ts';

const noKey = new Uint8Array(0);

export class QueueMap extends TypedMap implements QueueHandle {
  push(value: Value, mode: 'any' | 'exist' = 'any'): void {
    this.raw.update(noKey, this.valueCodec.encode(value), mode);
  }

  pop(): Value | undefined {
    return this.#decode(this.raw.take(noKey));
  }

  peek(): Value | undefined {
    return this.#decode(this.raw.lookup(noKey));
  }

  #decode(bytes: Uint8Array | undefined): Value | undefined {
    return bytes === undefined ? undefined : this.valueCodec.decode(bytes);
  }
}

export class BloomFilterMap extends TypedMap implements BloomFilterHandle {
  push(value: Value): void {
    this.raw.update(noKey, this.valueCodec.encode(value));
  }

  contains(value: Value): boolean {
    return this.raw.contains(this.valueCodec.encode(value));
  }
}
