/** Network interfaces of this process's network namespace, by name and by index. */
import { readFileSync } from 'node:fs';
import { InputError } from '../errors.ts';
import { close, ioctl, syscall } from './ffi.ts';
import { SyscallError } from './syscall-error.ts';

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SIOCGIFNAME = 0x8910;
const SIOCGIFINDEX = 0x8933;
// struct ifreq: 16 bytes of name, then a union of 24.
const IFNAMSIZ = 16;
const IFREQ_SIZE = 40;

/** Names of the interfaces in this network namespace. */
export function interfaceNames(): string[] {
  return readFileSync('/proc/self/net/dev', 'utf8')
    .split('\n')
    .slice(2)
    .map((line) => line.split(':')[0]!.trim())
    .filter((name) => name !== '');
}

/** Packets for this interface that found no room in its queues, since it was made; undefined if there is none of that name. */
export function interfaceDrops(name: string): number | undefined {
  const line = readFileSync('/proc/self/net/dev', 'utf8')
    .split('\n')
    .find((each) => each.trimStart().startsWith(`${name}:`));
  // Eight columns of what was received, then bytes, packets, errors, drops of what was sent.
  return line === undefined
    ? undefined
    : Number(
        line
          .slice(line.indexOf(':') + 1)
          .trim()
          .split(/\s+/)[11],
      );
}

/** Index of an interface; throws InputError `SLUICE_LINUX_NO_INTERFACE` with the names that there are. */
export function interfaceIndex(name: string): number {
  const request = new DataView(new ArrayBuffer(IFREQ_SIZE));
  const bytes = new TextEncoder().encode(name);
  if (bytes.length > 0 && bytes.length < IFNAMSIZ) {
    new Uint8Array(request.buffer).set(bytes);
    if (ask(SIOCGIFINDEX, request)) return request.getInt32(IFNAMSIZ, true);
  }
  throw new InputError('SLUICE_LINUX_NO_INTERFACE', `no interface ${name}; there are: ${interfaceNames().join(', ')}`);
}

/** Name of the interface with that index; undefined if there is none. */
export function interfaceName(index: number): string | undefined {
  const request = new DataView(new ArrayBuffer(IFREQ_SIZE));
  request.setInt32(IFNAMSIZ, index, true);
  if (!ask(SIOCGIFNAME, request)) return undefined;
  const name = new Uint8Array(request.buffer, 0, IFNAMSIZ);
  return new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
}

/** False: no such interface. */
function ask(what: number, request: DataView): boolean {
  const socket = syscall('socket', AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) throw new SyscallError('socket', -socket);
  try {
    ioctl(socket, what, request);
    return true;
  } catch (error) {
    if (error instanceof SyscallError && (error.errno === 'ENODEV' || error.errno === 'ENXIO')) return false;
    throw error;
  } finally {
    close(socket);
  }
}

const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCGIFMTU = 0x8921;
const IFF_UP = 1;

/** MTU in bytes, without link header; undefined if there is no such interface. */
export function interfaceMtu(name: string): number | undefined {
  const request = requestFor(name);
  return ask(SIOCGIFMTU, request) ? request.getInt32(IFNAMSIZ, true) : undefined;
}

/** Takes an interface up; true if it was down. Throws as interfaceIndex, and SyscallError (EPERM). */
export function setInterfaceUp(name: string): boolean {
  const request = requestFor(name);
  if (!ask(SIOCGIFFLAGS, request)) interfaceIndex(name);
  const flags = request.getUint16(IFNAMSIZ, true);
  if ((flags & IFF_UP) !== 0) return false;
  request.setUint16(IFNAMSIZ, flags | IFF_UP, true);
  ask(SIOCSIFFLAGS, request);
  return true;
}

function requestFor(name: string): DataView {
  const request = new DataView(new ArrayBuffer(IFREQ_SIZE));
  new Uint8Array(request.buffer).set(new TextEncoder().encode(name).subarray(0, IFNAMSIZ - 1));
  return request;
}
