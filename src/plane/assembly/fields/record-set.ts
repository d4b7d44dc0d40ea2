// plane/assembly/fields/: what records say is done here: special fields of objects and of map values begin, and end.
//
// This file: how long records live. Whoever keeps the address of a record (maps, programs) holds the set that it is in.
import { giveLarge, takeLarge } from '../kfuncs/pool';
import { RECORD_SET, SET_NEXT, SET_REFERENCES } from '../../layout/record';

/** A block of SET_BLOCK zeroed bytes, 0 without memory: the first of a set, held by the caller, or one more of `set`. */
export function record_block(set: usize): usize {
  const block = takeLarge();
  if (block == 0) return 0;
  if (set == 0) {
    store<u32>(block, 1, SET_REFERENCES);
  } else {
    store<u32>(block, load<u32>(set, SET_NEXT), SET_NEXT);
    store<u32>(set, <u32>block, SET_NEXT);
  }
  return block;
}

export function record_hold(record: usize): void {
  atomic.add<u32>(<usize>load<u32>(record, RECORD_SET), 1, SET_REFERENCES);
}

export function record_release(record: usize): void {
  record_set_release(<usize>load<u32>(record, RECORD_SET));
}

export function record_set_release(set: usize): void {
  if (atomic.sub<u32>(set, 1, SET_REFERENCES) != 1) return;
  let block = set;
  while (block != 0) {
    const next = <usize>load<u32>(block, SET_NEXT);
    giveLarge(block);
    block = next;
  }
}
