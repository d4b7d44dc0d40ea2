/** How much of a name is hashed and compared at most: C identifiers are far shorter. */
const MAX_NAME = 4096;

/** A string table, and where in it a string begins. */
type Locate = (offset: number) => { readonly bytes: Uint8Array; readonly from: number };

/**
 * Types by name, as a hash table over the bytes of the string table: 12 bytes a type, no string is decoded.
 * Keyed by the essential name (without a `___flavor`), so that one table answers for CO-RE as well.
 */
export class NameIndex {
  readonly #heads: Int32Array;
  readonly #next: Int32Array;
  readonly #view: DataView;
  readonly #offsets: Uint32Array;
  readonly #locate: Locate;

  constructor(view: DataView, offsets: Uint32Array, locate: Locate) {
    this.#view = view;
    this.#offsets = offsets;
    this.#locate = locate;
    const size = 1 << Math.max(4, 32 - Math.clz32(offsets.length));
    this.#heads = new Int32Array(size).fill(-1);
    this.#next = new Int32Array(offsets.length);
    // From the last to the first, so that chains are in order of id.
    for (let index = offsets.length - 1; index >= 0; index--) {
      const name = view.getUint32(offsets[index]!, true);
      if (name === 0) continue;
      const { bytes, from } = locate(name);
      const slot = hash(bytes, from, essentialEnd(bytes, from, nameEnd(bytes, from))) & (size - 1);
      this.#next[index] = this.#heads[slot]!;
      this.#heads[slot] = index;
    }
  }

  /** Indexes of the types with that name, or with that essential name. */
  find(name: string, essential: boolean): number[] {
    const wanted = new TextEncoder().encode(name);
    if (wanted.length === 0) return [];
    // The table is keyed by the essential part; a query for a whole name may have a flavor.
    const end = essential ? wanted.length : essentialEnd(wanted, 0, wanted.length);
    const found: number[] = [];
    for (
      let index = this.#heads[hash(wanted, 0, end) & (this.#heads.length - 1)]!;
      index >= 0;
      index = this.#next[index]!
    ) {
      const { bytes, from } = this.#locate(this.#view.getUint32(this.#offsets[index]!, true));
      const whole = nameEnd(bytes, from);
      const to = essential ? essentialEnd(bytes, from, whole) : whole;
      if (to - from === wanted.length && equal(bytes, from, wanted)) found.push(index);
    }
    return found;
  }
}

/** Name without `___flavor`: what CO-RE compares (libbpf's bpf_core_essential_name_len). */
export function essentialName(name: string): string {
  // A flavor has at least one character before and after the three underscores.
  for (let i = name.length - 5; i >= 0; i--) {
    if (name[i] !== '_' && name.startsWith('___', i + 1) && name[i + 4] !== '_') return name.slice(0, i + 1);
  }
  return name;
}

const UNDERSCORE = 0x5f;

function essentialEnd(bytes: Uint8Array, from: number, to: number): number {
  for (let i = to - 5; i >= from; i--) {
    if (
      bytes[i] !== UNDERSCORE &&
      bytes[i + 1] === UNDERSCORE &&
      bytes[i + 2] === UNDERSCORE &&
      bytes[i + 3] === UNDERSCORE &&
      bytes[i + 4] !== UNDERSCORE
    )
      return i + 1;
  }
  return to;
}

function nameEnd(bytes: Uint8Array, from: number): number {
  const limit = Math.min(bytes.length, from + MAX_NAME);
  let to = from;
  while (to < limit && bytes[to] !== 0) to++;
  return to;
}

/** Chosen per process, so that no file can be made whose names all fall into one chain. */
const seed = Math.floor(Math.random() * 0x1_0000_0000) | 0;

/** FNV-1a from a random start. */
function hash(bytes: Uint8Array, from: number, to: number): number {
  let h = seed;
  for (let i = from; i < to; i++) h = Math.imul(h ^ bytes[i]!, 0x01000193);
  return h ^ (h >>> 15);
}

function equal(bytes: Uint8Array, from: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i++) if (bytes[from + i] !== wanted[i]) return false;
  return true;
}
