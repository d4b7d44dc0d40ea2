/** Reads many small files: open, read to the end, close. */
import { openFlags } from '../../../abi/io-uring/call-flags.ts';
import { RequestError } from '../request-error.ts';
import type { RingBase } from '../ring.ts';
import { checkedNumber, JOB_SIZE, type Job, type PatternOptions, PIECE_SIZE, runJob } from './job.ts';
import { closeLeft } from './leftovers.ts';

export interface ReadFilesOptions extends PatternOptions {
  /** Files that are read at once: 1 to 1024, default 16. */
  readonly depth?: number;
  /** Directory that relative paths start in, as a descriptor (default: the working directory). */
  readonly directory?: number;
  /** A file with more bytes is an error, EFBIG (default 1 GiB). */
  readonly maxBytes?: number;
  /** Memory of the first round (default: 16 KiB a file, at least 64 KiB, at most 16 MiB). What has no room there takes another one. */
  readonly room?: number;
}

export type ReadFile =
  | { readonly path: string | Uint8Array; readonly bytes: Uint8Array; readonly error?: undefined }
  | { readonly path: string | Uint8Array; readonly bytes?: undefined; readonly error: RequestError };

/** struct files, entry, reader of bpf/ring/patterns/files.bpf.c. */
const ENTRIES = JOB_SIZE;
const READERS = JOB_SIZE + 8;
const COUNT = JOB_SIZE + 16;
const WORKERS = JOB_SIZE + 20;
const ROOM = JOB_SIZE + 32;
const ROOM_END = JOB_SIZE + 40;
const MOST = JOB_SIZE + 48;
const WINDOW = JOB_SIZE + 56;
const LEAST = JOB_SIZE + 64;
const SIZE = JOB_SIZE + 72;
const ENTRY_PATH = 0;
const ENTRY_DIRECTORY = 8;
const ENTRY_FLAGS = 12;
const ENTRY_DATA = 16;
const ENTRY_LENGTH = 24;
const ENTRY_ERROR = 32;
const ENTRY_ROOM = 40;
const ENTRY_SIZE = 48;
const READER_STATX = PIECE_SIZE + 8;
const READER_FD = PIECE_SIZE + 40;
const READER_SIZE = PIECE_SIZE + 48;
const STATX_SIZE = 256;
const AT_FDCWD = -100;
const ENOBUFS = -105;
/** Memory of one round, unless one file needs more. */
const ROUND = 64 << 20;
/** A reader has so much of it at a time, and begins no file where there is less. */
const FULL_WINDOW = 256 << 10;
const LEAST_WINDOW = 16 << 10;

interface Wanted {
  readonly index: number;
  readonly path: string | Uint8Array;
  /** Bytes that it is known to need, the one behind its end included. */
  readonly need: number;
}

/**
 * The contents of many files, or why there is none, in the order of `paths`. JavaScript is woken once, and once more for those that had no room. A file that
 * changes while it is read is what it was at each moment.
 */
export async function readFiles(
  ring: RingBase,
  paths: readonly (string | Uint8Array)[],
  options: ReadFilesOptions = {},
): Promise<ReadFile[]> {
  const depth = checkedNumber('depth', options.depth ?? 16, 1, 1024);
  const most = checkedNumber('maxBytes', options.maxBytes ?? 2 ** 30, 0, 2 ** 31);
  const results: ReadFile[] = new Array(paths.length);
  let wanted = paths.map((path, index): Wanted => ({ index, path, need: LEAST_WINDOW }));
  let room = checkedNumber(
    'room',
    options.room ?? Math.min(16 << 20, Math.max(65536, paths.length * 16384)),
    0,
    2 ** 31,
  );
  while (wanted.length > 0) {
    wanted = await round(ring, wanted, Math.min(depth, wanted.length), room, most, options, results);
    const largest = wanted.reduce((most, { need }) => Math.max(most, need), 0);
    room = Math.max(
      largest,
      Math.min(
        ROUND,
        wanted.reduce((sum, { need }) => sum + need, 0),
      ),
    );
  }
  return results;
}

/** The content of one file. Rejects with RequestError: ENOENT, EISDIR, EFBIG, … */
export async function readFile(
  ring: RingBase,
  path: string | Uint8Array,
  options: Omit<ReadFilesOptions, 'depth'> = {},
): Promise<Uint8Array> {
  const [result] = await readFiles(ring, [path], { ...options, depth: 1 });
  if (result!.error !== undefined) throw result!.error;
  return result!.bytes;
}

/** Those that are to be read again, with more room. */
async function round(
  ring: RingBase,
  wanted: readonly Wanted[],
  depth: number,
  room: number,
  most: number,
  options: ReadFilesOptions,
  results: ReadFile[],
): Promise<Wanted[]> {
  let entries = 0;
  let readers = 0;
  const prepare = (job: Job) => {
    const { address } = job;
    entries = job.take(wanted.length * ENTRY_SIZE);
    const texts = job.texts(wanted.map(({ path }) => path));
    const view = ring.runtime.view();
    const directory = options.directory ?? AT_FDCWD;
    wanted.forEach(({ need }, i) => {
      const entry = entries + i * ENTRY_SIZE;
      view.setUint32(entry + ENTRY_PATH, texts[i]!, true);
      view.setInt32(entry + ENTRY_DIRECTORY, directory, true);
      view.setUint32(entry + ENTRY_FLAGS, openFlags.CLOEXEC, true);
      view.setInt32(entry + ENTRY_ERROR, ENOBUFS, true);
      view.setUint32(entry + ENTRY_ROOM, need, true);
    });
    readers = job.pieces(depth, READER_SIZE);
    const statx = job.take(depth * STATX_SIZE);
    for (let i = 0; i < depth; i++) {
      job.u64(readers + i * READER_SIZE, statx + i * STATX_SIZE, READER_STATX);
      job.u32(readers + i * READER_SIZE, -1, READER_FD);
    }
    job.u64(address, entries, ENTRIES);
    job.u64(address, readers, READERS);
    job.u32(address, wanted.length, COUNT);
    job.u32(address, depth, WORKERS);
    const size = whole(Math.max(room, LEAST_WINDOW));
    const memory = job.room(size);
    job.u64(address, memory, ROOM);
    job.u64(address, memory + size, ROOM_END);
    job.u64(address, most, MOST);
    job.u64(address, Math.max(LEAST_WINDOW, Math.min(FULL_WINDOW, whole(size / depth))), WINDOW);
    job.u64(address, LEAST_WINDOW, LEAST);
  };
  return runJob(
    ring,
    'files',
    'readFiles',
    SIZE,
    options,
    prepare,
    () => {
      const again: Wanted[] = [];
      const contents = new WindowContents(ring.runtime.bytes());
      const view = ring.runtime.view();
      wanted.forEach(({ index, path, need }, i) => {
        const entry = entries + i * ENTRY_SIZE;
        const error = view.getInt32(entry + ENTRY_ERROR, true);
        const length = view.getUint32(entry + ENTRY_LENGTH, true);
        if (error === ENOBUFS) again.push({ index, path, need: Math.max(need, length) });
        else if (error !== 0) results[index] = { path, error: new RequestError('readFile', error) };
        else contents.add(view.getUint32(entry + ENTRY_ROOM, true), view.getUint32(entry + ENTRY_DATA, true) + length);
      });
      wanted.forEach(({ index, path }, i) => {
        const entry = entries + i * ENTRY_SIZE;
        if (view.getInt32(entry + ENTRY_ERROR, true) !== 0) return;
        const window = view.getUint32(entry + ENTRY_ROOM, true);
        const data = view.getUint32(entry + ENTRY_DATA, true);
        results[index] = { path, bytes: contents.part(window, data, view.getUint32(entry + ENTRY_LENGTH, true)) };
      });
      return again;
    },
    { finish: (job) => closeLeft(job, readers, depth, READER_SIZE, [READER_FD]) },
  );
}

/** Windows begin at multiples of 8. */
function whole(size: number): number {
  return Math.ceil(size / 8) * 8;
}

/** Copies of what lies in windows: one copy for all files of a window, which are parts of it. */
class WindowContents {
  readonly #memory: Uint8Array;
  readonly #ends = new Map<number, number>();
  readonly #copies = new Map<number, ArrayBuffer>();

  constructor(memory: Uint8Array) {
    this.#memory = memory;
  }

  /** Something in the window ends there. */
  add(window: number, end: number): void {
    if (end > (this.#ends.get(window) ?? 0)) this.#ends.set(window, end);
  }

  part(window: number, start: number, length: number): Uint8Array {
    let copy = this.#copies.get(window);
    if (copy === undefined) {
      copy = new ArrayBuffer(this.#ends.get(window)! - window);
      new Uint8Array(copy).set(this.#memory.subarray(window, this.#ends.get(window)));
      this.#copies.set(window, copy);
    }
    return new Uint8Array(copy, start - window, length);
  }
}
