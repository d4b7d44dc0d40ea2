/** The network that programs ask about, set for a run: interfaces, routes and neighbours of bpf_fib_lookup and bpf_check_mtu; sockets (network-sockets.ts). */
import { InputError, InternalError } from '../errors.ts';
import { parseIpv4, parseIpv6, parseMac } from '../net/addresses.ts';
import { ROOT, WASM_PAGE } from '../plane/layout/memory.ts';
import * as layout from '../plane/layout/network.ts';
import type { NetworkSocket } from './network-sockets.ts';
import type { PlaneInstance } from './plane.ts';

/** Addresses are text: `10.0.0.1`, `fd00::1`, `02:00:00:00:00:01`. */
export interface Network {
  readonly interfaces: readonly Interface[];
  readonly routes?: readonly Route[];
  readonly neighbours?: readonly Neighbour[];
  readonly sockets?: readonly NetworkSocket[];
}

export interface Interface {
  /** From 1 up. */
  readonly index: number;
  readonly mac: string;
  /** Default 1500. */
  readonly mtu?: number;
  /** Whether packets that come in by it are forwarded (sysctl net.ipv4.conf.*.forwarding); default true. */
  readonly forwards?: boolean;
  /** Primary addresses: what BPF_FIB_LOOKUP_SRC gives where a route has no source of its own. */
  readonly ipv4?: string;
  readonly ipv6?: string;
  /** Index of the other end, as a veth has one: what leaves by this interface arrives there. Default: it leaves the modelled network. */
  readonly peer?: number;
}

export interface Route {
  /** `10.0.0.0/8`, `fd00::/64`, or an address for that one alone. */
  readonly to: string;
  /** Index of the interface; only types without one may leave it away. */
  readonly interface?: number;
  /** Gateway; one of IPv6 may serve a route of IPv4. */
  readonly via?: string;
  /** Default `unicast`. */
  readonly type?: 'unicast' | 'local' | 'blackhole' | 'unreachable' | 'prohibit';
  /** Default 254 (main), of local routes 255. */
  readonly table?: number;
  readonly metric?: number;
  /** Default: the interface's. For IPv4 a locked one (`mtu lock N`): no other counts for packets that are forwarded. */
  readonly mtu?: number;
  readonly source?: string;
}

export interface Neighbour {
  readonly interface: number;
  readonly address: string;
  readonly mac: string;
}

const AF_INET = 2;
const AF_INET6 = 10;
const types = {
  unicast: layout.RTN_UNICAST,
  local: layout.RTN_LOCAL,
  blackhole: layout.RTN_BLACKHOLE,
  unreachable: layout.RTN_UNREACHABLE,
  prohibit: layout.RTN_PROHIBIT,
} as const;

const wrong = (text: string) => new InputError('SLUICE_NETWORK', text);
const ipOf = (text: string) => (text.includes(':') ? parseIpv6(text) : parseIpv4(text));
const familyOf = (address: Uint8Array) => (address.length === 4 ? AF_INET : AF_INET6);

interface ParsedRoute extends Route {
  readonly prefix: Uint8Array;
  readonly length: number;
}

/** Throws InputError `SLUICE_NETWORK` or `SLUICE_NET_ADDRESS` for what is no network. */
export function setNetwork(plane: PlaneInstance, network: Network): void {
  const { interfaces, neighbours = [] } = network;
  const known = new Set(interfaces.map(({ index }) => index));
  if (known.size !== interfaces.length) throw wrong('two interfaces have the same index');
  const routes = (network.routes ?? []).map((route) => parseRoute(route, known)).sort(byPreference);
  for (const { interface: index, address } of neighbours)
    if (!known.has(index)) throw wrong(`neighbour ${address}: there is no interface ${index}`);
  const size =
    interfaces.length * layout.INTERFACE_SIZE +
    routes.length * layout.ROUTE_SIZE +
    neighbours.length * layout.NEIGHBOUR_SIZE;
  const table = plane.exports.pages_alloc(Math.ceil(Math.max(size, 1) / WASM_PAGE)) >>> 0;
  if (table === 0) throw new InternalError(`the linear memory has no room for ${size} bytes of routes`);
  const view = plane.view();
  const bytes = plane.bytes();
  let at = table;
  for (const each of interfaces) {
    if (each.peer !== undefined && !known.has(each.peer))
      throw wrong(`interface ${each.index}: there is no interface ${each.peer} to be its peer`);
    writeInterface(view, bytes, at, each);
    at += layout.INTERFACE_SIZE;
  }
  for (const route of routes) {
    writeRoute(view, bytes, at, route);
    at += layout.ROUTE_SIZE;
  }
  for (const { interface: index, address, mac } of neighbours) {
    const ip = ipOf(address);
    view.setUint32(at + layout.NEIGHBOUR_INTERFACE, index, true);
    view.setUint8(at + layout.NEIGHBOUR_FAMILY, familyOf(ip));
    bytes.set(parseMac(mac), at + layout.NEIGHBOUR_MAC);
    bytes.set(ip, at + layout.NEIGHBOUR_ADDRESS);
    at += layout.NEIGHBOUR_SIZE;
  }
  view.setUint32(ROOT + layout.ROOT_NETWORK, table, true);
  view.setUint32(ROOT + layout.ROOT_INTERFACES, interfaces.length, true);
  view.setUint32(ROOT + layout.ROOT_ROUTES, routes.length, true);
  view.setUint32(ROOT + layout.ROOT_NEIGHBOURS, neighbours.length, true);
}

function byPreference(a: ParsedRoute, b: ParsedRoute): number {
  return b.length - a.length || (a.metric ?? 0) - (b.metric ?? 0);
}

function parseRoute(route: Route, known: ReadonlySet<number>): ParsedRoute {
  const [text, bits] = route.to.split('/');
  const prefix = ipOf(text!);
  const length = bits === undefined ? prefix.length * 8 : Number(bits);
  if (!Number.isInteger(length) || length < 0 || length > prefix.length * 8)
    throw wrong(`route ${route.to}: the prefix has 0 to ${prefix.length * 8} bits`);
  const { type = 'unicast', interface: index } = route;
  if (!Object.hasOwn(types, type))
    throw wrong(`route ${route.to}: type ${type} is none of ${Object.keys(types).join(', ')}`);
  if (index === undefined ? type === 'unicast' || type === 'local' : !known.has(index))
    throw wrong(`route ${route.to}: there is no interface ${index ?? ''}`.trimEnd());
  return { ...route, prefix, length };
}

function writeInterface(view: DataView, bytes: Uint8Array, at: number, each: Interface): void {
  const { index, mac, mtu = 1500, forwards = true, ipv4, ipv6, peer = 0 } = each;
  if (!Number.isInteger(index) || index < 1 || index > 0x7fff_ffff)
    throw wrong(`interface ${index}: indexes count from 1`);
  if (!Number.isInteger(mtu) || mtu < 68 || mtu > 0xffff_ffff)
    throw wrong(`interface ${index}: an MTU is 68 or more, not ${mtu}`);
  view.setUint32(at + layout.INTERFACE_INDEX, index, true);
  view.setUint32(at + layout.INTERFACE_MTU, mtu, true);
  view.setUint8(at + layout.INTERFACE_FORWARDS, forwards ? 1 : 0);
  bytes.set(parseMac(mac), at + layout.INTERFACE_MAC);
  view.setUint32(at + layout.INTERFACE_PEER, peer, true);
  if (ipv4 !== undefined) bytes.set(parseIpv4(ipv4), at + layout.INTERFACE_IPV4);
  if (ipv6 !== undefined) bytes.set(parseIpv6(ipv6), at + layout.INTERFACE_IPV6);
}

function writeRoute(view: DataView, bytes: Uint8Array, at: number, route: ParsedRoute): void {
  const { prefix, length, type = 'unicast', via, source, metric = 0, mtu = 0 } = route;
  const { table = type === 'local' ? layout.TABLE_LOCAL : layout.TABLE_MAIN } = route;
  view.setUint8(at + layout.ROUTE_FAMILY, familyOf(prefix));
  view.setUint8(at + layout.ROUTE_PREFIX_LENGTH, length);
  view.setUint8(at + layout.ROUTE_TYPE, types[type]);
  view.setUint32(at + layout.ROUTE_INTERFACE, route.interface ?? 0, true);
  view.setUint32(at + layout.ROUTE_TABLE, table, true);
  view.setUint32(at + layout.ROUTE_METRIC, metric, true);
  view.setUint32(at + layout.ROUTE_MTU, mtu, true);
  bytes.set(prefix, at + layout.ROUTE_PREFIX);
  if (via !== undefined) {
    const gateway = ipOf(via);
    if (gateway.length < prefix.length) throw wrong(`route ${route.to}: a route of IPv6 has a gateway of IPv6`);
    view.setUint8(at + layout.ROUTE_GATEWAY_FAMILY, familyOf(gateway));
    bytes.set(gateway, at + layout.ROUTE_GATEWAY);
  }
  if (source === undefined) return;
  const from = ipOf(source);
  if (from.length !== prefix.length) throw wrong(`route ${route.to}: the source ${source} is of another family`);
  view.setUint8(at + layout.ROUTE_HAS_SOURCE, 1);
  bytes.set(from, at + layout.ROUTE_SOURCE);
}
