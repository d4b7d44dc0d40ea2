// Addresses that programs hand over unchecked, where Linux reads with copy_from_kernel_nofault.
import { NULL_PAGE_END } from '../../layout/memory';

/** All `size` bytes are in the memory, and none in the null page. */
export function isReadable(address: u64, size: u64): bool {
  return address >= <u64>NULL_PAGE_END && address + size <= <u64>memory.size() << 16 && address + size >= address;
}

/** What Linux would take for an address of user space and not even try: here the null page, and what is beyond 4 GiB in the lower half. */
export function isUserAddress(address: u64): bool {
  return address < <u64>NULL_PAGE_END || (address > 0xffff_ffff && <i64>address > 0);
}
