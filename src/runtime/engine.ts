/** What the two engines have in common for the loader: programs go in together (one object), executables come out. */
import type { ResolvedProgram } from '../object/resolved.ts';
import type { Executable } from './hook.ts';

export type EngineName = 'jit' | 'interpreter';

export interface EngineProgram extends Executable {
  /** What an element of a prog array holds: the function-table index that a tail call goes to. Never 0. */
  readonly tailEntry: number;
}

/** Programs of one object on one engine. `close` gives table entries and images back; the executables are dead afterwards. */
export interface LoadedPrograms {
  readonly programs: ReadonlyMap<string, EngineProgram>;
  close(): void;
}

export type LoadPrograms = (programs: readonly ResolvedProgram[]) => Promise<LoadedPrograms>;
