import { describe, expect, it } from 'vitest';
import { msgFlags, openFlags } from '../../../abi/io-uring/call-flags.ts';
import type { OpcodeName } from '../../../abi/io-uring/opcodes.ts';
import { nopFlags, sqeFlags, timeoutFlags } from '../../../abi/io-uring/request-flags.ts';
import { registerOpcodes } from '../../../abi/io-uring/ring-flags.ts';
import { Runtime } from '../../../runtime/runtime.ts';
import { SimulatedBackend } from './backend.ts';
import { ECANCELED, EINVAL, EIO, ENOENT, EOPNOTSUPP, ETIME } from './errno.ts';
import { cachedLatency } from './faults.ts';
import { type RawRequest, RawRing } from './raw-ring.ts';
import { World } from './world/index.ts';

const { IO_LINK: LINK, IO_HARDLINK: HARD, CQE_SKIP_SUCCESS: SKIP, IO_DRAIN: DRAIN, FIXED_FILE } = sqeFlags;
const EBADF = 9;
const inject = (res: number): RawRequest => ({ opFlags: nopFlags.INJECT_RESULT, len: res >>> 0 });

/** A ring over everything that the rows name. */
function bench() {
  const world = new World();
  world.file('/thousand', 'x'.repeat(1000));
  const runtime = new Runtime({ seed: 1n });
  const backend = new SimulatedBackend(runtime, { world, latency: cachedLatency });
  const memory = runtime.allocatePages(65536);
  const view = runtime.view();
  const bytes = runtime.bytes();
  view.setBigInt64(memory + 1000, 1n, true);
  for (const [at, path] of [
    [2000, '/thousand'],
    [2100, '/missing'],
  ] as const)
    bytes.set(new TextEncoder().encode(`${path}\0`), memory + at);
  const [pipeRead, pipeWrite] = world.pipe();
  const [near, far] = world.socketPair();
  const ring = new RawRing(backend, runtime.plane.memory);
  return {
    world,
    backend,
    ring,
    view,
    buffer: memory + 4096,
    second: memory + 1000,
    path: memory + 2000,
    missing: memory + 2100,
    thousand: world.open('/thousand'),
    target: world.open('/target', openFlags.CREAT | openFlags.WRONLY),
    pipeRead,
    pipeWrite,
    near,
    far,
    fill(fd: number, length: number) {
      ring.push('write', { fd, addr: memory + 4096, len: length });
      expect(ring.run(1)[0]!.res).toBe(length);
      backend.advance(1000);
    },
  };
}
type Bench = ReturnType<typeof bench>;
type Step = readonly [OpcodeName | number, RawRequest];

interface Row {
  readonly name: string;
  readonly before?: (b: Bench) => void;
  readonly steps: (b: Bench) => readonly Step[];
  /** [step, result] in the order of the CQEs. */
  readonly cqes: readonly (readonly [number, number])[];
  readonly after?: (b: Bench) => void;
}

/** The truth table of links on Linux 6.18 (research/ring.md, section 5): a -> b is LINK, a => b HARDLINK. */
const rows: readonly Row[] = [
  {
    name: 'READ 4096 of 1000 -> WRITE',
    steps: (b) => [
      ['read', { fd: b.thousand, addr: b.buffer, len: 4096, flags: LINK }],
      ['write', { fd: b.target, addr: b.buffer, len: 10 }],
    ],
    cqes: [
      [0, 1000],
      [1, -ECANCELED],
    ],
  },
  {
    name: 'READ 4096 of 1000 => WRITE',
    steps: (b) => [
      ['read', { fd: b.thousand, addr: b.buffer, len: 4096, flags: HARD }],
      ['write', { fd: b.target, addr: b.buffer, len: 10 }],
    ],
    cqes: [
      [0, 1000],
      [1, 10],
    ],
  },
  {
    name: 'READ at the end -> NOP',
    steps: (b) => [
      ['read', { fd: b.thousand, addr: b.buffer, len: 10, off: 1000, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, 0],
      [1, -ECANCELED],
    ],
  },
  {
    name: 'RECV 3 of 100 -> NOP',
    before: (b) => b.fill(b.far, 3),
    steps: (b) => [
      ['recv', { fd: b.near, addr: b.buffer, len: 100, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, 3],
      [1, 0],
    ],
  },
  {
    name: 'RECV 3 of 100 with WAITALL, then the end -> NOP',
    before: (b) => {
      b.fill(b.far, 3);
      expect(b.ring.one('shutdown', { fd: b.far, len: 1 })).toBe(0);
      b.backend.advance(1000);
    },
    steps: (b) => [
      ['recv', { fd: b.near, addr: b.buffer, len: 100, opFlags: msgFlags.WAITALL, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, 3],
      [1, -ECANCELED],
    ],
  },
  {
    name: 'pipe READ 5 of 100 -> NOP',
    before: (b) => b.fill(b.pipeWrite, 5),
    steps: (b) => [
      ['read', { fd: b.pipeRead, addr: b.buffer, len: 100, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, 5],
      [1, -ECANCELED],
    ],
  },
  {
    name: 'SPLICE 5 of 100 -> NOP',
    before: (b) => b.fill(b.pipeWrite, 5),
    steps: (b) => [
      ['splice', { fd: b.target, off: 0, addr: -1, fileIndex: b.pipeRead, len: 100, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, 5],
      [1, -ECANCELED],
    ],
  },
  {
    name: 'NOP +42 -> NOP',
    steps: () => [
      ['nop', { ...inject(42), flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, 42],
      [1, 0],
    ],
  },
  {
    name: 'NOP -EIO -> NOP -> NOP',
    steps: () => [
      ['nop', { ...inject(-EIO), flags: LINK }],
      ['nop', { flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, -EIO],
      [1, -ECANCELED],
      [2, -ECANCELED],
    ],
  },
  {
    name: 'SKIP NOP -EIO -> SKIP NOP -> NOP',
    steps: () => [
      ['nop', { ...inject(-EIO), flags: LINK | SKIP }],
      ['nop', { flags: LINK | SKIP }],
      ['nop', {}],
    ],
    cqes: [[0, -EIO]],
  },
  {
    name: 'NOP -EIO -> SKIP NOP -> SKIP NOP',
    steps: () => [
      ['nop', { ...inject(-EIO), flags: LINK }],
      ['nop', { flags: LINK | SKIP }],
      ['nop', { flags: SKIP }],
    ],
    cqes: [
      [0, -EIO],
      [1, -ECANCELED],
      [2, -ECANCELED],
    ],
  },
  {
    name: 'TIMEOUT -> NOP',
    steps: (b) => [
      ['timeout', { addr: b.second, len: 1, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, -ETIME],
      [1, -ECANCELED],
    ],
  },
  {
    name: 'TIMEOUT with ETIME_SUCCESS -> NOP',
    steps: (b) => [
      ['timeout', { addr: b.second, len: 1, opFlags: timeoutFlags.ETIME_SUCCESS, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, -ETIME],
      [1, 0],
    ],
  },
  {
    name: 'pipe READ -> LINK_TIMEOUT -> NOP',
    steps: (b) => [
      ['read', { fd: b.pipeRead, addr: b.buffer, len: 10, flags: LINK }],
      ['link_timeout', { addr: b.second, len: 1, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [1, -ETIME],
      [0, -ECANCELED],
      [2, -ECANCELED],
    ],
  },
  {
    name: 'pipe READ that ends in time -> LINK_TIMEOUT -> NOP',
    before: (b) => b.fill(b.pipeWrite, 10),
    steps: (b) => [
      ['read', { fd: b.pipeRead, addr: b.buffer, len: 10, flags: LINK }],
      ['link_timeout', { addr: b.second, len: 1, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, 10],
      [1, -ECANCELED],
      [2, 0],
    ],
  },
  {
    name: 'NOP -> READ of no file -> NOP',
    steps: (b) => [
      ['nop', { flags: LINK }],
      ['read', { fd: 777, addr: b.buffer, len: 10, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, 0],
      [1, -EBADF],
      [2, -ECANCELED],
    ],
  },
  {
    name: 'NOP -> bad opcode -> NOP',
    steps: () => [
      ['nop', { flags: LINK }],
      [120, { flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, -ECANCELED],
      [1, -EINVAL],
      [2, -ECANCELED],
    ],
  },
  {
    name: 'OPENAT_DIRECT -> READ short -> CLOSE_DIRECT: the slot leaks',
    steps: (b) => [
      ['openat', { fd: -100, addr: b.path, fileIndex: 1, flags: LINK }],
      ['read', { fd: 0, addr: b.buffer, len: 4096, flags: LINK | FIXED_FILE }],
      ['close', { fileIndex: 1 }],
    ],
    cqes: [
      [0, 0],
      [1, 1000],
      [2, -ECANCELED],
    ],
    after: (b) => expect(b.backend.directDescriptors).toEqual([0]),
  },
  {
    name: 'OPENAT_DIRECT -> READ short => CLOSE_DIRECT: it does not',
    steps: (b) => [
      ['openat', { fd: -100, addr: b.path, fileIndex: 1, flags: LINK }],
      ['read', { fd: 0, addr: b.buffer, len: 4096, flags: HARD | FIXED_FILE }],
      ['close', { fileIndex: 1 }],
    ],
    cqes: [
      [0, 0],
      [1, 1000],
      [2, 0],
    ],
    after: (b) => expect(b.backend.directDescriptors).toEqual([]),
  },
  {
    name: 'OPENAT_DIRECT of nothing => READ => CLOSE_DIRECT',
    steps: (b) => [
      ['openat', { fd: -100, addr: b.missing, fileIndex: 1, flags: HARD }],
      ['read', { fd: 0, addr: b.buffer, len: 4096, flags: HARD | FIXED_FILE }],
      ['close', { fileIndex: 1 }],
    ],
    cqes: [
      [0, -ENOENT],
      [1, -EBADF],
      [2, -EBADF],
    ],
  },
  {
    name: 'SKIP, then DRAIN',
    steps: () => [
      ['nop', { flags: SKIP }],
      ['nop', { flags: DRAIN }],
    ],
    cqes: [[1, -EOPNOTSUPP]],
  },
  {
    name: 'DRAIN with SKIP',
    steps: () => [['nop', { flags: DRAIN | SKIP }]],
    cqes: [[0, -EOPNOTSUPP]],
  },
  {
    name: 'RECV from an empty group',
    steps: (b) => [['recv', { fd: b.near, len: 100, flags: sqeFlags.BUFFER_SELECT, bufIndex: 7 }]],
    cqes: [[0, -105]],
  },
];

describe('links, as on Linux 6.18', () => {
  it.each(rows)('$name', async ({ before, steps, cqes, after }) => {
    const b = bench();
    b.backend.register(registerOpcodes.FILES2, sparse(b), 32);
    before?.(b);
    for (const [index, [opcode, words]] of steps(b).entries()) b.ring.push(opcode, { ...words, user: index });
    b.ring.submit(cqes.length);
    b.backend.advance(5e9);
    expect(b.ring.take().map(({ user, res }) => [user, res])).toEqual(cqes);
    expect(b.backend.inFlight).toBe(0);
    after?.(b);
    await b.backend.close();
  });

  it('end with the submission: a link flag on its last request binds nothing', () => {
    const { ring } = bench();
    ring.push('nop', { user: 1, flags: LINK });
    ring.submit();
    ring.push('nop', { user: 2 });
    expect(ring.run(2).map(({ user }) => user)).toEqual([2, 1]);
  });

  it('are broken by failures of files, not by failures of names or of sync, as in the kernel', () => {
    const b = bench();
    b.ring.push('unlinkat', { fd: -100, addr: b.missing, flags: LINK });
    b.ring.push('fsync', { fd: b.pipeRead, flags: LINK });
    b.ring.push('openat', { fd: -100, addr: b.missing, flags: LINK });
    b.ring.push('nop');
    expect(b.ring.run(4).map(({ res }) => res)).toEqual([-ENOENT, -EINVAL, -ENOENT, -ECANCELED]);
  });
});

/** struct io_uring_rsrc_register for 8 empty slots. */
function sparse(b: Bench): number {
  const at = b.buffer + 8192;
  const { view } = b;
  view.setUint32(at, 8, true);
  view.setUint32(at + 4, 1, true);
  return at;
}
