// Memory that programs of a ring may name in requests and reach by address.
import {
  REGION_END, REGION_START, RING_FLAGS, RING_OPEN_MEMORY, RING_REGION_COUNT, RING_REGION_SIZE, RING_REGIONS,
} from '../../layout/ring';

/** Address of a region's entry, 0 if there is none. */
export function regionAt(ring: usize, index: u32): usize {
  return index >= load<u32>(ring, RING_REGION_COUNT) ? 0 : <usize>load<u32>(ring, RING_REGIONS) + <usize>index * RING_REGION_SIZE;
}

/** Whether programs may reach [address, address + bytes). */
export function covers(ring: usize, address: u64, bytes: u64): bool {
  const last = address + bytes;
  if (last < address || last > <u64>memory.size() << 16) return false;
  if ((load<u32>(ring, RING_FLAGS) & RING_OPEN_MEMORY) != 0) return true;
  const count = load<u32>(ring, RING_REGION_COUNT);
  let region: usize = load<u32>(ring, RING_REGIONS);
  for (let i: u32 = 0; i < count; i++) {
    if (address >= <u64>load<u32>(region, REGION_START) && last <= <u64>load<u32>(region, REGION_END)) return true;
    region += RING_REGION_SIZE;
  }
  return false;
}
