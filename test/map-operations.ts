/**
 * Random operations on maps, and what came of them as text: the same sequence goes to a map here, to a reference model and to a map
 * of the kernel, and the transcripts must agree.
 */
import fc from 'fast-check';
import type { RawMap, TargetMap, UpdateMode } from '../src/runtime/handles.ts';

export type MapOperation =
  | { readonly op: 'lookup' | 'delete' | 'next' | 'take'; readonly key: Uint8Array }
  | { readonly op: 'update'; readonly key: Uint8Array; readonly value: Uint8Array; readonly mode: UpdateMode }
  | { readonly op: 'keys' };

export interface OperationShape {
  /** Few distinct keys make many collisions of intent. */
  readonly keys: fc.Arbitrary<Uint8Array>;
  /** Bytes of a value as user space writes it. */
  readonly valueSize: number;
  /** True where the order of keys is part of the type's behaviour. */
  readonly ordered: boolean;
  /** Lookup-and-delete, which models do not have. */
  readonly take?: boolean;
  /** Values in place of random bytes. */
  readonly values?: fc.Arbitrary<Uint8Array>;
  readonly maxLength?: number;
}

export function operations(shape: OperationShape): fc.Arbitrary<MapOperation[]> {
  const value = shape.values ?? fc.uint8Array({ minLength: shape.valueSize, maxLength: shape.valueSize });
  const mode = fc.constantFrom<UpdateMode>('any', 'any', 'any', 'noexist', 'exist');
  const update = fc.record({ op: fc.constant('update' as const), key: shape.keys, value, mode });
  const lookup = fc.record({ op: fc.constant('lookup' as const), key: shape.keys });
  const remove = fc.record({ op: fc.constant('delete' as const), key: shape.keys });
  const next = fc.record({ op: fc.constant('next' as const), key: shape.keys });
  const keys = fc.constant<MapOperation>({ op: 'keys' });
  const weighted = [
    { arbitrary: update, weight: 8 },
    { arbitrary: lookup, weight: 4 },
    { arbitrary: remove, weight: 3 },
    { arbitrary: keys, weight: 1 },
  ];
  const take = fc.record({ op: fc.constant('take' as const), key: shape.keys });
  const taken = shape.take ? [{ arbitrary: take, weight: 3 }] : [];
  const ordered = shape.ordered ? [{ arbitrary: next, weight: 2 }] : [];
  return fc.array(fc.oneof(...weighted, ...taken, ...ordered), { maxLength: shape.maxLength ?? 120, size: 'max' });
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** The errno at the end of an error's code: `SLUICE_MAP_E2BIG`, `SLUICE_LINUX_E2BIG`. */
function errnoOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    const errno = /_(E[A-Z0-9]+)$/.exec(error.code)?.[1];
    if (errno !== undefined) return errno;
  }
  throw error;
}

/** What the operation returns, or the errno of what it throws. */
export function attempt(operation: () => string): string {
  try {
    return operation();
  } catch (error) {
    return errnoOf(error);
  }
}

/** All keys by nextKey. Stops with an error where a map never ends. */
export function keysOf(map: RawMap, limit = 100_000): Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (let key = map.nextKey(); key !== undefined; key = map.nextKey(key)) {
    keys.push(key);
    if (keys.length > limit) throw new Error(`more than ${limit} keys`);
  }
  return keys;
}

/** A map, or a model; models of queues can take. */
type Replayed = RawMap | TargetMap | (RawMap & Pick<TargetMap, 'take'>);

/** Runs the operations and says what each one did. */
export function replay(map: Replayed, sequence: readonly MapOperation[], ordered: boolean): string[] {
  return sequence.map((step) => perform(map, step, ordered));
}

function perform(map: Replayed, step: MapOperation, ordered: boolean): string {
  if (step.op === 'keys') {
    return `keys ${attempt(() => {
      const keys = keysOf(map).map(hex);
      return (ordered ? keys : keys.sort()).join(' ');
    })}`;
  }
  const result = attempt(() => {
    switch (step.op) {
      case 'lookup':
        return value(map.lookup(step.key));
      case 'delete':
        return String(map.delete(step.key));
      case 'next':
        return value(map.nextKey(step.key));
      case 'take':
        if (!('take' in map)) throw new Error('this model cannot take');
        return value(map.take(step.key));
      case 'update':
        map.update(step.key, step.value, step.mode);
        return step.mode;
    }
  });
  return `${step.op} ${hex(step.key)} ${result}`;
}

function value(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? 'none' : hex(bytes);
}

/** A key arbitrary over `count` keys of `size` bytes that share most of their bytes. */
export function fewKeys(size: number, count: number): fc.Arbitrary<Uint8Array> {
  return fc.nat(count - 1).map((n) => {
    const key = new Uint8Array(size);
    key[0] = n;
    key[size - 1] = (key[size - 1] ?? 0) ^ n;
    return key;
  });
}

/** A u32 as bytes, little-endian. */
export function u32(n: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(n).buffer);
}

/** u32 keys below `count`. */
export function indices(count: number): fc.Arbitrary<Uint8Array> {
  return fc.nat(count - 1).map(u32);
}

/** Keys of an LPM trie over `dataSize` bytes: prefixes that cover each other often, now and then one that is too long. */
export function prefixes(dataSize: number): fc.Arbitrary<Uint8Array> {
  const length = fc.oneof(
    { weight: 20, arbitrary: fc.nat(dataSize * 8) },
    { weight: 1, arbitrary: fc.integer({ min: dataSize * 8 + 1, max: 2 ** 32 - 1 }) },
  );
  const byte = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(0, 0x80, 0xc0, 0xff) },
    { weight: 1, arbitrary: fc.nat(255) },
  );
  const data = fc.array(byte, { minLength: dataSize, maxLength: dataSize });
  return fc.tuple(length, data).map(([bits, bytes]) => {
    const key = new Uint8Array(4 + dataSize);
    new DataView(key.buffer).setUint32(0, bits, true);
    key.set(bytes, 4);
    return key;
  });
}
