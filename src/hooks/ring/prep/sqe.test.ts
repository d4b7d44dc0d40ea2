import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LINK_RETRY_REST, RING_FINALLY } from '../../../plane/layout/ring.ts';
import * as prep from './index.ts';

const view = new DataView(new ArrayBuffer(128));
const bytes = new Uint8Array(view.buffer);

function written(write: (view: DataView, at: number) => void): DataView {
  bytes.fill(0xee);
  write(view, 32);
  return new DataView(view.buffer.slice(32, 96));
}

function code(run: () => void): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

describe('what every request can have', () => {
  it('is written into flags and the last eight bytes', () => {
    const sqe = written((v, at) =>
      prep.read(v, at, 3, 0x1_0000, 8, 0, {
        fixedFile: true,
        link: true,
        hardlink: true,
        drain: true,
        async: true,
        skipSuccess: true,
        bufferSelect: 0x1234,
        userData: 2 ** 40 + 7,
        personality: 5,
        queue: 3,
        callback: 2,
        policy: LINK_RETRY_REST,
        extra: RING_FINALLY,
        group: 9,
      }),
    );
    expect(sqe.getUint8(1)).toBe(0x7f);
    expect(sqe.getUint16(40, true)).toBe(0x1234);
    expect(sqe.getBigUint64(32, true)).toBe(2n ** 40n + 7n);
    expect(sqe.getUint16(42, true)).toBe(5);
    expect([sqe.getUint16(56, true), sqe.getUint16(58, true)]).toEqual([3, 2]);
    expect([sqe.getUint8(60), sqe.getUint8(61), sqe.getUint16(62, true)]).toEqual([LINK_RETRY_REST, RING_FINALLY, 9]);
  });

  it('holds 64 bits of any kind', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (value) => {
        const sqe = written((v, at) => prep.read(v, at, 0, 0, 0, value, { userData: value }));
        expect(sqe.getBigUint64(8, true)).toBe(BigInt.asUintN(64, value));
        expect(sqe.getBigUint64(32, true)).toBe(BigInt.asUintN(64, value));
      }),
    );
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const sqe = written((v, at) => prep.read(v, at, 0, 0, 0, value));
        expect(sqe.getBigUint64(8, true)).toBe(BigInt.asUintN(64, BigInt(value)));
      }),
    );
  });

  it('tells addresses of the linear memory and of the process apart', () => {
    const address = (value: number | bigint) =>
      written((v, at) => prep.read(v, at, 0, value, 0)).getBigUint64(16, true);
    expect(address(0)).toBe(0n);
    expect(address(0xffff_fff0)).toBe(0xffff_fff0n);
    expect(address(0x7fff_1234_5678)).toBe(0x8000_7fff_1234_5678n);
    expect(address(0x1000n)).toBe(0x8000_0000_0000_1000n);
  });

  it('is refused where it is no number of its kind', () => {
    for (const offset of [1.5, Number.NaN, 2 ** 53, 2n ** 64n, -(2n ** 63n) - 1n])
      expect(
        code(() => prep.read(view, 0, 0, 0, 0, offset)),
        `${offset}`,
      ).toBe('SLUICE_RING_OFFSET');
    for (const address of [-1, 1.5, Number.NaN, -1n, 2n ** 63n])
      expect(
        code(() => prep.read(view, 0, 0, address, 0)),
        `${address}`,
      ).toBe('SLUICE_RING_ADDRESS');
    for (const length of [-1, 2 ** 32, 0.5])
      expect(
        code(() => prep.read(view, 0, 0, 0, length)),
        `${length}`,
      ).toBe('SLUICE_RING_LENGTH');
    for (const fd of [2 ** 31, 1.5, Number.NaN])
      expect(
        code(() => prep.read(view, 0, fd, 0, 0)),
        `${fd}`,
      ).toBe('SLUICE_RING_FD');
    expect(code(() => prep.nop(view, 0, { queue: 65536 }))).toBe('SLUICE_RING_OPTION');
    expect(code(() => prep.nop(view, 0, { group: -1 }))).toBe('SLUICE_RING_OPTION');
    expect(code(() => prep.nop(view, 0, { result: 2 ** 31 }))).toBe('SLUICE_RING_OPTION');
  });
});

describe('requests that the kernel would refuse, and their chain with them', () => {
  const refused: [string, (view: DataView) => void][] = [
    ['a registered file where none is used', (v) => prep.openat(v, 0, 1, 0, 0, { fixedFile: true })],
    ['a group of buffers where none is used', (v) => prep.write(v, 0, 1, 1, 1, 0, { bufferSelect: 1 })],
    ['CLOEXEC for a slot (open)', (v) => prep.openat(v, 0, 1, 0o2000000, 0, { slot: 1 })],
    ['CLOEXEC for a slot (accept)', (v) => prep.accept(v, 0, 1, { flags: 0o2000000, slot: 'alloc' })],
    ['CLOEXEC for a slot (socket)', (v) => prep.socket(v, 0, 2, 1 | 0o2000000, 0, { slot: 1 })],
    ['CLOEXEC for a slot (pipe)', (v) => prep.pipe(v, 0, 8, { flags: 0o2000000, slot: 1 })],
    ['many connections in one slot', (v) => prep.accept(v, 0, 1, { multishot: true, slot: 4 })],
    ['multishot recv without a group', (v) => prep.recv(v, 0, 1, 0, 0, { multishot: true })],
    [
      'multishot recv of everything',
      (v) => prep.recv(v, 0, 1, 0, 0, { multishot: true, bufferSelect: 1, flags: 0x100 }),
    ],
    ['a total without multishot', (v) => prep.recv(v, 0, 1, 0, 0, { total: 100 })],
    ['a bundle without a group', (v) => prep.send(v, 0, 1, 0, 0, { bundle: true })],
    ['zero-copy without completions', (v) => prep.sendZeroCopy(v, 0, 1, 1, 1, { skipSuccess: true })],
    ['multishot poll without completions', (v) => prep.pollAdd(v, 0, 1, 1, { multishot: true, skipSuccess: true })],
    ['an update that changes nothing', (v) => prep.pollUpdate(v, 0, 1, {})],
    ['a repeated point in time', (v) => prep.timeout(v, 0, 8, { multishot: true, absolute: true })],
    ['cancelling nothing', (v) => prep.cancel(v, 0, {})],
    ['cancelling any and one', (v) => prep.cancel(v, 0, { any: true, fd: 3 })],
    ['waiting for no word', (v) => prep.futexWaitv(v, 0, 8, 0)],
  ];

  it.each(refused)('%s', (_, write) => {
    expect(code(() => write(view))).toBe('SLUICE_RING_REQUEST');
  });
});

describe('requests that liburing 2.3 does not have', () => {
  const words = (sqe: DataView) => ({
    opcode: sqe.getUint8(0),
    ioprio: sqe.getUint16(2, true),
    fd: sqe.getInt32(4, true),
    off: sqe.getBigUint64(8, true),
    addr: sqe.getBigUint64(16, true),
    len: sqe.getUint32(24, true),
    flags: sqe.getUint32(28, true),
    index: sqe.getUint32(44, true),
    addr3: sqe.getBigUint64(48, true),
  });
  const empty = { ioprio: 0, fd: 0, off: 0n, addr: 0n, len: 0, flags: 0, index: 0, addr3: 0n };
  const cases: [string, (view: DataView, at: number) => void, object][] = [
    [
      'nop with a result',
      (v, at) => prep.nop(v, at, { result: -5 }),
      { opcode: 0, fd: -1, len: 0xffff_fffb, flags: 1 },
    ],
    ['ftruncate', (v, at) => prep.ftruncate(v, at, 4, 1000), { opcode: 55, fd: 4, off: 1000n }],
    [
      'fadvise of 4 GiB',
      (v, at) => prep.fadvise(v, at, 4, 1, 2 ** 32, 3),
      { opcode: 24, fd: 4, off: 1n, addr: 2n ** 32n, flags: 3 },
    ],
    ['bind', (v, at) => prep.bind(v, at, 4, 0x100, 16), { opcode: 56, fd: 4, addr: 0x100n, off: 16n }],
    ['listen', (v, at) => prep.listen(v, at, 4, 128), { opcode: 57, fd: 4, len: 128 }],
    [
      'pipe',
      (v, at) => prep.pipe(v, at, 0x100, { flags: 0o4000, slot: 2 }),
      { opcode: 62, addr: 0x100n, flags: 0o4000, index: 3 },
    ],
    [
      'read_multishot',
      (v, at) => prep.readMultishot(v, at, 4, 0, -1, { bufferSelect: 1 }),
      { opcode: 49, fd: 4, off: 2n ** 64n - 1n },
    ],
    ['readv_fixed', (v, at) => prep.readvFixed(v, at, 4, 0x100, 2, 0, 3), { opcode: 60, fd: 4, addr: 0x100n, len: 2 }],
    [
      'writev_fixed',
      (v, at) => prep.writevFixed(v, at, 4, 0x100, 2, 0, 3),
      { opcode: 61, fd: 4, addr: 0x100n, len: 2 },
    ],
    [
      'futex_wait',
      (v, at) => prep.futexWait(v, at, 0x100, 5, 0xffff_ffff, 2),
      { opcode: 51, fd: 2, addr: 0x100n, off: 5n, addr3: 0xffff_ffffn },
    ],
    [
      'futex_wake',
      (v, at) => prep.futexWake(v, at, 0x100, 1, 0xffff_ffff, 2),
      { opcode: 52, fd: 2, addr: 0x100n, off: 1n, addr3: 0xffff_ffffn },
    ],
    ['futex_waitv', (v, at) => prep.futexWaitv(v, at, 0x100, 3), { opcode: 53, addr: 0x100n, len: 3 }],
    ['waitid', (v, at) => prep.waitid(v, at, 1, 77, 0x100, 4), { opcode: 50, fd: 77, len: 1, off: 0x100n, index: 4 }],
    [
      'fixed_fd_install',
      (v, at) => prep.fixedFdInstall(v, at, 6, { keepOnExec: true }),
      { opcode: 54, fd: 6, flags: 1 },
    ],
    [
      'msg_ring with flags',
      (v, at) => prep.messageData(v, at, 4, -1, 2, 8),
      { opcode: 40, fd: 4, len: 0xffff_ffff, off: 2n, flags: 2, index: 8 },
    ],
    [
      'msg_ring with a file',
      (v, at) => prep.messageFile(v, at, 4, 5, 'alloc', 9, { silent: true }),
      { opcode: 40, fd: 4, addr: 1n, off: 9n, addr3: 5n, flags: 1, index: 0xffff_ffff },
    ],
    ['epoll_wait', (v, at) => prep.epollWait(v, at, 4, 0x100, 8), { opcode: 59, fd: 4, addr: 0x100n, len: 8 }],
    [
      'setsockopt',
      (v, at) => prep.setSocketOption(v, at, 4, 1, 2, 0x100, 4),
      { opcode: 46, fd: 4, off: 3n, addr: 0x2_0000_0001n, index: 4, addr3: 0x100n },
    ],
    [
      'getsockopt',
      (v, at) => prep.getSocketOption(v, at, 4, 1, 2, 0x100, 4),
      { opcode: 46, fd: 4, off: 2n, addr: 0x2_0000_0001n, index: 4, addr3: 0x100n },
    ],
    [
      'recv up to a total',
      (v, at) => prep.recv(v, at, 4, 0, 10, { multishot: true, bufferSelect: 1, total: 99 }),
      { opcode: 27, ioprio: 2, fd: 4, len: 10, index: 99 },
    ],
    [
      'recv of a bundle',
      (v, at) => prep.recv(v, at, 4, 0, 0, { bundle: true, bufferSelect: 1 }),
      { opcode: 27, ioprio: 16, fd: 4 },
    ],
    [
      'send of vectors',
      (v, at) => prep.send(v, at, 4, 0x100, 2, { vectorized: true }),
      { opcode: 26, ioprio: 32, fd: 4, addr: 0x100n, len: 2 },
    ],
    [
      'cancel by opcode',
      (v, at) => prep.cancel(v, at, { opcode: 'read', fd: 2, fixed: true }),
      { opcode: 14, fd: 2, len: 22, flags: 2 | 8 | 32 },
    ],
    [
      'cancel by opcode and user_data',
      (v, at) => prep.cancel(v, at, { opcode: 'read', userData: 6 }),
      { opcode: 14, fd: -1, len: 22, addr: 6n, flags: 16 | 32 },
    ],
    [
      'timeout, many times',
      (v, at) => prep.timeout(v, at, 0x100, { multishot: true, count: 4 }),
      { opcode: 11, fd: -1, len: 1, off: 4n, addr: 0x100n, flags: 64 },
    ],
    [
      'timeout_update of a link',
      (v, at) => prep.timeoutUpdate(v, at, 3, 0x100, { linked: true }),
      { opcode: 12, fd: -1, addr: 3n, off: 0x100n, flags: 18 },
    ],
    ['a program', (v, at) => prep.program(v, at, 3, 10, 2), { opcode: 128, fd: -1, off: 3n, len: 10, flags: 2 }],
  ];

  it.each(cases)('%s', (_, write, expected) => {
    expect(words(written(write))).toEqual({ ...empty, ...expected });
  });
});

describe('structures', () => {
  const at = 8;
  it('hold addresses of the process', () => {
    prep.writeIovec(view, at, 0x7f00_0000_0000, 0x1000, 77);
    expect([view.getBigUint64(at, true), view.getBigUint64(at + 8, true)]).toEqual([0x7f00_0000_1000n, 77n]);
    prep.writeIovec(view, at, 0x7f00_0000_0000, 0x7fff_0000_1000, 1);
    expect(view.getBigUint64(at, true)).toBe(0x7fff_0000_1000n);
    prep.writeMsghdr(view, at, 0x1_0000_0000, { name: 0x10, nameLength: 16, vectors: 0x20, vectorCount: 2 });
    expect([0, 16, 24, 32, 40, 48].map((place) => view.getBigUint64(at + place, true))).toEqual([
      0x1_0000_0010n,
      0x1_0000_0020n,
      2n,
      0n,
      0n,
      0n,
    ]);
    prep.writeFutexWaitv(view, at, 0x1_0000_0000, 0x30, 5, 2);
    expect([0, 8, 16].map((place) => view.getBigUint64(at + place, true))).toEqual([5n, 0x1_0000_0030n, 2n]);
  });

  it('split times into seconds and nanoseconds', () => {
    for (const ns of [0, 1, 999_999_999, 1_000_000_000, 5_500_000_000, 9e15]) {
      for (const value of [ns, BigInt(ns)]) {
        prep.writeTimespec(view, at, value);
        expect(view.getBigUint64(at, true) * 1_000_000_000n + view.getBigUint64(at + 8, true)).toBe(BigInt(ns));
      }
    }
    for (const ns of [-1, 0.5, -1n]) expect(code(() => prep.writeTimespec(view, at, ns))).toBe('SLUICE_RING_TIME');
  });

  it('read what multishot recvmsg puts in front', () => {
    for (const [i, value] of [16, 0, 100, 0x20].entries()) view.setUint32(at + i * 4, value, true);
    expect(prep.readMessageHeader(view, at, 28, 8)).toEqual({
      nameLength: 16,
      controlLength: 0,
      payloadLength: 100,
      flags: 0x20,
      name: at + 16,
      control: at + 44,
      payload: at + 52,
    });
  });

  it('keep events of epoll in both layouts', () => {
    for (const size of [prep.epollEventSize('x64'), prep.epollEventSize('arm64')]) {
      prep.writeEpollEvent(view, at, size, { events: 0x8000_0001, data: 2n ** 63n });
      expect(prep.readEpollEvent(view, at, size)).toEqual({ events: 0x8000_0001, data: 2n ** 63n });
    }
  });
});
