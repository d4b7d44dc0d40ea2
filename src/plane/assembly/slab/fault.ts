// What a program may not do to memory ends its run: the engine finds in the worker block what it was, and the object. No lock may be held here.
import { WORKER } from '../worker';
import { WORKER_MEMORY_FAULT, WORKER_MEMORY_FAULT_ADDRESS } from '../../layout/worker';

export function memory_fault(kind: u32, object: usize): void {
  store<u32>(WORKER, kind, WORKER_MEMORY_FAULT);
  store<u32>(WORKER, <u32>object, WORKER_MEMORY_FAULT_ADDRESS);
  unreachable();
}
