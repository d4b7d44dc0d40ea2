/** Maps of sockets: sockmap, sockhash, reuseport_sockarray. */

import { closeSync, openSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { mapTypes } from '../../src/abi/map-types.ts';
import { createInode, createSocket, load, Runtime, type SocketOptions } from '../../src/index.ts';
import { close } from '../../src/linux/ffi.ts';
import { bindSocket, openSocket, setSocketOption, socketOption } from '../../src/linux/sockets.ts';
import { SyscallError } from '../../src/linux/syscall-error.ts';
import { type Bed, compileOperations, type Named, named, programStep, same, u32, u64 } from './bed.ts';

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_REUSEPORT = 15;
const SO_COOKIE = 57;

/** A socket of the kernel, and how it is modelled. */
export interface KernelSocket {
  readonly name: string;
  readonly fd: number;
  readonly options: SocketOptions;
}

export interface KernelSockets {
  readonly all: readonly KernelSocket[];
  /** A descriptor that is no socket's. */
  readonly file: number;
  close(): void;
}

function address(port: number): Uint8Array {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint16(0, AF_INET, true);
  new DataView(bytes.buffer).setUint16(2, port);
  bytes.set([127, 0, 0, 1], 4);
  return bytes;
}

/** Every kind of socket that the maps tell apart. */
export async function openSockets(): Promise<KernelSockets> {
  const all: KernelSocket[] = [];
  const owned: (() => void)[] = [];
  const add = (name: string, fd: number, options: SocketOptions) => {
    const cookie = new DataView(socketOption(fd, SOL_SOCKET, SO_COOKIE, 8).slice().buffer).getBigUint64(0, true);
    all.push({ name, fd, options: { ...options, cookie } });
  };
  const open = (type: number, reuseport: boolean) => {
    const fd = openSocket(AF_INET, type, 0);
    if (reuseport) setSocketOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    return { fd, port: bindSomewhere(fd) };
  };
  const end = (port: number) => ({ address: '127.0.0.1', port });
  for (const reuseport of [false, true, true]) {
    const server = await listening(open(SOCK_STREAM, reuseport).fd);
    owned.push(() => server.close());
    const { port } = server.address() as AddressInfo; // Of a TCP server.
    const name = `${reuseport ? 'sharing ' : ''}listener ${all.length}`;
    add(name, descriptorOf(server), { state: 'listen', local: end(port), reuseport });
    if (reuseport) continue;
    const accepted = new Promise<Socket>((done) => server.once('connection', done));
    const client = connect(port, '127.0.0.1');
    const other = await accepted;
    owned.push(() => client.destroy());
    owned.push(() => other.destroy());
    const ends = { client: end(client.localPort!), server: end(port) };
    add('client', descriptorOf(client), { local: ends.client, remote: ends.server });
    add('accepted', descriptorOf(other), { local: ends.server, remote: ends.client });
  }
  const addBound = (name: string, type: number, options: SocketOptions) => {
    const { fd, port } = open(type, options.reuseport === true);
    owned.push(() => close(fd));
    add(name, fd, { ...options, local: end(port) });
  };
  addBound('closed', SOCK_STREAM, { state: 'close' });
  addBound('sharing closed', SOCK_STREAM, { state: 'close', reuseport: true });
  addBound('udp', SOCK_DGRAM, { protocol: 'udp' });
  addBound('sharing udp a', SOCK_DGRAM, { protocol: 'udp', reuseport: true });
  addBound('sharing udp b', SOCK_DGRAM, { protocol: 'udp', reuseport: true });
  const file = openSync('/dev/null', 'r');
  owned.push(() => closeSync(file));
  return {
    all,
    file,
    close: () => {
      for (const each of owned) each();
    },
  };
}

/** Ports that nobody of this machine's tests takes at once. */
function bindSomewhere(fd: number): number {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    try {
      bindSocket(fd, address(port));
      return port;
    } catch (error) {
      if (!(error instanceof SyscallError) || error.errno !== 'EADDRINUSE') throw error;
    }
  }
}

async function listening(fd: number): Promise<Server> {
  const server = createServer();
  await new Promise<void>((done) => server.listen({ fd }, done));
  return server;
}

function descriptorOf(of: Server | Socket): number {
  return (of as unknown as { readonly _handle: { readonly fd: number } })._handle.fd; // Node has no public name for it.
}

export interface SocketMap {
  readonly type: 'sockmap' | 'sockhash' | 'reuseport_sockarray';
  readonly keySize: number;
  readonly valueSize: 4 | 8;
  readonly maxEntries: number;
}

const sources =
  'struct { __uint(type, 15); __uint(max_entries, 16); __type(key, u32); __type(value, u32); } sources SEC(".maps");';
const helpers = `struct bpf_sock { u32 family[11], src_port, rest[6], state; };
static long (*sk_release)(void *sk) = (void *)86;`;

/** The map; and what programs may do with a map of that type: XDP looks up, puts in what it found in another one, takes out. */
export function compileSocketMap({ type, keySize, valueSize, maxEntries }: SocketMap): Uint8Array {
  const map = `struct { __uint(type, ${mapTypes[type]}); __uint(key_size, ${keySize}); __uint(value_size, ${valueSize}); __uint(max_entries, ${maxEntries}); } map SEC(".maps");`;
  if (type === 'reuseport_sockarray') return compileOperations('xdp', map, '');
  return compileOperations(
    'xdp',
    `${helpers}\n${sources}\n${map}\nstruct key { u8 bytes[${Math.max(8, keySize)}]; };
#define KEY struct key key = {}; __builtin_memcpy(&key, &op->key, 4);`,
    `
    case 0: { KEY struct bpf_sock *sk = bpf_map_lookup_elem(&map, &key); op->result = -1; if (!sk) break; op->result = sk->src_port; op->value = sk->state; sk_release(sk); break; }
    case 1: { KEY struct bpf_sock *sk = bpf_map_lookup_elem(&sources, &op->object); op->result = -1; if (!sk) break; op->result = update(&map, &key, sk, op->flags); sk_release(sk); break; }
    case 2: { KEY op->result = delete(&map, &key); break; }`,
  );
}

/** A bed with the sockets that are open. */
export async function socketBed(
  each: SocketMap,
  bytes: Uint8Array,
  sockets: KernelSockets,
  seed: bigint,
): Promise<Bed> {
  const runtime = new Runtime({ seed });
  const models = sockets.all.map(({ options }) => createSocket(runtime, options));
  const inode = createInode(runtime);
  const objects = { user: await load(bytes, { runtime }), linux: await load(bytes, { target: 'linux' }) };
  const number = (n: number) => (each.valueSize === 4 ? u32(n) : u64(BigInt(n)));
  const values: Named[] = sockets.all.map(({ name, fd }, i) => named(name, number(models[i]!.id), number(fd)));
  // Those that no map takes come less often.
  const odd = [
    named('a file', number(inode.id), number(sockets.file)),
    same('none', number(1_000_000)),
    ...(each.valueSize === 8 ? [same('beyond', u64(1n << 31n)), same('far beyond', u64((1n << 32n) + 3n))] : []),
  ];
  const keys = Array.from({ length: each.maxEntries + 3 }, (_, n) => {
    const key = new Uint8Array(each.keySize);
    key[0] = n;
    return same(String(n), key);
  });
  const suitable = sockets.all.flatMap(({ options }, i) => (options.state === 'close' ? [] : [i]));
  if (each.type !== 'reuseport_sockarray')
    for (const [at, i] of suitable.entries()) {
      objects.user.maps['sources']!.raw.update(u32(at), u32(models[i]!.id));
      objects.linux.maps['sources']!.raw.update(u32(at), u32(sockets.all[i]!.fd));
    }
  const program = (random: () => number) => ({
    op: random() % 3,
    flags: random() % 2 === 0 ? 0 : random() % 4,
    key: random() % (each.maxEntries + 3),
    object: random() % (suitable.length + 1),
  });
  return {
    objects,
    keys,
    ordered: each.type !== 'sockhash',
    value: (random) => (random() % 8 === 0 ? odd[random() % odd.length]! : values[random() % values.length]!),
    ...(each.type === 'reuseport_sockarray'
      ? {}
      : {
          other: (random: () => number) =>
            programStep({ objects }, () => program(random), { data: new Uint8Array(64) }),
        }),
    close() {
      // The kernel frees a map some time after its last descriptor, and a socket is in one reuseport_sockarray at most: the next bed has the same
      // sockets.
      if (each.type === 'reuseport_sockarray')
        for (let n = 0; n < each.maxEntries; n++) objects.linux.maps['map']!.raw.delete(u32(n));
      for (const object of Object.values(objects)) object.close();
      for (const model of [...models, inode]) model.close();
    },
  };
}
