/** One connection's state: messages in, replies out, rings and memory between. Nothing in here waits or reads a socket. */
import { InputError, type SluiceError } from '../../errors.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { GuestMemory } from '../../runtime/virtio/guest-memory.ts';
import { close } from '../ffi.ts';
import { SyscallError } from '../syscall-error.ts';
import {
  bad,
  type MemoryRegion,
  type MessageHeader,
  parseMemoryTable,
  parseSingleRegion,
  parseU64,
  parseVringAddresses,
  parseVringFd,
  parseVringState,
  protocolFeature,
  reply,
  request,
  u64,
  vringState,
} from './protocol.ts';
import { SharedRegion } from './shared-memory.ts';
import { ringAt, Vring } from './vring.ts';

/** VHOST_USER_F_PROTOCOL_FEATURES. */
const PROTOCOL_FEATURES = 1n << 30n;
const MEMORY_SLOTS = 32;

const offeredProtocol =
  protocolFeature.mq |
  protocolFeature.replyAck |
  protocolFeature.resetDevice |
  protocolFeature.configureMemSlots |
  protocolFeature.status;

export interface SessionOptions {
  readonly runtime: Runtime;
  /** Virtio features offered, without those of vhost-user itself. */
  readonly features: bigint;
  /** Of how many queues GET_QUEUE_NUM tells (pairs, for a network device), and rings that there are in all. */
  readonly queues: number;
  readonly rings: number;
  /** How rings are set up once features are agreed. */
  readonly ring: (features: bigint) => { header: 12 | 20; mergeable: boolean; eventIndex: boolean };
  /** A ring has begun, or has other descriptors, or has ended. */
  readonly changed: (ring: Vring) => void;
  /** The driver resets the device. */
  readonly reset: () => void;
}

export class VhostUserSession {
  readonly memory: GuestMemory;
  readonly rings: readonly Vring[];
  /** What was agreed; 0 until the driver says. */
  features = 0n;
  #protocol = 0n;
  #status = 0;
  readonly #options: SessionOptions;
  #regions: SharedRegion[] = [];

  constructor(options: SessionOptions) {
    this.#options = options;
    this.memory = new GuestMemory(options.runtime);
    this.rings = Array.from({ length: options.rings }, (_, index) => new Vring(index, this.memory));
  }

  /**
   * Takes one message; its descriptors are the session's in any case. Returns the bytes to answer with, if any. Throws InputError for what ends the connection: there
   * was no way to say that it failed.
   */
  handle(header: MessageHeader, payload: Uint8Array, fds: readonly number[]): Uint8Array | undefined {
    const left = new Set(fds);
    try {
      const answer = this.#dispatch(header, payload, (what) => {
        const [fd] = left;
        if (fd === undefined) throw bad(`${what} without a descriptor`);
        left.delete(fd);
        return fd;
      });
      if (answer !== undefined) return reply(header.request, answer);
      return this.#acknowledge(header, 0);
    } catch (error) {
      if (!(error instanceof InputError || error instanceof SyscallError)) throw error;
      const answer = this.#acknowledge(header, 1);
      if (answer === undefined) throw error;
      this.#problem = error;
      return answer;
    } finally {
      for (const fd of left) close(fd);
    }
  }

  #problem: SluiceError | undefined;

  /** Why the last message was refused that was. */
  get problem(): SluiceError | undefined {
    return this.#problem;
  }

  #acknowledge({ needsReply, request: code }: MessageHeader, status: number): Uint8Array | undefined {
    const agreed = (this.#protocol & protocolFeature.replyAck) !== 0n;
    return needsReply && agreed ? reply(code, u64(status)) : undefined;
  }

  #dispatch(header: MessageHeader, payload: Uint8Array, fd: (what: string) => number): Uint8Array | undefined {
    switch (header.request) {
      case request.getFeatures:
        return u64(this.#options.features | PROTOCOL_FEATURES);
      case request.setFeatures: {
        const features = parseU64(payload);
        const unknown = features & ~(this.#options.features | PROTOCOL_FEATURES);
        if (unknown !== 0n) throw bad(`features 0x${unknown.toString(16)} that were not offered`);
        this.features = features;
        // Without protocol features there is no message to enable rings: they are from the start.
        if ((features & PROTOCOL_FEATURES) === 0n) for (const ring of this.rings) ring.enabled = true;
        return undefined;
      }
      case request.getProtocolFeatures:
        return u64(offeredProtocol);
      case request.setProtocolFeatures: {
        const features = parseU64(payload);
        if ((features & ~offeredProtocol) !== 0n)
          throw bad(`protocol features 0x${features.toString(16)} that were not offered`);
        this.#protocol = features;
        return undefined;
      }
      case request.getQueueNum:
        return u64(this.#options.queues);
      case request.getMaxMemSlots:
        return u64(MEMORY_SLOTS);
      case request.setOwner:
        return undefined;
      case request.resetOwner:
      case request.resetDevice:
        this.#reset();
        return undefined;
      case request.setStatus: {
        this.#status = Number(parseU64(payload) & 0xffn);
        if (this.#status === 0) this.#reset();
        return undefined;
      }
      case request.getStatus:
        return u64(this.#status);
      case request.setMemTable:
        this.#setMemory(parseMemoryTable(payload), fd);
        return undefined;
      case request.addMemReg:
        this.#addRegion(parseSingleRegion(payload), fd('ADD_MEM_REG'));
        return undefined;
      case request.remMemReg:
        this.#removeRegion(parseSingleRegion(payload));
        return undefined;
      case request.getVringBase: {
        const ring = ringAt(this.rings, parseVringState(payload).index);
        const base = ring.end();
        this.#options.changed(ring);
        return vringState(ring.index, base);
      }
      default:
        return this.#setRing(header.request, payload, fd);
    }
  }

  #setRing(code: number, payload: Uint8Array, fd: (what: string) => number): undefined {
    switch (code) {
      case request.setVringNum: {
        const { index, value } = parseVringState(payload);
        ringAt(this.rings, index).entries = value;
        return;
      }
      case request.setVringBase: {
        const { index, value } = parseVringState(payload);
        ringAt(this.rings, index).base = value & 0xffff;
        return;
      }
      case request.setVringAddr: {
        const addresses = parseVringAddresses(payload);
        ringAt(this.rings, addresses.index).addresses = addresses;
        return;
      }
      case request.setVringKick: {
        const { index, withFd } = parseVringFd(payload);
        const ring = ringAt(this.rings, index);
        ring.setKick(withFd ? fd('SET_VRING_KICK') : undefined);
        this.#start(ring);
        return;
      }
      case request.setVringCall: {
        const { index, withFd } = parseVringFd(payload);
        ringAt(this.rings, index).setCall(withFd ? fd('SET_VRING_CALL') : undefined);
        return;
      }
      case request.setVringErr: {
        const { index, withFd } = parseVringFd(payload);
        ringAt(this.rings, index).setError(withFd ? fd('SET_VRING_ERR') : undefined);
        return;
      }
      case request.setVringEnable: {
        const { index, value } = parseVringState(payload);
        const ring = ringAt(this.rings, index);
        ring.enabled = value !== 0;
        if (ring.enabled) this.#start(ring);
        else {
          ring.stop();
          this.#options.changed(ring);
        }
        return;
      }
      default:
        throw bad(`request ${code} is not one that this device knows`);
    }
  }

  #start(ring: Vring): void {
    ring.start(this.#options.ring(this.features));
    this.#options.changed(ring);
  }

  /** All at once: rings stand still meanwhile, and go on in the new memory. */
  #setMemory(regions: readonly MemoryRegion[], fd: (what: string) => number): void {
    this.#withoutRings(() => {
      for (const region of this.#regions.splice(0)) region.release();
      this.memory.regions = [];
      for (const region of regions) this.#regions.push(this.#map(region, fd('SET_MEM_TABLE')));
    });
  }

  #addRegion(region: MemoryRegion, fd: number): void {
    this.#withoutRings(() => this.#regions.push(this.#map(region, fd)));
  }

  #removeRegion({ physical, user, size }: MemoryRegion): void {
    const at = this.#regions.findIndex(
      (each) => each.physical === physical && each.user === user && each.size === size,
    );
    if (at < 0) throw bad(`no memory region at 0x${physical.toString(16)} of ${size} bytes`);
    this.#withoutRings(() => this.#regions.splice(at, 1)[0]?.release());
  }

  #map(region: MemoryRegion, fd: number): SharedRegion {
    if (this.#regions.length >= MEMORY_SLOTS) {
      close(fd);
      throw bad(`more than ${MEMORY_SLOTS} memory regions`);
    }
    return new SharedRegion(this.#options.runtime, region, fd);
  }

  #withoutRings(change: () => void): void {
    const running = this.rings.filter(({ queue }) => queue.running);
    for (const ring of running) ring.stop();
    try {
      change();
    } finally {
      this.memory.regions = this.#regions;
    }
    for (const ring of running) this.#start(ring);
  }

  #reset(): void {
    for (const ring of this.rings) {
      ring.end();
      ring.enabled = false;
      this.#options.changed(ring);
    }
    this.features = 0n;
    this.#options.reset();
  }

  close(): void {
    for (const ring of this.rings) ring.close();
    this.memory.regions = [];
    for (const region of this.#regions.splice(0)) region.release();
    this.memory.free();
  }
}
