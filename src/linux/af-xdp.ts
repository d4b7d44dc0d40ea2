/**
 * An AF_XDP socket inside the program memory: the UMEM is registered over its pages, and the four rings are mapped over others, so that the
 * plane's loop (plane/assembly/hooks/xsk.ts) reads and writes them without a call. Here: creation, the system calls, the end.
 */
import { InputError, UnsupportedError } from '../errors.ts';
import {
  FRAME_DATA,
  FRAME_DATA_END,
  FRAME_DESCRIPTOR_SIZE,
  FRAME_VERDICT,
  XDP_FRAME_SIZE,
} from '../plane/layout/frame.ts';
import { WASM_PAGE } from '../plane/layout/memory.ts';
import * as layout from '../plane/layout/xsk.ts';
import { ProgramFault } from '../runtime/fault.ts';
import type { Executable } from '../runtime/hook.ts';
import type { Runtime } from '../runtime/runtime.ts';
import * as xdp from './af-xdp-layout.ts';
import {
  addressOf,
  close,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  mmap,
  PROT_READ,
  PROT_WRITE,
  syscall,
} from './ffi.ts';
import { bindSocket, MSG_DONTWAIT, openSocket, SOCK_RAW, setSocketOption, socketOption } from './sockets.ts';
import { errnoName, SyscallError } from './syscall-error.ts';

/** The plane's functions on a socket, by the address of its structure (plane/assembly/hooks/xsk.ts). */
interface XskPlane {
  xsk_fetch(xsk: number): number;
  xsk_dispose(xsk: number): void;
  xsk_run(xsk: number, entry: number, limit: number): number;
  xsk_unsent(xsk: number): number;
  xdp_run_batch(entry: number, frames: number, count: number): void;
}

export interface AfXdpOptions {
  readonly queue?: number;
  /** Frames of 4 KiB, a power of two from 128 to 8192 (default 4096). RX and TX ring hold half of them each. */
  readonly frames?: number;
  /** `auto` (default): zero-copy where the driver can, else copy. */
  readonly copy?: 'auto' | 'copy' | 'zerocopy';
  /** Uses the UMEM of this socket, as a way out for its passed frames: nothing is received. Closed with that socket. */
  readonly passFrom?: AfXdpSocket;
}

/** Packets by verdict, and what became of them. All count from the opening of the socket. */
export interface AfXdpCounters {
  readonly packets: number;
  readonly bytes: number;
  /** Indexed by enum xdp_action; the sixth element counts values that are none. */
  readonly verdicts: readonly number[];
  /** Given to the kernel to send: XDP_TX, and redirects to the interface that the packet came from. */
  readonly sent: number;
  /** XDP_PASS frames sent by the `passFrom` socket. */
  readonly passedOn: number;
  /** Dropped, because a TX ring was full. */
  readonly txFull: number;
  /** XDP_REDIRECT to where no socket leads; dropped. */
  readonly unreachable: number;
}

/** A frame of the current batch, after the program. Its bytes are good until the callback returns. */
export interface LiveFrame {
  readonly verdict: number;
  readonly data: Uint8Array;
}

// Places in the control pages: the structure, the batch's descriptors, the stack of free frames.
const BATCH_AT = 0x1000;
const STACK_AT = BATCH_AT + layout.XSK_BATCH * FRAME_DESCRIPTOR_SIZE;
const MOST_FRAMES = 8192;

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

export class AfXdpSocket {
  readonly fd: number;
  readonly ifindex: number;
  readonly queue: number;
  /** True: the driver reads and writes the frames itself. */
  readonly zeroCopy: boolean;
  /** Address of the structure of plane/layout/xsk.ts. */
  readonly address: number;
  readonly #runtime: Runtime;
  readonly #plane: XskPlane;
  readonly #umem: number;
  readonly #umemBytes: number;
  readonly #controlBytes: number;
  readonly #ownsUmem: boolean;
  readonly #mapped: { readonly address: number; readonly size: number }[] = [];
  #passTo: AfXdpSocket | undefined;
  #open = true;

  /**
   * Opens and binds. Throws UnsupportedError where the kernel or the driver has no AF_XDP (or no zero-copy, if that was asked for) or refuses
   * it; InputError `SLUICE_LINUX_EBUSY` for a queue that has a socket, `SLUICE_LINUX_EINVAL` for one that is not there.
   */
  constructor(runtime: Runtime, ifindex: number, options: AfXdpOptions = {}) {
    const { passFrom } = options;
    const frames = options.frames ?? 4096;
    if (!Number.isInteger(Math.log2(frames)) || frames < 128 || frames > MOST_FRAMES)
      throw new InputError(
        'SLUICE_AFXDP_FRAMES',
        `${frames} frames: must be a power of two from 128 to ${MOST_FRAMES}`,
      );
    this.ifindex = ifindex;
    this.queue = options.queue ?? 0;
    this.#runtime = runtime;
    this.#plane = runtime.plane.exports as unknown as XskPlane; // fixed by the plane's sources
    this.#ownsUmem = passFrom === undefined;
    this.#controlBytes = this.#ownsUmem ? STACK_AT + frames * 4 : WASM_PAGE;
    this.#umemBytes = frames * XDP_FRAME_SIZE;
    this.fd = open();
    let umem = 0;
    let control = 0;
    try {
      control = runtime.allocatePages(this.#controlBytes);
      umem = passFrom === undefined ? runtime.allocatePages(this.#umemBytes) : passFrom.#umem;
      this.address = control;
      this.#umem = umem;
      if (this.#ownsUmem) registerUmem(this.fd, this.#machineAddress(umem), this.#umemBytes);
      this.#createRings(frames);
      this.#fillStructure(frames);
      this.#bind(options);
      this.zeroCopy = this.#isZeroCopy();
      if (passFrom !== undefined) passFrom.#passThrough(this);
    } catch (error) {
      close(this.fd);
      this.#unmap();
      if (control !== 0) runtime.freePages(control, this.#controlBytes);
      if (umem !== 0 && this.#ownsUmem) runtime.freePages(umem, this.#umemBytes);
      throw error;
    }
  }

  /**
   * Runs the program over what has arrived, at most about `limit` packets, and sends what is to be sent. Returns the number of
   * packets. `each` sees every frame after the program and before it is given back. A ProgramFault leaves the frames of its batch dropped (counted
   * as aborted) and is thrown on.
   */
  run(program: Executable, limit = 4096, each?: (frame: LiveFrame) => void): number {
    let done = 0;
    try {
      if (program.entry !== 0 && each === undefined) {
        done = program.enter(() => this.#plane.xsk_run(this.address, program.entry, limit));
      } else {
        while (done < limit) {
          const count = this.#plane.xsk_fetch(this.address);
          if (count === 0) break;
          done += count;
          this.#runBatch(program, count);
          if (each !== undefined) for (let i = 0; i < count; i++) each(this.#frame(i));
          this.#plane.xsk_dispose(this.address);
          this.send();
        }
      }
    } catch (error) {
      this.#plane.xsk_dispose(this.address);
      if (error instanceof ProgramFault) this.send();
      throw error;
    }
    this.send();
    return done;
  }

  /** Gives frames to the kernel, so that the first packets find room. */
  prepare(): void {
    this.#plane.xsk_dispose(this.address);
  }

  /** Makes the kernel send what lies in the TX rings; returns when it has all, or can take no more now. */
  send(): void {
    this.#kick();
    if (this.#passTo !== undefined) this.#passTo.#kick();
  }

  counters(): AfXdpCounters {
    const view = this.#runtime.view();
    const read = (at: number) => Number(view.getBigUint64(this.address + at, true));
    return {
      packets: read(layout.XSK_PACKETS),
      bytes: read(layout.XSK_BYTES),
      verdicts: Array.from({ length: layout.XSK_VERDICT_COUNT }, (_, i) => read(layout.XSK_VERDICTS + i * 8)),
      sent: read(layout.XSK_SENT),
      passedOn: read(layout.XSK_PASSED_ON),
      txFull: read(layout.XSK_TX_FULL),
      unreachable: read(layout.XSK_UNREACHABLE),
    };
  }

  statistics(): xdp.XdpStatistics {
    return xdp.readStatistics(socketOption(this.fd, xdp.SOL_XDP, xdp.XDP_STATISTICS, xdp.XDP_STATISTICS_SIZE));
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#passTo?.close();
    close(this.fd);
    this.#unmap();
    this.#runtime.freePages(this.address, this.#controlBytes);
    if (this.#ownsUmem) this.#runtime.freePages(this.#umem, this.#umemBytes);
  }

  #runBatch(program: Executable, count: number): void {
    const frames = this.address + BATCH_AT;
    if (program.entry !== 0) {
      program.enter(() => this.#plane.xdp_run_batch(program.entry, frames, count));
      return;
    }
    for (let i = 0; i < count; i++) {
      const frame = frames + i * FRAME_DESCRIPTOR_SIZE;
      const verdict = Number(program.run(frame) & 0xffff_ffffn);
      this.#runtime.view().setUint32(frame + FRAME_VERDICT, verdict, true);
    }
  }

  #frame(index: number): LiveFrame {
    const view = this.#runtime.view();
    const frame = this.address + BATCH_AT + index * FRAME_DESCRIPTOR_SIZE;
    const from = view.getUint32(frame + FRAME_DATA, true);
    const end = view.getUint32(frame + FRAME_DATA_END, true);
    return { verdict: view.getUint32(frame + FRAME_VERDICT, true), data: this.#runtime.bytes().subarray(from, end) };
  }

  #machineAddress(offset: number): number {
    return addressOf(this.#runtime.bytes()) + offset;
  }

  #passThrough(socket: AfXdpSocket): void {
    this.#passTo?.close();
    this.#passTo = socket;
    this.#runtime.view().setUint32(this.address + layout.XSK_PASS_TO, socket.address, true);
  }

  #createRings(frames: number): void {
    const { fd } = this;
    const entries = { rx: frames / 2, tx: frames / 2, fill: frames, completion: frames };
    for (const { name, option } of rings) {
      // A way out receives nothing, but the kernel wants a fill ring where the interface is another one.
      if (name === 'rx' && !this.#ownsUmem) continue;
      setSocketOption(fd, xdp.SOL_XDP, option, entries[name]);
    }
    const offsets = socketOption(fd, xdp.SOL_XDP, xdp.XDP_MMAP_OFFSETS, 4 * xdp.RING_OFFSETS_SIZE);
    const view = new DataView(offsets.buffer, offsets.byteOffset, offsets.length);
    for (const { name, at, page, entry } of rings) {
      if (name === 'rx' && !this.#ownsUmem) continue;
      const field = (index: number) => Number(view.getBigUint64(xdp.MMAP_OFFSETS[name] + index * 8, true));
      const size = field(2) + entries[name] * entry;
      const ring = this.#mapRing(size, page);
      const words = [ring + field(0), ring + field(1), ring + field(3), ring + field(2), entries[name] - 1];
      for (const [i, word] of words.entries()) this.#runtime.view().setUint32(this.address + at + i * 4, word, true);
    }
  }

  /** Maps a ring over fresh pages of the program memory; returns where. */
  #mapRing(size: number, page: number): number {
    const address = this.#runtime.allocatePages(size);
    this.#mapped.push({ address, size });
    mmap(size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, this.fd, page, this.#machineAddress(address));
    return address;
  }

  /** Puts plain memory in the place of the rings and gives the pages back. */
  #unmap(): void {
    for (const { address, size } of this.#mapped.splice(0)) {
      const pages = Math.ceil(size / WASM_PAGE) * WASM_PAGE;
      const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
      mmap(pages, PROT_READ | PROT_WRITE, flags, -1, 0, this.#machineAddress(address));
      this.#runtime.freePages(address, size);
    }
  }

  #fillStructure(frames: number): void {
    const view = this.#runtime.view();
    const set = (at: number, value: number) => view.setUint32(this.address + at, value, true);
    set(layout.XSK_UMEM, this.#umem);
    set(layout.XSK_IFINDEX, this.ifindex);
    set(layout.XSK_QUEUE, this.queue);
    set(layout.XSK_FRAMES, this.address + BATCH_AT);
    if (!this.#ownsUmem) return;
    set(layout.XSK_FREE, this.address + STACK_AT);
    set(layout.XSK_FREE_COUNT, frames);
    for (let i = 0; i < frames; i++) set(STACK_AT + i * 4, i * XDP_FRAME_SIZE);
  }

  #bind(options: AfXdpOptions): void {
    const copy = options.copy ?? 'auto';
    const mode = copy === 'copy' ? xdp.XDP_COPY : copy === 'zerocopy' ? xdp.XDP_ZEROCOPY : 0;
    const { passFrom } = options;
    // A shared UMEM takes its mode from the first socket.
    const flags = passFrom === undefined ? mode | xdp.XDP_USE_NEED_WAKEUP : xdp.XDP_SHARED_UMEM;
    try {
      bindWhenFree(this.fd, xdp.socketAddress(flags, this.ifindex, this.queue, passFrom?.fd ?? 0));
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      const why = `AF_XDP on queue ${this.queue} of interface ${this.ifindex}: ${error.errno}`;
      if (error.errno === 'EOPNOTSUPP' || error.errno === 'EPROTONOSUPPORT')
        throw new UnsupportedError(copy === 'zerocopy' ? 'AF_XDP zero-copy' : 'AF_XDP', why, undefined, {
          cause: error,
        });
      throw new InputError(`SLUICE_LINUX_${error.errno}`, why, {}, { cause: error });
    }
    try {
      setSocketOption(this.fd, xdp.SOL_XDP, xdp.XDP_MAX_TX_SKB_BUDGET, 1024);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error; // before 6.17, or smaller rings: 32 at a time
    }
  }

  #isZeroCopy(): boolean {
    const options = socketOption(this.fd, xdp.SOL_XDP, xdp.XDP_OPTIONS, 4);
    return ((options[0] ?? 0) & xdp.XDP_OPTIONS_ZEROCOPY) !== 0;
  }

  #kick(): void {
    let before = this.#plane.xsk_unsent(this.address);
    while (before > 0) {
      const result = syscall('sendto', this.fd, 0, 0, MSG_DONTWAIT, 0, 0);
      const errno = result < 0 ? errnoName(-result) : '';
      if (errno !== '' && errno !== 'EAGAIN' && errno !== 'EBUSY' && errno !== 'ENOBUFS')
        throw new SyscallError('sendto', -result, `AF_XDP on interface ${this.ifindex}`);
      const after = this.#plane.xsk_unsent(this.address);
      if (after >= before) return; // no progress: the device is full; the next round tries again
      before = after;
    }
  }
}

function open(): number {
  try {
    return openSocket(xdp.AF_XDP, SOCK_RAW, 0);
  } catch (error) {
    if (error instanceof SyscallError && ['EPERM', 'EAFNOSUPPORT', 'EPROTONOSUPPORT'].includes(error.errno))
      throw new UnsupportedError('AF_XDP', `socket(AF_XDP) refused: ${error.errno}`, undefined, { cause: error });
    throw error;
  }
}

function registerUmem(fd: number, address: number, length: number): void {
  try {
    setSocketOption(fd, xdp.SOL_XDP, xdp.XDP_UMEM_REG, xdp.umemRegistration(address, length, XDP_FRAME_SIZE));
  } catch (error) {
    if (!(error instanceof SyscallError && error.errno === 'ENOBUFS')) throw error;
    const why = `the kernel does not pin ${length >> 20} MiB: raise RLIMIT_MEMLOCK, or ask for fewer frames`;
    throw new InputError('SLUICE_LINUX_ENOBUFS', why, {}, { cause: error });
  }
}

/** A queue is free a moment after its last socket was closed: the kernel clears it by deferred work (net/xdp/xsk_buff_pool.c). */
function bindWhenFree(fd: number, address: Uint8Array): void {
  for (let tries = 50; ; tries--) {
    try {
      bindSocket(fd, address);
      return;
    } catch (error) {
      if (tries === 0 || !(error instanceof SyscallError && error.errno === 'EBUSY')) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
