/** The system calls that make an AF_XDP socket, and what their refusals mean. */
import { InputError, UnsupportedError } from '../errors.ts';
import { XDP_FRAME_SIZE } from '../plane/layout/frame.ts';
import { TX_METADATA_SIZE } from '../plane/layout/xsk.ts';
import * as xdp from './af-xdp-layout.ts';
import { bindSocket, openSocket, SOCK_RAW, setSocketOption } from './sockets.ts';
import { SyscallError } from './syscall-error.ts';

export type CopyMode = 'auto' | 'copy' | 'zerocopy';
/** Who fills in the checksums of what is sent: nobody; the device; the kernel in software, for devices that cannot, in copy mode. */
export type ChecksumOffload = 'none' | 'device' | 'software';

export function openXsk(): number {
  try {
    return openSocket(xdp.AF_XDP, SOCK_RAW, 0);
  } catch (error) {
    if (error instanceof SyscallError && ['EPERM', 'EAFNOSUPPORT', 'EPROTONOSUPPORT'].includes(error.errno)) {
      const why = error.errno === 'EPERM' ? 'EPERM: it needs root (CAP_NET_RAW)' : error.errno;
      throw new UnsupportedError('AF_XDP', `socket(AF_XDP) refused: ${why}`, undefined, { cause: error });
    }
    throw error;
  }
}

/** `address` and `length` of the UMEM in this process. Throws UnsupportedError where the kernel knows no metadata of sent frames (before 6.11). */
export function registerUmem(fd: number, address: number, length: number, checksums: ChecksumOffload): void {
  const flags =
    checksums === 'none' ? 0 : xdp.XDP_UMEM_TX_METADATA_LEN | (checksums === 'software' ? xdp.XDP_UMEM_TX_SW_CSUM : 0);
  const metadata = checksums === 'none' ? 0 : TX_METADATA_SIZE;
  try {
    const umem = xdp.umemRegistration({ address, length, chunkSize: XDP_FRAME_SIZE, flags, txMetadata: metadata });
    setSocketOption(fd, xdp.SOL_XDP, xdp.XDP_UMEM_REG, umem);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (error.errno === 'EINVAL' && flags !== 0)
      throw new UnsupportedError('AF_XDP TX metadata', 'this kernel has no metadata of sent frames (Linux 6.11)');
    if (error.errno !== 'ENOBUFS') throw error;
    const why = `the kernel does not pin ${length >> 20} MiB: raise RLIMIT_MEMLOCK, or ask for fewer frames`;
    throw new InputError('SLUICE_LINUX_ENOBUFS', why, {}, { cause: error });
  }
}

export interface XskBinding {
  readonly ifindex: number;
  readonly queue: number;
  readonly copy: CopyMode;
  /** Descriptor of the socket whose UMEM is used; its own otherwise. */
  readonly sharedFd: number | undefined;
}

export function bindXsk(fd: number, { ifindex, queue, copy, sharedFd }: XskBinding): void {
  const mode = copy === 'copy' ? xdp.XDP_COPY : copy === 'zerocopy' ? xdp.XDP_ZEROCOPY : 0;
  // A shared UMEM takes its mode from the first socket.
  const flags = sharedFd === undefined ? mode | xdp.XDP_USE_NEED_WAKEUP : xdp.XDP_SHARED_UMEM;
  try {
    bindWhenFree(fd, xdp.socketAddress(flags, ifindex, queue, sharedFd ?? 0));
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const why = `AF_XDP on queue ${queue} of interface ${ifindex}: ${error.errno}`;
    if (error.errno === 'EOPNOTSUPP' || error.errno === 'EPROTONOSUPPORT')
      throw new UnsupportedError(copy === 'zerocopy' ? 'AF_XDP zero-copy' : 'AF_XDP', why, undefined, { cause: error });
    throw new InputError(`SLUICE_LINUX_${error.errno}`, why, {}, { cause: error });
  }
  try {
    setSocketOption(fd, xdp.SOL_XDP, xdp.XDP_MAX_TX_SKB_BUDGET, 1024);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error; // before 6.17, or smaller rings: 32 at a time
  }
}

/** A queue is free a moment after its last socket was closed: the kernel clears it by deferred work (net/xdp/xsk_buff_pool.c). */
function bindWhenFree(fd: number, address: Uint8Array): void {
  for (let tries = 50; ; tries--) {
    try {
      bindSocket(fd, address);
      return;
    } catch (error) {
      if (tries === 0 || !(error instanceof SyscallError && error.errno === 'EBUSY')) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
