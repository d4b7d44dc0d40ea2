/** Reference models of map types: the simplest code with Linux's answers. */
import { InputError } from '../src/errors.ts';
import type { RawMap, UpdateMode } from '../src/runtime/handles.ts';
import { hex } from './map-operations.ts';

function fail(errno: string): never {
  throw new InputError(`SLUICE_MAP_${errno}`, errno);
}

export class HashModel implements RawMap {
  readonly #entries = new Map<string, Uint8Array>();
  readonly #maxEntries: number;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  lookup(key: Uint8Array): Uint8Array | undefined {
    return this.#entries.get(hex(key));
  }

  update(key: Uint8Array, value: Uint8Array, mode: UpdateMode = 'any'): void {
    const exists = this.#entries.has(hex(key));
    if (exists && mode === 'noexist') fail('EEXIST');
    if (!exists && mode === 'exist') fail('ENOENT');
    if (!exists && this.#entries.size === this.#maxEntries) fail('E2BIG');
    this.#entries.set(hex(key), value);
  }

  delete(key: Uint8Array): boolean {
    return this.#entries.delete(hex(key));
  }

  nextKey(key?: Uint8Array): Uint8Array | undefined {
    const keys = [...this.#entries.keys()];
    const next = keys[key === undefined ? 0 : keys.indexOf(hex(key)) + 1];
    return next === undefined ? undefined : Buffer.from(next, 'hex');
  }
}

/** Arrays; `valueSize` counts all CPUs of a per-CPU array. */
export class ArrayModel implements RawMap {
  readonly #values: Uint8Array[];

  constructor(maxEntries: number, valueSize: number) {
    this.#values = Array.from({ length: maxEntries }, () => new Uint8Array(valueSize));
  }

  lookup(key: Uint8Array): Uint8Array | undefined {
    return this.#values[index(key)];
  }

  update(key: Uint8Array, value: Uint8Array, mode: UpdateMode = 'any'): void {
    if (index(key) >= this.#values.length) fail('E2BIG');
    if (mode === 'noexist') fail('EEXIST');
    this.#values[index(key)] = value;
  }

  delete(): boolean {
    return fail('EINVAL');
  }

  nextKey(key?: Uint8Array): Uint8Array | undefined {
    const next = key === undefined || index(key) >= this.#values.length ? 0 : index(key) + 1;
    return next === this.#values.length ? undefined : new Uint8Array(Uint32Array.of(next).buffer);
  }
}

function index(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset).getUint32(0, true);
}
