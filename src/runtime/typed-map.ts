/** The typed view of a map of either target: keys and values as BTF describes them, over a map by bytes. */
import type { MapTypeName } from '../abi/map-types.ts';
import { type Codec, codecFor, rawCodec } from '../btf/codec.ts';
import type { Btf } from '../btf/types.ts';
import { InputError, UnsupportedError } from '../errors.ts';
import type { MapSpec } from '../object/spec.ts';
import type { MapHandle, TargetMap, TargetName, UpdateMode, Value } from './handles.ts';
import { rawEntries } from './maps/entries.ts';
import type { OwnedField } from './maps/owned.ts';

/** Types whose values are arrays with one element a CPU. */
export const perCpuTypes: ReadonlySet<MapTypeName> = new Set([
  'percpu_array',
  'percpu_hash',
  'lru_percpu_hash',
  'percpu_cgroup_storage',
]);

/**
 * Values of per-CPU types are arrays with one element a CPU; `set` takes such an array, or one value for all CPUs. Keys and values
 * without BTF: 4 bytes are a number, 8 a bigint, anything else Uint8Array. Owns `raw`.
 */
export class TypedMap implements MapHandle {
  readonly spec: MapSpec;
  readonly target: TargetName;
  readonly raw: TargetMap;
  protected readonly keyCodec: Codec;
  protected readonly valueCodec: Codec;

  constructor(raw: TargetMap, spec: MapSpec, target: TargetName, btf: Btf | undefined) {
    this.raw = raw;
    this.spec = spec;
    this.target = target;
    this.keyCodec = codecOf(btf, spec.keyTypeId, spec.keySize);
    const value = codecOf(btf, spec.valueTypeId, spec.valueSize);
    this.valueCodec = perCpuTypes.has(spec.type) ? perCpuCodec(value, spec.name) : value;
  }

  get name(): string {
    return this.spec.name;
  }

  get type(): MapTypeName {
    return this.spec.type;
  }

  get(key: Value): Value | undefined {
    const bytes = this.raw.lookup(this.keyCodec.encode(key));
    return bytes === undefined ? undefined : this.valueCodec.decode(bytes);
  }

  set(key: Value, value: Value, mode?: UpdateMode): void {
    const bytes = this.keyCodec.encode(key);
    this.raw.update(bytes, this.#encode(value), mode);
  }

  delete(key: Value): boolean {
    return this.raw.delete(this.keyCodec.encode(key));
  }

  *keys(): IterableIterator<Value> {
    for (let key = this.raw.nextKey(); key !== undefined; key = this.raw.nextKey(key)) yield this.keyCodec.decode(key);
  }

  *[Symbol.iterator](): IterableIterator<[Value, Value]> {
    for (let key = this.raw.nextKey(); key !== undefined; key = this.raw.nextKey(key)) {
      const value = this.raw.lookup(key);
      // Deleted since the key was read.
      if (value !== undefined) yield [this.keyCodec.decode(key), this.valueCodec.decode(value)];
    }
  }

  *entries(size?: number): IterableIterator<[Value, Value]> {
    for (const [key, value] of rawEntries(this.raw, size))
      yield [this.keyCodec.decode(key), this.valueCodec.decode(value)];
  }

  setMany(entries: Iterable<readonly [Value, Value]>, mode?: UpdateMode): void {
    const pairs = [...entries].map(([key, value]) => [this.keyCodec.encode(key), this.#encode(value)] as const);
    if (pairs.length === 0) return;
    this.raw.updateBatch(join(pairs.map(([key]) => key)), join(pairs.map(([, value]) => value)), mode);
  }

  deleteMany(keys: Iterable<Value>): void {
    const encoded = [...keys].map((key) => this.keyCodec.encode(key));
    if (encoded.length > 0) this.raw.deleteBatch(join(encoded));
  }

  remove(key: Value): Value | undefined {
    const bytes = this.raw.take(this.keyCodec.encode(key));
    return bytes === undefined ? undefined : this.valueCodec.decode(bytes);
  }

  owned(key: Value): readonly OwnedField[] | undefined {
    if (this.raw.owned === undefined)
      throw new UnsupportedError('what values own', `map ${this.name}: a kernel does not tell what its values own`);
    return this.raw.owned(this.keyCodec.encode(key));
  }

  freeze(): void {
    this.raw.freeze();
  }

  pin(path: string): void {
    this.raw.pin(path);
  }

  unpin(path: string): void {
    this.raw.unpin(path);
  }

  close(): void {
    this.raw.close();
  }

  #encode(value: Value): Uint8Array {
    if (!perCpuTypes.has(this.type) || Array.isArray(value)) return this.valueCodec.encode(value);
    const one = (this.spec.valueSize + 7) & ~7;
    return this.valueCodec.encode(Array.from({ length: this.raw.elementSize / one }, () => value));
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const size = parts[0]!.length;
  const bytes = new Uint8Array(parts.length * size);
  for (const [i, part] of parts.entries()) {
    // Lists of values of another length would shift all that follow.
    if (part.length !== size)
      throw new InputError('SLUICE_VALUE', `element ${i} has ${part.length} bytes, not ${size}`);
    bytes.set(part, i * size);
  }
  return bytes;
}

function codecOf(btf: Btf | undefined, typeId: number, size: number): Codec {
  if (btf === undefined || typeId === 0) return rawCodec(size);
  const codec = codecFor(btf, typeId);
  // A definition by key_size or value_size alone may disagree with the type; the size is what counts.
  return codec.size === size ? codec : rawCodec(size);
}

function perCpuCodec(value: Codec, map: string): Codec {
  const stride = (value.size + 7) & ~7;
  return {
    size: 0,
    decode(bytes) {
      const values: Value[] = [];
      for (let at = 0; at < bytes.length; at += stride) values.push(value.decode(bytes.subarray(at, at + value.size)));
      return values;
    },
    encode(values) {
      if (!Array.isArray(values)) {
        throw new InputError('SLUICE_VALUE', `map ${map}: a value is an array with one element a CPU`);
      }
      const bytes = new Uint8Array(values.length * stride);
      for (const [cpu, each] of (values as readonly Value[]).entries()) bytes.set(value.encode(each), cpu * stride); // an array, as checked
      return bytes;
    },
  };
}
