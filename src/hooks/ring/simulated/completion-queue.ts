/** The CQ of a simulated ring: entries in the linear memory, and those that found no room, which wait for the next enter as Linux keeps them. */
import { sqFlags } from '../../../abi/io-uring/ring-flags.ts';
import { CQE_FLAGS, CQE_RES, CQE_SIZE, CQE_USER_DATA } from '../../../plane/layout/sqe.ts';
import type { RingAddresses } from '../backend.ts';
import type { LinearMemory } from './memory.ts';

export class CompletionQueue {
  /** CQEs posted since the ring began, without those of timeouts: what timeouts with a count go by. */
  posted = 0;
  readonly #memory: LinearMemory;
  readonly #addresses: RingAddresses;
  readonly #entries: number;
  /** Four words each. */
  #overflow: number[] = [];

  constructor(memory: LinearMemory, addresses: RingAddresses) {
    this.#memory = memory;
    this.#addresses = addresses;
    this.#entries = addresses.cqMask + 1;
  }

  /** CQEs that user space has not taken. */
  get ready(): number {
    const { words } = this.#memory;
    return (words[this.#addresses.cqTail >>> 2]! - words[this.#addresses.cqHead >>> 2]!) >>> 0;
  }

  get overflown(): boolean {
    return this.#overflow.length > 0;
  }

  /** `crowded`: to the overflow list though there may be room. Once that has an entry, all follow it, so that order is kept. */
  post(userLow: number, userHigh: number, result: number, flags: number, crowded = false): void {
    if (crowded || this.overflown || this.ready >= this.#entries) {
      this.#overflow.push(userLow, userHigh, result, flags);
      this.#setFlag(true);
    } else this.#write(userLow, userHigh, result, flags);
  }

  /** Moves what found no room, as far as there is room now. */
  flush(): void {
    if (!this.overflown) return;
    const room = this.#entries - this.ready;
    const moved = this.#overflow.splice(0, 4 * room);
    for (let at = 0; at < moved.length; at += 4)
      this.#write(moved[at]!, moved[at + 1]!, moved[at + 2]!, moved[at + 3]!);
    if (!this.overflown) this.#setFlag(false);
  }

  #write(userLow: number, userHigh: number, result: number, flags: number): void {
    const { words } = this.#memory;
    const tail = this.#addresses.cqTail >>> 2;
    const position = words[tail]!;
    const entry = (this.#addresses.cqes + (position & this.#addresses.cqMask) * CQE_SIZE) >>> 2;
    words[entry + CQE_USER_DATA / 4] = userLow;
    words[entry + CQE_USER_DATA / 4 + 1] = userHigh;
    words[entry + CQE_RES / 4] = result;
    words[entry + CQE_FLAGS / 4] = flags;
    words[tail] = position + 1;
  }

  #setFlag(set: boolean): void {
    const { words } = this.#memory;
    const flags = this.#addresses.sqFlags >>> 2;
    words[flags] = set ? words[flags]! | sqFlags.CQ_OVERFLOW : words[flags]! & ~sqFlags.CQ_OVERFLOW;
  }
}
