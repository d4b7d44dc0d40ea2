/** What a run is given and what comes of it. */
import type { ResolvedProgram } from '../object/resolved.ts';
import type { Fault } from './fault.ts';

/** A program in memory. Dead after `unload`. */
export interface LoadedImage {
  readonly program: ResolvedProgram;
  /** Address of the context-independent image; stable while loaded. */
  readonly address: number;
}

/** What a register holds at entry: a plain number, or a pointer with the object that it points to. */
export type Argument =
  | number
  | bigint
  /** The context, in the layout of the program's type. */
  | { readonly kind: 'context'; readonly address: number }
  /** Memory of the caller. */
  | { readonly kind: 'memory'; readonly address: number; readonly size: number; readonly readOnly?: boolean }
  /** A map, by the address of its header. */
  | { readonly kind: 'map'; readonly address: number }
  /** A value of the map whose header is at `map`. */
  | { readonly kind: 'map_value'; readonly address: number; readonly map: number };

export interface RunOptions {
  /** Steps after which the run is a fault (default 100 million). */
  readonly budget?: number | bigint;
  /** Let the program read stack bytes that it never wrote, as Linux does for privileged programs since 6.3. */
  readonly uninitialisedStack?: boolean;
  /** What BPF_LD_ABS and BPF_LD_IND read where the program's context has no packet; without either they fault. */
  readonly packet?: { readonly address: number; readonly size: number };
  /** Bytes of stack that the program's frames may use (default: all that the CPU's area has). */
  readonly stackSize?: number;
}

export interface Position {
  readonly image: LoadedImage;
  /** The instruction that comes next. */
  readonly slot: number;
  readonly steps: number;
}

export type Outcome =
  | {
      readonly kind: 'exit';
      readonly r0: bigint;
      readonly steps: number;
      /** Accesses through pointers whose object had to be found by address: the program launders pointers. */
      readonly byAddress: number;
    }
  | { readonly kind: 'fault'; readonly fault: Fault; readonly steps: number };

export type StepOutcome =
  | Outcome
  | { readonly kind: 'paused' | 'breakpoint'; readonly position: Position; readonly steps: number };
