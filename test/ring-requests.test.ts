/** Requests of io_uring, byte by byte, against those that liburing writes: a C program prints them where gcc and liburing's headers are there. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AT_FDCWD } from '../src/abi/io-uring/call-flags.ts';
import * as prep from '../src/hooks/ring/prep/index.ts';

type Prep = (view: DataView, at: number) => void;

/** By the names in liburing-requests.c. */
const cases: Readonly<Record<string, Prep>> = {
  nop: (v, at) => prep.nop(v, at),
  read: (v, at) => prep.read(v, at, 5, 0x1000, 4096, 0x123456789a),
  'read position': (v, at) => prep.read(v, at, 5, 0x1000, 4096),
  write: (v, at) => prep.write(v, at, 6, 0x2000, 77, 3n),
  readv: (v, at) => prep.readv(v, at, 5, 0x1000, 3, 8, { flags: 8 }),
  writev: (v, at) => prep.writev(v, at, 5, 0x1000, 2, 8, { flags: 2 }),
  read_fixed: (v, at) => prep.readFixed(v, at, 5, 0x1000, 512, 1024, 9),
  write_fixed: (v, at) => prep.writeFixed(v, at, 5, 0x1000, 512, 1024, 9),
  fsync: (v, at) => prep.fsync(v, at, 5, { dataOnly: true }),
  sync_file_range: (v, at) => prep.syncFileRange(v, at, 5, 200, 100, 3),
  fallocate: (v, at) => prep.fallocate(v, at, 5, 1, 4096, 0x100000000),
  fadvise: (v, at) => prep.fadvise(v, at, 5, 64, 128, 4),
  madvise: (v, at) => prep.madvise(v, at, 0x10000, 4096, 4),
  fsetxattr: (v, at) => prep.fsetxattr(v, at, 5, 0x100, 0x200, 7, 1),
  fgetxattr: (v, at) => prep.fgetxattr(v, at, 5, 0x100, 0x200, 7),
  setxattr: (v, at) => prep.setxattr(v, at, 0x300, 0x100, 0x200, 7, 2),
  getxattr: (v, at) => prep.getxattr(v, at, 0x300, 0x100, 0x200, 7),
  openat: (v, at) => prep.openat(v, at, 0x100, 0o2000102, 0o644),
  'openat direct': (v, at) => prep.openat(v, at, 0x100, 0, 0, { directory: 7, slot: 3 }),
  'openat alloc': (v, at) => prep.openat(v, at, 0x100, 0, 0, { directory: 7, slot: 'alloc' }),
  openat2: (v, at) => prep.openat2(v, at, 0x100, 0x200, prep.OPEN_HOW_SIZE, { directory: 7 }),
  'openat2 direct': (v, at) => prep.openat2(v, at, 0x100, 0x200, prep.OPEN_HOW_SIZE, { directory: 7, slot: 4 }),
  close: (v, at) => prep.close(v, at, 5),
  'close direct': (v, at) => prep.closeDirect(v, at, 5),
  statx: (v, at) => prep.statx(v, at, 0x100, 0x100, 0x7ff, 0x400),
  unlinkat: (v, at) => prep.unlinkat(v, at, 0x100, 0x200, { directory: 7 }),
  mkdirat: (v, at) => prep.mkdirat(v, at, 0x100, 0o755, { directory: 7 }),
  renameat: (v, at) => prep.renameat(v, at, 0x100, 0x200, 1, { directory: 7, newDirectory: 8 }),
  linkat: (v, at) => prep.linkat(v, at, 0x100, 0x200, 0x400, { directory: 7, newDirectory: 8 }),
  symlinkat: (v, at) => prep.symlinkat(v, at, 0x100, 0x200, { directory: 7 }),
  splice: (v, at) => prep.splice(v, at, 5, 4096, 6, -1, 65536, { fixedInput: true, flags: 1 }),
  tee: (v, at) => prep.tee(v, at, 5, 6, 100),
  poll_add: (v, at) => prep.pollAdd(v, at, 5, 0x2001),
  'poll multishot': (v, at) => prep.pollAdd(v, at, 5, 1, { multishot: true }),
  poll_remove: (v, at) => prep.pollRemove(v, at, 0x123456789a),
  poll_update: (v, at) => prep.pollUpdate(v, at, 1, { events: 4, newUserData: 2 }),
  timeout: (v, at) => prep.timeout(v, at, 0x500, { count: 3, absolute: true, clock: 'realtime', etimeSuccess: true }),
  timeout_remove: (v, at) => prep.timeoutRemove(v, at, 99),
  timeout_update: (v, at) => prep.timeoutUpdate(v, at, 99, 0x500, { absolute: true }),
  link_timeout: (v, at) => prep.linkTimeout(v, at, 0x500, { clock: 'boottime' }),
  accept: (v, at) => prep.accept(v, at, 5, { peer: 0x600, peerLength: 0x700, flags: 0o2000000 }),
  'accept multishot': (v, at) => prep.accept(v, at, 5, { multishot: true, flags: 0o4000 }),
  'accept direct': (v, at) => prep.accept(v, at, 5, { slot: 2 }),
  'accept multishot direct': (v, at) => prep.accept(v, at, 5, { multishot: true, slot: 'alloc' }),
  connect: (v, at) => prep.connect(v, at, 5, 0x600, 16),
  socket: (v, at) => prep.socket(v, at, 2, 1 | 0o4000, 6),
  'socket direct': (v, at) => prep.socket(v, at, 10, 2, 0, { slot: 1 }),
  'socket alloc': (v, at) => prep.socket(v, at, 10, 2, 0, { slot: 'alloc' }),
  send: (v, at) => prep.send(v, at, 5, 0x1000, 100, { flags: 0x8000 }),
  'send to': (v, at) => prep.send(v, at, 5, 0x1000, 100, { to: 0x600, toLength: 28 }),
  recv: (v, at) => prep.recv(v, at, 5, 0x1000, 100, { flags: 0x100 }),
  'recv multishot': (v, at) => prep.recv(v, at, 5, 0, 0, { multishot: true, bufferSelect: 11 }),
  send_zc: (v, at) => prep.sendZeroCopy(v, at, 5, 0x1000, 100, { reportUsage: true }),
  'send_zc fixed': (v, at) => prep.sendZeroCopy(v, at, 5, 0x1000, 100, { buffer: 3 }),
  sendmsg: (v, at) => prep.sendmsg(v, at, 5, 0x800),
  sendmsg_zc: (v, at) => prep.sendmsgZeroCopy(v, at, 5, 0x800),
  recvmsg: (v, at) => prep.recvmsg(v, at, 5, 0x800, { flags: 2 }),
  'recvmsg multishot': (v, at) => prep.recvmsg(v, at, 5, 0x800, { multishot: true, bufferSelect: 0 }),
  shutdown: (v, at) => prep.shutdown(v, at, 5, 1),
  cancel: (v, at) => prep.cancel(v, at, { userData: 0x123456789a }),
  'cancel all': (v, at) => prep.cancel(v, at, { userData: 4, all: true }),
  'cancel fd': (v, at) => prep.cancel(v, at, { fd: 5, all: true }),
  'cancel any': (v, at) => prep.cancel(v, at, { any: true }),
  msg_ring: (v, at) => prep.messageData(v, at, 9, 44, 0x123456789a),
  files_update: (v, at) => prep.filesUpdate(v, at, 0x900, 4, 10),
  provide_buffers: (v, at) => prep.provideBuffers(v, at, 0x10000, 4096, 16, 3, 100),
  remove_buffers: (v, at) => prep.removeBuffers(v, at, 16, 3),
  epoll_ctl: (v, at) => prep.epollCtl(v, at, 5, 1, 6, 0xa00),
  flags: (v, at) => {
    prep.nop(v, at, { drain: true, link: true, async: true, skipSuccess: true, userData: 0xfedcba9876543210n });
    // A nop has no file: liburing does not mind.
    v.setUint8(at + 1, v.getUint8(at + 1) | 1);
  },
};

const missing = !existsSync('/usr/include/liburing.h')
  ? "no liburing's headers: apt-get install liburing-dev"
  : !existsSync('/usr/bin/gcc')
    ? 'no gcc'
    : undefined;

describe.skipIf(missing !== undefined)(
  `requests, as liburing writes them${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    const expected = missing === undefined ? liburingRequests() : new Map<string, string>();

    it('are compared for each that the C program has', () => {
      expect(Object.keys(cases).sort()).toEqual([...expected.keys()].sort());
    });

    it.each([...expected.keys()])('%s', (name) => {
      const bytes = new Uint8Array(64 + 8).fill(0xee);
      cases[name]!(new DataView(bytes.buffer), 4);
      expect(Buffer.from(bytes.subarray(4, 68)).toString('hex')).toBe(expected.get(name));
      expect([...bytes.subarray(0, 4), ...bytes.subarray(68)], 'bytes around it').toEqual(Array(8).fill(0xee));
    });
  },
);

function liburingRequests(): Map<string, string> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-requests-'));
  try {
    const program = join(folder, 'requests');
    // Only what the headers define is used.
    execFileSync('gcc', ['-o', program, new URL('liburing-requests.c', import.meta.url).pathname]);
    const lines = execFileSync(program, { encoding: 'utf8' }).trim().split('\n');
    return new Map(lines.map((line) => [line.slice(0, -129), line.slice(-128)]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('AT_FDCWD', () => {
  it('is what paths start from', () => {
    const view = new DataView(new ArrayBuffer(64));
    prep.openat(view, 0, 1, 0);
    expect(view.getInt32(4, true)).toBe(AT_FDCWD);
  });
});
