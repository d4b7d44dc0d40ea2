/** operations/: what a ring does, by name, each as a promise. This file: memory for requests: of the ring, of Node, and for arguments. */
import { RingCore } from '../core.ts';
import type { RingBuffer } from '../memory.ts';
import type { SqeWriter, RequestOptions as WaitOptions } from '../options.ts';
import type { Address, RequestOptions } from '../prep/index.ts';

/** Memory of the ring, or of Node. The latter is reached where it lies, or copied where the backend cannot (simulation). */
export type Bytes = RingBuffer | Uint8Array;

/** What every operation takes besides: how the request is made, and what ends it. Of chains: linked requests are called in one turn of JavaScript. */
export interface OperationOptions extends Omit<RequestOptions, 'userData' | 'queue' | 'skipSuccess'> {
  readonly signal?: AbortSignal;
}

export class LendingRing extends RingCore {
  /** Zeroed memory for requests; `free` it when those that name it have ended. */
  allocate(length: number): RingBuffer {
    return this.memory.allocate(length);
  }

  /** Undefined where the backend reaches the ring's memory alone. */
  protected processAddressOf(bytes: Bytes): number | undefined {
    if ('address' in bytes) return Number(this.backend.base) + bytes.address;
    if (bytes.buffer === this.runtime.plane.memory.buffer) return Number(this.backend.base) + bytes.byteOffset;
    return this.backend.addressOf?.(bytes);
  }

  /** A request over `bytes`; `into`: it writes to them. `write` is given their address. */
  protected over(
    operation: string,
    bytes: Bytes,
    into: boolean,
    write: (address: Address) => SqeWriter,
    options: WaitOptions = {},
  ): Promise<number> {
    if ('address' in bytes) return this.request(operation, write(bytes.address), options);
    if (bytes.buffer === this.runtime.plane.memory.buffer)
      return this.request(operation, write(bytes.byteOffset), options);
    const { signal } = options;
    if (this.backend.addressOf !== undefined && bytes.length > 0)
      return this.request(operation, write(processAddress(this.backend.addressOf(bytes))), { signal, holds: bytes });
    const copy = this.memory.allocate(bytes.length);
    if (!into) copy.bytes.set(bytes);
    const done = () => {
      if (into) bytes.set(copy.bytes);
      copy.free();
    };
    return this.request(operation, write(copy.address), { signal, done });
  }

  /** A request with arguments in memory of its own, which goes when it has ended. */
  protected using(
    operation: string,
    argument: RingBuffer,
    write: SqeWriter,
    options: WaitOptions = {},
    done?: () => void,
  ): Promise<number> {
    try {
      return this.request(operation, write, {
        signal: options.signal,
        done: () => {
          try {
            done?.();
          } finally {
            argument.free();
          }
        },
      });
    } catch (error) {
      argument.free();
      throw error;
    }
  }
}

/** As requests take it. Low ones, of the heap of a process that is not position-independent, would be offsets in the ring's memory as numbers. */
function processAddress(address: number): Address {
  return address < 2 ** 32 ? BigInt(address) : address;
}
