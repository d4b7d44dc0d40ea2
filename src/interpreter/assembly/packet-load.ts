// BPF_LD_ABS and BPF_LD_IND (RFC 9669 section 5.6, deprecated): big-endian loads from the packet into r0; beyond it the function
// returns 0. In a __sk_buff, which is the only context that the kernel allows them in, negative offsets count from the network or
// the link header (bpf_skb_load_helper_convert_offset in net/core/filter.c).
import {
  FAULT_UNSUPPORTED,
  KIND_CONTEXT,
  KIND_SCALAR,
  REGISTER_BASE,
  STATE_PACKET,
  STATE_PACKET_SIZE,
} from '../layout';
import { SKB_DATA, SKB_DATA_END, SKB_MAC_HEADER, SKB_NETWORK_HEADER } from '../../plane/layout/skb';
import { stop } from './fault';
import { clobber, register } from './frames';
import { readable, setTag, tagOf } from './provenance';

/** SKF_NET_OFF and SKF_LL_OFF. */
const NETWORK_OFFSET: i64 = -0x10_0000;
const LINK_OFFSET: i64 = -0x20_0000;

export const PACKET_FAULT: u32 = 0;
export const PACKET_LOADED: u32 = 1;
export const PACKET_BEYOND: u32 = 2;

/** `r` is the register of an indirect load, 0 for an absolute one. */
export function packetLoad(s: usize, opcode: u32, r: usize, imm: i32): u32 {
  let offset = <i64>imm;
  if (r != 0) {
    if (!readable(s, r)) return PACKET_FAULT;
    offset = <i64>(load<i32>(r) + imm);
  }
  let base: u32 = load<u32>(s, STATE_PACKET);
  let length: u32 = load<u32>(s, STATE_PACKET_SIZE);
  const r6 = register(s, 6);
  if (tagOf(r6) == KIND_CONTEXT) {
    const context = <usize>load<u32>(r6, REGISTER_BASE);
    base = load<u32>(context, SKB_DATA);
    if (offset < 0) {
      if (offset < LINK_OFFSET) {
        clobber(s);
        return PACKET_BEYOND;
      }
      const network = offset >= NETWORK_OFFSET;
      base = network ? load<u32>(context, SKB_NETWORK_HEADER) : load<u32>(context, SKB_MAC_HEADER);
      offset -= network ? NETWORK_OFFSET : LINK_OFFSET;
    }
    length = load<u32>(context, SKB_DATA_END) - base;
  } else if (length == 0) {
    stop(s, FAULT_UNSUPPORTED, <u64>opcode);
    return PACKET_FAULT;
  }
  const width = opcode & 0x18;
  const size: i64 = width == 0x10 ? 1 : width == 0x08 ? 2 : 4;
  clobber(s);
  if (offset < 0 || offset + size > <i64>length) return PACKET_BEYOND;
  const at = <usize>base + <usize>offset;
  let value: u64 = 0;
  if (size == 1) value = <u64>load<u8>(at);
  else if (size == 2) value = <u64>bswap<u16>(load<u16>(at));
  else value = <u64>bswap<u32>(load<u32>(at));
  store<u64>(s, value);
  setTag(s, KIND_SCALAR);
  return PACKET_LOADED;
}
