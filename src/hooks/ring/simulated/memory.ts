/** The linear memory as the simulated kernel sees it: every address that a request names is checked, as copy_from_user does. */

export class LinearMemory {
  bytes: Uint8Array;
  view: DataView;
  /** Little-endian words, as all WebAssembly hosts are. */
  words: Uint32Array;
  readonly #memory: WebAssembly.Memory;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
    this.bytes = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
    this.words = new Uint32Array(memory.buffer);
  }

  /** Views of the whole memory, which may have grown. */
  refresh(): void {
    const { buffer } = this.#memory;
    if (this.bytes.buffer === buffer) return;
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.words = new Uint32Array(buffer);
  }

  /** `length` bytes at the 64-bit address are memory. An upper half other than 0 is an address of the process, which there is none of here. */
  has(high: number, low: number, length: number): boolean {
    return high === 0 && low > 0 && low + length <= this.bytes.length;
  }

  /** The string that ends with 0 within `limit` bytes; undefined: it is not there. */
  text(high: number, low: number, limit: number): string | undefined {
    if (!this.has(high, low, 1)) return undefined;
    const end = this.bytes.indexOf(0, low);
    if (end < 0 || end - low > limit) return undefined;
    return decoder.decode(this.bytes.slice(low, end));
  }
}

const decoder = new TextDecoder();
