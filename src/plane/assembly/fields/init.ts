// Special fields of an object begin: bpf_obj_init of the kernel (include/linux/bpf.h). All are zeros but the reference count.
import { FIELD_BYTES, FIELD_OFFSET, FIELD_SIZE, RECORD_COUNT, RECORD_FIELDS, RECORD_REFCOUNT } from '../../layout/record';

/** The rest of the object stays as it is: memory that was used before is not cleared, as in Linux. */
export function fields_init(record: usize, object: usize): void {
  let field = record + RECORD_FIELDS;
  const end = field + <usize>load<u32>(record, RECORD_COUNT) * FIELD_BYTES;
  for (; field < end; field += FIELD_BYTES) {
    let at = object + <usize>load<u32>(field, FIELD_OFFSET);
    let size = load<u32>(field, FIELD_SIZE);
    for (; size >= 8; size -= 8, at += 8) store<u64>(at, 0);
    if (size != 0) store<u32>(at, 0);
  }
  const refcount = load<u32>(record, RECORD_REFCOUNT);
  if (refcount != 0) store<u32>(object + refcount - 1, 1);
}
