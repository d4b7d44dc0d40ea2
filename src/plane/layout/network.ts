/**
 * The network that a runtime models: interfaces, routes and neighbours, as bpf_fib_lookup and bpf_check_mtu ask for them. Written once, when
 * the runtime is made; a table of records each, behind one another.
 */

/** u32 each, in the root: address of the tables, 0 without a network; numbers of interfaces, routes, neighbours. */
export const ROOT_NETWORK = 416;
export const ROOT_INTERFACES = 420;
export const ROOT_ROUTES = 424;
export const ROOT_NEIGHBOURS = 428;

/** u32 index, u32 MTU, u8: 1 if packets that come in by it are forwarded, MAC address; primary IPv4 and IPv6 address, zero for none; u32 index of its peer, 0 for none. */
export const INTERFACE_INDEX = 0;
export const INTERFACE_MTU = 4;
export const INTERFACE_FORWARDS = 8;
export const INTERFACE_MAC = 10;
export const INTERFACE_IPV4 = 16;
export const INTERFACE_PEER = 20;
export const INTERFACE_IPV6 = 24;
export const INTERFACE_SIZE = 40;

/** In the order of preference: longest prefix first, then the lower metric. An IPv4 address takes the first 4 bytes. */
export const ROUTE_FAMILY = 0;
export const ROUTE_PREFIX_LENGTH = 1;
/** RTN_* of linux/rtnetlink.h. */
export const ROUTE_TYPE = 2;
/** Family of the gateway, 0 for none. */
export const ROUTE_GATEWAY_FAMILY = 3;
/** u32 each; MTU 0: the interface's. */
export const ROUTE_INTERFACE = 4;
export const ROUTE_TABLE = 8;
export const ROUTE_METRIC = 12;
export const ROUTE_MTU = 16;
/** u8: 1 if there is a preferred source. */
export const ROUTE_HAS_SOURCE = 20;
export const ROUTE_PREFIX = 24;
export const ROUTE_GATEWAY = 40;
export const ROUTE_SOURCE = 56;
export const ROUTE_SIZE = 72;

/** u32 interface, u8 family, MAC address, IP address. */
export const NEIGHBOUR_INTERFACE = 0;
export const NEIGHBOUR_FAMILY = 4;
export const NEIGHBOUR_MAC = 6;
export const NEIGHBOUR_ADDRESS = 16;
export const NEIGHBOUR_SIZE = 32;

export const RTN_UNICAST = 1;
export const RTN_LOCAL = 2;
export const RTN_BLACKHOLE = 6;
export const RTN_UNREACHABLE = 7;
export const RTN_PROHIBIT = 8;
export const TABLE_DEFAULT = 253;
export const TABLE_MAIN = 254;
export const TABLE_LOCAL = 255;
