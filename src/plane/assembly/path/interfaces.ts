// Interfaces on a path: the programs that each has, and what the modelled network says of it (layout/network.ts).
import { findInterface, hasNetwork } from '../net/network';
import { INTERFACE_MTU, INTERFACE_PEER } from '../../layout/network';
import { HOP_INDEX, HOP_SIZE, LOST_NO_INTERFACE, LOST_TOO_LONG, PATH_INTERFACES, PATH_INTERFACE_RECORDS } from '../../layout/path';

/** Link header and one VLAN tag, which an MTU does not count. */
const LINK_HEADER: u32 = 14 + 4;

/** Record of the programs of an interface, 0: it has none. */
export function hopOf(path: usize, index: u32): usize {
  let at = path + PATH_INTERFACE_RECORDS;
  for (let left = load<u32>(path, PATH_INTERFACES); left != 0; left--) {
    if (load<u32>(at, HOP_INDEX) == index) return at;
    at += HOP_SIZE;
  }
  return 0;
}

/** The other end of a pair, 0: the interface has none. */
export function peerOf(index: u32): u32 {
  const found = findInterface(index);
  return found == 0 ? 0 : load<u32>(found, INTERFACE_PEER);
}

/** Why a packet of `length` bytes cannot go there, 0: it can. Without a network every number is an interface (xdp_ok_fwd_dev, net/core/filter.c). */
export function refusalOf(index: u32, length: u32): u32 {
  if (index == 0) return LOST_NO_INTERFACE;
  if (!hasNetwork()) return 0;
  const found = findInterface(index);
  if (found == 0) return LOST_NO_INTERFACE;
  return <u64>length > <u64>load<u32>(found, INTERFACE_MTU) + LINK_HEADER ? LOST_TOO_LONG : 0;
}
