/** What a program type may see: one declaration file a type in abi/programs/. */

import type { ProgramTypeName } from './program-types.ts';
import type { HelperPrototype, Stability } from './prototype.ts';

export interface ContextField {
  readonly name: string;
  /** Bytes from the start of the context as the program sees it (the UAPI struct). */
  readonly offset: number;
  readonly size: number;
  readonly write: boolean;
  /** What a load of the whole field gives. */
  readonly kind: 'scalar' | 'packet' | 'packet_end' | 'packet_meta';
}

export interface ProgramDeclaration {
  readonly type: ProgramTypeName;
  /** Name of the UAPI struct and its size in bytes. */
  readonly context: { readonly struct: string; readonly size: number; readonly fields: readonly ContextField[] };
  /** Helpers that programs of the type may call, by number. */
  readonly helpers: ReadonlyMap<number, HelperPrototype>;
  /** Names of the return values, for output. */
  readonly verdicts: ReadonlyMap<number, string>;
  readonly stability: Stability;
}
