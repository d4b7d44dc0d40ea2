/** The four rings of an AF_XDP socket, mapped over pages of the program memory. */
import { WASM_PAGE } from '../plane/layout/memory.ts';
import * as layout from '../plane/layout/xsk.ts';
import type { Runtime } from '../runtime/runtime.ts';
import * as xdp from './af-xdp-layout.ts';
import { addressOf, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED, mmap, PROT_READ, PROT_WRITE } from './ffi.ts';
import { setSocketOption, socketOption } from './sockets.ts';

const rings = [
  { name: 'rx', at: layout.XSK_RX, page: xdp.XDP_PGOFF_RX_RING, option: xdp.XDP_RX_RING, entry: 16 },
  { name: 'tx', at: layout.XSK_TX, page: xdp.XDP_PGOFF_TX_RING, option: xdp.XDP_TX_RING, entry: 16 },
  { name: 'fill', at: layout.XSK_FILL, page: xdp.XDP_UMEM_PGOFF_FILL_RING, option: xdp.XDP_UMEM_FILL_RING, entry: 8 },
  {
    name: 'completion',
    at: layout.XSK_COMPLETION,
    page: xdp.XDP_UMEM_PGOFF_COMPLETION_RING,
    option: xdp.XDP_UMEM_COMPLETION_RING,
    entry: 8,
  },
] as const;

export class XskRings {
  readonly #runtime: Runtime;
  readonly #mapped: { readonly address: number; readonly size: number }[] = [];

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Makes the rings of a socket, and writes where they are into the structure of plane/layout/xsk.ts at `address`. */
  create(fd: number, address: number, frames: number, receives: boolean): void {
    const entries = { rx: frames / 2, tx: frames / 2, fill: frames, completion: frames };
    // A way out receives nothing, but the kernel wants a fill ring where the interface is another one.
    const wanted = rings.filter(({ name }) => name !== 'rx' || receives);
    for (const { name, option } of wanted) setSocketOption(fd, xdp.SOL_XDP, option, entries[name]);
    const offsets = socketOption(fd, xdp.SOL_XDP, xdp.XDP_MMAP_OFFSETS, 4 * xdp.RING_OFFSETS_SIZE);
    const view = new DataView(offsets.buffer, offsets.byteOffset, offsets.length);
    for (const { name, at, page, entry } of wanted) {
      const field = (index: number) => Number(view.getBigUint64(xdp.MMAP_OFFSETS[name] + index * 8, true));
      const size = field(2) + entries[name] * entry;
      const ring = this.#map(fd, size, page);
      const words = [ring + field(0), ring + field(1), ring + field(3), ring + field(2), entries[name] - 1];
      for (const [i, word] of words.entries()) this.#runtime.view().setUint32(address + at + i * 4, word, true);
    }
  }

  /** Puts plain memory in the place of the rings and gives the pages back. */
  unmap(): void {
    for (const { address, size } of this.#mapped.splice(0)) {
      const pages = Math.ceil(size / WASM_PAGE) * WASM_PAGE;
      const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
      mmap(pages, PROT_READ | PROT_WRITE, flags, -1, 0, machineAddress(this.#runtime, address));
      this.#runtime.freePages(address, size);
    }
  }

  /** Maps a ring over fresh pages; returns where. */
  #map(fd: number, size: number, page: number): number {
    const address = this.#runtime.allocatePages(size);
    this.#mapped.push({ address, size });
    mmap(size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, page, machineAddress(this.#runtime, address));
    return address;
  }
}

/** In this process, of an offset in the program memory. */
export function machineAddress(runtime: Runtime, offset: number): number {
  return addressOf(runtime.bytes()) + offset;
}
