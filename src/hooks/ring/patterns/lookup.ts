/** Dependent lookups in a file: B+-trees and chains of pointers, each node read where the one before says. */
import { InputError } from '../../../errors.ts';
import { writeWord } from '../prep/sqe.ts';
import type { RingBase } from '../ring.ts';
import { checkedNumber, JOB_SIZE, type Job, type PatternOptions, PIECE_SIZE, runJob } from './job.ts';

/** A little-endian number in a node, of 1 to 8 bytes. */
export interface NodeField {
  /** Bytes from the beginning of the node. */
  readonly offset: number;
  readonly size: number;
}

/** One behind the other, `stride` bytes apart (default: their size). */
export interface NodeArray extends NodeField {
  readonly stride?: number;
}

export interface TreeFormat {
  /** Bytes of a node, up to 4096. */
  readonly nodeSize: number;
  /** Offset of the root in the file (default 0). */
  readonly root?: number;
  /** Nodes from the root to the leaf, or a field that says of a node that it is a leaf: (field & mask) equals `value`. */
  readonly levels?: number;
  readonly leaf?: NodeField & { readonly value: number | bigint; readonly mask?: number | bigint };
  /** Keys, unsigned and ascending. Without them a node has one child: a chain of pointers. */
  readonly keys?: NodeArray & { readonly bigEndian?: boolean };
  /** How many keys a node has: a field, or a number. */
  readonly count?: NodeField | number;
  /**
   * Where children lie: (number & mask) * scale + base is an offset in the file. Child i is for keys from key i on; with `between` there is one child more,
   * and the first is for what is below the first key. One that equals `none` is not there.
   */
  readonly children: NodeArray & {
    readonly mask?: number | bigint;
    readonly scale?: number | bigint;
    readonly base?: number | bigint;
    readonly between?: boolean;
    readonly none?: number | bigint;
  };
  /** The value of a leaf's key; with `inFile` it lies where the child with the key's place says (`offset` is not used). At most `nodeSize` bytes. */
  readonly value: NodeArray & { readonly inFile?: boolean };
}

export interface LookupOptions extends PatternOptions {
  /** Lookups that go on at once: 1 to 1024, default 32. */
  readonly depth?: number;
}

export interface LookupResult {
  /** undefined: the tree has no such key. */
  readonly value: Uint8Array | undefined;
  /** Nodes that were read. */
  readonly levels: number;
}

/** struct lookup, entry, finder of bpf/ring/patterns/lookup.bpf.c. */
const ENTRIES = JOB_SIZE;
const FINDERS = JOB_SIZE + 8;
const VALUES = JOB_SIZE + 16;
const COUNT = JOB_SIZE + 24;
const WORKERS = JOB_SIZE + 28;
const FD = JOB_SIZE + 40;
const FLAGS = JOB_SIZE + 44;
const NODE_SIZE = JOB_SIZE + 48;
const LEVELS = JOB_SIZE + 52;
const ROOT = JOB_SIZE + 56;
const NUMBER = JOB_SIZE + 64;
const KEYS = JOB_SIZE + 80;
const CHILDREN = JOB_SIZE + 96;
const VALUE = JOB_SIZE + 112;
const LEAF = JOB_SIZE + 128;
const LEAF_MASK = JOB_SIZE + 144;
const LEAF_VALUE = JOB_SIZE + 152;
const MASK = JOB_SIZE + 160;
const SCALE = JOB_SIZE + 168;
const BASE = JOB_SIZE + 176;
const NONE = JOB_SIZE + 184;
const SIZE = JOB_SIZE + 192;
const ENTRY_LEVELS = 8;
const ENTRY_FOUND = 12;
const ENTRY_SIZE = 16;
const FINDER_BUFFER = PIECE_SIZE;
const FINDER_SIZE = PIECE_SIZE + 48;
const BIG_ENDIAN_KEYS = 1;
const BETWEEN = 2;
const INDIRECT = 4;
const LEAF_FIELD = 8;
const NODE_MAX = 4096;

/** Looks one key up. Rejects with RequestError: ENODATA where the file ends before a node does, ELOOP after 64 nodes without a leaf, ERANGE for a node that cannot be. */
export async function lookup(
  ring: RingBase,
  fd: number,
  format: TreeFormat,
  key: number | bigint,
  options: PatternOptions = {},
): Promise<LookupResult> {
  const [result] = await lookupMany(ring, fd, format, [key], { ...options, depth: 1 });
  return result!;
}

/** Looks many keys up, `depth` at a time; JavaScript is woken once. */
export async function lookupMany(
  ring: RingBase,
  fd: number,
  format: TreeFormat,
  keys: ArrayLike<number | bigint>,
  options: LookupOptions = {},
): Promise<LookupResult[]> {
  check(format);
  if (keys.length === 0) return [];
  const depth = Math.min(keys.length, checkedNumber('depth', options.depth ?? 32, 1, 1024));
  const { size } = format.value;
  let entries = 0;
  let values = 0;
  const prepare = (job: Job) => {
    writeFormat(job, format);
    const { address } = job;
    entries = job.take(keys.length * ENTRY_SIZE);
    const view = ring.runtime.view();
    for (let i = 0; i < keys.length; i++) writeWord(view, entries + i * ENTRY_SIZE, keys[i]!, 'key');
    values = job.take(keys.length * size);
    const finders = job.pieces(depth, FINDER_SIZE);
    // Aligned as O_DIRECT needs it.
    const stride = Math.ceil(format.nodeSize / 512) * 512;
    const buffers = job.take(Math.max(depth * stride, NODE_MAX));
    for (let i = 0; i < depth; i++) job.u64(finders + i * FINDER_SIZE, buffers + i * stride, FINDER_BUFFER);
    job.u64(address, entries, ENTRIES);
    job.u64(address, finders, FINDERS);
    job.u64(address, values, VALUES);
    job.u32(address, keys.length, COUNT);
    job.u32(address, depth, WORKERS);
    job.u32(address, fd, FD);
  };
  return runJob(ring, 'lookup', 'lookup', SIZE, options, prepare, () => {
    // One copy for all: the values are parts of it.
    const found = ring.runtime.bytes().slice(values, values + keys.length * size);
    const view = ring.runtime.view();
    return Array.from({ length: keys.length }, (_, i): LookupResult => {
      const entry = entries + i * ENTRY_SIZE;
      const there = view.getUint32(entry + ENTRY_FOUND, true) !== 0;
      return {
        value: there ? found.subarray(i * size, (i + 1) * size) : undefined,
        levels: view.getUint32(entry + ENTRY_LEVELS, true),
      };
    });
  });
}

function writeFormat(job: Job, format: TreeFormat): void {
  const { address } = job;
  const { keys, children, value, leaf, count = 0 } = format;
  const array = (at: number, { offset, size, stride }: NodeArray) => {
    job.u32(address, offset, at);
    job.u32(address, size, at + 4);
    job.u32(address, stride ?? size, at + 8);
  };
  let flags = 0;
  if (keys?.bigEndian === true) flags |= BIG_ENDIAN_KEYS;
  if (children.between === true) flags |= BETWEEN;
  if (value.inFile === true) flags |= INDIRECT;
  if (leaf !== undefined) flags |= LEAF_FIELD;
  job.u32(address, flags, FLAGS);
  job.u32(address, format.nodeSize, NODE_SIZE);
  job.u32(address, format.levels ?? 0, LEVELS);
  job.u64(address, format.root ?? 0, ROOT);
  array(NUMBER, typeof count === 'number' ? { offset: count, size: 0 } : count);
  if (keys !== undefined) array(KEYS, keys);
  array(CHILDREN, children);
  array(VALUE, value);
  if (leaf !== undefined) {
    array(LEAF, leaf);
    job.u64(address, leaf.mask ?? -1, LEAF_MASK);
    job.u64(address, leaf.value, LEAF_VALUE);
  }
  job.u64(address, children.mask ?? -1, MASK);
  job.u64(address, children.scale ?? 1, SCALE);
  job.u64(address, children.base ?? 0, BASE);
  job.u64(address, children.none ?? -1, NONE);
}

/** Throws InputError `SLUICE_RING_TREE`. */
function check(format: TreeFormat): void {
  const { nodeSize, keys, children, value, leaf, levels, count } = format;
  const refuse = (what: string): never => {
    throw new InputError('SLUICE_RING_TREE', `the format of a tree: ${what}`);
  };
  if (!(Number.isInteger(nodeSize) && nodeSize > 0 && nodeSize <= NODE_MAX))
    refuse(`nodeSize is 1 to ${NODE_MAX} bytes, not ${nodeSize}`);
  const field = (name: string, { offset, size }: NodeField, most: number) => {
    if (!(Number.isInteger(size) && size > 0 && size <= most)) refuse(`${name}.size is 1 to ${most}, not ${size}`);
    if (!(Number.isInteger(offset) && offset >= 0 && offset + size <= nodeSize))
      refuse(`${name} lies outside of the node: ${size} bytes at ${offset} of ${nodeSize}`);
  };
  field('children', children, 8);
  field('value', value.inFile === true ? { offset: 0, size: value.size } : value, nodeSize);
  if (keys !== undefined) field('keys', keys, 8);
  if (keys !== undefined && count === undefined) refuse('keys need a count');
  if (typeof count === 'object') field('count', count, 4);
  if (leaf !== undefined) field('leaf', leaf, 8);
  if (leaf === undefined && !(Number.isInteger(levels) && levels! > 0))
    refuse('levels, or a field that says what a leaf is');
}
