/** AF_PACKET: Ethernet frames in and out of an interface as they are (packet(7)). For tests, benchmarks and sources of traffic. */
import { addressOf, close, syscall } from './ffi.ts';
import { interfaceIndex } from './netdev.ts';
import { bindSocket, MSG_DONTWAIT, openSocket, ReadableWait, SOCK_RAW, setSocketOption } from './sockets.ts';
import { SyscallError } from './syscall-error.ts';

const AF_PACKET = 17;
const SOL_PACKET = 263;
const PACKET_IGNORE_OUTGOING = 23;
const ETH_P_ALL = 3;
const SO_RCVBUF = 8;
const SOL_SOCKET = 1;
const LONGEST_FRAME = 65536;

export class PacketSocket {
  readonly fd: number;
  readonly #buffer = new Uint8Array(LONGEST_FRAME);
  readonly #wait: ReadableWait;

  /** Binds to an interface of the thread's network namespace, and stays with it. Sees what comes in, not what goes out. Needs CAP_NET_RAW. */
  constructor(interfaceName: string) {
    const protocol = ((ETH_P_ALL & 255) << 8) | (ETH_P_ALL >> 8);
    this.fd = openSocket(AF_PACKET, SOCK_RAW, 0);
    try {
      setSocketOption(this.fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
      setSocketOption(this.fd, SOL_SOCKET, SO_RCVBUF, 4 << 20);
      // struct sockaddr_ll: u16 family, u16 protocol, i32 ifindex, u16 hatype, u8 pkttype, u8 halen, u8 addr[8].
      const address = new DataView(new ArrayBuffer(20));
      address.setUint16(0, AF_PACKET, true);
      address.setUint16(2, protocol, true);
      address.setInt32(4, interfaceIndex(interfaceName), true);
      bindSocket(this.fd, new Uint8Array(address.buffer));
    } catch (error) {
      close(this.fd);
      throw error;
    }
    this.#wait = new ReadableWait([this.fd]);
  }

  /** Sends one frame; throws SyscallError, ENOBUFS where the interface's queue is full. */
  send(frame: Uint8Array): void {
    const result = syscall('sendto', this.fd, addressOf(frame), frame.length, 0, 0, 0);
    if (result < 0) throw new SyscallError('sendto', -result, `a frame of ${frame.length} bytes`);
  }

  /** A copy of the next frame, if one is there. */
  receive(): Uint8Array | undefined {
    const { length } = this.#buffer;
    const result = syscall('recvfrom', this.fd, addressOf(this.#buffer), length, MSG_DONTWAIT, 0, 0);
    if (result === -EAGAIN) return undefined;
    if (result < 0) throw new SyscallError('recvfrom', -result);
    return this.#buffer.slice(0, result);
  }

  /** Until a frame is there or the time is over. */
  wait(milliseconds: number): Promise<boolean> {
    return this.#wait.wait(milliseconds);
  }

  close(): void {
    close(this.fd);
  }
}

const EAGAIN = 11;
