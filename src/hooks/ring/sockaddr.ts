/** Addresses of sockets between objects and the kernel's bytes: struct sockaddr_in, sockaddr_in6, sockaddr_un. */
import { addressFamilies } from '../../abi/io-uring/call-flags.ts';
import { InputError } from '../../errors.ts';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../../net/addresses.ts';

export type SocketAddress =
  | { readonly family: 'ipv4'; readonly address: string; readonly port: number }
  | {
      readonly family: 'ipv6';
      readonly address: string;
      readonly port: number;
      readonly flowInfo?: number;
      /** Index of the interface, for link-local addresses. */
      readonly scope?: number;
    }
  /** A path of the file system; with a NUL in front the name of an abstract socket; '': no name. */
  | { readonly family: 'unix'; readonly path: string };

/** struct sockaddr_storage: room for any. */
export const SOCKADDR_SIZE = 128;
const IPV4_SIZE = 16;
const IPV6_SIZE = 28;
/** sun_path. */
const PATH_ROOM = 108;

/** Writes up to 110 bytes and returns their number. Throws InputError `SLUICE_RING_SOCKADDR`, `SLUICE_NET_ADDRESS`. */
export function encodeSockaddr(view: DataView, at: number, address: SocketAddress): number {
  if (address.family === 'unix') return encodeUnix(view, at, address.path);
  const { port } = address;
  if (!Number.isInteger(port) || port < 0 || port > 0xffff)
    throw new InputError('SLUICE_RING_SOCKADDR', `a port is an integer from 0 to 65535, not ${port}`);
  const ipv4 = address.family === 'ipv4';
  const bytes = ipv4 ? parseIpv4(address.address) : parseIpv6(address.address);
  view.setUint16(at, ipv4 ? addressFamilies.INET : addressFamilies.INET6, true);
  view.setUint16(at + 2, port);
  if (ipv4) {
    bytesAt(view, at + 4, 4).set(bytes);
    bytesAt(view, at + 8, 8).fill(0);
    return IPV4_SIZE;
  }
  view.setUint32(at + 4, address.flowInfo ?? 0);
  bytesAt(view, at + 8, 16).set(bytes);
  view.setUint32(at + 24, address.scope ?? 0, true);
  return IPV6_SIZE;
}

function encodeUnix(view: DataView, at: number, path: string): number {
  const bytes = new TextEncoder().encode(path);
  const abstract = path.startsWith('\0');
  if (bytes.length + (abstract ? 0 : 1) > PATH_ROOM)
    throw new InputError(
      'SLUICE_RING_SOCKADDR',
      `the path of a unix socket has at most 107 bytes, not ${bytes.length}`,
    );
  if (!abstract && path.includes('\0'))
    throw new InputError('SLUICE_RING_SOCKADDR', 'a NUL in the path of a unix socket');
  view.setUint16(at, addressFamilies.UNIX, true);
  bytesAt(view, at + 2, bytes.length).set(bytes);
  if (path === '') return 2;
  if (abstract) return 2 + bytes.length;
  view.setUint8(at + 2 + bytes.length, 0);
  return 2 + bytes.length + 1;
}

/** `length` as the kernel returned it. Throws InputError `SLUICE_RING_SOCKADDR` for other families. */
export function decodeSockaddr(view: DataView, at: number, length: number): SocketAddress {
  const family = length >= 2 ? view.getUint16(at, true) : 0;
  if (family === addressFamilies.INET && length >= IPV4_SIZE)
    return { family: 'ipv4', address: formatIpv4(bytesAt(view, at + 4, 4)), port: view.getUint16(at + 2) };
  if (family === addressFamilies.INET6 && length >= IPV6_SIZE)
    return {
      family: 'ipv6',
      address: formatIpv6(bytesAt(view, at + 8, 16)),
      port: view.getUint16(at + 2),
      flowInfo: view.getUint32(at + 4),
      scope: view.getUint32(at + 24, true),
    };
  if (family === addressFamilies.UNIX) return { family: 'unix', path: decodePath(bytesAt(view, at + 2, length - 2)) };
  throw new InputError(
    'SLUICE_RING_SOCKADDR',
    `an address of family ${family} and ${length} bytes: none that is known`,
  );
}

function decodePath(bytes: Uint8Array): string {
  // Names of abstract sockets may hold NULs; the path of a file ends with one.
  const end = bytes[0] === 0 ? -1 : bytes.indexOf(0);
  return new TextDecoder().decode(Uint8Array.from(end < 0 ? bytes : bytes.subarray(0, end)));
}

function bytesAt(view: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, length);
}
