/**
 * Programs as functions that the plane can call, on either engine: their indices in the function table. A program of the interpreter gets a function that calls it
 * through JavaScript, made at the first call and kept for the life of the runtime.
 */
import type { PlaneInstance } from './plane.ts';
import type { UserProgram } from './program.ts';

/** (module (import "e" "f" (func (param i64) (result i64))) (export "f" (func 0))): only functions of modules can be put into a table. */
const through = Uint8Array.from(
  [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 6, 1, 0x60, 1, 0x7e, 1, 0x7e].concat(
    [2, 7, 1, 1, 0x65, 1, 0x66, 0, 0],
    [7, 5, 1, 1, 0x66, 0, 0],
  ),
);

interface Callables {
  readonly indices: WeakMap<UserProgram, number>;
  readonly programs: Map<number, UserProgram>;
}

const ofPlane = new WeakMap<PlaneInstance, Callables>();

function callablesOf(plane: PlaneInstance): Callables {
  let there = ofPlane.get(plane);
  if (there === undefined) {
    there = { indices: new WeakMap(), programs: new Map() };
    ofPlane.set(plane, there);
  }
  return there;
}

/** Function-table index, type (i64 ctx) -> i64. */
export function callableIndex(program: UserProgram): number {
  const { runtime, executable } = program;
  const { indices, programs } = callablesOf(runtime.plane);
  let index = indices.get(program);
  if (index === undefined) {
    index = executable.entry;
    if (index === 0) {
      index = runtime.reserveEntries(1);
      const f = (context: bigint) => executable.run(Number(context));
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(through), { e: { f } });
      runtime.plane.table.set(index, exports['f']);
    }
    indices.set(program, index);
  }
  programs.set(index, program);
  return index;
}

/** The program that `callableIndex` gave this index for; undefined: none. */
export function callableAt(plane: PlaneInstance, index: number): UserProgram | undefined {
  return callablesOf(plane).programs.get(index);
}
