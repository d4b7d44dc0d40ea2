/**
 * What a simulated ring was asked and what it answered, in order, as numbers. The same seed and the same requests give the same history, so its digest
 * says whether two runs were equal, and its text shows a failing one.
 */
import { opcodeName } from '../../../abi/io-uring/opcodes.ts';
import { cqeFlags, sqeFlags } from '../../../abi/io-uring/request-flags.ts';
import type { Clock } from './clock.ts';
import { resultText } from './errno.ts';
import type { Request } from './request.ts';

const RECORD = 12;
const KIND_REQUEST = 1;
const KIND_COMPLETION = 2;
/** A completion that its flags hide from user space. */
const KIND_SILENT = 3;

export interface HistoryEntry {
  readonly kind: 'request' | 'completion' | 'silent';
  /** ns of virtual time. */
  readonly time: number;
  /** Number of the request in the ring, from 1; 0: a message. */
  readonly request: number;
  readonly userData: bigint;
  readonly opcode: number;
  /** IOSQE_ flags, or IORING_CQE_F_ flags. */
  readonly flags: number;
  /** Of completions. */
  readonly result: number;
  /** Of requests. */
  readonly fd: number;
  readonly offset: number;
  readonly length: number;
}

export class History {
  #words = new Int32Array(RECORD * 64);
  #used = 0;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get length(): number {
    return this.#used / RECORD;
  }

  request(request: Request): void {
    const at = this.#begin(
      KIND_REQUEST,
      request.number,
      request.opcode,
      request.flags,
      request.userLow,
      request.userHigh,
    );
    this.#words[at + 7] = request.fd;
    this.#words[at + 8] = request.offLow;
    this.#words[at + 9] = request.offHigh;
    this.#words[at + 10] = request.len;
  }

  completion(
    request: Request | undefined,
    userLow: number,
    userHigh: number,
    result: number,
    flags: number,
    silent: boolean,
  ): void {
    const kind = silent ? KIND_SILENT : KIND_COMPLETION;
    const at = this.#begin(kind, request?.number ?? 0, request?.opcode ?? 0, flags, userLow, userHigh);
    this.#words[at + 7] = result;
  }

  *[Symbol.iterator](): Generator<HistoryEntry> {
    const words = this.#words;
    for (let at = 0; at < this.#used; at += RECORD) {
      const kind = words[at]! & 0xff;
      const isRequest = kind === KIND_REQUEST;
      yield {
        kind: isRequest ? 'request' : kind === KIND_SILENT ? 'silent' : 'completion',
        time: (words[at + 1]! >>> 0) + words[at + 2]! * 0x1_0000_0000,
        request: words[at + 3]!,
        userData: (BigInt(words[at + 6]! >>> 0) << 32n) | BigInt(words[at + 5]! >>> 0),
        opcode: (words[at]! >>> 8) & 0xff,
        flags: words[at + 4]! >>> 0,
        result: isRequest ? 0 : words[at + 7]!,
        fd: isRequest ? words[at + 7]! : 0,
        offset: isRequest ? (words[at + 8]! >>> 0) + words[at + 9]! * 0x1_0000_0000 : 0,
        length: isRequest ? words[at + 10]! >>> 0 : 0,
      };
    }
  }

  /** One number for all of it (FNV-1a over the words). */
  digest(): number {
    let hash = 0x811c9dc5;
    for (let index = 0; index < this.#used; index++) hash = Math.imul(hash ^ this.#words[index]!, 0x01000193);
    return hash >>> 0;
  }

  /** A line each; `last`: only so many. */
  text(last = Number.POSITIVE_INFINITY): string {
    const lines: string[] = [];
    for (const entry of this) lines.push(line(entry));
    return lines.slice(-last).join('\n');
  }

  #begin(kind: number, number: number, opcode: number, flags: number, userLow: number, userHigh: number): number {
    const at = this.#used;
    if (at + RECORD > this.#words.length) {
      const larger = new Int32Array(this.#words.length * 2);
      larger.set(this.#words);
      this.#words = larger;
    }
    const words = this.#words;
    const { now } = this.#clock;
    words[at] = kind | (opcode << 8);
    words[at + 1] = now % 0x1_0000_0000;
    words[at + 2] = Math.floor(now / 0x1_0000_0000);
    words[at + 3] = number;
    words[at + 4] = flags;
    words[at + 5] = userLow;
    words[at + 6] = userHigh;
    this.#used = at + RECORD;
    return at;
  }
}

function line(entry: HistoryEntry): string {
  const time = `${entry.time}`.padStart(12);
  const name = `#${entry.request} ${opcodeName(entry.opcode)}`;
  const user = `user 0x${entry.userData.toString(16)}`;
  if (entry.kind === 'request')
    return `${time} > ${name} fd ${entry.fd} offset ${entry.offset} length ${entry.length}${names(sqeFlags, entry.flags)} ${user}`;
  const silent = entry.kind === 'silent' ? ' (no CQE)' : '';
  return `${time} < ${name} = ${resultText(entry.result)}${names(cqeFlags, entry.flags & 0xffff)}${silent} ${user}`;
}

function names(table: Readonly<Record<string, number>>, flags: number): string {
  const set = Object.keys(table).filter((name) => (flags & table[name]!) !== 0);
  return set.length === 0 ? '' : ` ${set.join('|')}`;
}
