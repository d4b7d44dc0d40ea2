/** What the two engines have in common for the loader: programs go in together (one object), executables come out. */
import type { ResolvedProgram } from '../object/resolved.ts';
import type { Executable } from './hook.ts';

export type EngineName = 'jit' | 'interpreter';

export interface EngineProgram extends Executable {
  /** What an element of a prog array holds: the function-table index that a tail call goes to. Never 0. */
  readonly tailEntry: number;
}

/** Programs of one object on one engine. */
export interface LoadedPrograms {
  readonly programs: ReadonlyMap<string, EngineProgram>;
  /**
   * The object needs its programs no more. Once nothing else holds them, and every run of them has ended on all CPUs, table entries and images go back, and `gone` is called: at
   * once where that is so.
   */
  close(gone?: () => void): void;
}

export type LoadPrograms = (programs: readonly ResolvedProgram[]) => Promise<LoadedPrograms>;
