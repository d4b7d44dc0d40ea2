// What a program may not do to memory ends its run: the engine finds in the worker block what it was, and the object. No lock may be held here.
import { WORKER } from '../worker';
import { WORKER_EPOCH, WORKER_EPOCH_DEPTH, WORKER_MEMORY_FAULT, WORKER_MEMORY_FAULT_ADDRESS, WORKER_OPERATION } from '../../layout/worker';

export function memory_fault(kind: u32, object: usize): void {
  store<u32>(WORKER, kind, WORKER_MEMORY_FAULT);
  store<u32>(WORKER, <u32>object, WORKER_MEMORY_FAULT_ADDRESS);
  const operation = load<u32>(WORKER, WORKER_OPERATION);
  if (operation != 0) {
    store<u32>(WORKER, 0, WORKER_OPERATION);
    store<u32>(WORKER, operation - 1, WORKER_EPOCH_DEPTH);
    if (operation == 1) atomic.store<u32>(WORKER + WORKER_EPOCH, 0);
  }
  unreachable();
}
