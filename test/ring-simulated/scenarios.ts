/**
 * What requests answer, opcode by opcode. Each scenario gives a list of numbers and strings that the simulation and Linux must agree on; descriptors
 * are told only by whether they are.
 */
import { fallocateModes, msgFlags, openFlags, pollEvents, renameFlags } from '../../src/abi/io-uring/call-flags.ts';
import {
  cancelFlags,
  FILE_INDEX_ALLOC,
  nopFlags,
  pollFlags,
  recvSendFlags,
  sqeFlags,
  timeoutFlags,
} from '../../src/abi/io-uring/request-flags.ts';
import type { Bed } from './bed.ts';

export interface Scenario {
  readonly name: string;
  readonly run: (bed: Bed) => readonly unknown[];
  /** First Linux that answers so, where that is later than what the opcodes need. */
  readonly since?: string;
}

const { CREAT, EXCL, TRUNC, APPEND, RDWR, WRONLY } = openFlags;
const DIRECTORY = 0o200000;
const { IO_LINK: LINK, IO_DRAIN: DRAIN, FIXED_FILE, BUFFER_SELECT } = sqeFlags;
const HERE = -100;

/** 'fd' for a descriptor, else the errno. */
const fdOr = (result: number) => (result >= 0 ? 'fd' : result);
const MORE = 2;

let ports = process.pid * 8;
/** Of its own for each run: the kernel keeps a port for a while after its use. */
const port = () => 20_000 + (ports++ % 12_000);

function statx(bed: Bed, path: string, flags = 0): readonly [number, number, number, number] {
  const at = bed.alloc(256);
  const result = bed.one('statx', { fd: HERE, addr: bed.path(path), off: at, opFlags: flags, len: 0x7ff });
  const view = bed.runtime.view();
  if (result < 0) return [result, 0, 0, 0];
  return [
    result,
    Number(view.getBigUint64(at + 40, true)),
    view.getUint16(at + 28, true) >> 12,
    view.getUint32(at + 16, true),
  ];
}

export const scenarios: readonly Scenario[] = [
  {
    name: 'files: write, read, truncate, allocate, sync, close',
    run: (bed) => {
      const buffer = bed.alloc(4096);
      const fd = bed.open('/a', CREAT | RDWR);
      const answers: unknown[] = [fdOr(fd)];
      answers.push(bed.one('write', { fd, addr: bed.text('0123456789'), len: 10 }));
      answers.push(bed.one('read', { fd, addr: buffer, len: 100 }), bed.read(buffer, 10));
      answers.push(bed.one('read', { fd, addr: buffer, len: 100, off: 10 }));
      answers.push(bed.one('read', { fd, addr: buffer, len: 100, off: 1000 }));
      answers.push(bed.one('read', { fd, addr: buffer, len: 0 }));
      answers.push(bed.one('ftruncate', { fd, off: 4 }), statx(bed, '/a'));
      answers.push(bed.one('fallocate', { fd, off: 0, addr: 100, len: 0 }), statx(bed, '/a')[1]);
      answers.push(
        bed.one('fallocate', { fd, off: 0, addr: 2, len: fallocateModes.PUNCH_HOLE | fallocateModes.KEEP_SIZE }),
      );
      answers.push(bed.one('fallocate', { fd, off: 0, addr: 2, len: fallocateModes.PUNCH_HOLE }));
      answers.push(bed.one('fallocate', { fd, off: 0, addr: 0, len: 0 }));
      answers.push(bed.one('read', { fd, addr: buffer, len: 100 }), bed.read(buffer, 4));
      answers.push(
        bed.one('fsync', { fd }),
        bed.one('fsync', { fd, opFlags: 1 }),
        bed.one('fsync', { fd, opFlags: 2 }),
      );
      answers.push(bed.one('sync_file_range', { fd, opFlags: 2 }), bed.one('fadvise', { fd, opFlags: 3 }));
      answers.push(bed.one('fadvise', { fd, opFlags: 77 }));
      answers.push(bed.one('write', { fd, addr: bed.text('end'), len: 3, off: 5000 }), statx(bed, '/a')[1]);
      answers.push(bed.one('close', { fd }), bed.one('close', { fd }), bed.one('read', { fd, addr: buffer, len: 1 }));
      return answers;
    },
  },
  {
    name: 'open: flags and refusals',
    run: (bed) => {
      bed.file('/there', 'content');
      bed.one('mkdirat', { fd: HERE, addr: bed.path('/dir'), len: 0o755 });
      const reader = bed.open('/there', 0);
      const appender = bed.open('/there', WRONLY | APPEND);
      const directory = bed.open('/dir', DIRECTORY);
      const at = bed.text('xy\0');
      const results: unknown[] = [
        bed.open('/there', CREAT | EXCL | RDWR),
        bed.open('/missing', 0),
        bed.open('/there/below', 0),
        bed.open('/missing/below', CREAT | RDWR),
        bed.open('/there', DIRECTORY),
        bed.open('/dir', RDWR),
        fdOr(directory),
        fdOr(reader),
        bed.one('write', { fd: reader, addr: at, len: 2 }),
        bed.one('write', { fd: appender, addr: at, len: 2, off: 0 }),
        bed.one('read', { fd: appender, addr: at, len: 2 }),
        bed.one('read', { fd: directory, addr: at, len: 2 }),
        statx(bed, '/there')[1],
        fdOr(bed.open('/there', WRONLY | TRUNC)),
        statx(bed, '/there').slice(0, 2),
        bed.one('openat', { fd: HERE, addr: 1n << 63n, len: 0 }),
        bed.one('openat', { fd: 999, addr: bed.text('relative\0') }),
        fdOr(bed.one('openat', { fd: directory, addr: bed.text('inside\0'), opFlags: CREAT | RDWR, len: 0o600 })),
        statx(bed, '/dir/inside').slice(0, 3),
        bed.one('openat', { fd: reader, addr: bed.text('inside\0') }),
      ];
      const how = bed.alloc(24);
      bed.runtime.bytes().fill(0, how, how + 24);
      results.push(fdOr(bed.one('openat2', { fd: HERE, addr: bed.path('/there'), off: how, len: 24 })));
      results.push(bed.one('openat2', { fd: HERE, addr: bed.path('/there'), off: how, len: 8 }));
      return results;
    },
  },
  {
    name: 'positions: the file has its own',
    run: (bed) => {
      bed.file('/f', 'abcdefghij');
      const fd = bed.open('/f', RDWR);
      const at = bed.alloc(64);
      const answers: unknown[] = [];
      for (let i = 0; i < 4; i++) {
        const length = bed.one('read', { fd, addr: at, len: 4, off: -1 });
        answers.push(length, bed.read(at, length));
      }
      answers.push(bed.one('write', { fd, addr: bed.text('KL'), len: 2, off: -1 }));
      answers.push(bed.one('read', { fd, addr: at, len: 64 }), bed.read(at, 12));
      answers.push(bed.one('read', { fd, addr: at, len: 4, off: -2 }));
      return answers;
    },
  },
  {
    name: 'vectors',
    run: (bed) => {
      const fd = bed.open('/v', CREAT | RDWR);
      const [a, b, c] = [bed.alloc(64), bed.alloc(64), bed.alloc(64)];
      return [
        bed.one('writev', {
          fd,
          addr: bed.iovecs([bed.text('one'), 3], [bed.text(''), 0], [bed.text('three'), 5]),
          len: 3,
        }),
        bed.one('readv', { fd, addr: bed.iovecs([a, 2], [b, 4], [c, 60]), len: 3 }),
        bed.read(a, 2),
        bed.read(b, 4),
        bed.read(c, 2),
        bed.one('readv', { fd, addr: bed.iovecs([a, 2]), len: 0 }),
        bed.one('readv', { fd, addr: bed.iovecs([a, 2]), len: 2000 }),
        bed.one('writev', { fd, addr: 1n << 63n, len: 1 }),
        bed.results([
          ['readv', { fd, addr: bed.iovecs([a, 4], [b, 4]), len: 2, flags: LINK }],
          ['readv', { fd, addr: bed.iovecs([a, 4], [b, 5]), len: 2, flags: LINK }],
          ['nop'],
        ]),
      ];
    },
  },
  {
    name: 'names: directories, links, renames, removal',
    run: (bed) => {
      bed.file('/f', 'f');
      bed.file('/g', 'gg');
      const at = (path: string) => bed.path(path);
      const mkdir = (path: string) => bed.one('mkdirat', { fd: HERE, addr: at(path), len: 0o755 });
      const unlink = (path: string, opFlags = 0) => bed.one('unlinkat', { fd: HERE, addr: at(path), opFlags });
      const rename = (from: string, to: string, opFlags = 0) =>
        bed.one('renameat', { fd: HERE, addr: at(from), len: HERE >>> 0, off: at(to), opFlags });
      const link = (from: string, to: string) =>
        bed.one('linkat', { fd: HERE, addr: at(from), len: HERE >>> 0, off: at(to) });
      const symlink = (target: string, path: string) =>
        bed.one('symlinkat', { fd: HERE, addr: bed.text(`${target}\0`), off: at(path) });
      return [
        mkdir('/d'),
        mkdir('/d'),
        mkdir('/d/e'),
        mkdir('/none/e'),
        statx(bed, '/d').slice(2, 3),
        unlink('/d'),
        unlink('/d', 0x200),
        unlink('/f', 0x200),
        unlink('/missing'),
        link('/f', '/hard'),
        link('/f', '/g'),
        link('/d', '/hard-d'),
        statx(bed, '/f'),
        symlink('f', '/soft'),
        symlink('f', '/soft'),
        statx(bed, '/soft').slice(0, 3),
        statx(bed, '/soft', 0x100).slice(0, 3),
        symlink('soft-loop', '/soft-loop'),
        bed.open('/soft-loop', 0),
        fdOr(bed.open('/soft', 0)),
        bed.open('/soft', 0o400000),
        rename('/missing', '/x'),
        rename('/f', '/g', renameFlags.NOREPLACE),
        rename('/f', '/g', renameFlags.EXCHANGE),
        statx(bed, '/f').slice(0, 2),
        rename('/d', '/f'),
        rename('/f', '/d'),
        rename('/d', '/d/e/inside'),
        rename('/g', '/f'),
        rename('/hard', '/f'),
        statx(bed, '/g'),
        statx(bed, '/f'),
        unlink('/f'),
        unlink('/d/e', 0x200),
        unlink('/d/', 0x200),
        statx(bed, '/d'),
      ];
    },
  },
  {
    name: 'extended attributes',
    run: (bed) => {
      bed.file('/f', 'f');
      const fd = bed.open('/f', RDWR);
      const name = bed.text('user.color\0');
      const value = bed.text('green');
      const at = bed.alloc(64);
      return [
        bed.one('fsetxattr', { fd, addr: name, off: value, len: 5 }),
        bed.one('fsetxattr', { fd, addr: name, off: value, len: 5, opFlags: 1 }),
        bed.one('fsetxattr', { fd, addr: bed.text('user.other\0'), off: value, len: 5, opFlags: 2 }),
        bed.one('fgetxattr', { fd, addr: name, off: at, len: 64 }),
        bed.read(at, 5),
        bed.one('fgetxattr', { fd, addr: name, off: at, len: 2 }),
        bed.one('fgetxattr', { fd, addr: name, off: at, len: 0 }),
        bed.one('getxattr', { addr: name, off: at, len: 64, addr3: bed.path('/f') }),
        bed.one('setxattr', { addr: name, off: value, len: 2, addr3: bed.path('/f') }),
        bed.one('getxattr', { addr: name, off: at, len: 64, addr3: bed.path('/f') }),
        bed.one('getxattr', { addr: name, off: at, len: 64, addr3: bed.path('/missing') }),
        bed.one('fgetxattr', { fd, addr: bed.text('user.none\0'), off: at, len: 64 }),
      ];
    },
  },
  {
    name: 'pipes: bytes in order, ends',
    since: '6.16',
    run: (bed) => {
      const [reader, writer] = bed.pipe();
      const at = bed.alloc(131072);
      const answers: unknown[] = [
        bed.results([
          ['read', { fd: reader, addr: at, len: 100 }],
          ['write', { fd: writer, addr: bed.text('hello'), len: 5 }],
        ]),
        bed.read(at, 5),
        bed.one('write', { fd: writer, addr: at, len: 70000 }),
        bed.one('read', { fd: reader, addr: at, len: 100_000 }),
        bed.one('write', { fd: reader, addr: at, len: 1 }),
        bed.one('read', { fd: writer, addr: at, len: 1 }),
        bed.one('fsync', { fd: reader }),
        bed.one('fadvise', { fd: reader }),
        bed.one('close', { fd: writer }),
        bed.one('read', { fd: reader, addr: at, len: 1 }),
      ];
      const [first, second] = bed.pipe();
      answers.push(bed.one('close', { fd: first }), bed.one('write', { fd: second, addr: at, len: 1 }));
      return answers;
    },
  },
  {
    name: 'splice and tee',
    since: '6.16',
    run: (bed) => {
      bed.file('/in', 'abcdefghij');
      const [reader, writer] = bed.pipe();
      const [reader2, writer2] = bed.pipe();
      const input = bed.open('/in', 0);
      const output = bed.open('/out', CREAT | RDWR);
      const at = bed.alloc(64);
      return [
        bed.one('splice', { fd: writer, off: -1, fileIndex: input, addr: 2, len: 100 }),
        bed.one('tee', { fd: writer2, fileIndex: reader, len: 5 }),
        bed.one('splice', { fd: output, off: 1, fileIndex: reader, addr: -1, len: 100 }),
        bed.one('read', { fd: output, addr: at, len: 64 }),
        bed.read(at + 1, 8),
        bed.one('read', { fd: reader2, addr: at, len: 64 }),
        bed.read(at, 5),
        bed.one('splice', { fd: writer, off: -1, fileIndex: input, addr: 10, len: 100 }),
        bed.one('splice', { fd: output, off: 0, fileIndex: input, addr: 0, len: 1 }),
        bed.one('splice', { fd: writer, off: -1, fileIndex: reader2, addr: 0, len: 1 }),
        bed.one('splice', { fd: writer, off: -1, fileIndex: 999, addr: -1, len: 1 }),
        bed.one('splice', { fd: writer, off: -1, fileIndex: input, addr: 0, len: 0 }),
        bed.one('tee', { fd: writer, fileIndex: input, len: 5 }),
        bed
          .results([
            ['splice', { fd: output, off: 0, fileIndex: reader, addr: -1, len: 3 }],
            ['write', { fd: writer, addr: bed.text('xyz'), len: 3 }],
          ])
          .sort(),
      ];
    },
  },
  {
    name: 'sockets: connect, accept, send, receive, shut down',
    run: (bed) => {
      const at = bed.alloc(65536);
      const address = bed.unix('/s');
      const listener = bed.one('socket', { fd: 1, off: 1 });
      const client = bed.one('socket', { fd: 1, off: 1 });
      const answers: unknown[] = [
        fdOr(listener),
        bed.one('accept', { fd: listener }),
        bed.one('connect', { fd: client, ...bed.unix('/nobody') }),
        bed.one('recv', { fd: client, addr: at, len: 1 }) < 0,
        bed.one('send', { fd: client, addr: at, len: 1 }),
        bed.one('bind', { fd: listener, ...address }),
        bed.one('bind', { fd: listener, ...address }),
        bed.one('listen', { fd: listener, len: 4 }),
      ];
      const [accepted] = [
        ...bed.run([
          ['accept', { fd: listener, user: 1 }],
          ['connect', { fd: client, ...address, user: 2 }],
        ]),
      ].sort((a, b) => a.user - b.user);
      const server = accepted!.res;
      answers.push(fdOr(server));
      answers.push(bed.one('connect', { fd: client, ...address }));
      answers.push(
        bed
          .results([
            ['recv', { fd: server, addr: at, len: 100 }],
            ['send', { fd: client, addr: bed.text('question'), len: 8 }],
          ])
          .sort(),
        bed.read(at, 8),
        bed.one('send', { fd: server, addr: bed.text('answer'), len: 6 }),
        bed.one('recv', { fd: client, addr: at, len: 3, opFlags: msgFlags.PEEK }),
        bed.one('recv', { fd: client, addr: at, len: 3 }),
        bed.one('read', { fd: client, addr: at, len: 100 }),
        bed.read(at, 3),
        bed.one('recv', { fd: client, addr: at, len: 3, opFlags: msgFlags.DONTWAIT }),
        bed.one('write', { fd: client, addr: at, len: 3 }),
        bed.one('shutdown', { fd: client, len: 1 }),
        bed.one('send', { fd: client, addr: at, len: 1, opFlags: msgFlags.NOSIGNAL }),
        bed.one('recv', { fd: server, addr: at, len: 100 }),
        bed.one('recv', { fd: server, addr: at, len: 100 }),
        bed.one('shutdown', { fd: client, len: 7 }),
        bed.one('shutdown', { fd: listener, len: 7 }),
        bed.one('close', { fd: client }),
        bed.one('send', { fd: server, addr: at, len: 1, opFlags: msgFlags.NOSIGNAL }),
        bed.one('recv', { fd: bed.open('/file', CREAT | RDWR), addr: at, len: 1 }),
        bed.one('socket', { fd: 77, off: 1 }),
      );
      return answers;
    },
  },
  {
    name: 'receive: all that was asked for, in one piece',
    run: (bed) => {
      const [near, far] = bed.sockets();
      const at = bed.alloc(256);
      bed.push('recv', { fd: near, addr: at, len: 10, opFlags: msgFlags.WAITALL, user: 1 });
      bed.ring.submit();
      const first = bed.results([['send', { fd: far, addr: bed.text('abcd'), len: 4, user: 2 }]]);
      const second = bed.results([['send', { fd: far, addr: bed.text('efghijkl'), len: 8, user: 3 }]], 2);
      return [first, second.sort(), bed.read(at, 10), bed.one('recv', { fd: near, addr: at, len: 10 })];
    },
  },
  {
    name: 'messages with headers',
    run: (bed) => {
      const [near, far] = bed.sockets();
      const [a, b] = [bed.alloc(64), bed.alloc(64)];
      const header = (iov: number, count: number) => {
        const at = bed.alloc(56);
        const view = bed.runtime.view();
        bed.runtime.bytes().fill(0, at, at + 56);
        view.setBigUint64(at + 16, bed.real(iov), true);
        view.setBigUint64(at + 24, BigInt(count), true);
        return at;
      };
      return [
        bed.one('sendmsg', {
          fd: near,
          addr: header(bed.iovecs([bed.text('one '), 4], [bed.text('two'), 3]), 2),
          len: 1,
        }),
        bed.one('recvmsg', { fd: far, addr: header(bed.iovecs([a, 2], [b, 62]), 2), len: 1 }),
        bed.read(a, 2),
        bed.read(b, 5),
        bed.one('sendmsg', { fd: near, addr: 1n << 63n, len: 1 }),
      ];
    },
  },
  {
    name: 'multishot receive from a ring of buffers',
    run: (bed) => {
      const [near, far] = bed.sockets();
      const buffers = bed.bufferRing(3, 2, 8);
      bed.push('recv', { fd: near, flags: BUFFER_SELECT, ioprio: recvSendFlags.MULTISHOT, bufIndex: 3, user: 1 });
      bed.ring.submit();
      const seen: unknown[] = [];
      for (const text of ['first', 'next', 'more']) {
        for (const { user, res, flags } of bed.run(
          [['send', { fd: far, addr: bed.text(text), len: text.length, user: 2 }]],
          2,
        ))
          if (user === 1) seen.push([res, flags & 3, flags >>> 16]);
      }
      return [
        seen,
        bed.read(buffers, 5),
        bed.read(buffers + 8, 4),
        bed.one('recv', { fd: near, flags: BUFFER_SELECT, bufIndex: 3 }),
        bed.one('recv', { fd: near, flags: BUFFER_SELECT, bufIndex: 99, len: 10 }),
        bed.one('recv', { fd: near, ioprio: recvSendFlags.MULTISHOT, addr: buffers, len: 4 }),
        bed.one('send', { fd: near, flags: BUFFER_SELECT, bufIndex: 3 }),
        bed.one('nop', { flags: BUFFER_SELECT }),
      ];
    },
  },
  {
    name: 'multishot receive ends with the connection',
    run: (bed) => {
      const [near, far] = bed.sockets();
      bed.bufferRing(4, 4, 64);
      bed.push('recv', { fd: near, flags: BUFFER_SELECT, ioprio: recvSendFlags.MULTISHOT, bufIndex: 4, user: 1 });
      bed.ring.submit();
      bed.one('send', { fd: far, addr: bed.text('last words'), len: 10, user: 2 });
      bed.more(0);
      bed.push('shutdown', { fd: far, len: 1, user: 3 });
      bed.ring.submit(2, 2e9);
      return bed.ring
        .take()
        .filter(({ user }) => user === 1)
        .map(({ res, flags }) => [res, flags & MORE]);
    },
  },
  {
    name: 'provided buffers, one by one',
    run: (bed) => {
      const [near, far] = bed.sockets();
      const at = bed.alloc(64);
      const text = bed.text('0123456789abcdef');
      const answers: unknown[] = [bed.one('provide_buffers', { fd: 4, addr: at, len: 16, off: 10, bufIndex: 1 })];
      bed.one('send', { fd: far, addr: text, len: 16 });
      for (let i = 0; i < 2; i++) {
        const { res, flags } = bed.run([['recv', { fd: near, flags: BUFFER_SELECT, bufIndex: 1, len: 8 }]])[0]!;
        answers.push(res, flags & 1, flags >>> 16);
      }
      answers.push(bed.read(at, 8), bed.read(at + 16, 8));
      answers.push(
        bed.one('remove_buffers', { fd: 10, bufIndex: 1 }),
        bed.one('remove_buffers', { fd: 10, bufIndex: 55 }),
      );
      answers.push(bed.one('provide_buffers', { fd: 0, addr: at, len: 16, bufIndex: 1 }));
      return answers;
    },
  },
  {
    name: 'bundles of buffers',
    since: '6.12',
    run: (bed) => {
      const [near, far] = bed.sockets();
      const buffers = bed.bufferRing(5, 8, 4);
      bed.one('send', { fd: far, addr: bed.text('0123456789'), len: 10 });
      const { res, flags } = bed.run([
        ['recv', { fd: near, flags: BUFFER_SELECT, ioprio: recvSendFlags.BUNDLE, bufIndex: 5 }],
      ])[0]!;
      // How many buffers one bundle takes differs from kernel to kernel.
      return [res >= 4, flags & 1, flags >>> 16, bed.read(buffers, 4)];
    },
  },
  {
    name: 'multishot reads of a pipe',
    since: '6.16',
    run: (bed) => {
      const [reader, writer] = bed.pipe();
      bed.bufferRing(6, 4, 16);
      bed.push('read_multishot', { fd: reader, flags: BUFFER_SELECT, bufIndex: 6, off: -1, user: 1 });
      bed.ring.submit();
      const seen: unknown[] = [];
      for (const text of ['a', 'bc'])
        for (const { user, res, flags } of bed.run(
          [['write', { fd: writer, addr: bed.text(text), len: text.length, user: 2 }]],
          2,
        ))
          if (user === 1) seen.push([res, flags & 3, flags >>> 16]);
      bed.push('close', { fd: writer, user: 3 });
      bed.ring.submit(2, 2e9);
      seen.push(
        bed.ring
          .take()
          .filter(({ user }) => user === 1)
          .map(({ res, flags }) => [res, flags & MORE]),
      );
      seen.push(bed.one('read_multishot', { fd: reader, bufIndex: 6, off: -1 }));
      bed.file('/plain', 'x');
      seen.push(bed.one('read_multishot', { fd: bed.open('/plain', 0), flags: BUFFER_SELECT, bufIndex: 6, off: -1 }));
      return seen;
    },
  },
  {
    name: 'multishot accept',
    run: (bed) => {
      const address = bed.unix('/m');
      const listener = bed.one('socket', { fd: 1, off: 1 });
      bed.one('bind', { fd: listener, ...address });
      bed.one('listen', { fd: listener, len: 4 });
      bed.push('accept', { fd: listener, ioprio: 1, user: 1 });
      bed.ring.submit();
      const seen: unknown[] = [];
      for (let i = 0; i < 3; i++) {
        const client = bed.one('socket', { fd: 1, off: 1, user: 3 });
        for (const { user, res, flags } of bed.run([['connect', { fd: client, ...address, user: 2 }]], 2))
          if (user === 1) seen.push([fdOr(res), flags & MORE]);
      }
      const ends = bed
        .run([['async_cancel', { addr: 1, user: 9 }]], 2)
        .map(({ user, res, flags }) => [user, res, flags & MORE]);
      return [...seen, ends.sort()];
    },
  },
  {
    name: 'direct descriptors',
    run: (bed) => {
      bed.file('/f', 'direct');
      const at = bed.alloc(64);
      const fds = bed.alloc(16);
      const view = bed.runtime.view();
      const plain = bed.open('/f', 0);
      const answers: unknown[] = [
        bed.open('/f', 0, { fileIndex: 1 }),
        bed.slots(3),
        bed.slots(3),
        bed.open('/f', 0, { fileIndex: 1 }),
        bed.open('/f', 0, { fileIndex: FILE_INDEX_ALLOC }),
        bed.open('/f', 0, { fileIndex: FILE_INDEX_ALLOC }),
        bed.open('/f', 0, { fileIndex: FILE_INDEX_ALLOC }),
        bed.open('/f', 0, { fileIndex: 9 }),
        bed.open('/f', openFlags.CLOEXEC, { fileIndex: 1 }),
        bed.one('read', { fd: 2, addr: at, len: 64, flags: FIXED_FILE }),
        bed.read(at, 6),
        bed.one('read', { fd: 3, addr: at, len: 64, flags: FIXED_FILE }),
        bed.one('close', { fileIndex: 2 }),
        bed.one('close', { fileIndex: 2 }),
        bed.one('close', { fileIndex: 9 }),
        bed.one('read', { fd: 1, addr: at, len: 64, flags: FIXED_FILE }),
      ];
      view.setInt32(fds, plain, true);
      view.setInt32(fds + 4, -1, true);
      answers.push(bed.one('files_update', { addr: fds, len: 2, off: 1 }));
      answers.push(bed.one('read', { fd: 1, addr: at, len: 64, flags: FIXED_FILE }));
      answers.push(bed.one('read', { fd: 2, addr: at, len: 64, flags: FIXED_FILE }));
      answers.push(bed.one('files_update', { addr: fds, len: 2, off: 2 }));
      answers.push(bed.one('files_update', { addr: fds, len: 1, off: FILE_INDEX_ALLOC }), view.getInt32(fds, true));
      answers.push(fdOr(bed.one('fixed_fd_install', { fd: 0, flags: FIXED_FILE })));
      answers.push(bed.one('close', { fileIndex: 1, flags: FIXED_FILE }));
      answers.push(bed.backend.register(3, 0, 0), bed.backend.register(3, 0, 0));
      answers.push(bed.one('read', { fd: 0, addr: at, len: 64, flags: FIXED_FILE }));
      return answers;
    },
  },
  {
    name: 'fixed buffers',
    run: (bed) => {
      const fd = bed.open('/f', CREAT | RDWR);
      const a = bed.alloc(4096, 4096);
      const before = bed.one('read_fixed', { fd, addr: a, len: 4, bufIndex: 0 });
      const registered = bed.backend.register(0, bed.iovecs([a, 4096]), 1);
      bed.runtime.bytes().set(new TextEncoder().encode('fixed'), a + 10);
      return [
        before,
        registered,
        bed.backend.register(0, bed.iovecs([a, 4096]), 1),
        bed.one('write_fixed', { fd, addr: a + 10, len: 5, bufIndex: 0 }),
        bed.one('read_fixed', { fd, addr: a + 100, len: 50, bufIndex: 0 }),
        bed.read(a + 100, 5),
        bed.one('read_fixed', { fd, addr: a + 4090, len: 50, bufIndex: 0 }),
        bed.one('read_fixed', { fd, addr: a, len: 50, bufIndex: 1 }),
        bed.backend.register(1, 0, 0),
        bed.backend.register(1, 0, 0),
      ];
    },
  },
  {
    name: 'vectors in fixed buffers',
    since: '6.15',
    run: (bed) => {
      const fd = bed.open('/f', CREAT | RDWR);
      const a = bed.alloc(4096, 4096);
      bed.backend.register(0, bed.iovecs([a, 4096]), 1);
      bed.runtime.bytes().set(new TextEncoder().encode('twelve bytes'), a);
      return [
        bed.one('writev_fixed', { fd, addr: bed.iovecs([a, 6], [a + 6, 6]), len: 2, bufIndex: 0 }),
        bed.one('readv_fixed', { fd, addr: bed.iovecs([a + 100, 4], [a + 200, 8]), len: 2, bufIndex: 0 }),
        bed.read(a + 200, 8),
        bed.one('readv_fixed', { fd, addr: bed.iovecs([a + 4092, 8]), len: 1, bufIndex: 0 }),
      ];
    },
  },
  {
    name: 'polls',
    since: '6.16',
    run: (bed) => {
      const [reader, writer] = bed.pipe();
      const at = bed.alloc(64);
      const answers: unknown[] = [bed.one('poll_add', { fd: writer, opFlags: pollEvents.OUT })];
      bed.push('poll_add', { fd: reader, opFlags: pollEvents.IN, user: 1 });
      bed.ring.submit();
      answers.push(bed.results([['write', { fd: writer, addr: at, len: 1, user: 2 }]], 2).sort());
      bed.one('read', { fd: reader, addr: at, len: 1 });
      bed.push('poll_add', { fd: reader, opFlags: pollEvents.IN, user: 1 });
      bed.ring.submit();
      answers.push(bed.results([['poll_remove', { addr: 1, user: 2 }]], 2).sort());
      answers.push(bed.one('poll_remove', { addr: 1 }));
      bed.push('poll_add', { fd: reader, opFlags: pollEvents.IN, len: pollFlags.ADD_MULTI, user: 1 });
      bed.ring.submit();
      for (let i = 0; i < 2; i++)
        answers.push(
          bed
            .run([['write', { fd: writer, addr: at, len: 1, user: 2 }]], 2)
            .map(({ user, res, flags }) => [user, res, flags & MORE])
            .sort(),
        );
      answers.push(
        bed
          .run([['poll_remove', { addr: 1, user: 2 }]], 2)
          .map(({ user, res, flags }) => [user, res, flags & MORE])
          .sort(),
      );
      bed.one('close', { fd: writer });
      answers.push(bed.one('poll_add', { fd: reader, opFlags: pollEvents.IN }));
      bed.file('/f', 'x');
      answers.push(bed.one('poll_add', { fd: bed.open('/f', 0), opFlags: pollEvents.IN }));
      return answers;
    },
  },
  {
    name: 'a poll changes what it waits for',
    since: '6.16',
    run: (bed) => {
      const [reader, writer] = bed.pipe();
      const at = bed.alloc(64);
      bed.push('poll_add', { fd: reader, opFlags: pollEvents.PRI, user: 1 });
      bed.ring.submit();
      bed.one('write', { fd: writer, addr: at, len: 1, user: 2 });
      const changed = bed.results(
        [['poll_remove', { addr: 1, opFlags: pollEvents.IN, len: pollFlags.UPDATE_EVENTS, user: 3 }]],
        2,
      );
      return [changed.sort()];
    },
  },
  {
    name: 'timeouts',
    run: (bed) => {
      const answers: unknown[] = [
        bed.one('timeout', { addr: bed.time(1), len: 1 }),
        bed.one('timeout', { addr: bed.time(1), len: 2 }),
        bed.one('timeout', { addr: bed.time(-1000), len: 1 }),
        bed.results([['timeout', { addr: bed.time(5000), len: 1, off: 2 }], ['nop'], ['nop']]),
        bed.one('timeout_remove', { addr: 77 }),
        bed.one('link_timeout', { addr: bed.time(1), len: 1 }),
      ];
      bed.push('timeout', { addr: bed.time(9000), len: 1, user: 1 });
      bed.ring.submit();
      answers.push(bed.results([['timeout_remove', { addr: 1, user: 2 }]], 2).sort());
      bed.push('timeout', { addr: bed.time(9000), len: 1, user: 1 });
      bed.ring.submit();
      answers.push(
        bed
          .results([['timeout_remove', { addr: 1, off: bed.time(1), opFlags: timeoutFlags.UPDATE, user: 2 }]], 2)
          .sort(),
      );
      answers.push(
        bed
          .run([['timeout', { addr: bed.time(1), len: 1, off: 3, opFlags: timeoutFlags.MULTISHOT }]], 3)
          .map(({ res, flags }) => [res, flags & MORE]),
      );
      return answers;
    },
  },
  {
    name: 'cancellation',
    since: '6.16',
    run: (bed) => {
      const [reader, writer] = bed.pipe();
      const [reader2] = bed.pipe();
      const at = bed.alloc(64);
      const wait = (fd: number, user: number) => {
        bed.push('read', { fd, addr: at, len: 1, user });
        bed.ring.submit();
      };
      const cancel = (words: object, count: number) =>
        bed.results([['async_cancel', { user: 99, ...words }]], count).sort();
      const answers: unknown[] = [cancel({ addr: 5 }, 1)];
      wait(reader, 5);
      answers.push(cancel({ addr: 5 }, 2));
      wait(reader, 6);
      wait(reader2, 7);
      answers.push(cancel({ fd: reader2, opFlags: cancelFlags.FD }, 2));
      answers.push(cancel({ fd: 999, opFlags: cancelFlags.FD }, 1));
      wait(reader2, 7);
      wait(reader2, 8);
      answers.push(cancel({ fd: reader2, opFlags: cancelFlags.FD | cancelFlags.ALL }, 3));
      answers.push(cancel({ len: 27, opFlags: cancelFlags.OP | cancelFlags.ALL }, 1));
      wait(reader2, 7);
      answers.push(cancel({ opFlags: cancelFlags.ANY }, 3));
      answers.push(cancel({ opFlags: cancelFlags.ANY }, 1));
      answers.push(cancel({ opFlags: cancelFlags.ANY | cancelFlags.FD }, 1));
      bed.push('timeout', { addr: bed.time(9000), len: 1, user: 10 });
      bed.ring.submit();
      answers.push(cancel({ addr: 10 }, 2));
      // What waits behind a link cannot be found.
      bed.push('read', { fd: reader, addr: at, len: 1, user: 11, flags: LINK });
      bed.push('nop', { user: 12 });
      bed.ring.submit();
      answers.push(cancel({ addr: 12 }, 1));
      answers.push(bed.results([['write', { fd: writer, addr: at, len: 1, user: 13 }]], 3).sort());
      return answers;
    },
  },
  {
    name: 'messages to the ring itself',
    run: (bed) => {
      const fd = (bed.backend as unknown as { readonly fd: number }).fd;
      return [
        bed
          .run([['msg_ring', { fd, off: 4711, len: 42, user: 1 }]], 2)
          .map(({ user, res }) => [user, res])
          .sort(),
        bed.one('msg_ring', { fd, off: 1, addr: 9 }),
        // Flags of files on a message, a file to itself, a file that is none.
        bed.one('msg_ring', { fd, off: 1, opFlags: 1 }),
        bed.one('msg_ring', { fd, off: 1, opFlags: 4 }),
        bed.one('msg_ring', { fd, off: 1, addr: 1 }),
        bed.one('msg_ring', { fd: bed.open('/x', CREAT | RDWR), off: 1 }),
      ];
    },
  },
  {
    name: 'futexes',
    since: '6.7',
    run: (bed) => {
      const at = bed.alloc(4);
      bed.runtime.view().setUint32(at, 5, true);
      const wait = { addr: at, off: 5, addr3: 0xffff_ffff, fd: 2 };
      const answers: unknown[] = [bed.one('futex_wait', { ...wait, off: 6 })];
      bed.push('futex_wait', { ...wait, user: 1 });
      bed.push('futex_wait', { ...wait, user: 2 });
      bed.ring.submit();
      answers.push(bed.results([['futex_wake', { addr: at, off: 1, addr3: 0xffff_ffff, fd: 2, user: 3 }]], 2).sort());
      answers.push(bed.results([['async_cancel', { addr: 2, user: 4 }]], 2).sort());
      answers.push(bed.one('futex_wake', { addr: at, off: 1, addr3: 0xffff_ffff, fd: 2 }));
      return answers;
    },
  },
  {
    name: 'nops',
    since: '6.13',
    run: (bed) => [
      bed.one('nop'),
      bed.one('nop', { opFlags: nopFlags.INJECT_RESULT, len: 17 }),
      bed.one('nop', { opFlags: nopFlags.INJECT_RESULT, len: -17 >>> 0 }),
      bed.one('nop', { opFlags: nopFlags.FILE, fd: 999 }),
      bed.one('nop', { opFlags: 1 << 20 }),
      bed.one(200),
      bed.one('nop', { flags: 0x80 }),
      bed.one('nop', { fd: 3, flags: sqeFlags.ASYNC }),
    ],
  },
  {
    name: 'addresses that are no memory',
    run: (bed) => {
      bed.file('/f', 'content');
      const fd = bed.open('/f', RDWR);
      return [
        bed.one('read', { fd, addr: 1n << 63n, len: 4 }),
        bed.one('write', { fd, addr: 1n << 63n, len: 4 }),
        bed.one('statx', { fd: HERE, addr: bed.path('/f'), off: 1n << 63n, len: 0x7ff }),
        bed.one('timeout', { addr: 1n << 63n, len: 1 }),
        bed.one('connect', { fd: bed.one('socket', { fd: 1, off: 1 }), addr: 1n << 63n, off: 16 }),
      ];
    },
  },
  {
    name: 'drains',
    since: '6.16',
    run: (bed) => {
      const [reader, writer] = bed.pipe();
      const at = bed.alloc(64);
      bed.push('read', { fd: reader, addr: at, len: 1, user: 1 });
      bed.push('nop', { user: 2, flags: DRAIN });
      bed.push('nop', { user: 3 });
      bed.ring.submit();
      const before = bed.ring.take().map(({ user }) => user);
      // From a second pipe: what is submitted now waits as well.
      bed.push('write', { fd: writer, addr: at, len: 1, user: 4, flags: 0 });
      bed.ring.submit(0);
      return [before, bed.ring.take().map(({ user }) => user)];
    },
  },
  {
    name: 'a drain that waits for nothing',
    run: (bed) => [
      bed.results([
        ['nop', { flags: DRAIN }],
        ['nop'],
        ['nop', { flags: DRAIN }],
        ['nop', { flags: DRAIN | LINK }],
        ['nop'],
      ]),
    ],
  },
  {
    name: 'links: broken by what fails, and by what does not',
    run: (bed) => {
      const missing = bed.path('/missing');
      const stat = bed.alloc(256);
      const [near] = bed.sockets();
      const fd = bed.open('/f', CREAT | RDWR);
      const after = (opcode: Parameters<Bed['one']>[0], words: object) =>
        bed.results([[opcode, { ...words, flags: LINK }], ['nop']]);
      return [
        after('unlinkat', { fd: HERE, addr: missing }),
        after('renameat', { fd: HERE, addr: missing, len: HERE >>> 0, off: missing }),
        after('mkdirat', { fd: HERE, addr: bed.path('/missing/below'), len: 0o755 }),
        after('symlinkat', { fd: HERE, addr: missing, off: bed.path('/f') }),
        after('linkat', { fd: HERE, addr: missing, len: HERE >>> 0, off: missing }),
        after('statx', { fd: HERE, addr: missing, off: stat, len: 0x7ff }),
        after('openat', { fd: HERE, addr: missing }),
        after('close', { fd: 999 }),
        after('fsync', { fd: near }),
        after('fsync', { fd: 999 }),
        after('fallocate', { fd, off: 0, addr: 0, len: 0 }),
        after('ftruncate', { fd: near, off: 1 }),
        after('sync_file_range', { fd: near }),
        after('fadvise', { fd, opFlags: 77 }),
        after('shutdown', { fd, len: 1 }),
        after('shutdown', { fd: near, len: 9 }),
        after('recv', { fd, addr: stat, len: 1 }),
        after('connect', { fd: near, ...bed.unix('/pair') }),
        after('bind', { fd: near, ...bed.unix('/pair') }),
        after('listen', { fd, len: 1 }),
        after('async_cancel', { addr: 12345 }),
        after('timeout_remove', { addr: 12345 }),
        after('poll_remove', { addr: 12345 }),
        after('fgetxattr', { fd, addr: bed.text('user.none\0'), off: stat, len: 8 }),
        after('files_update', { addr: stat, len: 1 }),
        after('remove_buffers', { fd: 1, bufIndex: 9 }),
        after('madvise', { addr: stat + 1, len: 10 }),
        after('send', { fd, addr: stat, len: 1 }),
        after('msg_ring', { fd, off: 1 }),
      ];
    },
  },
  {
    name: 'zero-copy send, and its notification',
    run: (bed) => {
      const [near] = bed.sockets(port());
      const at = bed.text('without a copy');
      const seen = bed.run([['send_zc', { fd: near, addr: at, len: 14 }]], 2);
      return [
        seen.map(({ user, res, flags }) => [user, res, flags & 0xf]),
        bed.one('send_zc', { fd: near, addr: at, len: 14, flags: sqeFlags.CQE_SKIP_SUCCESS }),
        bed.one('send_zc', { fd: near, addr: at, len: 14, ioprio: 1 << 12 }),
      ];
    },
  },
];
