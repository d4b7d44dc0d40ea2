// The modelled network: looking up interfaces, routes and neighbours (layout/network.ts).
import { ROOT } from '../../layout/memory';
import {
  INTERFACE_INDEX, INTERFACE_SIZE, NEIGHBOUR_ADDRESS, NEIGHBOUR_FAMILY, NEIGHBOUR_INTERFACE, NEIGHBOUR_SIZE, ROOT_INTERFACES,
  ROOT_NEIGHBOURS, ROOT_NETWORK, ROOT_ROUTES, ROUTE_FAMILY, ROUTE_INTERFACE, ROUTE_PREFIX, ROUTE_PREFIX_LENGTH, ROUTE_SIZE, ROUTE_TABLE,
  TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN,
} from '../../layout/network';

export const AF_INET: u32 = 2;
export const AF_INET6: u32 = 10;

export function hasNetwork(): bool {
  return load<u32>(ROOT, ROOT_NETWORK) != 0;
}

/** 0: there is none. */
export function findInterface(index: u32): usize {
  let at = <usize>load<u32>(ROOT, ROOT_NETWORK);
  for (let left = load<u32>(ROOT, ROOT_INTERFACES); left != 0; left--) {
    if (load<u32>(at, INTERFACE_INDEX) == index) return at;
    at += INTERFACE_SIZE;
  }
  return 0;
}

function routes(): usize {
  return <usize>load<u32>(ROOT, ROOT_NETWORK) + load<u32>(ROOT, ROOT_INTERFACES) * INTERFACE_SIZE;
}

function covers(prefix: usize, length: u32, address: usize): bool {
  const whole = length >> 3;
  for (let i: u32 = 0; i < whole; i++) if (load<u8>(prefix + i) != load<u8>(address + i)) return false;
  const rest = length & 7;
  if (rest == 0) return true;
  return (load<u8>(prefix + whole) ^ load<u8>(address + whole)) >> <u8>(8 - rest) == 0;
}

/** In one table; `out` is the interface that it must go out by, 0 for any. 0: there is none. */
export function findRoute(family: u32, address: usize, table: u32, out: u32): usize {
  let at = routes();
  for (let left = load<u32>(ROOT, ROOT_ROUTES); left != 0; left--) {
    if (
      load<u8>(at, ROUTE_FAMILY) == <u8>family &&
      load<u32>(at, ROUTE_TABLE) == table &&
      (out == 0 || load<u32>(at, ROUTE_INTERFACE) == out) &&
      covers(at + ROUTE_PREFIX, load<u8>(at, ROUTE_PREFIX_LENGTH), address)
    )
      return at;
    at += ROUTE_SIZE;
  }
  return 0;
}

/** As the rules that a system starts with: local, main, default. */
export function findRouteByRules(family: u32, address: usize, out: u32): usize {
  let route = findRoute(family, address, TABLE_LOCAL, out);
  if (route == 0) route = findRoute(family, address, TABLE_MAIN, out);
  return route != 0 ? route : findRoute(family, address, TABLE_DEFAULT, out);
}

/** 0: nobody answered. */
export function findNeighbour(index: u32, family: u32, address: usize): usize {
  let at = routes() + load<u32>(ROOT, ROOT_ROUTES) * ROUTE_SIZE;
  const size: usize = family == AF_INET ? 4 : 16;
  for (let left = load<u32>(ROOT, ROOT_NEIGHBOURS); left != 0; left--) {
    if (
      load<u32>(at, NEIGHBOUR_INTERFACE) == index &&
      load<u8>(at, NEIGHBOUR_FAMILY) == <u8>family &&
      memory.compare(at + NEIGHBOUR_ADDRESS, address, size) == 0
    )
      return at;
    at += NEIGHBOUR_SIZE;
  }
  return 0;
}
