// Rules that choose an RSS context: what of a packet they look at is put into a key once, and each rule is compared with it under its mask. The rule stands in
// src/net/rss/flow-rules.ts in its long form.
import {
  STEER_FLOW_DESTINATION, STEER_FLOW_FAMILY, STEER_FLOW_KEY, STEER_FLOW_KEY_SIZE, STEER_FLOW_KNOWN, STEER_FLOW_KNOWN_PORTS, STEER_FLOW_KNOWN_PROTOCOL,
  STEER_FLOW_KNOWN_VLAN, STEER_FLOW_PORTS, STEER_FLOW_PROTOCOL, STEER_FLOW_SOURCE, STEER_FLOW_VLAN, STEER_RULES, STEER_RULE_CONTEXT,
  STEER_RULE_COUNT, STEER_RULE_HITS, STEER_RULE_SIZE,
} from '../../layout/steering';
import { transportOf } from './extension-headers';
import { ETH_P_IP, ETH_P_IPV6, isVlan } from './rss';

/** Context of the first rule that the packet in [at, end) fits, 0: none. */
export function flowContext(device: usize, at: usize, end: usize): u32 {
  const key = device + STEER_FLOW_KEY;
  fillKey(key, at, end);
  const k0 = v128.load(key, 0);
  const k1 = v128.load(key, 16);
  const k2 = v128.load(key, 32);
  let rule: usize = load<u32>(device, STEER_RULES);
  const behind = rule + <usize>load<u32>(device, STEER_RULE_COUNT) * STEER_RULE_SIZE;
  for (; rule < behind; rule += STEER_RULE_SIZE) {
    const d0 = v128.and(v128.xor(k0, v128.load(rule, 0)), v128.load(rule, STEER_FLOW_KEY_SIZE));
    const d1 = v128.and(v128.xor(k1, v128.load(rule, 16)), v128.load(rule, STEER_FLOW_KEY_SIZE + 16));
    const d2 = v128.and(v128.xor(k2, v128.load(rule, 32)), v128.load(rule, STEER_FLOW_KEY_SIZE + 32));
    if (!v128.any_true(v128.or(v128.or(d0, d1), d2))) {
      store<u64>(rule, load<u64>(rule, STEER_RULE_HITS) + 1, STEER_RULE_HITS);
      return load<u32>(rule, STEER_RULE_CONTEXT);
    }
  }
  return 0;
}

function fillKey(key: usize, at: usize, end: usize): void {
  const zero = i64x2.splat(0);
  v128.store(key, zero, 0);
  v128.store(key, zero, 16);
  v128.store(key, zero, 32);
  if (at + 14 > end) return;
  let type = <u32>load<u16>(at, 12);
  at += 14;
  if (isVlan(type)) {
    if (at + 4 > end) return;
    store<u16>(key, load<u16>(at), STEER_FLOW_VLAN);
    store<u8>(key, STEER_FLOW_KNOWN_VLAN, STEER_FLOW_KNOWN);
    type = <u32>load<u16>(at, 2);
    at += 4;
    if (isVlan(type)) {
      if (at + 4 > end) return;
      type = <u32>load<u16>(at, 2);
      at += 4;
    }
  }
  let known = <u32>load<u8>(key, STEER_FLOW_KNOWN);
  let protocol: u32 = 0;
  let transport: usize = 0;
  if (type == ETH_P_IP) {
    if (at + 20 > end) return;
    const words = <u32>load<u8>(at) - 0x45;
    if (words > 10) return;
    store<u8>(key, 4, STEER_FLOW_FAMILY);
    store<u32>(key, load<u32>(at, 12), STEER_FLOW_SOURCE);
    store<u32>(key, load<u32>(at, 16), STEER_FLOW_DESTINATION);
    if ((load<u16>(at, 6) & 0xff3f) != 0) return;
    protocol = <u32>load<u8>(at, 9);
    transport = at + 20 + (words << 2);
  } else if (type == ETH_P_IPV6) {
    if (at + 40 > end || load<u8>(at) >> 4 != 6) return;
    store<u8>(key, 6, STEER_FLOW_FAMILY);
    v128.store(key, v128.load(at, 8), STEER_FLOW_SOURCE);
    v128.store(key, v128.load(at, 24), STEER_FLOW_DESTINATION);
    const found = transportOf(at, end);
    if (found == 0) return;
    transport = <usize>found;
    protocol = <u32>(found >> 32);
  } else return;
  store<u8>(key, <u8>protocol, STEER_FLOW_PROTOCOL);
  known |= STEER_FLOW_KNOWN_PROTOCOL;
  if (transport + 4 <= end) {
    store<u32>(key, load<u32>(transport), STEER_FLOW_PORTS);
    known |= STEER_FLOW_KNOWN_PORTS;
  }
  store<u8>(key, <u8>known, STEER_FLOW_KNOWN);
}
