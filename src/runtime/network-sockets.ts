/** Sockets of a network (network.ts): made with the runtime, found by bpf_sk_lookup_tcp and its like, and named for maps that hold sockets. */
import { InputError } from '../errors.ts';
import { createSocket, type ModelledObject, type SocketEnd, type SocketOptions } from './objects.ts';
import type { Runtime } from './runtime.ts';

/** Ends are text: `10.0.0.1:80`, `[fd00::1]:80`, `:80` for all addresses of IPv4, `[::]:80` for those of IPv6. */
export interface NetworkSocket {
  /** For initial contents of socket maps. */
  readonly name?: string;
  readonly local?: string;
  readonly remote?: string;
  /** Default `tcp`. */
  readonly protocol?: 'tcp' | 'udp';
  /** Of TCP; default `established` with a remote end, else `listen`. */
  readonly state?: 'established' | 'listen' | 'close';
  readonly reuseport?: boolean;
  /** Default: a number that no other socket of the runtime has. */
  readonly cookie?: number;
}

const AF_INET = 2;
const AF_INET6 = 10;
const PROTOCOLS: readonly string[] = ['tcp', 'udp'];
const STATES: readonly string[] = ['established', 'listen', 'close'];

/** By name; those without one are there all the same. Throws InputError `SLUICE_NETWORK` for what is no socket. */
export function createSockets(
  runtime: Runtime,
  sockets: readonly NetworkSocket[],
): ReadonlyMap<string, ModelledObject> {
  const named = new Map<string, ModelledObject>();
  for (const [at, socket] of sockets.entries()) {
    const made = createSocket(runtime, optionsOf(socket, `socket ${socket.name ?? at}`));
    if (socket.name === undefined) continue;
    if (named.has(socket.name)) throw wrong(`two sockets have the name ${socket.name}`);
    named.set(socket.name, made);
  }
  return named;
}

const wrong = (text: string) => new InputError('SLUICE_NETWORK', text);

function optionsOf(socket: NetworkSocket, name: string): SocketOptions {
  const { protocol = 'tcp', reuseport = false, cookie } = socket;
  const local = socket.local === undefined ? undefined : endOf(socket.local, name);
  const remote = socket.remote === undefined ? undefined : endOf(socket.remote, name);
  const families = new Set([local, remote].flatMap((end) => (end === undefined ? [] : [end.family])));
  if (families.size > 1) throw wrong(`${name}: its ends are of two families`);
  if (!PROTOCOLS.includes(protocol)) throw wrong(`${name}: protocol ${protocol} is none of ${PROTOCOLS.join(', ')}`);
  if (socket.state !== undefined && !STATES.includes(socket.state))
    throw wrong(`${name}: state ${socket.state} is none of ${STATES.join(', ')}`);
  if (cookie !== undefined && !(Number.isSafeInteger(cookie) && cookie > 0))
    throw wrong(`${name}: a cookie is a number from 1 up, not ${cookie}`);
  const listens = protocol === 'tcp' && remote === undefined ? ('listen' as const) : undefined;
  const state = socket.state ?? listens;
  return {
    family: [...families][0] ?? AF_INET,
    protocol,
    reuseport,
    ...(local === undefined ? {} : { local: local.end }),
    ...(remote === undefined ? {} : { remote: remote.end }),
    ...(state === undefined ? {} : { state }),
    ...(cookie === undefined ? {} : { cookie: BigInt(cookie) }),
  };
}

function endOf(text: string, name: string): { readonly family: number; readonly end: SocketEnd } {
  const [, six, four, port] = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d+)$/.exec(text) ?? [];
  if (port === undefined) throw wrong(`${name}: an end is ADDRESS:PORT, [ADDRESS]:PORT or :PORT, not ${text}`);
  const address = six ?? (four === '' ? undefined : four);
  return {
    family: six === undefined ? AF_INET : AF_INET6,
    end: { ...(address === undefined ? {} : { address }), port: Number(port) },
  };
}
