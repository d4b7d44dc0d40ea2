// What a CPU has in hand (layout/locks.ts). Taking something and writing it down are one step: engines stop a thread only where loops and functions begin.
import { WORKER } from '../worker';
import { PROGRAM_LOCKS } from '../../layout/locks';
import { WORKER_ELEMENT, WORKER_PROGRAM_LOCKS } from '../../layout/worker';

/** This CPU carries an element of a map. */
// @ts-ignore: decorator
@inline
export function carry(map: usize, element: usize): void {
  store<u64>(WORKER, <u64>element | (<u64>map << 32), WORKER_ELEMENT);
}

// @ts-ignore: decorator
@inline
export function carry_nothing(): void {
  store<u32>(WORKER, 0, WORKER_ELEMENT);
}

/** A program of this CPU has taken a lock. */
// @ts-ignore: decorator
@inline
export function program_holds(lock: usize): void {
  const count = load<u32>(WORKER, WORKER_PROGRAM_LOCKS);
  if (count < <u32>PROGRAM_LOCKS) store<u32>(WORKER + (<usize>count << 2), <u32>lock, WORKER_PROGRAM_LOCKS + 4);
  store<u32>(WORKER, count + 1, WORKER_PROGRAM_LOCKS);
}

/** And lets the one go that it took last. */
// @ts-ignore: decorator
@inline
export function program_lets_go(): void {
  store<u32>(WORKER, load<u32>(WORKER, WORKER_PROGRAM_LOCKS) - 1, WORKER_PROGRAM_LOCKS);
}
