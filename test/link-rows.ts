/** Chains of requests, what the kernel makes of their links, and where the ring's chains differ. */
import { errnoName } from '../src/abi/errno.ts';
import { msgFlags } from '../src/abi/io-uring/call-flags.ts';
import { LINK_EOF_OK, LINK_RETRY_REST, LINK_SHORT_OK, RING_FINALLY } from '../src/plane/layout/ring.ts';
import { E, raw, sqe, type Testbed, type Writer } from './ring-testbed.ts';

export type Results = readonly (readonly [request: number, res: number])[];

export interface Row {
  /** `a → b`: IOSQE_IO_LINK, `a ⇒ b`: IOSQE_IO_HARDLINK. */
  readonly name: string;
  readonly requests: (bed: Testbed) => readonly Writer[];
  /** Completions in their order, requests counted from 1. */
  readonly kernel: Results;
  /** Where the ring's differ: its completions, and why. */
  readonly ours?: Results;
  readonly why?: string;
  /** Registered files that both need. */
  readonly files?: number;
  /** What else must hold; `slot0`: whether registered file 0 is still there. */
  readonly after?: { readonly kernel?: 'leaks'; readonly ours?: 'leaks' };
}

const link = { link: true } as const;
const hard = { hardlink: true } as const;
const skip = { skipSuccess: true } as const;

/** A read of 4096 bytes in a file of 1000. */
const short = (bed: Testbed, options: object): Writer =>
  sqe('read', bed.file('thousand', 'x'.repeat(1000)), bed.allocate(4096), 4096, 0, options);
const nop = (
  options: { result?: number; link?: boolean; hardlink?: boolean; skipSuccess?: boolean; drain?: boolean } = {},
) => sqe('nop', options);

function socketWith(bed: Testbed, text: string): [number, number] {
  const [near, far] = bed.sockets();
  bed.write(far, text);
  return [near, far];
}

function pipeWith(bed: Testbed, text: string): number {
  const [read, write] = bed.pipe();
  bed.write(write, text);
  return read;
}

/** Open into slot 0, read by it, close it. */
function direct(bed: Testbed, readOptions: object, closeOptions: object = {}): readonly Writer[] {
  bed.file('thousand', 'x'.repeat(1000));
  return [
    sqe('openat', bed.put(bed.path('thousand')), 0, 0, { slot: 0, link: true }),
    sqe('read', 0, bed.allocate(4096), 4096, 0, { fixedFile: true, ...readOptions }),
    sqe('closeDirect', 0, closeOptions),
  ];
}

export const rows: readonly Row[] = [
  {
    name: 'read 4096 of a file of 1000 → write',
    requests: (bed) => [short(bed, link), sqe('write', bed.file('to', ''), bed.allocate(10), 10, 0)],
    kernel: [
      [1, 1000],
      [2, E.CANCELED],
    ],
  },
  {
    name: 'read 4096 of a file of 1000 ⇒ write',
    requests: (bed) => [short(bed, hard), sqe('write', bed.file('to', ''), bed.allocate(10), 10, 0)],
    kernel: [
      [1, 1000],
      [2, 10],
    ],
  },
  {
    name: 'read 4096 of a file of 1000, policy short-ok → nop',
    requests: (bed) => [short(bed, { ...link, policy: LINK_SHORT_OK }), nop()],
    kernel: [
      [1, 1000],
      [2, E.CANCELED],
    ],
    ours: [
      [1, 1000],
      [2, 0],
    ],
    why: 'a policy of the link: the kernel has none, and does not see it',
  },
  {
    name: 'read at the end of a file (0) → nop',
    requests: (bed) => [sqe('read', bed.file('five', '12345'), bed.allocate(64), 64, 5, link), nop()],
    kernel: [
      [1, 0],
      [2, E.CANCELED],
    ],
  },
  {
    name: 'read at the end of a file (0), policy eof-ok → nop',
    requests: (bed) => [
      sqe('read', bed.file('five', '12345'), bed.allocate(64), 64, 5, { ...link, policy: LINK_EOF_OK }),
      nop(),
    ],
    kernel: [
      [1, 0],
      [2, E.CANCELED],
    ],
    ours: [
      [1, 0],
      [2, 0],
    ],
    why: 'a policy of the link',
  },
  {
    name: 'readv 64 of a file of 5 → nop',
    requests: (bed) => {
      const vectors = bed.allocate(16);
      bed.vector(vectors, bed.allocate(64), 64);
      return [sqe('readv', bed.file('five', '12345'), vectors, 1, 0, link), nop()];
    },
    kernel: [
      [1, 5],
      [2, E.CANCELED],
    ],
  },
  {
    name: 'recv 3 of 100 → nop',
    requests: (bed) => [sqe('recv', socketWith(bed, 'abc')[0], bed.allocate(100), 100, link), nop()],
    kernel: [
      [1, 3],
      [2, 0],
    ],
  },
  {
    name: 'recv 3 of 100 with MSG_WAITALL, the peer shuts down → nop',
    requests: (bed) => {
      const [near, far] = socketWith(bed, 'abc');
      bed.shut(far);
      return [sqe('recv', near, bed.allocate(100), 100, { ...link, flags: msgFlags.WAITALL }), nop()];
    },
    kernel: [
      [1, 3],
      [2, E.CANCELED],
    ],
  },
  {
    name: 'read 5 of 100 from a pipe → nop',
    requests: (bed) => [sqe('read', pipeWith(bed, '12345'), bed.allocate(100), 100, -1, link), nop()],
    kernel: [
      [1, 5],
      [2, E.CANCELED],
    ],
  },
  {
    name: 'splice 5 of 100 from a pipe → nop',
    requests: (bed) => [sqe('splice', pipeWith(bed, '12345'), -1, bed.file('to', ''), 0, 100, link), nop()],
    kernel: [
      [1, 5],
      [2, E.CANCELED],
    ],
  },
  {
    name: 'nop with +42 → nop',
    requests: () => [nop({ result: 42, ...link }), nop()],
    kernel: [
      [1, 42],
      [2, 0],
    ],
  },
  {
    name: 'nop with -EIO → nop → nop',
    requests: () => [nop({ result: E.IO, ...link }), nop(link), nop()],
    kernel: [
      [1, E.IO],
      [2, E.CANCELED],
      [3, E.CANCELED],
    ],
  },
  {
    name: 'nop with -EIO ⇒ nop ⇒ nop',
    requests: () => [nop({ result: E.IO, ...hard }), nop(hard), nop()],
    kernel: [
      [1, E.IO],
      [2, 0],
      [3, 0],
    ],
  },
  {
    name: 'nop with -EIO ⇒ nop with -ENXIO → nop → nop',
    requests: () => [nop({ result: E.IO, ...hard }), nop({ result: E.NXIO, ...link }), nop(link), nop()],
    kernel: [
      [1, E.IO],
      [2, E.NXIO],
      [3, E.CANCELED],
      [4, E.CANCELED],
    ],
  },
  {
    name: 'nop with -EIO → nop ⇒ nop',
    requests: () => [nop({ result: E.IO, ...link }), nop(hard), nop()],
    kernel: [
      [1, E.IO],
      [2, E.CANCELED],
      [3, E.CANCELED],
    ],
  },
  {
    name: 'SKIP nop with -EIO → SKIP nop → nop',
    requests: () => [nop({ result: E.IO, ...link, ...skip }), nop({ ...link, ...skip }), nop()],
    kernel: [[1, E.IO]],
    ours: [
      [1, E.IO],
      [2, E.CANCELED],
      [3, E.CANCELED],
    ],
    why: 'SKIP leaves out successes alone: in the kernel a failing request with it silences those behind it, and who waits for the last never learns',
  },
  {
    name: 'nop with -EIO → SKIP nop → SKIP nop',
    requests: () => [nop({ result: E.IO, ...link }), nop({ ...link, ...skip }), nop(skip)],
    kernel: [
      [1, E.IO],
      [2, E.CANCELED],
      [3, E.CANCELED],
    ],
  },
  {
    name: 'SKIP nop → SKIP nop → nop',
    requests: () => [nop({ ...link, ...skip }), nop({ ...link, ...skip }), nop()],
    kernel: [[3, 0]],
  },
  {
    name: 'timeout → nop',
    requests: (bed) => [sqe('timeout', bed.timespec(1e6), link), nop()],
    kernel: [
      [1, E.TIME],
      [2, E.CANCELED],
    ],
  },
  {
    name: 'timeout with ETIME_SUCCESS → nop',
    requests: (bed) => [sqe('timeout', bed.timespec(1e6), { ...link, etimeSuccess: true }), nop()],
    kernel: [
      [1, E.TIME],
      [2, 0],
    ],
  },
  {
    name: 'read of an empty pipe → link_timeout → nop',
    requests: (bed) => [
      sqe('read', bed.pipe()[0], bed.allocate(10), 10, -1, link),
      sqe('linkTimeout', bed.timespec(1e6), link),
      nop(),
    ],
    kernel: [
      [2, E.TIME],
      [1, E.CANCELED],
      [3, E.CANCELED],
    ],
  },
  {
    name: 'nop → link_timeout → nop',
    requests: (bed) => [nop(link), sqe('linkTimeout', bed.timespec(1e9), link), nop()],
    kernel: [
      [1, 0],
      [2, E.CANCELED],
      [3, 0],
    ],
  },
  {
    name: 'nop → read of a bad descriptor → nop',
    requests: (bed) => [nop(link), sqe('read', 9999, bed.allocate(10), 10, 0, link), nop()],
    kernel: [
      [1, 0],
      [2, E.BADF],
      [3, E.CANCELED],
    ],
  },
  {
    name: 'nop → unknown opcode → nop',
    requests: () => [nop(link), raw(200, 4), nop()],
    kernel: [
      [1, E.CANCELED],
      [2, E.INVAL],
      [3, E.CANCELED],
    ],
    ours: [
      [1, 0],
      [2, E.INVAL],
      [3, E.CANCELED],
    ],
    why: 'a request that cannot be fails when its turn comes: the kernel looks at the whole chain first, and cancels what came before as well',
  },
  {
    name: 'unknown opcode ⇒ nop',
    requests: () => [raw(200, 8), nop()],
    kernel: [
      [1, E.INVAL],
      [2, E.CANCELED],
    ],
    ours: [
      [1, E.INVAL],
      [2, 0],
    ],
    why: 'a hard link goes on after any failure, this one too',
  },
  {
    name: 'nop → read with unknown flags → nop',
    requests: (bed) => [
      nop(link),
      sqe('read', bed.file('five', '12345'), bed.allocate(10), 10, 0, { ...link, flags: 0x4000_0000 }),
      nop(),
    ],
    kernel: [
      [1, 0],
      [2, E.OPNOTSUPP],
      [3, E.CANCELED],
    ],
  },
  {
    name: 'nop → nop with unknown flags → nop',
    requests: () => [
      nop(link),
      (view, at) => {
        raw(0, 4)(view, at);
        view.setUint32(at + 28, 0x8000, true);
      },
      nop(),
    ],
    kernel: [
      [1, E.CANCELED],
      [2, E.INVAL],
      [3, E.CANCELED],
    ],
    ours: [
      [1, 0],
      [2, E.INVAL],
      [3, E.CANCELED],
    ],
    why: 'as above: each request of a chain is submitted by itself, once it may run',
  },
  {
    name: 'openat direct → read short → close direct',
    requests: (bed) => direct(bed, link),
    files: 1,
    kernel: [
      [1, 0],
      [2, 1000],
      [3, E.CANCELED],
    ],
    after: { kernel: 'leaks', ours: 'leaks' },
  },
  {
    name: 'openat direct → read short → close direct with RING_FINALLY',
    requests: (bed) => direct(bed, link, { extra: RING_FINALLY }),
    files: 1,
    kernel: [
      [1, 0],
      [2, 1000],
      [3, E.CANCELED],
    ],
    ours: [
      [1, 0],
      [2, 1000],
      [3, 0],
    ],
    why: 'a finaliser runs whatever happened before it: the slot is free again',
    after: { kernel: 'leaks' },
  },
  {
    name: 'openat direct → read short ⇒ close direct',
    requests: (bed) => direct(bed, hard),
    files: 1,
    kernel: [
      [1, 0],
      [2, 1000],
      [3, 0],
    ],
  },
  {
    name: 'openat direct → read short, policy retry-rest → close direct',
    requests: (bed) => direct(bed, { ...link, policy: LINK_RETRY_REST }, { extra: RING_FINALLY }),
    files: 1,
    kernel: [
      [1, 0],
      [2, 1000],
      [3, E.CANCELED],
    ],
    ours: [
      [1, 0],
      [2, 1000],
      [3, 0],
    ],
    why: 'the rest is asked for again, finds the end of the file, and the finaliser closes',
    after: { kernel: 'leaks' },
  },
  {
    name: 'openat direct of no file ⇒ read ⇒ close direct',
    requests: (bed) => [
      sqe('openat', bed.put(bed.path('missing')), 0, 0, { slot: 0, hardlink: true }),
      sqe('read', 0, bed.allocate(10), 10, 0, { fixedFile: true, hardlink: true }),
      sqe('closeDirect', 0),
    ],
    files: 1,
    kernel: [
      [1, E.NOENT],
      [2, E.BADF],
      [3, E.BADF],
    ],
  },
  {
    name: 'SKIP nop, then DRAIN nop',
    requests: () => [nop(skip), nop({ drain: true })],
    kernel: [[2, E.OPNOTSUPP]],
    ours: [[2, 0]],
    why: 'drains are ours, by group, and count requests instead of completions: SKIP does not forbid them for the whole ring',
  },
  {
    name: 'DRAIN SKIP nop, then nop',
    requests: () => [nop({ drain: true, ...skip }), nop()],
    kernel: [
      [1, E.OPNOTSUPP],
      [2, 0],
    ],
    ours: [[2, 0]],
    why: 'as above',
  },
  {
    name: 'timeout, then DRAIN nop, then nop',
    requests: (bed) => [sqe('timeout', bed.timespec(2e6)), nop({ drain: true }), nop()],
    kernel: [
      [1, E.TIME],
      [2, 0],
      [3, 0],
    ],
  },
  {
    name: 'recv with BUFFER_SELECT of a group that is not there',
    requests: (bed) => [sqe('recv', socketWith(bed, 'abc')[0], 0, 0, { bufferSelect: 7 })],
    kernel: [[1, E.NOBUFS]],
  },
  {
    name: 'fsync of a pipe (-EINVAL) → nop',
    requests: (bed) => [sqe('fsync', bed.pipe()[1], link), nop()],
    kernel: [
      [1, E.INVAL],
      [2, 0],
    ],
    ours: [
      [1, E.INVAL],
      [2, E.CANCELED],
    ],
    why: 'an error breaks a link, of whatever opcode: the kernel forgets it for fsync and others, and what relies on the sync goes on',
  },
  {
    name: 'statx of no file (-ENOENT) → nop',
    requests: (bed) => [sqe('statx', bed.put(bed.path('missing')), 0, 0x7ff, bed.allocate(256), link), nop()],
    kernel: [
      [1, E.NOENT],
      [2, 0],
    ],
    ours: [
      [1, E.NOENT],
      [2, E.CANCELED],
    ],
    why: 'as above',
  },
  {
    name: 'unlinkat of no file (-ENOENT) → nop',
    requests: (bed) => [sqe('unlinkat', bed.put(bed.path('missing')), 0, link), nop()],
    kernel: [
      [1, E.NOENT],
      [2, 0],
    ],
    ours: [
      [1, E.NOENT],
      [2, E.CANCELED],
    ],
    why: 'as above',
  },
  {
    name: 'openat of no file (-ENOENT) → nop',
    requests: (bed) => [sqe('openat', bed.put(bed.path('missing')), 0, 0, link), nop()],
    kernel: [
      [1, E.NOENT],
      [2, E.CANCELED],
    ],
  },
];

const show = (results: Results): string =>
  results.map(([request, res]) => `${request}: ${res < 0 ? `-${errnoName(-res)}` : res}`).join(', ');

/** The row of docs/ring-semantics.md. */
export const line = ({ name, kernel, ours, why }: Row): string =>
  `| ${name} | ${show(kernel)} | ${ours === undefined ? 'the same' : show(ours)} | ${why ?? ''} |`;
