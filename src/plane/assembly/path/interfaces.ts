// Interfaces on a path: the programs that each has, and what the modelled network says of it (layout/network.ts).
import { MAP_MAX_ENTRIES, MAP_TYPE } from '../../layout/map';
import { WORKER_SCRATCH } from '../../layout/worker';
import { bucket_of, hash_of } from '../maps/chain';
import { hash_next_key } from '../maps/hash';
import { targetOf } from '../maps/redirect-map';
import { DEVMAP_HASH } from '../maps/types';
import { findInterface, hasNetwork } from '../net/network';
import { WORKER } from '../worker';
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

/**
 * Key of the device that a broadcast of `length` bytes goes to behind that of the key `before`, -1: the first; -1: there is none. Not the interface that is excluded, and none that
 * refuses it. Other CPUs may change the map: no device comes twice.
 */
export function nextDevice(map: usize, before: i64, excluded: u32, length: u32): i64 {
  const hashed = load<u32>(map, MAP_TYPE) == DEVMAP_HASH;
  const keys: usize = WORKER + WORKER_SCRATCH + 64;
  let key = before;
  // A walk of a hash begins anew behind a key that has gone: then what it has passed is passed over.
  let passed: usize = 0;
  while (true) {
    if (hashed) {
      store<u32>(keys, <u32>key);
      const bucket = key < 0 ? 0 : bucket_of(map, hash_of(map, keys));
      if (hash_next_key(map, key < 0 ? 0 : keys, keys) != 0) return -1;
      const found = load<u32>(keys);
      if (key >= 0 && targetOf(map, <u32>key) == 0) passed = max<usize>(passed, bucket);
      store<u32>(keys, found);
      key = <i64>found;
      if (passed != 0 && bucket_of(map, hash_of(map, keys)) <= passed) continue;
    } else if (++key >= <i64>load<u32>(map, MAP_MAX_ENTRIES)) return -1;
    const target = targetOf(map, <u32>key);
    if (target != 0 && <u32>target != excluded && refusalOf(<u32>target, length) == 0) return key;
  }
}
