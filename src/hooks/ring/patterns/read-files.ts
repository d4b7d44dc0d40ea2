/** Reads many small files: open, status, read to the end, close. */
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
  /** Memory of the first round (default: 16 KiB a file, at least 64 KiB, at most 16 MiB). What has no room there takes a second one. */
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
const SIZE = JOB_SIZE + 56;
const ENTRY_PATH = 0;
const ENTRY_DIRECTORY = 8;
const ENTRY_FLAGS = 12;
const ENTRY_DATA = 16;
const ENTRY_LENGTH = 24;
const ENTRY_ERROR = 32;
const ENTRY_ROOM = 40;
const ENTRY_SIZE = 48;
const READER_STATX = PIECE_SIZE + 8;
const READER_FD = PIECE_SIZE + 16;
const READER_SIZE = PIECE_SIZE + 24;
const STATX_SIZE = 256;
const AT_FDCWD = -100;
const ENOBUFS = -105;
const EFBIG = -27;
/** Memory of one round, unless one file needs more. */
const ROUND = 64 << 20;

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
  let wanted = paths.map((path, index): Wanted => ({ index, path, need: 0 }));
  let room = checkedNumber(
    'room',
    options.room ?? Math.min(16 << 20, Math.max(65536, paths.length * 16384)),
    0,
    2 ** 31,
  );
  while (wanted.length > 0) {
    wanted = await round(ring, wanted, Math.min(depth, wanted.length), room, most, options, results);
    const largest = Math.max(0, ...wanted.map(({ need }) => need));
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
    wanted.forEach(({ path, need }, i) => {
      const entry = entries + i * ENTRY_SIZE;
      job.u64(entry, job.text(path), ENTRY_PATH);
      job.u32(entry, options.directory ?? AT_FDCWD, ENTRY_DIRECTORY);
      job.u32(entry, openFlags.CLOEXEC, ENTRY_FLAGS);
      job.u64(entry, need, ENTRY_ROOM);
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
    const memory = job.take(room + wanted.length * 8);
    job.u64(address, memory, ROOM);
    job.u64(address, memory + room + wanted.length * 8, ROOM_END);
    job.u64(address, most, MOST);
  };
  return runJob(
    ring,
    'files',
    'readFiles',
    SIZE,
    options,
    prepare,
    (job) => {
      const again: Wanted[] = [];
      wanted.forEach(({ index, path }, i) => {
        const entry = entries + i * ENTRY_SIZE;
        const error = job.getS32(ENTRY_ERROR, entry);
        const length = job.getU64(ENTRY_LENGTH, entry);
        if (error === ENOBUFS && length <= 2 * most + 8192) {
          again.push({ index, path, need: length });
          return;
        }
        if (error !== 0) {
          results[index] = { path, error: new RequestError('readFile', error === ENOBUFS ? EFBIG : error) };
          return;
        }
        const data = job.getU64(ENTRY_DATA, entry);
        results[index] = { path, bytes: ring.runtime.bytes().slice(data, data + length) };
      });
      return again;
    },
    { finish: (job) => closeLeft(job, readers, depth, READER_SIZE, [READER_FD]) },
  );
}
