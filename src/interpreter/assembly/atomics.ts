// Atomic instructions: read-modify-write, compare and exchange, load-acquire and store-release (RFC 9669 section 5.3, Linux 6.15).
import {
  ACCESS_ATOMIC,
  ACCESS_READ,
  ACCESS_WRITE,
  FAULT_ATOMIC_OBJECT,
  FAULT_MISALIGNED_ATOMIC,
  INSN_IMM,
  KIND_CONTEXT,
  KIND_METADATA,
  KIND_PACKET,
  KIND_SCALAR,
  KIND_STACK,
} from '../layout';
import { resolve } from './access';
import { fault, registerNumber } from './fault';
import { fill, readable, setTag, spill, tagOf } from './provenance';

const FETCH: i32 = 1;
const OR: i32 = 0x40;
const AND: i32 = 0x50;
const XOR: i32 = 0xa0;
const XCHG: i32 = 0xe1;
const CMPXCHG: i32 = 0xf1;
const LOAD_ACQUIRE: i32 = 0x100;
const STORE_RELEASE: i32 = 0x110;

/** Address of an aligned access by an atomic instruction, 0 after a fault. */
function target(s: usize, r: usize, off: i64, size: u32, access: u32): usize {
  const kind = tagOf(r) & 0xff;
  const address = load<u64>(r) + <u64>off;
  if (kind == KIND_PACKET || kind == KIND_METADATA || kind == KIND_CONTEXT) {
    return fault(s, FAULT_ATOMIC_OBJECT, registerNumber(s, r), access, address, size, r, 0);
  }
  const at = resolve(s, r, off, size, access);
  if (at != 0 && (at & (size - 1)) != 0) {
    return fault(s, FAULT_MISALIGNED_ATOMIC, registerNumber(s, r), access, address, size, r, 0);
  }
  return at;
}

/** One atomic instruction at `e`; false after a fault. */
export function atomicStep(s: usize, e: usize, opcode: u32, d: usize, r: usize, off: i64): bool {
  const imm = load<i32>(e, INSN_IMM);
  const size: u32 = opcode == 0xdb ? 8 : opcode == 0xc3 ? 4 : opcode == 0xcb ? 2 : 1;
  if (imm == LOAD_ACQUIRE) return loadAcquire(s, d, r, off, size);
  if (!readable(s, r)) return false;
  if (imm == STORE_RELEASE) return storeRelease(s, d, r, off, size);
  // Compared and put back: r0.
  if (imm == CMPXCHG && !readable(s, s)) return false;
  const at = target(s, d, off, size, ACCESS_ATOMIC);
  if (at == 0) return false;
  if (size == 8) atomic64(s, imm, at, r);
  else atomic32(s, imm, at, r);
  if (imm == CMPXCHG) setTag(s, KIND_SCALAR);
  else if ((imm & FETCH) != 0) setTag(r, KIND_SCALAR);
  return true;
}

function atomic64(s: usize, imm: i32, at: usize, r: usize): void {
  const value = load<u64>(r);
  let old: u64 = 0;
  if (imm == CMPXCHG) {
    store<u64>(s, atomic.cmpxchg<u64>(at, load<u64>(s), value));
    return;
  }
  if (imm == XCHG) old = atomic.xchg<u64>(at, value);
  else if ((imm & ~FETCH) == OR) old = atomic.or<u64>(at, value);
  else if ((imm & ~FETCH) == AND) old = atomic.and<u64>(at, value);
  else if ((imm & ~FETCH) == XOR) old = atomic.xor<u64>(at, value);
  else old = atomic.add<u64>(at, value);
  if ((imm & FETCH) != 0) store<u64>(r, old);
}

function atomic32(s: usize, imm: i32, at: usize, r: usize): void {
  const value = load<u32>(r);
  let old: u32 = 0;
  if (imm == CMPXCHG) {
    store<u64>(s, <u64>atomic.cmpxchg<u32>(at, load<u32>(s), value));
    return;
  }
  if (imm == XCHG) old = atomic.xchg<u32>(at, value);
  else if ((imm & ~FETCH) == OR) old = atomic.or<u32>(at, value);
  else if ((imm & ~FETCH) == AND) old = atomic.and<u32>(at, value);
  else if ((imm & ~FETCH) == XOR) old = atomic.xor<u32>(at, value);
  else old = atomic.add<u32>(at, value);
  if ((imm & FETCH) != 0) store<u64>(r, <u64>old);
}

function loadAcquire(s: usize, d: usize, r: usize, off: i64, size: u32): bool {
  const at = target(s, r, off, size, ACCESS_READ);
  if (at == 0) return false;
  let value: u64 = 0;
  if (size == 8) value = atomic.load<u64>(at);
  else if (size == 4) value = <u64>atomic.load<u32>(at);
  else if (size == 2) value = <u64>atomic.load<u16>(at);
  else value = <u64>atomic.load<u8>(at);
  if (size == 8 && (tagOf(r) & 0xff) == KIND_STACK) fill(s, r, at, d);
  else setTag(d, KIND_SCALAR);
  store<u64>(d, value);
  return true;
}

function storeRelease(s: usize, d: usize, r: usize, off: i64, size: u32): bool {
  const at = target(s, d, off, size, ACCESS_WRITE);
  if (at == 0) return false;
  if (size == 8) atomic.store<u64>(at, load<u64>(r));
  else if (size == 4) atomic.store<u32>(at, load<u32>(r));
  else if (size == 2) atomic.store<u16>(at, load<u16>(r));
  else atomic.store<u8>(at, load<u8>(r));
  if (size == 8 && tagOf(r) != KIND_SCALAR && (tagOf(d) & 0xff) == KIND_STACK) spill(s, d, at, r);
  return true;
}
