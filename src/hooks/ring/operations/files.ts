/** Operations on open files. Offsets are bytes; -1, the default, is the file's own position. */
import { fallocateModes } from '../../../abi/io-uring/call-flags.ts';
import type { PlainChoice } from '../../../runtime/ring-backend.ts';
import type { RingBuffer } from '../memory.ts';
import * as prep from '../prep/index.ts';
import { RequestError } from '../request-error.ts';
import { type Bytes, LendingRing, type OperationOptions } from './lending.ts';

export interface TransferOptions extends OperationOptions {
  readonly offset?: prep.Word64;
  /** Bytes, all of the buffer by default. */
  readonly length?: number;
  /** rwFlags */
  readonly flags?: number;
}

/** Plain calls in a row before the event loop gets its turn. */
const PLAIN_STREAK = 64;

export class FileRing extends LendingRing {
  #plainStreak = 0;

  /** Which reads and writes were plain system calls, which requests, by file system. */
  get choices(): readonly PlainChoice[] {
    return this.backend.plain?.choices ?? [];
  }

  /**
   * Bytes read; 0 at the end of the file. With an explicit offset and nothing else under way, what lies in memory is read by a plain system call,
   * which costs less (`choices`).
   */
  read(fd: number, into: Bytes, options: TransferOptions = {}): Promise<number> {
    const { offset = -1, length = into.length } = options;
    const plain = this.#plainly('read', fd, into, length, offset, options);
    if (plain !== undefined) return plain;
    return this.over(
      'read',
      into,
      true,
      (address) => (view, at) => prep.read(view, at, fd, address, length, offset, options),
      options,
    );
  }

  write(fd: number, from: Bytes, options: TransferOptions = {}): Promise<number> {
    const { offset = -1, length = from.length } = options;
    const plain = this.#plainly('write', fd, from, length, offset, options);
    if (plain !== undefined) return plain;
    return this.over(
      'write',
      from,
      false,
      (address) => (view, at) => prep.write(view, at, fd, address, length, offset, options),
      options,
    );
  }

  /** Several buffers of the ring in one request. */
  readv(fd: number, into: readonly RingBuffer[], options: TransferOptions = {}): Promise<number> {
    const vectors = this.vectors(into);
    const { offset = -1 } = options;
    return this.using(
      'readv',
      vectors,
      (view, at) => prep.readv(view, at, fd, vectors.address, into.length, offset, options),
      options,
    );
  }

  writev(fd: number, from: readonly RingBuffer[], options: TransferOptions = {}): Promise<number> {
    const vectors = this.vectors(from);
    const { offset = -1 } = options;
    return this.using(
      'writev',
      vectors,
      (view, at) => prep.writev(view, at, fd, vectors.address, from.length, offset, options),
      options,
    );
  }

  /** Into a registered buffer (`registerBuffers`), or a part of it. */
  readFixed(fd: number, into: RingBuffer, buffer: number, options: TransferOptions = {}): Promise<number> {
    const { offset = -1, length = into.length } = options;
    return this.request(
      'read_fixed',
      (view, at) => prep.readFixed(view, at, fd, into.address, length, offset, buffer, options),
      options,
    );
  }

  writeFixed(fd: number, from: RingBuffer, buffer: number, options: TransferOptions = {}): Promise<number> {
    const { offset = -1, length = from.length } = options;
    return this.request(
      'write_fixed',
      (view, at) => prep.writeFixed(view, at, fd, from.address, length, offset, buffer, options),
      options,
    );
  }

  /** `dataOnly`: as fdatasync(2). */
  fsync(fd: number, options: OperationOptions & { readonly dataOnly?: boolean } = {}): Promise<number> {
    return this.request('fsync', (view, at) => prep.fsync(view, at, fd, options), options);
  }

  truncate(fd: number, size: prep.Word64, options: OperationOptions = {}): Promise<number> {
    return this.request('ftruncate', (view, at) => prep.ftruncate(view, at, fd, size, options), options);
  }

  /** `mode`: fallocateModes joined, 0 by default. */
  fallocate(
    fd: number,
    offset: prep.Word64,
    length: prep.Word64,
    options: OperationOptions & { readonly mode?: number | keyof typeof fallocateModes } = {},
  ): Promise<number> {
    const mode = typeof options.mode === 'string' ? fallocateModes[options.mode] : (options.mode ?? 0);
    return this.request(
      'fallocate',
      (view, at) => prep.fallocate(view, at, fd, mode, offset, length, options),
      options,
    );
  }

  /** `advice`: fadviseAdvice. */
  fadvise(
    fd: number,
    offset: prep.Word64,
    length: number,
    advice: number,
    options: OperationOptions = {},
  ): Promise<number> {
    return this.request('fadvise', (view, at) => prep.fadvise(view, at, fd, offset, length, advice, options), options);
  }

  closeFd(fd: number, options: OperationOptions = {}): Promise<number> {
    this.backend.plain?.forget(fd);
    return this.request('close', (view, at) => prep.close(view, at, fd, options), options);
  }

  /** Moves bytes between a pipe and something else without copying them through user space; one of the two is a pipe, whose offset is -1. */
  splice(
    input: number,
    output: number,
    length: number,
    options: OperationOptions & {
      readonly inputOffset?: prep.Word64;
      readonly outputOffset?: prep.Word64;
      readonly flags?: number;
    } = {},
  ): Promise<number> {
    const { inputOffset = -1, outputOffset = -1 } = options;
    return this.request(
      'splice',
      (view, at) => prep.splice(view, at, input, inputOffset, output, outputOffset, length, options),
      options,
    );
  }

  tee(input: number, output: number, length: number, options: OperationOptions = {}): Promise<number> {
    return this.request('tee', (view, at) => prep.tee(view, at, input, output, length, options), options);
  }

  /** Both ends of a new pipe. */
  async pipe(options: OperationOptions & { readonly flags?: number } = {}): Promise<{ read: number; write: number }> {
    const ends = this.allocate(8);
    let pair = { read: -1, write: -1 };
    await this.using(
      'pipe',
      ends,
      (view, at) => prep.pipe(view, at, ends.address, options),
      options,
      () => {
        const view = new DataView(ends.bytes.buffer, ends.address, 8);
        pair = { read: view.getInt32(0, true), write: view.getInt32(4, true) };
      },
    );
    return pair;
  }

  /** Only what is a request alone: neither linked nor with a callback, nor beside others, which overlap with it in the ring. */
  #plainly(
    operation: 'read' | 'write',
    fd: number,
    bytes: Bytes,
    length: number,
    offset: prep.Word64,
    options: TransferOptions,
  ): Promise<number> | undefined {
    const { plain } = this.backend;
    if (plain === undefined || typeof offset !== 'number' || offset < 0 || length > bytes.length) return undefined;
    if (!this.isIdle || !isAlone(options)) return undefined;
    if (++this.#plainStreak > PLAIN_STREAK) {
      this.#plainStreak = 0;
      return undefined;
    }
    const address = this.processAddressOf(bytes);
    const result = address === undefined ? undefined : plain[operation](fd, address, length, offset);
    if (result === undefined) return undefined;
    return result < 0 ? Promise.reject(new RequestError(operation, result)) : Promise.resolve(result);
  }

  /** struct iovec of each buffer; the caller frees it. */
  protected vectors(buffers: readonly RingBuffer[]): RingBuffer {
    const vectors = this.allocate(buffers.length * prep.IOVEC_SIZE);
    const view = new DataView(vectors.bytes.buffer);
    buffers.forEach(({ address, length }, i) => {
      prep.writeIovec(view, vectors.address + i * prep.IOVEC_SIZE, Number(this.backend.base), address, length);
    });
    return vectors;
  }
}

function isAlone(options: TransferOptions): boolean {
  for (const name in options) if (name !== 'offset' && name !== 'length') return false;
  return true;
}
