// Dynptrs: helpers 197 to 203 but for the ring buffer's, and the bpf_dynptr_* kfuncs. Facts: kernel/bpf/helpers.c, net/core/filter.c.
// Offsets and lengths are u32 there, and are cut to it here. Packets here are linear, so a slice is always the packet itself and never the program's buffer.
import {
  DYNPTR_DATA,
  DYNPTR_LOCAL,
  DYNPTR_OFFSET,
  DYNPTR_READ_ONLY,
  DYNPTR_RINGBUF,
  DYNPTR_SIZE,
  DYNPTR_SIZE_MASK,
  DYNPTR_SKB,
  DYNPTR_SKB_META,
  DYNPTR_TYPE_MASK,
  DYNPTR_TYPE_SHIFT,
  DYNPTR_XDP,
} from '../../layout/dynptr';
import { FRAME_DATA, FRAME_DATA_END } from '../../layout/frame';
import { SKB_DATA, SKB_DATA_META, SKB_LEN } from '../../layout/skb';
import { E2BIG, EFAULT, EINVAL, ERANGE } from '../errno';
import { bpf_skb_store_bytes } from '../helpers/skb-bytes';

@inline export function sizeOf(dynptr: usize): u64 {
  return <u64>(load<u32>(dynptr, DYNPTR_SIZE) & DYNPTR_SIZE_MASK);
}

@inline function typeOf(dynptr: usize): u32 {
  return (load<u32>(dynptr, DYNPTR_SIZE) >> DYNPTR_TYPE_SHIFT) & DYNPTR_TYPE_MASK;
}

@inline function isReadOnly(dynptr: usize): bool {
  return (load<u32>(dynptr, DYNPTR_SIZE) & DYNPTR_READ_ONLY) != 0;
}

@inline function isNull(dynptr: usize): bool {
  return load<u64>(dynptr, DYNPTR_DATA) == 0;
}

export function setNull(dynptr: usize): void {
  store<u64>(dynptr, 0, DYNPTR_DATA);
  store<u64>(dynptr, 0, DYNPTR_SIZE);
}

@inline function init(dynptr: usize, data: u64, type: u32, size: u32, flags: u32): void {
  store<u64>(dynptr, data, DYNPTR_DATA);
  store<u32>(dynptr, size | (type << DYNPTR_TYPE_SHIFT) | flags, DYNPTR_SIZE);
  store<u32>(dynptr, 0, DYNPTR_OFFSET);
}

/** False: larger than a dynptr can be. */
@inline function fits(size: u32): bool {
  return size <= <u32>DYNPTR_SIZE_MASK;
}

@inline function within(dynptr: usize, offset: u64, length: u64): bool {
  const size = sizeOf(dynptr);
  return length <= size && offset <= size - length;
}

/** Makes a dynptr of plain memory at `dynptr`, for callbacks that are given one. */
export function dynptr_make(dynptr: usize, data: usize, size: u32, read_only: bool): void {
  init(dynptr, <u64>data, DYNPTR_LOCAL, size, read_only ? DYNPTR_READ_ONLY : 0);
}

/** Makes a dynptr of a record of a ring buffer. */
export function ringbufDynptr(dynptr: usize, sample: usize, size: u32): void {
  init(dynptr, <u64>sample, DYNPTR_RINGBUF, size, 0);
}

export function isTooLarge(size: u64): bool {
  return !fits(<u32>size);
}

export function bpf_dynptr_from_mem(data: u64, size: u64, flags: u64, dynptr: u64): i64 {
  setNull(<usize>dynptr);
  if (!fits(<u32>size)) return E2BIG;
  if (flags != 0) return EINVAL;
  init(<usize>dynptr, data, DYNPTR_LOCAL, <u32>size, 0);
  return 0;
}

/** Address of byte `offset`, which is known to be inside. XDP bounds what it hands out to 64 KiB: 0 beyond. */
function addressAt(dynptr: usize, offset: u64, length: u64): usize {
  const at = <usize>load<u32>(dynptr, DYNPTR_OFFSET) + <usize>offset;
  const data = <usize>load<u64>(dynptr, DYNPTR_DATA);
  switch (typeOf(dynptr)) {
    case DYNPTR_LOCAL:
    case DYNPTR_RINGBUF:
      return data + at;
    case DYNPTR_SKB:
      // The packet may have become shorter since the dynptr was made.
      if (at + <usize>length > <usize>load<u32>(data, SKB_LEN)) return 0;
      return <usize>load<u32>(data, SKB_DATA) + at;
    case DYNPTR_XDP:
      if (at > 0xffff || length > 0xffff) return 0;
      if (at + <usize>length > <usize>(load<u32>(data, FRAME_DATA_END) - load<u32>(data, FRAME_DATA))) return 0;
      return <usize>load<u32>(data, FRAME_DATA) + at;
    case DYNPTR_SKB_META:
      if (at + <usize>length > <usize>(load<u32>(data, SKB_DATA) - load<u32>(data, SKB_DATA_META))) return 0;
      return <usize>load<u32>(data, SKB_DATA_META) + at;
    default:
      return 0;
  }
}

export function bpf_dynptr_read(to: u64, length: u64, dynptr: u64, offset: u64, flags: u64): i64 {
  length = <u64><u32>length;
  offset = <u64><u32>offset;
  const p = <usize>dynptr;
  if (isNull(p) || flags != 0) return EINVAL;
  if (!within(p, offset, length)) return E2BIG;
  const from = addressAt(p, offset, length);
  if (from == 0) return typeOf(p) == DYNPTR_XDP ? EINVAL : EFAULT;
  memory.copy(<usize>to, from, <usize>length);
  return 0;
}

export function bpf_dynptr_write(dynptr: u64, offset: u64, from: u64, length: u64, flags: u64): i64 {
  offset = <u64><u32>offset;
  length = <u64><u32>length;
  const p = <usize>dynptr;
  if (isNull(p) || isReadOnly(p)) return EINVAL;
  if (!within(p, offset, length)) return E2BIG;
  if (typeOf(p) == DYNPTR_SKB) {
    return bpf_skb_store_bytes(load<u64>(p, DYNPTR_DATA), <u64>load<u32>(p, DYNPTR_OFFSET) + offset, from, length, flags);
  }
  if (flags != 0) return EINVAL;
  const to = addressAt(p, offset, length);
  if (to == 0) return typeOf(p) == DYNPTR_XDP ? EINVAL : EFAULT;
  memory.copy(to, <usize>from, <usize>length);
  return 0;
}

/** Memory and records only: a packet may move, so its bytes are handed out as slices. */
export function bpf_dynptr_data(dynptr: u64, offset: u64, length: u64): u64 {
  offset = <u64><u32>offset;
  length = <u64><u32>length;
  const p = <usize>dynptr;
  if (isNull(p) || isReadOnly(p) || !within(p, offset, length)) return 0;
  const type = typeOf(p);
  if (type != DYNPTR_LOCAL && type != DYNPTR_RINGBUF) return 0;
  return <u64>addressAt(p, offset, length);
}

export function bpf_dynptr_slice(dynptr: u64, offset: u64, buffer: u64, length: u64): u64 {
  offset = <u64><u32>offset;
  length = <u64><u32>length;
  const p = <usize>dynptr;
  if (isNull(p) || !within(p, offset, length)) return 0;
  return <u64>addressAt(p, offset, length);
}

export function bpf_dynptr_slice_rdwr(dynptr: u64, offset: u64, buffer: u64, length: u64): u64 {
  return isReadOnly(<usize>dynptr) ? 0 : bpf_dynptr_slice(dynptr, offset, buffer, length);
}

export function bpf_dynptr_adjust(dynptr: u64, start: u64, end: u64): i64 {
  start = <u64><u32>start;
  end = <u64><u32>end;
  const p = <usize>dynptr;
  if (isNull(p) || start > end) return EINVAL;
  const size = sizeOf(p);
  if (start > size || end > size) return ERANGE;
  store<u32>(p, load<u32>(p, DYNPTR_OFFSET) + <u32>start, DYNPTR_OFFSET);
  store<u32>(p, (load<u32>(p, DYNPTR_SIZE) & ~DYNPTR_SIZE_MASK) | <u32>(end - start), DYNPTR_SIZE);
  return 0;
}

export function bpf_dynptr_is_null(dynptr: u64): u64 {
  return isNull(<usize>dynptr) ? 1 : 0;
}

export function bpf_dynptr_is_rdonly(dynptr: u64): u64 {
  return !isNull(<usize>dynptr) && isReadOnly(<usize>dynptr) ? 1 : 0;
}

export function bpf_dynptr_size(dynptr: u64): u64 {
  return isNull(<usize>dynptr) ? <u64><u32>EINVAL : sizeOf(<usize>dynptr);
}

export function bpf_dynptr_clone(dynptr: u64, clone: u64): i64 {
  if (isNull(<usize>dynptr)) {
    setNull(<usize>clone);
    return EINVAL;
  }
  memory.copy(<usize>clone, <usize>dynptr, 16);
  return 0;
}

export function bpf_dynptr_copy(to: u64, to_offset: u64, from: u64, from_offset: u64, size: u64): i64 {
  to_offset = <u64><u32>to_offset;
  from_offset = <u64><u32>from_offset;
  size = <u64><u32>size;
  const source = bpf_dynptr_slice(from, from_offset, 0, size);
  if (source != 0) return bpf_dynptr_write(to, to_offset, source, size, 0);
  const target = bpf_dynptr_slice_rdwr(to, to_offset, 0, size);
  if (target != 0) return bpf_dynptr_read(target, size, from, from_offset, 0);
  return within(<usize>to, to_offset, size) && within(<usize>from, from_offset, size) ? EINVAL : E2BIG;
}

export function bpf_dynptr_memset(dynptr: u64, offset: u64, size: u64, value: u64): i64 {
  offset = <u64><u32>offset;
  size = <u64><u32>size;
  const target = bpf_dynptr_slice_rdwr(dynptr, offset, 0, size);
  if (target != 0) {
    memory.fill(<usize>target, <u8>value, <usize>size);
    return 0;
  }
  if (isReadOnly(<usize>dynptr)) return EINVAL;
  if (!within(<usize>dynptr, offset, size)) return E2BIG;
  return size == 0 ? 0 : EINVAL;
}

function ofContext(ctx: usize, flags: u64, dynptr: usize, type: u32, size: u32, readOnly: u32): i64 {
  setNull(dynptr);
  if (flags != 0) return EINVAL;
  init(dynptr, <u64>ctx, type, size, readOnly);
  return 0;
}

export function bpf_dynptr_from_skb(ctx: u64, flags: u64, dynptr: u64): i64 {
  return ofContext(<usize>ctx, flags, <usize>dynptr, DYNPTR_SKB, load<u32>(<usize>ctx, SKB_LEN), 0);
}

/** What programs that may not write to packets are given instead (specialize_kfunc, kernel/bpf/verifier.c). */
export function bpf_dynptr_from_skb_rdonly(ctx: u64, flags: u64, dynptr: u64): i64 {
  return ofContext(<usize>ctx, flags, <usize>dynptr, DYNPTR_SKB, load<u32>(<usize>ctx, SKB_LEN), DYNPTR_READ_ONLY);
}

export function bpf_dynptr_from_skb_meta(ctx: u64, flags: u64, dynptr: u64): i64 {
  const skb = <usize>ctx;
  const size = load<u32>(skb, SKB_DATA) - load<u32>(skb, SKB_DATA_META);
  return ofContext(skb, flags, <usize>dynptr, DYNPTR_SKB_META, size, 0);
}

export function bpf_dynptr_from_xdp(ctx: u64, flags: u64, dynptr: u64): i64 {
  const frame = <usize>ctx;
  const size = load<u32>(frame, FRAME_DATA_END) - load<u32>(frame, FRAME_DATA);
  return ofContext(frame, flags, <usize>dynptr, DYNPTR_XDP, size, 0);
}
