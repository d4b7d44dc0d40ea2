// Modelled objects of the kernel (layout/object.ts): made and named by control code, pointed to by programs.
import { pages_alloc, pages_free } from './pages';
import { word_lock, word_unlock } from './locks/word';
import { storage_drop_owner } from './maps/storage';
import { retire } from './slab/epoch';
import { WAITS_MODELLED } from '../layout/allocator';
import {
  OBJECT_BODY,
  OBJECT_ID,
  OBJECT_KIND,
  OBJECT_NEXT,
  OBJECT_PAGE_COUNT,
  OBJECT_REFERENCES,
} from '../layout/object';
import { ROOT, ROOT_NEXT_OBJECT_ID, ROOT_OBJECTS, ROOT_OBJECTS_LOCK } from '../layout/memory';

/** Address of a new object's body, zeroed, one page in all; 0 if the memory has no room. Ids are from 2: 1 is the root of the control groups. The caller holds its only reference. */
export function object_create(kind: u32): usize {
  const object = pages_alloc(1);
  if (object == 0) return 0;
  store<u32>(object, kind, OBJECT_KIND);
  store<u32>(object, atomic.add<u32>(ROOT + ROOT_NEXT_OBJECT_ID, 1) + 2, OBJECT_ID);
  store<u32>(object, 1, OBJECT_REFERENCES);
  store<u32>(object, 1, OBJECT_PAGE_COUNT);
  word_lock(ROOT + ROOT_OBJECTS_LOCK);
  store<u32>(object, load<u32>(ROOT, ROOT_OBJECTS), OBJECT_NEXT);
  store<u32>(ROOT, <u32>object, ROOT_OBJECTS);
  word_unlock(ROOT + ROOT_OBJECTS_LOCK);
  return object + OBJECT_BODY;
}

/** Body of the object with this id and kind (0: any), 0 if there is none. Not held. */
export function object_by_id(id: u32, kind: u32): usize {
  word_lock(ROOT + ROOT_OBJECTS_LOCK);
  let object = <usize>load<u32>(ROOT, ROOT_OBJECTS);
  while (object != 0 && load<u32>(object, OBJECT_ID) != id) object = load<u32>(object, OBJECT_NEXT);
  word_unlock(ROOT + ROOT_OBJECTS_LOCK);
  if (object == 0 || (kind != 0 && load<u32>(object, OBJECT_KIND) != kind)) return 0;
  return object + OBJECT_BODY;
}

/** Body of the object of this kind that was made before the one with this body (0: of the newest), 0 if there is none. Not held. */
export function object_before(body: usize, kind: u32): usize {
  word_lock(ROOT + ROOT_OBJECTS_LOCK);
  let object = <usize>(body == 0 ? load<u32>(ROOT, ROOT_OBJECTS) : load<u32>(body - OBJECT_BODY, OBJECT_NEXT));
  while (object != 0 && load<u32>(object, OBJECT_KIND) != kind) object = load<u32>(object, OBJECT_NEXT);
  word_unlock(ROOT + ROOT_OBJECTS_LOCK);
  return object == 0 ? 0 : object + OBJECT_BODY;
}

/** Id of an object by its body; 0 for an address that is no object's. */
export function object_id(body: usize): u32 {
  word_lock(ROOT + ROOT_OBJECTS_LOCK);
  let object = <usize>load<u32>(ROOT, ROOT_OBJECTS);
  while (object != 0 && object + OBJECT_BODY != body) object = load<u32>(object, OBJECT_NEXT);
  word_unlock(ROOT + ROOT_OBJECTS_LOCK);
  return object == 0 ? 0 : load<u32>(object, OBJECT_ID);
}

export function object_hold(body: usize): void {
  atomic.add<u32>(body - OBJECT_BODY, 1, OBJECT_REFERENCES);
}

/** One more reference to an object that may have none any more; false: so it is, and the object is about to end. */
export function object_try_hold(body: usize): bool {
  const place = body - OBJECT_BODY + OBJECT_REFERENCES;
  let references = atomic.load<u32>(place);
  while (references != 0) {
    const before = atomic.cmpxchg<u32>(place, references, references + 1);
    if (before == references) return true;
    references = before;
  }
  return false;
}

/** Drops a reference. After the last one nobody finds the object by its id; it ends with the runs that may have found it before. */
export function object_release(body: usize): void {
  const object = body - OBJECT_BODY;
  if (atomic.sub<u32>(object, 1, OBJECT_REFERENCES) != 1) return;
  word_lock(ROOT + ROOT_OBJECTS_LOCK);
  let link: usize = ROOT + ROOT_OBJECTS;
  while (load<u32>(link) != <u32>object) link = <usize>load<u32>(link) + OBJECT_NEXT;
  store<u32>(link, load<u32>(object, OBJECT_NEXT));
  word_unlock(ROOT + ROOT_OBJECTS_LOCK);
  retire(object, WAITS_MODELLED);
}

/** What hangs on an object goes, and its memory. */
export function object_end(object: usize): void {
  storage_drop_owner(object + OBJECT_BODY);
  pages_free(object, load<u32>(object, OBJECT_PAGE_COUNT));
}
