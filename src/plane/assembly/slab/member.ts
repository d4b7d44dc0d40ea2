// Merged allocators share a depot. Each has a number in it, which the slabs keep for every object that is out, so that what is live can be told apart.
import { meta_alloc, meta_free } from './meta';
import { entry_of } from './piece';
import {
  ALLOCATOR_MEMBER, DEPOT_MEMBER_TABLE, DEPOT_MEMBER_ROOM, SLAB_INDEX_SHIFT, SLAB_OWNERS, SLAB_START,
} from '../../layout/allocator';

const FIRST_ROOM: u32 = 16;
const MOST: u32 = 65535;

/** The allocator with a number, 0: none has it. */
export function member_at(depot: usize, number: u32): usize {
  if (number >= load<u32>(depot, DEPOT_MEMBER_ROOM)) return 0;
  return load<u32>(<usize>load<u32>(depot, DEPOT_MEMBER_TABLE) + (<usize>number << 2));
}

/** Gives an allocator a number; false: no memory, or none is left. The caller holds the lock of the allocators. */
export function member_add(depot: usize, allocator: usize): bool {
  const room = load<u32>(depot, DEPOT_MEMBER_ROOM);
  const table = <usize>load<u32>(depot, DEPOT_MEMBER_TABLE);
  let number: u32 = 1;
  while (number < room && load<u32>(table + (<usize>number << 2)) != 0) number++;
  if (number >= room) {
    if (room > MOST) return false;
    const more = room == 0 ? FIRST_ROOM : room << 1;
    const wider = meta_alloc(more << 2);
    if (wider == 0) return false;
    for (let i: u32 = 1; i < room; i++) store<u32>(wider + (<usize>i << 2), load<u32>(table + (<usize>i << 2)));
    number = room == 0 ? 1 : room;
    store<u32>(depot, <u32>wider, DEPOT_MEMBER_TABLE);
    store<u32>(depot, more, DEPOT_MEMBER_ROOM);
    if (table != 0) meta_free(table);
  }
  store<u32>(<usize>load<u32>(depot, DEPOT_MEMBER_TABLE) + (<usize>number << 2), <u32>allocator);
  store<u32>(allocator, number, ALLOCATOR_MEMBER);
  return true;
}

export function member_remove(depot: usize, allocator: usize): void {
  store<u32>(<usize>load<u32>(depot, DEPOT_MEMBER_TABLE) + (<usize>load<u32>(allocator, ALLOCATOR_MEMBER) << 2), 0);
}

/** Place of an object's owner, 0: its slab has one owner. */
export function owner_place(object: usize): usize {
  const entry = entry_of(load<u32>(entry_of(object), SLAB_START));
  const owners = <usize>load<u32>(entry, SLAB_OWNERS);
  if (owners == 0) return 0;
  return owners + (<usize>((<u32>object - load<u32>(entry, SLAB_START)) >> load<u8>(entry, SLAB_INDEX_SHIFT)) << 1);
}
