/** Packets to Unix sockets, one a queue: a message each, header first, by sendmmsg(2). */
import { InputError } from '../../errors.ts';
import { addressOf, close, syscall } from '../ffi.ts';
import { MSG_DONTWAIT, openSocket, SOCK_NONBLOCK, setSocketOption } from '../sockets.ts';
import { errnoName, SyscallError } from '../syscall-error.ts';
import { pathOfQueue, type SinkFactory } from './sink.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_SEQPACKET = 5;
const MSG_NOSIGNAL = 0x4000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SEND_BUFFER = 4 << 20;
const LONGEST_PATH = 107;
const MESSAGES = 256;
const MESSAGE_BYTES = MESSAGES * (64 + 16);

/**
 * Connects to `path.0`, `path.1`, … (or where `%q` stands in it): sockets of type seqpacket that listen, or of type dgram. InputError `SLUICE_STEER_SOCKET` where nobody
 * does. A consumer that goes away loses its packets (dropped). Unix sockets hold few messages (net.unix.max_dgram_qlen): wait, unless losing packets is wanted.
 */
export function toUnixSockets(path: string): SinkFactory {
  return ({ runtime, block, queues }) => {
    const fds: number[] = [];
    const gone = new Set<number>();
    try {
      for (let queue = 0; queue < queues; queue++) fds.push(connectUnix(pathOfQueue(path, queue)));
    } catch (error) {
      for (const fd of fds) close(fd);
      throw error;
    }
    const messages = runtime.allocatePages(MESSAGE_BYTES);
    const base = addressOf(runtime.bytes());
    return {
      what: `Unix sockets ${pathOfQueue(path, 0)}…`,
      fdOf: (queue) => fds[queue]!,
      deliver(queue) {
        const fd = fds[queue]!;
        while (block.waiting(queue) > 0) {
          if (gone.has(queue)) {
            block.release(queue, block.waiting(queue), true);
            return;
          }
          const count = block.plane.tap_messages(block.address, queue, messages, MESSAGES);
          const sent = syscall('sendmmsg', fd, base + messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
          if (sent > 0) block.release(queue, sent);
          else {
            const errno = errnoName(-sent);
            if (errno === 'EAGAIN' || errno === 'ENOBUFS') return;
            if (errno === 'EINTR') continue;
            if (!GONE.has(errno)) throw new SyscallError('sendmmsg', -sent, pathOfQueue(path, queue));
            gone.add(queue);
          }
        }
      },
      close() {
        for (const fd of fds) close(fd);
        runtime.freePages(messages, MESSAGE_BYTES);
      },
    };
  };
}

const GONE: ReadonlySet<string> = new Set(['EPIPE', 'ECONNREFUSED', 'ECONNRESET', 'ENOTCONN']);

function connectUnix(path: string): number {
  const bytes = new TextEncoder().encode(path);
  if (bytes.length > LONGEST_PATH)
    throw new InputError('SLUICE_STEER_SOCKET', `the path of a socket has at most ${LONGEST_PATH} bytes: ${path}`);
  // struct sockaddr_un: u16 family, path.
  const address = new Uint8Array(2 + bytes.length + 1);
  address[0] = AF_UNIX;
  address.set(bytes, 2);
  let why = '';
  for (const type of [SOCK_SEQPACKET, SOCK_DGRAM]) {
    const fd = openSocket(AF_UNIX, type | SOCK_NONBLOCK, 0);
    const result = syscall('connect', fd, addressOf(address), address.length);
    if (result === 0) {
      setSocketOption(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
      return fd;
    }
    close(fd);
    why = errnoName(-result);
    if (why !== 'EPROTOTYPE') break;
  }
  throw new InputError(
    'SLUICE_STEER_SOCKET',
    `nobody takes packets at ${path} (${why}): start the consumer first; it binds a socket of type seqpacket or dgram for each queue`,
  );
}
