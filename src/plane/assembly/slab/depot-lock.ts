// The lock of a depot. A CPU holds one at a time, besides that of the allocators' own depot, and its worker block says which: lists of depots are others' to walk.
import { word_lock, word_unlock } from '../locks/word';
import { WORKER } from '../worker';
import { DEPOT_LOCK } from '../../layout/allocator';
import { WORKER_DEPOT } from '../../layout/worker';

export function depot_lock(depot: usize): void {
  word_lock(depot + DEPOT_LOCK);
  store<u32>(WORKER, <u32>depot, WORKER_DEPOT);
}

export function depot_unlock(depot: usize): void {
  word_unlock(depot + DEPOT_LOCK);
}
