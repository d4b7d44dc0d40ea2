/**
 * Each request of src/hooks/ring/prep on the kernel's io_uring, without the plane: addresses are translated here as abi/io-uring/opcodes.ts says which
 * words are some.
 */
import { spawn } from 'node:child_process';
import { constants, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { constants as os, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import * as call from '../src/abi/io-uring/call-flags.ts';
import { opcodeDeclaration } from '../src/abi/io-uring/opcodes.ts';
import { CQE_BUFFER_SHIFT, cqeFlags } from '../src/abi/io-uring/request-flags.ts';
import { registerOpcodes } from '../src/abi/io-uring/ring-flags.ts';
import { UnsupportedError } from '../src/errors.ts';
import * as prep from '../src/hooks/ring/prep/index.ts';
import { decodeSockaddr, encodeSockaddr } from '../src/hooks/ring/sockaddr.ts';
import { decodeStatx } from '../src/hooks/ring/statx.ts';
import { close, pipe, syscall, syscallByNumber } from '../src/linux/ffi.ts';
import { LinuxRing } from '../src/linux/io-uring.ts';
import { Runtime } from '../src/runtime/runtime.ts';

const numbers: Readonly<Record<string, number>> = os.errno;
/** A completion's result for an errno. */
const E = (name: string): number => -numbers[name]!;

interface Completion {
  readonly userData: number;
  readonly result: number;
  readonly flags: number;
}

type Prep = (view: DataView, at: number) => void;

class TestRing {
  readonly runtime = new Runtime();
  readonly ring = new LinuxRing(this.runtime, { entries: 32 });
  /** Memory for the test, a page. */
  readonly at = this.runtime.allocatePages(65536);
  readonly base = Number(this.ring.base);

  get view(): DataView {
    return this.runtime.view();
  }

  bytes(at: number, length: number): Buffer {
    return Buffer.from(this.runtime.bytes().slice(at, at + length));
  }

  text(at: number, text: string): number {
    this.runtime.bytes().set(new TextEncoder().encode(`${text}\0`), at);
    return at;
  }

  push(write: Prep): void {
    const { sqTail, sqMask, sqes } = this.ring.addresses;
    const { view } = this;
    const tail = view.getUint32(sqTail, true);
    const at = sqes + (tail & sqMask) * 64;
    write(view, at);
    const places = { off: 8, addr: 16, addr3: 48 };
    for (const word of opcodeDeclaration(view.getUint8(at))!.addresses) {
      const address = view.getBigUint64(at + places[word], true);
      if (address !== 0n) view.setBigUint64(at + places[word], address + this.ring.base, true);
    }
    view.setBigUint64(at + 56, 0n, true);
    view.setUint32(sqTail, tail + 1, true);
  }

  reap(): Completion[] {
    const { cqHead, cqTail, cqMask, cqes } = this.ring.addresses;
    const { view } = this;
    const taken: Completion[] = [];
    let head = view.getUint32(cqHead, true);
    for (; head !== view.getUint32(cqTail, true); head = (head + 1) >>> 0) {
      const at = cqes + (head & cqMask) * 16;
      taken.push({
        userData: view.getUint32(at, true),
        result: view.getInt32(at + 8, true),
        flags: view.getUint32(at + 12, true),
      });
    }
    view.setUint32(cqHead, head, true);
    return taken;
  }

  /** All completions of these requests, in the order of their user_data, which are 0, 1, …. */
  all(...requests: Prep[]): Completion[] {
    for (const [index, write] of requests.entries()) {
      this.push((view, at) => {
        write(view, at);
        view.setUint32(at + 32, index, true);
      });
    }
    const taken: Completion[] = [];
    let submit = requests.length;
    while (taken.length < requests.length) {
      const entered = this.ring.enter(submit, requests.length - taken.length, 3e9);
      if (entered === E('ETIME')) throw new Error(`only ${JSON.stringify(taken)} within 3 s`);
      submit = 0;
      taken.push(...this.reap());
    }
    return taken.sort((a, b) => a.userData - b.userData);
  }

  /** Waits until as many have completed, and takes them. */
  next(wanted: number): Completion[] {
    const taken = this.reap();
    while (taken.length < wanted) {
      if (this.ring.enter(0, 1, 1e9) === E('ETIME')) throw new Error(`only ${JSON.stringify(taken)} within 1 s`);
      taken.push(...this.reap());
    }
    return taken;
  }

  run(write: Prep): number {
    return this.all(write)[0]!.result;
  }

  register(opcode: keyof typeof registerOpcodes, argument: number, count: number): number {
    return this.ring.register(registerOpcodes[opcode], argument, count);
  }
}

let ring!: TestRing;
let refusal: string | undefined;
try {
  ring = new TestRing();
} catch (error) {
  if (!(error instanceof UnsupportedError)) throw error;
  refusal = error.message;
}

describe.skipIf(refusal !== undefined)(`requests on io_uring${refusal ? ` (skipped: ${refusal})` : ''}`, () => {
  const folder = refusal === undefined ? mkdtempSync(join(tmpdir(), 'sluice-ring-')) : '';
  let at = 0;
  let path = 0;
  let file = '';
  let count = 0;

  beforeEach(() => {
    at = ring.at;
    path = at + 1024;
    file = join(folder, `file${count++}`);
    ring.runtime.bytes().fill(0, at, at + 65536);
    ring.text(path, file);
  });

  afterAll(async () => {
    await ring?.ring.close();
    if (folder !== '') rmSync(folder, { recursive: true, force: true });
  });

  const has = (name: Parameters<typeof opcodeDeclaration>[0]) => ring?.ring.supports(name) === true;
  const open = (flags = 0o102, mode = 0o600) => {
    const fd = ring.run((v, a) => prep.openat(v, a, path, flags, mode));
    expect(fd).toBeGreaterThan(0);
    return fd;
  };

  it('open, write, read, sync, truncate, allocate, advise, look and close a file', () => {
    const fd = open(call.openFlags.RDWR | call.openFlags.CREAT | call.openFlags.EXCL | call.openFlags.CLOEXEC);
    expect(ring.run((v, a) => prep.openat(v, a, path, 0o302, 0o600))).toBe(E('EEXIST'));
    ring.text(at, 'hello, ring');
    expect(ring.run((v, a) => prep.write(v, a, fd, at, 11, 0))).toBe(11);
    expect(readFileSync(file, 'utf8')).toBe('hello, ring');
    expect(ring.run((v, a) => prep.read(v, a, fd, at + 100, 50, 7))).toBe(4);
    expect(ring.bytes(at + 100, 4).toString()).toBe('ring');
    expect(ring.run((v, a) => prep.read(v, a, fd, at + 100, 5))).toBe(5);
    expect(ring.run((v, a) => prep.read(v, a, fd, at + 105, 50))).toBe(6);
    expect(ring.bytes(at + 100, 11).toString()).toBe('hello, ring');
    prep.writeIovec(ring.view, at + 200, ring.base, at + 300, 3);
    prep.writeIovec(ring.view, at + 216, ring.base, at + 400, 8);
    expect(ring.run((v, a) => prep.readv(v, a, fd, at + 200, 2, 0))).toBe(11);
    expect(ring.bytes(at + 300, 3).toString() + ring.bytes(at + 400, 8).toString()).toBe('hello, ring');
    expect(ring.run((v, a) => prep.writev(v, a, fd, at + 200, 2, 11))).toBe(11);
    expect(ring.run((v, a) => prep.fsync(v, a, fd))).toBe(0);
    expect(ring.run((v, a) => prep.fsync(v, a, fd, { dataOnly: true }))).toBe(0);
    expect(ring.run((v, a) => prep.syncFileRange(v, a, fd, 0, 0, call.syncFileRangeFlags.WRITE))).toBe(0);
    expect(ring.run((v, a) => prep.fallocate(v, a, fd, 0, 0, 100_000))).toBe(0);
    expect(statSync(file).size).toBe(100_000);
    if (has(55)) {
      expect(ring.run((v, a) => prep.ftruncate(v, a, fd, 2 ** 33))).toBe(0);
      expect(statSync(file).size).toBe(2 ** 33);
      expect(ring.run((v, a) => prep.ftruncate(v, a, fd, 22))).toBe(0);
    }
    expect(ring.run((v, a) => prep.fadvise(v, a, fd, 0, 0, call.fadviseAdvice.RANDOM))).toBe(0);
    expect(ring.run((v, a) => prep.madvise(v, a, at, 4096, call.madviseAdvice.WILLNEED))).toBeLessThanOrEqual(0);
    expect(ring.run((v, a) => prep.close(v, a, fd))).toBe(0);
    expect(ring.run((v, a) => prep.close(v, a, fd))).toBe(E('EBADF'));
  });

  it('look at files as node:fs does', () => {
    writeFileSync(file, 'x'.repeat(5000));
    expect(ring.run((v, a) => prep.statx(v, a, path, 0, call.statxMask.BASIC_STATS | call.statxMask.BTIME, at))).toBe(
      0,
    );
    const stats = decodeStatx(ring.view, at);
    const expected = statSync(file);
    const keys = ['dev', 'ino', 'mode', 'nlink', 'uid', 'gid', 'rdev', 'size', 'blksize', 'blocks'] as const;
    for (const key of keys) expect(stats[key], key).toBe(expected[key]);
    for (const key of ['atimeMs', 'mtimeMs', 'ctimeMs', 'birthtimeMs'] as const)
      expect(stats[key], key).toBeCloseTo(expected[key], 2);
    expect([stats.isFile(), stats.isDirectory(), stats.isSymbolicLink()]).toEqual([true, false, false]);
    expect(stats.mtime.getTime()).toBe(expected.mtime.getTime());
    ring.text(path, '/dev/null');
    ring.run((v, a) => prep.statx(v, a, path, 0, call.statxMask.BASIC_STATS, at));
    const device = decodeStatx(ring.view, at);
    expect([device.isCharacterDevice(), device.rdev]).toEqual([true, statSync('/dev/null').rdev]);
  });

  it('make, rename, link and remove names', () => {
    mkdirSync(file);
    const inside = ring.text(at, 'a');
    const other = ring.text(at + 100, 'b');
    const directory = open(constants.O_RDONLY | constants.O_DIRECTORY);
    const here = { directory };
    const both = { directory, newDirectory: directory };
    writeFileSync(join(file, 'a'), '1');
    expect(ring.run((v, a) => prep.renameat(v, a, inside, other, 0, both))).toBe(0);
    expect(ring.run((v, a) => prep.linkat(v, a, other, inside, 0, both))).toBe(0);
    expect(ring.run((v, a) => prep.renameat(v, a, inside, other, call.renameFlags.NOREPLACE, both))).toBe(E('EEXIST'));
    expect(ring.run((v, a) => prep.unlinkat(v, a, inside, 0, here))).toBe(0);
    expect(ring.run((v, a) => prep.symlinkat(v, a, other, inside, here))).toBe(0);
    expect(readFileSync(join(file, 'a'), 'utf8')).toBe('1');
    expect(ring.run((v, a) => prep.unlinkat(v, a, inside, 0, here))).toBe(0);
    expect(ring.run((v, a) => prep.mkdirat(v, a, inside, 0o700, here))).toBe(0);
    expect(statSync(join(file, 'a')).isDirectory()).toBe(true);
    expect(ring.run((v, a) => prep.unlinkat(v, a, inside, 0, here))).toBe(E('EISDIR'));
    expect(ring.run((v, a) => prep.unlinkat(v, a, inside, call.atFlags.REMOVEDIR, here))).toBe(0);
    prep.writeOpenHow(ring.view, at + 200, 0, 0, call.resolveFlags.BENEATH);
    const how = (v: DataView, a: number, name: number) => prep.openat2(v, a, name, at + 200, prep.OPEN_HOW_SIZE, here);
    const fd = ring.run((v, a) => how(v, a, other));
    expect(fd).toBeGreaterThan(0);
    ring.text(at + 300, '/etc/passwd');
    expect(ring.run((v, a) => how(v, a, at + 300))).toBe(E('EXDEV'));
    for (const each of [fd, directory]) ring.run((v, a) => prep.close(v, a, each));
  });

  it('keep extended attributes', () => {
    const fd = open();
    const name = ring.text(at, 'user.sluice');
    ring.text(at + 100, 'value');
    const set = ring.run((v, a) => prep.fsetxattr(v, a, fd, name, at + 100, 5, call.xattrFlags.CREATE));
    if (set === E('EOPNOTSUPP')) return void close(fd); // the file system has none
    expect(set).toBe(0);
    expect(ring.run((v, a) => prep.fgetxattr(v, a, fd, name, at + 200, 100))).toBe(5);
    expect(ring.bytes(at + 200, 5).toString()).toBe('value');
    expect(ring.run((v, a) => prep.setxattr(v, a, path, name, at + 100, 3, call.xattrFlags.REPLACE))).toBe(0);
    expect(ring.run((v, a) => prep.getxattr(v, a, path, name, 0, 0))).toBe(3);
    close(fd);
  });

  it('move data through pipes, and direct descriptors', () => {
    const file0 = at;
    ring.view.setInt32(file0, -1, true);
    for (let i = 1; i < 8; i++) ring.view.setInt32(file0 + i * 4, -1, true);
    expect(ring.register('FILES', file0, 8)).toBe(0);
    writeFileSync(file, 'through a pipe');
    expect(ring.run((v, a) => prep.openat(v, a, path, 0, 0, { slot: 3 }))).toBe(0);
    const picked = ring.run((v, a) => prep.openat(v, a, path, 0, 0, { slot: 'alloc' }));
    expect([0, 1, 2, 4, 5, 6, 7]).toContain(picked);
    expect(ring.run((v, a) => prep.closeDirect(v, a, picked))).toBe(0);
    expect(ring.run((v, a) => prep.read(v, a, 3, at + 100, 7, 0, { fixedFile: true }))).toBe(7);
    const [readEnd, writeEnd] = pipe();
    const [secondRead, secondWrite] = pipe();
    const splice = (v: DataView, a: number) => prep.splice(v, a, 3, 0, writeEnd, -1, 100, { fixedInput: true });
    expect(ring.run(splice)).toBe(14);
    expect(ring.run((v, a) => prep.tee(v, a, readEnd, secondWrite, 7))).toBe(7);
    expect(ring.run((v, a) => prep.read(v, a, secondRead, at + 200, 50))).toBe(7);
    expect(ring.bytes(at + 200, 7).toString()).toBe('through');
    if (has(54)) {
      const installed = ring.run((v, a) => prep.fixedFdInstall(v, a, 3));
      expect(installed).toBeGreaterThan(0);
      close(installed);
    }
    if (has(62)) {
      expect(ring.run((v, a) => prep.pipe(v, a, at + 300, { slot: 5 }))).toBe(0);
      ring.text(at + 400, 'direct');
      expect(ring.run((v, a) => prep.write(v, a, 6, at + 400, 6, -1, { fixedFile: true }))).toBe(6);
      expect(ring.run((v, a) => prep.read(v, a, 5, at + 500, 50, -1, { fixedFile: true }))).toBe(6);
      expect(ring.run((v, a) => prep.pipe(v, a, at + 300, { flags: call.openFlags.CLOEXEC }))).toBe(0);
      close(ring.view.getInt32(at + 300, true));
      close(ring.view.getInt32(at + 304, true));
    }
    ring.view.setInt32(at + 600, readEnd, true);
    expect(ring.run((v, a) => prep.filesUpdate(v, a, at + 600, 1, 7))).toBe(1);
    expect(ring.run((v, a) => prep.read(v, a, 7, at + 700, 50, -1, { fixedFile: true }))).toBe(14);
    expect(ring.run((v, a) => prep.closeDirect(v, a, 3))).toBe(0);
    expect(ring.run((v, a) => prep.closeDirect(v, a, 3))).toBe(E('EBADF'));
    expect(ring.register('UNFILES', 0, 0)).toBe(0);
    for (const fd of [readEnd, writeEnd, secondRead, secondWrite]) close(fd);
  });

  it('use registered buffers', () => {
    prep.writeIovec(ring.view, at, ring.base, at + 4096, 4096);
    expect(ring.register('BUFFERS', at, 1)).toBe(0);
    const fd = open();
    ring.text(at + 4100, 'registered');
    expect(ring.run((v, a) => prep.writeFixed(v, a, fd, at + 4100, 10, 0, 0))).toBe(10);
    expect(ring.run((v, a) => prep.readFixed(v, a, fd, at + 5000, 100, 0, 0))).toBe(10);
    expect(ring.bytes(at + 5000, 10).toString()).toBe('registered');
    expect(
      ring.run((v, a) => prep.readFixed(v, a, fd, at + 8000, 1000, 0, 0)),
      'past its end',
    ).toBe(E('EFAULT'));
    if (has(60)) {
      prep.writeIovec(ring.view, at, ring.base, at + 6000, 4);
      prep.writeIovec(ring.view, at + 16, ring.base, at + 6100, 4);
      expect(ring.run((v, a) => prep.readvFixed(v, a, fd, at, 2, 0, 0))).toBe(8);
      expect(ring.run((v, a) => prep.writevFixed(v, a, fd, at, 2, 10, 0))).toBe(8);
      expect(readFileSync(file, 'utf8')).toBe('registeredregister');
    }
    expect(ring.register('UNBUFFERS', 0, 0)).toBe(0);
    close(fd);
  });

  it('wait for readiness, once, again and again, until removed', () => {
    const [readEnd, writeEnd] = pipe();
    const { IN, OUT } = call.pollEvents;
    expect(ring.run((v, a) => prep.pollAdd(v, a, writeEnd, OUT))).toBe(OUT);
    const user = (write: Prep, data: number) => {
      ring.push((v, a) => {
        write(v, a);
        v.setUint32(a + 32, data, true);
      });
      ring.ring.enter(1, 0);
      return ring.reap();
    };
    expect(user((v, a) => prep.pollAdd(v, a, readEnd, IN, { multishot: true }), 50)).toEqual([]);
    for (let i = 0; i < 2; i++) {
      ring.run((v, a) => prep.write(v, a, writeEnd, at, 1));
      ring.ring.enter(0, 0);
      const again = ring.reap();
      if (again.length > 0) expect(again).toEqual([{ userData: 50, result: IN, flags: cqeFlags.MORE }]);
    }
    const update = (v: DataView, a: number) => prep.pollUpdate(v, a, 50, { newUserData: 60, multishot: true });
    expect(user(update, 51).filter((each) => each.userData === 51)).toEqual([{ userData: 51, result: 0, flags: 0 }]);
    const removed = user((v, a) => prep.pollRemove(v, a, 60), 61);
    expect([...removed, ...ring.next(2 - removed.length)]).toEqual(
      expect.arrayContaining([
        { userData: 61, result: 0, flags: 0 },
        { userData: 60, result: E('ECANCELED'), flags: 0 },
      ]),
    );
    for (const fd of [readEnd, writeEnd]) close(fd);
  });

  it('end after a time, or a number of completions, or are changed', () => {
    prep.writeTimespec(ring.view, at, 2_000_000);
    prep.writeTimespec(ring.view, at + 16, 60_000_000_000);
    const began = performance.now();
    expect(ring.run((v, a) => prep.timeout(v, a, at))).toBe(E('ETIME'));
    expect(performance.now() - began).toBeGreaterThan(1.9);
    expect(ring.run((v, a) => prep.timeout(v, a, at, { etimeSuccess: true, clock: 'boottime' }))).toBe(E('ETIME'));
    prep.writeTimespec(ring.view, at + 32, BigInt(Date.now()) * 1_000_000n + 2_000_000n);
    expect(ring.run((v, a) => prep.timeout(v, a, at + 32, { absolute: true, clock: 'realtime' }))).toBe(E('ETIME'));
    const counted = ring.all(
      (v, a) => prep.timeout(v, a, at + 16, { count: 1 }),
      (v, a) => prep.nop(v, a),
    );
    expect(counted.map((each) => each.result)).toEqual([0, 0]);
    const removed = ring.all(
      (v, a) => prep.timeout(v, a, at + 16),
      (v, a) => prep.timeoutRemove(v, a, 0),
    );
    expect(removed.map((each) => each.result)).toEqual([E('ECANCELED'), 0]);
    const updated = ring.all(
      (v, a) => prep.timeout(v, a, at + 16),
      (v, a) => prep.timeoutUpdate(v, a, 0, at),
    );
    expect(updated.map((each) => each.result)).toEqual([E('ETIME'), 0]);
    ring.push((v, a) => prep.timeout(v, a, at, { multishot: true, count: 3 }));
    ring.ring.enter(1, 0);
    expect(ring.next(3).map((each) => each.flags & cqeFlags.MORE)).toEqual([2, 2, 0]);
    const [readEnd, writeEnd] = pipe();
    const limited = ring.all(
      (v, a) => prep.read(v, a, readEnd, at + 100, 1, -1, { link: true }),
      (v, a) => prep.linkTimeout(v, a, at),
    );
    expect(limited.map((each) => each.result)).toEqual([E('ECANCELED'), E('ETIME')]);
    for (const fd of [readEnd, writeEnd]) close(fd);
  });

  it('are cancelled by user_data, descriptor, opcode, or all at once', () => {
    const [readEnd, writeEnd] = pipe();
    const read: Prep = (v, a) => prep.read(v, a, readEnd, at, 1);
    const cancelled = E('ECANCELED');
    const by = (target: prep.CancelTarget, ...reads: Prep[]) =>
      ring.all(...reads, (v, a) => prep.cancel(v, a, target)).map((each) => each.result);
    expect(by({ userData: 0 }, read)).toEqual([cancelled, 0]);
    expect(by({ fd: readEnd, all: true }, read, read)).toEqual([cancelled, cancelled, 2]);
    expect(by({ opcode: 'read', all: true }, read, read)).toEqual([cancelled, cancelled, 2]);
    expect(by({ any: true, all: true }, read, read, read)).toEqual([cancelled, cancelled, cancelled, 3]);
    expect(by({ userData: 99 })).toEqual([E('ENOENT')]);
    for (const fd of [readEnd, writeEnd]) close(fd);
  });

  describe('on sockets', () => {
    function server(): { listener: number; port: number } {
      const length = encodeSockaddr(ring.view, at, { family: 'ipv4', address: '127.0.0.1', port: 0 });
      const listener = ring.run((v, a) => prep.socket(v, a, call.addressFamilies.INET, call.socketTypes.STREAM));
      expect(listener).toBeGreaterThan(0);
      ring.view.setUint32(at + 200, 1, true);
      if (has(46)) {
        // SOL_SOCKET, SO_REUSEADDR
        expect(ring.run((v, a) => prep.setSocketOption(v, a, listener, 1, 2, at + 200, 4))).toBe(0);
        ring.view.setUint32(at + 200, 0, true);
        expect(ring.run((v, a) => prep.getSocketOption(v, a, listener, 1, 2, at + 200, 4))).toBe(4);
        expect(ring.view.getUint32(at + 200, true)).toBe(1);
      }
      expect(ring.run((v, a) => prep.bind(v, a, listener, at, length))).toBe(0);
      expect(ring.run((v, a) => prep.listen(v, a, listener, 8))).toBe(0);
      ring.view.setUint32(at + 300, 128, true);
      const getsockname = process.arch === 'x64' ? 51 : 204;
      expect(syscallByNumber(getsockname, listener, ring.base + at, ring.base + at + 300)).toBe(0);
      const name = decodeSockaddr(ring.view, at, ring.view.getUint32(at + 300, true));
      return { listener, port: name.family === 'ipv4' ? name.port : 0 };
    }

    it.skipIf(!has(56))('connect, accept, send, receive, shut down', () => {
      const { listener, port } = server();
      const length = encodeSockaddr(ring.view, at, { family: 'ipv4', address: '127.0.0.1', port });
      const client = ring.run((v, a) => prep.socket(v, a, call.addressFamilies.INET, call.socketTypes.STREAM));
      ring.view.setUint32(at + 300, 128, true);
      const [accepted, connected] = ring.all(
        (v, a) =>
          prep.accept(v, a, listener, { peer: at + 400, peerLength: at + 300, flags: call.socketTypes.CLOEXEC }),
        (v, a) => prep.connect(v, a, client, at, length),
      );
      expect(connected!.result).toBe(0);
      const peer = accepted!.result;
      expect(peer).toBeGreaterThan(0);
      expect(decodeSockaddr(ring.view, at + 400, ring.view.getUint32(at + 300, true))).toMatchObject({
        address: '127.0.0.1',
      });
      ring.text(at + 1000, 'request');
      expect(ring.run((v, a) => prep.send(v, a, client, at + 1000, 7))).toBe(7);
      expect(ring.run((v, a) => prep.recv(v, a, peer, at + 1100, 100, { flags: call.msgFlags.PEEK }))).toBe(7);
      expect(ring.run((v, a) => prep.recv(v, a, peer, at + 1200, 7, { flags: call.msgFlags.WAITALL }))).toBe(7);
      expect(ring.bytes(at + 1200, 7).toString()).toBe('request');
      const zero = ring.all(
        (v, a) => prep.sendZeroCopy(v, a, peer, at + 1000, 7, { reportUsage: true }),
        (v, a) => prep.recv(v, a, client, at + 1300, 7),
      );
      expect(zero[0]).toMatchObject({ result: 7, flags: cqeFlags.MORE });
      // Two of the send, one of the receive; `all` has waited for two.
      const rest = [...zero, ...ring.next(3 - zero.length)];
      expect(rest.filter((each) => (each.flags & cqeFlags.NOTIF) !== 0)).toHaveLength(1);
      expect(rest.find((each) => each.userData === 1)?.result).toBe(7);
      expect(ring.run((v, a) => prep.shutdown(v, a, client, call.shutdownHow.WR))).toBe(0);
      expect(ring.run((v, a) => prep.recv(v, a, peer, at, 10))).toBe(0);
      for (const fd of [listener, client, peer]) close(fd);
    });

    it('send and receive messages between datagram sockets', () => {
      const { UNIX } = call.addressFamilies;
      const name = { family: 'unix' as const, path: `\0sluice-ring-${process.pid}-${count}` };
      const [receiver, sender] = [0, 1].map(() =>
        ring.run((v, a) => prep.socket(v, a, UNIX, call.socketTypes.DGRAM)),
      ) as [number, number];
      const length = encodeSockaddr(ring.view, at, name);
      const bound = has(56)
        ? ring.run((v, a) => prep.bind(v, a, receiver, at, length))
        : syscall('bind', receiver, ring.base + at, length);
      expect(bound).toBe(0);
      ring.text(at + 1000, 'datagram');
      expect(ring.run((v, a) => prep.send(v, a, sender, at + 1000, 8, { to: at, toLength: length }))).toBe(8);
      prep.writeIovec(ring.view, at + 500, ring.base, at + 1100, 100);
      prep.writeMsghdr(ring.view, at + 600, ring.base, { vectors: at + 500, vectorCount: 1 });
      expect(ring.run((v, a) => prep.recvmsg(v, a, receiver, at + 600))).toBe(8);
      expect(ring.bytes(at + 1100, 8).toString()).toBe('datagram');
      prep.writeIovec(ring.view, at + 500, ring.base, at + 1000, 4);
      prep.writeMsghdr(ring.view, at + 600, ring.base, {
        name: at,
        nameLength: length,
        vectors: at + 500,
        vectorCount: 1,
      });
      expect(ring.run((v, a) => prep.sendmsg(v, a, sender, at + 600))).toBe(4);
      expect(ring.run((v, a) => prep.recv(v, a, receiver, at + 1100, 100))).toBe(4);
      for (const fd of [receiver, sender]) close(fd);
    });

    it('receive again and again into buffers of a group, as bundles too', () => {
      const ends = new Int32Array(2);
      const socketpair = process.arch === 'x64' ? 53 : 199;
      ring.view.setInt32(at, 0, true);
      expect(syscallByNumber(socketpair, 1, 1, 0, ring.base + at)).toBe(0);
      ends[0] = ring.view.getInt32(at, true);
      ends[1] = ring.view.getInt32(at + 4, true);
      const buffers = at + 8192;
      expect(ring.run((v, a) => prep.provideBuffers(v, a, buffers, 4, 8, 21, 0))).toBe(0);
      ring.text(at + 1000, 'abcdefgh');
      ring.push((v, a) => prep.recv(v, a, ends[0]!, 0, 0, { multishot: true, bufferSelect: 21, userData: 70 }));
      ring.ring.enter(1, 0);
      const seen: Completion[] = [];
      for (let i = 0; i < 2; i++) {
        ring.push((v, a) => prep.send(v, a, ends[1]!, at + 1000 + i * 4, 4, { userData: 71 }));
        ring.ring.enter(1, 2, 1e9);
        seen.push(...ring.reap().filter((each) => each.userData === 70));
      }
      expect(seen.map((each) => [each.result, each.flags & cqeFlags.MORE])).toEqual([
        [4, cqeFlags.MORE],
        [4, cqeFlags.MORE],
      ]);
      const texts = seen.map((each) => ring.bytes(buffers + (each.flags >>> CQE_BUFFER_SHIFT) * 4, 4).toString());
      expect(texts).toEqual(['abcd', 'efgh']);
      close(ends[1]!);
      ring.ring.enter(0, 1, 1e9);
      expect(ring.reap()).toEqual([{ userData: 70, result: 0, flags: 0 }]);
      expect(ring.run((v, a) => prep.removeBuffers(v, a, 8, 21))).toBe(6);
      expect(ring.run((v, a) => prep.recv(v, a, ends[0]!, 0, 4, { bufferSelect: 22 }))).toBe(E('ENOBUFS'));
      close(ends[0]!);
    });

    it('accept many connections with one request', () => {
      const address = { family: 'unix' as const, path: `\0sluice-ring-many-${process.pid}-${count}` };
      const listener = ring.run((v, a) => prep.socket(v, a, 1, 1));
      const length = encodeSockaddr(ring.view, at, address);
      expect(syscall('bind', listener, ring.base + at, length)).toBe(0);
      const listen = process.arch === 'x64' ? 50 : 201;
      expect(syscallByNumber(listen, listener, 8)).toBe(0);
      ring.push((v, a) => prep.accept(v, a, listener, { multishot: true, userData: 80 }));
      ring.ring.enter(1, 0);
      const accepted: number[] = [];
      const clients: number[] = [];
      for (let i = 0; i < 3; i++) {
        const client = ring.run((v, a) => prep.socket(v, a, 1, 1));
        clients.push(client);
        ring.push((v, a) => prep.connect(v, a, client, at, length, { userData: 81 }));
        ring.ring.enter(1, 2, 1e9);
        for (const each of ring.reap()) if (each.userData === 80) accepted.push(each.result);
      }
      expect(accepted).toHaveLength(3);
      expect(Math.min(...accepted)).toBeGreaterThan(0);
      ring.push((v, a) => prep.cancel(v, a, { userData: 80 }, { userData: 82 }));
      ring.ring.enter(1, 0);
      expect(ring.next(2).map((each) => [each.userData, each.result])).toEqual(
        expect.arrayContaining([
          [80, E('ECANCELED')],
          [82, 0],
        ]),
      );
      for (const fd of [listener, ...clients, ...accepted]) close(fd);
    });
  });

  it.skipIf(!has(49))('read again and again from a pipe', () => {
    const [readEnd, writeEnd] = pipe();
    const buffers = at + 8192;
    expect(ring.run((v, a) => prep.provideBuffers(v, a, buffers, 16, 4, 23, 0))).toBe(0);
    ring.push((v, a) => prep.readMultishot(v, a, readEnd, 0, -1, { bufferSelect: 23, userData: 90 }));
    ring.ring.enter(1, 0);
    ring.text(at, 'one');
    ring.push((v, a) => prep.write(v, a, writeEnd, at, 3, -1, { userData: 91 }));
    ring.ring.enter(1, 2, 1e9);
    const first = ring.reap().find((each) => each.userData === 90);
    expect(first).toMatchObject({ result: 3 });
    expect(ring.bytes(buffers + (first!.flags >>> 16) * 16, 3).toString()).toBe('one');
    close(writeEnd);
    ring.ring.enter(0, 1, 1e9);
    ring.reap();
    close(readEnd);
    ring.run((v, a) => prep.removeBuffers(v, a, 4, 23));
  });

  it.skipIf(!has(51))('wait for words of the memory, one and several', () => {
    const word = at;
    const { SIZE_U32 } = call.futexFlags;
    const any = call.FUTEX_BITSET_MATCH_ANY;
    expect(ring.run((v, a) => prep.futexWait(v, a, word, 1, any, SIZE_U32))).toBe(E('EAGAIN'));
    const woken = ring.all(
      (v, a) => prep.futexWait(v, a, word, 0, any, SIZE_U32),
      (v, a) => prep.futexWake(v, a, word, 1, any, SIZE_U32),
    );
    expect(woken.map((each) => each.result)).toEqual([0, 1]);
    prep.writeFutexWaitv(ring.view, at + 100, ring.base, at + 16, 0, SIZE_U32);
    prep.writeFutexWaitv(ring.view, at + 124, ring.base, at + 32, 0, SIZE_U32);
    const several = ring.all(
      (v, a) => prep.futexWaitv(v, a, at + 100, 2),
      (v, a) => prep.futexWake(v, a, at + 32, 1, any, SIZE_U32),
    );
    expect(several.map((each) => each.result)).toEqual([1, 1]);
  });

  it.skipIf(!has(50))('wait for a child', async () => {
    // WNOWAIT: the child stays for Node, whose it is.
    const child = spawn('/bin/sh', ['-c', 'exit 3'], { stdio: 'ignore' });
    const { EXITED, NOWAIT } = call.waitOptions;
    const result = ring.run((v, a) => prep.waitid(v, a, call.waitIdTypes.PID, child.pid!, at, EXITED | NOWAIT));
    expect(result).toBe(0);
    // siginfo_t: si_signo SIGCHLD, si_code CLD_EXITED, si_pid, si_status
    expect([0, 8, 16, 24].map((place) => ring.view.getInt32(at + place, true))).toEqual([17, 1, child.pid, 3]);
    await new Promise((resolve) => child.once('exit', resolve));
    expect(child.exitCode).toBe(3);
  });

  it('send messages to another ring, data and files', async () => {
    const other = new TestRing();
    const silent = ring.run((v, a) => prep.messageData(v, a, other.ring.fd, 44, 77));
    expect(silent).toBe(0);
    other.ring.enter(0, 1, 1e9);
    expect(other.reap()).toEqual([{ userData: 77, result: 44, flags: 0 }]);
    expect(ring.run((v, a) => prep.messageData(v, a, other.ring.fd, 1, 78, 8))).toBe(0);
    other.ring.enter(0, 1, 1e9);
    expect(other.reap()).toEqual([{ userData: 78, result: 1, flags: 8 }]);
    const fd = open();
    ring.view.setInt32(at, fd, true);
    expect(ring.register('FILES', at, 1)).toBe(0);
    for (let i = 0; i < 4; i++) other.view.setInt32(other.at + i * 4, -1, true);
    expect(other.register('FILES', other.at, 4)).toBe(0);
    const sent = ring.run((v, a) => prep.messageFile(v, a, other.ring.fd, 0, 2, 79));
    expect(sent).toBe(0);
    other.ring.enter(0, 1, 1e9);
    expect(other.reap()).toMatchObject([{ userData: 79 }]);
    expect(other.run((v, a) => prep.fsync(v, a, 2, { fixedFile: true }))).toBe(0);
    ring.register('UNFILES', 0, 0);
    close(fd);
    await other.ring.close();
  });

  it('change and wait for sets of epoll', () => {
    const epoll = syscall('epoll_create1', 0);
    const [readEnd, writeEnd] = pipe();
    const size = prep.epollEventSize(process.arch === 'arm64' ? 'arm64' : 'x64');
    prep.writeEpollEvent(ring.view, at, size, { events: call.pollEvents.IN, data: 123n });
    expect(ring.run((v, a) => prep.epollCtl(v, a, epoll, call.epollOperations.ADD, readEnd, at))).toBe(0);
    if (has(59)) {
      ring.run((v, a) => prep.write(v, a, writeEnd, at, 1));
      expect(ring.run((v, a) => prep.epollWait(v, a, epoll, at + 100, 4))).toBe(1);
      expect(prep.readEpollEvent(ring.view, at + 100, size)).toEqual({ events: call.pollEvents.IN, data: 123n });
    }
    for (const fd of [epoll, readEnd, writeEnd]) close(fd);
  });
});
