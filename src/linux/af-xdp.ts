/**
 * An AF_XDP socket inside the program memory: the UMEM is registered over its pages, and the four rings are mapped over others, so that the
 * plane's loop (plane/assembly/hooks/xsk.ts) reads and writes them without a call. Here: creation, the system calls, the end.
 */
import { InputError, SluiceError } from '../errors.ts';
import { FRAME_DESCRIPTOR_SIZE, XDP_FRAME_SIZE } from '../plane/layout/frame.ts';
import { ROOT, ROOT_TRAIT_PLACEMENT, WASM_PAGE } from '../plane/layout/memory.ts';
import { TRAITS_0_4_8, TRAITS_4_8_16, TRAITS_SIDE, TRAITS_SIDE_SIZE } from '../plane/layout/trait.ts';
import * as layout from '../plane/layout/xsk.ts';
import { ProgramFault } from '../runtime/fault.ts';
import type { Executable } from '../runtime/hook.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { traitConfiguration } from '../runtime/traits.ts';
import { type AfXdpCounters, readCounters } from './af-xdp-counters.ts';
import * as xdp from './af-xdp-layout.ts';
import { machineAddress, XskRings } from './af-xdp-rings.ts';
import { bindXsk, type ChecksumOffload, type CopyMode, openXsk, registerUmem } from './af-xdp-setup.ts';
import { close, syscall } from './ffi.ts';
import { LiveFrame } from './live-frame.ts';
import { MSG_DONTWAIT, socketOption } from './sockets.ts';
import { errnoName, SyscallError } from './syscall-error.ts';

/** The plane's functions on a socket, by the address of its structure (plane/assembly/hooks/xsk.ts). */
interface XskPlane {
  xsk_fetch(xsk: number): number;
  xsk_dispose(xsk: number): void;
  xsk_run(xsk: number, entry: number, limit: number): number;
  xsk_wanted(xsk: number): number;
  xsk_unsent(xsk: number): number;
  xsk_take_spare(xsk: number): number;
  xsk_transmit(xsk: number, offset: number, length: number, options: number): number;
  xsk_release(xsk: number, chunk: number): void;
  xdp_run_batch(entry: number, frames: number, count: number): void;
  xdp_begin(frame: number): void;
  xdp_finish(frame: number, r0: number): void;
}

/**
 * What lies in the frames before the data, left by a program in the kernel. `traits`, `opaque`: as long as the seal says that xsk-ingress.ts puts there (traits are in
 * the runtime's layout, and become the packet's wherever the runtime keeps them); a number: so many bytes, a multiple of 4, always.
 */
export type FrameMetadata = 'none' | 'traits' | 'opaque' | number;

export interface AfXdpOptions {
  readonly queue?: number;
  /** Frames of 4 KiB, a power of two from 128 to 8192 (default 4096). RX and TX ring hold half of them each. */
  readonly frames?: number;
  /** `auto` (default): zero-copy where the driver can, else copy. */
  readonly copy?: CopyMode;
  readonly metadata?: FrameMetadata;
  /** TCP and UDP checksums of what is sent, by struct xsk_tx_metadata (default none). `software` is for copy mode. */
  readonly checksums?: ChecksumOffload;
  /** Uses the UMEM of this socket, as a way out for its passed frames: nothing is received. Closed with that socket. */
  readonly passFrom?: AfXdpSocket;
  /** As passFrom, for its frames that are redirected to this interface. */
  readonly redirectFrom?: AfXdpSocket;
}

/** One frame that is sent from here. */
export interface Transmission {
  /** The checksum of the bytes from `start` on goes to `start + offset`, where the pseudo header's sum lies: xsk_tx_metadata.request. Needs the option `checksums`. */
  readonly checksum?: { readonly start: number; readonly offset: number };
}

// Places in the control pages: the structure, targets of redirects, the batch's descriptors, the stacks of free frames, blocks of traits.
const TARGETS_AT = 0x400;
const BATCH_AT = 0x1000;
const STACK_AT = BATCH_AT + layout.XSK_BATCH * FRAME_DESCRIPTOR_SIZE;
const MOST_FRAMES = 8192;
/** One frame of so many is never received into: it is for copies and for what is sent from here. */
const SPARE_PART = 32;
/** Where a packet that is sent from here begins in its frame: as a received one. */
const SEND_AT = 256;

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
  readonly #rings: XskRings;
  readonly #checksums: ChecksumOffload;
  readonly #frames: number;
  #passTo: AfXdpSocket | undefined;
  /** Interfaces that redirects lead to. */
  readonly #targets: AfXdpSocket[] = [];
  #open = true;

  /**
   * Opens and binds. Throws UnsupportedError where the kernel or the driver has no AF_XDP (or no zero-copy, if that was asked for) or refuses
   * it; InputError `SLUICE_LINUX_EBUSY` for a queue that has a socket, `SLUICE_LINUX_EINVAL` for one that is not there.
   */
  constructor(runtime: Runtime, ifindex: number, options: AfXdpOptions = {}) {
    const { passFrom, redirectFrom } = options;
    const shared = passFrom ?? redirectFrom;
    const frames = options.frames ?? (shared === undefined ? 4096 : shared.#frames);
    if (!Number.isInteger(Math.log2(frames)) || frames < 128 || frames > MOST_FRAMES)
      throw new InputError(
        'SLUICE_AFXDP_FRAMES',
        `${frames} frames: must be a power of two from 128 to ${MOST_FRAMES}`,
      );
    this.ifindex = ifindex;
    this.queue = options.queue ?? 0;
    this.#runtime = runtime;
    this.#plane = runtime.plane.exports as unknown as XskPlane; // fixed by the plane's sources
    this.#ownsUmem = shared === undefined;
    this.#checksums = options.checksums ?? 'none';
    this.#frames = frames;
    this.#rings = new XskRings(runtime);
    const sides = runtime.view().getUint32(ROOT + ROOT_TRAIT_PLACEMENT, true) === TRAITS_SIDE;
    const sidesAt = STACK_AT + frames * 4;
    this.#controlBytes = this.#ownsUmem ? sidesAt + (sides ? layout.XSK_BATCH * TRAITS_SIDE_SIZE : 0) : WASM_PAGE;
    this.#umemBytes = frames * XDP_FRAME_SIZE;
    const metadata = metadataWord(options.metadata ?? 'none', runtime);
    this.fd = openXsk();
    let umem = 0;
    let control = 0;
    try {
      control = runtime.allocatePages(this.#controlBytes);
      umem = shared === undefined ? runtime.allocatePages(this.#umemBytes) : shared.#umem;
      this.address = control;
      this.#umem = umem;
      if (this.#ownsUmem) registerUmem(this.fd, machineAddress(runtime, umem), this.#umemBytes, this.#checksums);
      this.#rings.create(this.fd, control, frames, this.#ownsUmem);
      this.#fillStructure(frames, metadata, sides ? control + sidesAt : 0);
      bindXsk(this.fd, { ifindex, queue: this.queue, copy: options.copy ?? 'auto', sharedFd: shared?.fd });
      this.zeroCopy = this.#isZeroCopy();
      if (passFrom !== undefined) passFrom.#passThrough(this);
      else if (redirectFrom !== undefined) redirectFrom.#addTarget(ifindex, this);
    } catch (error) {
      close(this.fd);
      this.#rings.unmap();
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
        while (done < limit) {
          done += program.enter(() => this.#plane.xsk_run(this.address, program.entry, limit - done));
          if (!this.#openTargets()) break;
          this.#plane.xsk_dispose(this.address);
        }
      } else {
        while (done < limit) {
          const count = this.#plane.xsk_fetch(this.address);
          if (count === 0) break;
          done += count;
          this.#runBatch(program, count);
          if (each !== undefined)
            for (let i = 0; i < count; i++) each(new LiveFrame(this.#runtime, this.#descriptor(i)));
          this.#openTargets();
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

  /** Packets lie in the RX ring; no system call. */
  get hasArrived(): boolean {
    const view = this.#runtime.view();
    const at = (field: number) => view.getUint32(view.getUint32(this.address + layout.XSK_RX + field, true), true);
    return at(layout.XSK_RING_PRODUCER) !== at(layout.XSK_RING_CONSUMER);
  }

  /** The socket belongs to the CPU that it is sent to (CPU_SOCKET) until its turn has ended: nothing else may be done with it. `doorbell`: word that is notified then. */
  beginTurn(attachment: number, limit: number, doorbell: number): void {
    const view = this.#runtime.view();
    const set = (field: number, value: number) => view.setUint32(this.address + field, value, true);
    set(layout.XSK_TURN, 1);
    set(layout.XSK_TURN_PACKETS, 0);
    set(layout.XSK_TURN_STOPPED, 0);
    set(layout.XSK_ATTACHMENT, attachment);
    set(layout.XSK_TURN_LIMIT, limit);
    set(layout.XSK_DOORBELL, doorbell);
  }

  /** It was sent to no CPU after all. */
  cancelTurn(): void {
    this.#runtime.view().setUint32(this.address + layout.XSK_TURN, 0, true);
  }

  get isTaken(): boolean {
    const words = new Int32Array(this.#runtime.plane.memory.buffer, this.address + layout.XSK_TURN, 1);
    return Atomics.load(words, 0) !== 0;
  }

  /** After a turn: sends what is to be sent. `stopped`: why the program was (STOPPED_*), 0: it was not. */
  endTurn(): { readonly packets: number; readonly stopped: number } {
    if (this.#openTargets()) this.#plane.xsk_dispose(this.address);
    this.send();
    const view = this.#runtime.view();
    return {
      packets: view.getUint32(this.address + layout.XSK_TURN_PACKETS, true),
      stopped: view.getUint32(this.address + layout.XSK_TURN_STOPPED, true),
    };
  }

  /** Gives frames to the kernel, so that the first packets find room. */
  prepare(): void {
    this.#plane.xsk_dispose(this.address);
  }

  /** Makes the kernel send what lies in the TX rings; returns when it has all, or can take no more now. */
  send(): void {
    this.#kick();
    if (this.#passTo !== undefined) this.#passTo.#kick();
    for (const target of this.#targets) target.#kick();
  }

  /**
   * Sends a packet of its own, out of the frames that are not received into; false: none of them is free now, or the TX ring is full. It leaves with
   * the next `send()`.
   */
  transmit(data: Uint8Array, { checksum }: Transmission = {}): boolean {
    if (data.length > XDP_FRAME_SIZE - SEND_AT)
      throw new InputError('SLUICE_PACKET_LENGTH', `${data.length} bytes: a frame takes ${XDP_FRAME_SIZE - SEND_AT}`);
    if (checksum !== undefined && this.#checksums === 'none')
      throw new InputError(
        'SLUICE_AFXDP_CHECKSUMS',
        "a checksum needs a socket with the option checksums: 'device' or 'software'",
      );
    if (checksum !== undefined && checksum.start + checksum.offset + 2 > data.length)
      throw new InputError('SLUICE_AFXDP_CHECKSUMS', `the checksum lies beyond the packet's ${data.length} bytes`);
    const chunk = this.#plane.xsk_take_spare(this.address) >>> 0;
    if (chunk === NO_CHUNK) return false;
    const at = this.#umem + chunk + SEND_AT;
    this.#runtime.bytes().set(data, at);
    if (checksum !== undefined) {
      const view = this.#runtime.view();
      const request = at - layout.TX_METADATA_SIZE;
      view.setBigUint64(request + layout.TX_METADATA_FLAGS, BigInt(layout.XDP_TXMD_FLAGS_CHECKSUM), true);
      view.setUint16(request + layout.TX_METADATA_CSUM_START, checksum.start, true);
      view.setUint16(request + layout.TX_METADATA_CSUM_OFFSET, checksum.offset, true);
      view.setBigUint64(request + layout.TX_METADATA_LAUNCH_TIME, 0n, true);
    }
    const options = checksum === undefined ? 0 : layout.XDP_TX_METADATA;
    if (this.#plane.xsk_transmit(this.address, chunk + SEND_AT, data.length, options) !== 0) return true;
    this.#plane.xsk_release(this.address, chunk);
    return false;
  }

  counters(): AfXdpCounters {
    return readCounters(this.#runtime.view(), this.address);
  }

  statistics(): xdp.XdpStatistics {
    return xdp.readStatistics(socketOption(this.fd, xdp.SOL_XDP, xdp.XDP_STATISTICS, xdp.XDP_STATISTICS_SIZE));
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#passTo?.close();
    for (const target of this.#targets) target.close();
    close(this.fd);
    this.#rings.unmap();
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
      this.#plane.xdp_begin(frame);
      this.#plane.xdp_finish(frame, Number(BigInt.asIntN(32, program.run(frame))));
    }
  }

  #descriptor(index: number): number {
    return this.address + BATCH_AT + index * FRAME_DESCRIPTOR_SIZE;
  }

  #passThrough(socket: AfXdpSocket): void {
    this.#passTo?.close();
    this.#passTo = socket;
    this.#runtime.view().setUint32(this.address + layout.XSK_PASS_TO, socket.address, true);
  }

  #fillStructure(frames: number, metadata: number, sides: number): void {
    const view = this.#runtime.view();
    const set = (at: number, value: number) => view.setUint32(this.address + at, value, true);
    const received = frames - frames / SPARE_PART;
    set(layout.XSK_UMEM, this.#umem);
    set(layout.XSK_IFINDEX, this.ifindex);
    set(layout.XSK_QUEUE, this.queue);
    set(layout.XSK_FRAMES, this.address + BATCH_AT);
    set(layout.XSK_TARGETS, this.address + TARGETS_AT);
    set(layout.XSK_SPARE_FROM, received * XDP_FRAME_SIZE);
    if (!this.#ownsUmem) return;
    set(layout.XSK_METADATA, metadata);
    set(layout.XSK_SIDES, sides);
    set(layout.XSK_TX_METADATA, this.#checksums === 'none' ? 0 : layout.TX_METADATA_SIZE);
    set(layout.XSK_FREE, this.address + STACK_AT);
    set(layout.XSK_FREE_COUNT, received);
    set(layout.XSK_SPARE, this.address + STACK_AT + received * 4);
    set(layout.XSK_SPARE_COUNT, frames - received);
    for (let i = 0; i < frames; i++) set(STACK_AT + i * 4, i * XDP_FRAME_SIZE);
  }

  /** Sockets for the interfaces that the batch is redirected to; false: it needs none. What cannot be reached is known from then on. */
  #openTargets(): boolean {
    let ifindex = this.#plane.xsk_wanted(this.address);
    if (ifindex === 0) return false;
    for (; ifindex !== 0; ifindex = this.#plane.xsk_wanted(this.address)) {
      if (this.#passTo?.ifindex === ifindex) {
        this.#addTarget(ifindex, this.#passTo);
        continue;
      }
      try {
        new AfXdpSocket(this.#runtime, ifindex, { queue: this.queue, redirectFrom: this });
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error;
        this.#addTarget(ifindex, undefined);
      }
    }
    return true;
  }

  #addTarget(ifindex: number, socket: AfXdpSocket | undefined): void {
    const view = this.#runtime.view();
    const count = view.getUint32(this.address + layout.XSK_TARGET_COUNT, true);
    const place = this.address + TARGETS_AT + count * layout.XSK_TARGET_SIZE;
    view.setUint32(place, ifindex, true);
    view.setUint32(place + 4, socket?.address ?? 0, true);
    view.setUint32(this.address + layout.XSK_TARGET_COUNT, count + 1, true);
    if (socket !== undefined && socket !== this.#passTo) this.#targets.push(socket);
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

const NO_CHUNK = 0xffff_ffff;

/** XSK_METADATA. */
function metadataWord(metadata: FrameMetadata, runtime: Runtime): number {
  if (metadata === 'none') return layout.XSK_META_NONE;
  if (metadata === 'traits') {
    const { layout: lengths } = traitConfiguration(runtime.view());
    if (lengths !== TRAITS_0_4_8 && lengths !== TRAITS_4_8_16)
      throw new InputError(
        'SLUICE_AFXDP_METADATA',
        'traits that programs in the kernel leave are of layout 0-4-8 or 4-8-16 (sluice/trait.h): give the runtime that layout',
      );
    return layout.XSK_META_TRAITS;
  }
  if (metadata === 'opaque') return layout.XSK_META_SEALED;
  if (!Number.isInteger(metadata / 4) || metadata < 4 || metadata > LONGEST_METADATA)
    throw new InputError(
      'SLUICE_AFXDP_METADATA',
      `${metadata} bytes of metadata: a multiple of 4 up to ${LONGEST_METADATA}`,
    );
  return layout.XSK_META_FIXED | (metadata << 8);
}

/** A headroom of 256 bytes without what the kernel keeps of it. */
const LONGEST_METADATA = 216;
