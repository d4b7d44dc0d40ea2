/** Functions of JavaScript that the plane calls, by number: in place of programs, and to enter the kernel in the middle of a loop. */
import type { Runtime } from '../../runtime/runtime.ts';

let last = 0;

/** The caller's until it takes it out of `plane.ringFunctions`. */
export function addFunction(runtime: Runtime, call: (argument: number) => number): number {
  const number = ++last;
  runtime.plane.ringFunctions.set(number, call);
  return number;
}
