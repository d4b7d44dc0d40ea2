// SYN cookies as Linux makes them (net/ipv4/syncookies.c, net/ipv6/syncookies.c): a keyed hash of the connection, plus the sequence number
// of the SYN, plus a second hash that counts minutes and carries the MSS as an index. The secrets are those of the memory.
import { ROOT, ROOT_SYNCOOKIE_SECRETS } from '../../layout/memory';
import { WORKER_SCRATCH } from '../../layout/worker';
import { siphashWords, SIPHASH_STATE } from '../hash/siphash';
import { bpf_ktime_get_ns } from '../helpers/clock';
import { WORKER } from '../worker';

/** struct tcphdr. */
const SOURCE: usize = 0;
const DEST: usize = 2;
const SEQ: usize = 4;
const ACK_SEQ: usize = 8;
const DATA_OFFSET: usize = 12;
export const TCP_HEADER: u32 = 20;

/** The hash and the MSS index have this many bits, the count of minutes the others. */
const COOKIE_BITS: u32 = 24;
const COOKIE_MASK: u32 = 0xffffff;
const PERIOD_NS: u64 = 60_000_000_000;
/** Cookies of this minute and of the one before are good. */
const MAX_AGE: u32 = 2;

const MSS_COUNT: u32 = 4;
const MSS_V4 = memory.data<u16>([536, 1300, 1440, 1460]);
/** 1280, 1480, 1500 and 9000 less the headers. */
const MSS_V6 = memory.data<u16>([1220, 1420, 1440, 8940]);
const DEFAULT_MSS_V4: u32 = 536;
const DEFAULT_MSS_V6: u32 = 1220;

/** Offsets of the source address in struct iphdr and ipv6hdr; the destination follows. */
const SADDR_V4: usize = 12;
const SADDR_V6: usize = 8;

@inline function ports(th: usize): u32 {
  return (<u32>load<u16>(th, SOURCE) << 16) | <u32>load<u16>(th, DEST);
}

function hashV4(ip: usize, th: usize, count: u32, which: u32): u32 {
  const state = WORKER + WORKER_SCRATCH;
  const words = state + SIPHASH_STATE;
  store<u64>(words, load<u64>(ip, SADDR_V4));
  store<u64>(words, (<u64>count << 32) | <u64>ports(th), 8);
  return <u32>siphashWords(state, <usize>(ROOT + ROOT_SYNCOOKIE_SECRETS) + <usize>(which << 4), words, 2);
}

function hashV6(ip: usize, th: usize, count: u32, which: u32): u32 {
  const state = WORKER + WORKER_SCRATCH;
  const words = state + SIPHASH_STATE;
  memory.copy(words, ip + SADDR_V6, 32);
  store<u32>(words, count, 32);
  store<u16>(words, load<u16>(th, SOURCE), 36);
  store<u16>(words, load<u16>(th, DEST), 38);
  return <u32>siphashWords(state, <usize>(ROOT + ROOT_SYNCOOKIE_SECRETS + 32) + <usize>(which << 4), words, 5);
}

@inline function hash(v6: bool, ip: usize, th: usize, count: u32, which: u32): u32 {
  return v6 ? hashV6(ip, th, count, which) : hashV4(ip, th, count, which);
}

@inline function minutes(): u32 {
  return <u32>(bpf_ktime_get_ns() / PERIOD_NS);
}

/** The MSS option of a SYN, 0 without one: tcp_parse_mss_option, net/ipv4/tcp_input.c. The options end where the data offset says. */
function mssOption(th: usize): u32 {
  let left = <i32>(<u32>(load<u8>(th, DATA_OFFSET) >> 4) << 2) - <i32>TCP_HEADER;
  let at = th + <usize>TCP_HEADER;
  let mss: u32 = 0;
  while (left > 0) {
    const kind = load<u8>(at);
    if (kind == 0) return mss;
    if (kind == 1) {
      at++;
      left--;
      continue;
    }
    if (left < 2) return mss;
    const size = <i32>load<u8>(at, 1);
    if (size < 2 || size > left) return mss;
    if (kind == 2 && size == 4) {
      const given = <u32>bswap<u16>(load<u16>(at, 2));
      if (given != 0) mss = given;
    }
    at += <usize>size;
    left -= size;
  }
  return mss;
}

/** Cookie in the low 32 bits, the MSS that it carries above. The header has its whole length. */
export function makeCookie(v6: bool, ip: usize, th: usize): u64 {
  const option = mssOption(th);
  const mss = option != 0 ? option : v6 ? DEFAULT_MSS_V6 : DEFAULT_MSS_V4;
  const sizes = v6 ? MSS_V6 : MSS_V4;
  let index = MSS_COUNT - 1;
  while (index > 0 && mss < <u32>load<u16>(sizes + (<usize>index << 1))) index--;
  const count = minutes();
  const sequence = bswap<u32>(load<u32>(th, SEQ));
  const counted = (hash(v6, ip, th, count, 1) + index) & COOKIE_MASK;
  const cookie = hash(v6, ip, th, 0, 0) + sequence + (count << COOKIE_BITS) + counted;
  return <u64>cookie | (<u64>load<u16>(sizes + (<usize>index << 1)) << 32);
}

/** MSS that the cookie acknowledged by an ACK carries; 0: it is none of ours, or too old. */
export function checkCookie(v6: bool, ip: usize, th: usize): u32 {
  const sequence = bswap<u32>(load<u32>(th, SEQ)) - 1;
  const cookie = bswap<u32>(load<u32>(th, ACK_SEQ)) - 1 - (hash(v6, ip, th, 0, 0) + sequence);
  const count = minutes();
  const age = (count - (cookie >> COOKIE_BITS)) & (<u32>-1 >> COOKIE_BITS);
  if (age >= MAX_AGE) return 0;
  const index = (cookie - hash(v6, ip, th, count - age, 1)) & COOKIE_MASK;
  if (index >= MSS_COUNT) return 0;
  return <u32>load<u16>((v6 ? MSS_V6 : MSS_V4) + (<usize>index << 1));
}
