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

/** LPM trie with keys of u32 prefix length and `dataSize` bytes. */
export class LpmModel implements RawMap {
  #entries: { readonly length: number; readonly bits: string; readonly key: Uint8Array; readonly value: Uint8Array }[] =
    [];
  readonly #maxEntries: number;
  readonly #dataSize: number;

  constructor(maxEntries: number, dataSize: number) {
    this.#maxEntries = maxEntries;
    this.#dataSize = dataSize;
  }

  lookup(key: Uint8Array): Uint8Array | undefined {
    const { length, bits } = prefix(key);
    if (length > this.#dataSize * 8) return undefined;
    const covering = this.#entries.filter((entry) => bits.startsWith(entry.bits));
    return covering.sort((a, b) => b.length - a.length)[0]?.value;
  }

  update(key: Uint8Array, value: Uint8Array, mode: UpdateMode = 'any'): void {
    const { length, bits } = prefix(key);
    if (length > this.#dataSize * 8) fail('EINVAL');
    const at = this.#entries.findIndex((entry) => entry.bits === bits);
    if (at >= 0 && mode === 'noexist') fail('EEXIST');
    if (at < 0 && mode === 'exist') fail('ENOENT');
    if (at < 0 && this.#entries.length === this.#maxEntries) fail('ENOSPC');
    if (at >= 0) this.#entries.splice(at, 1);
    this.#entries.push({ length, bits, key, value });
    // Postorder: what is covered before what covers it, else by the first bit that differs.
    this.#entries.sort((a, b) => {
      if (a.bits.startsWith(b.bits)) return -1;
      if (b.bits.startsWith(a.bits)) return 1;
      return a.bits < b.bits ? -1 : 1;
    });
  }

  delete(key: Uint8Array): boolean {
    const { length, bits } = prefix(key);
    if (length > this.#dataSize * 8) fail('EINVAL');
    const rest = this.#entries.filter((entry) => entry.bits !== bits);
    const found = rest.length < this.#entries.length;
    this.#entries = rest;
    return found;
  }

  nextKey(key?: Uint8Array): Uint8Array | undefined {
    const at = key === undefined ? -1 : this.#entries.findIndex(({ bits }) => bits === prefix(key).bits);
    return this.#entries[at + 1]?.key;
  }
}

function prefix(key: Uint8Array): { readonly length: number; readonly bits: string } {
  const length = index(key);
  const all = [...key.subarray(4)].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  // A prefix that is too long is no prefix of anything.
  return { length, bits: length > all.length ? 'none' : all.slice(0, length) };
}

/** Queues and stacks: `newest` is what a stack gives. Keys are empty; `take` pops. */
export class QueueModel implements RawMap {
  readonly #values: Uint8Array[] = [];
  readonly #maxEntries: number;
  readonly #newest: boolean;

  constructor(maxEntries: number, newest: boolean) {
    this.#maxEntries = maxEntries;
    this.#newest = newest;
  }

  lookup(): Uint8Array | undefined {
    return this.#values.at(this.#newest ? -1 : 0);
  }

  update(_key: Uint8Array, value: Uint8Array, mode: UpdateMode = 'any'): void {
    if (mode === 'noexist') fail('EINVAL');
    if (this.#values.length === this.#maxEntries) {
      if (mode !== 'exist') fail('E2BIG');
      this.#values.shift();
    }
    this.#values.push(value);
  }

  take(): Uint8Array | undefined {
    return this.#newest ? this.#values.pop() : this.#values.shift();
  }

  delete(): boolean {
    return fail('EINVAL');
  }

  nextKey(): Uint8Array | undefined {
    return fail('EINVAL');
  }
}
