/** The stepping core: interpreter.wasm over one worker's memory and table. */
import { wasmBase64 } from './generated/interpreter-wasm.ts';

/** Where the interpreter lives: one worker's view of the memory. */
export interface InterpreterHost {
  readonly memory: WebAssembly.Memory;
  readonly table: WebAssembly.Table;
  /** Address of the worker block. */
  readonly worker: number;
  /** Bodies of helpers and kfuncs by name, functions of WebAssembly of type (i64 × arguments) -> i64: the plane's exports. */
  readonly functions: Readonly<Record<string, unknown>>;
  /** Address of so many zeroed bytes, aligned to 16 at least. */
  allocate(bytes: number): number;
  free(address: number, bytes: number): void;
  /** First of so many entries of `table` in a row, and giving them back; without, the table grows for good. */
  reserveEntries?(count: number): number;
  releaseEntries?(index: number, count: number): void;
}

/** Functions of assembly/index.ts. */
export interface CoreExports {
  begin(state: number, image: number, functionIndex: number): void;
  resume(state: number): number;
  readonly callback: unknown;
}

let compiled: WebAssembly.Module | undefined;

function coreModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(Uint8Array.from(atob(wasmBase64), (c) => c.charCodeAt(0)));
  return compiled;
}

export function createCore({ memory, table, worker }: InterpreterHost): CoreExports {
  const instance = new WebAssembly.Instance(coreModule(), { env: { memory, table, worker } });
  // What the module exports is fixed by its sources; the interface above states it.
  return instance.exports as unknown as CoreExports;
}
