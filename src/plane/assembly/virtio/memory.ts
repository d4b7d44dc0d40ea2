// Addresses of a guest, and of the front end's process, as addresses here. Nothing of what they say is trusted: a range is in one region, or it is not there.
import {
  GUEST_REGIONS, GUEST_REGION_BYTES, GUEST_REGION_LOCAL, GUEST_REGION_PHYSICAL, GUEST_REGION_SIZE, GUEST_REGION_USER,
} from '../../layout/virtio';

@inline function find(memory: usize, address: u64, length: u64, field: usize): usize {
  const end = memory + GUEST_REGIONS + <usize>load<u32>(memory) * GUEST_REGION_SIZE;
  for (let region = memory + GUEST_REGIONS; region < end; region += GUEST_REGION_SIZE) {
    const offset = address - load<u64>(region + field);
    const bytes = load<u64>(region, GUEST_REGION_BYTES);
    // Unsigned: an address before the region is far behind it.
    if (offset < bytes && length <= bytes - offset) return <usize>load<u32>(region, GUEST_REGION_LOCAL) + <usize>offset;
  }
  return 0;
}

/** Of `length` bytes at a physical address of the guest; 0: they are not in one region. */
export function guest_physical(memory: usize, address: u64, length: u64): usize {
  return find(memory, address, length, GUEST_REGION_PHYSICAL);
}

/** Of `length` bytes at an address in the front end's process. */
export function guest_user(memory: usize, address: u64, length: u64): usize {
  return find(memory, address, length, GUEST_REGION_USER);
}
