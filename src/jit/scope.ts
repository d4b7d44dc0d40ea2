/** What a function body refers to outside of itself. */
import type { ObjectFacts } from '../object/resolved.ts';
import type { FunctionAnalysis } from './analysis.ts';

/** How the packets of the runtime keep their traits: plane/layout/trait.ts. */
export interface TraitConfiguration {
  readonly layout: number;
  readonly placement: number;
}

export interface ModuleScope {
  readonly fuel: boolean;
  /** undefined: traits are the plane's alone. */
  readonly traits: TraitConfiguration | undefined;
  /** Facts of calls about objects, by slot. */
  readonly objects: ReadonlyMap<number, ObjectFacts>;
  /** Other CPUs run programs over this memory at the same time. */
  readonly concurrent: boolean;
  /** Globals env.worker and env.table_base. */
  readonly worker: number;
  readonly tableBase: number;
  /** Type (i64) -> i64 of program entries, and (i64 x 5) -> i64 of callbacks. */
  readonly entryType: number;
  readonly callbackType: number;
  /** Exception tag with the cookie (i64); undefined where no program of the module throws. */
  readonly tag: number | undefined;
  /** Index of an imported plane function. */
  plane(name: string): number;
  /** A function of the program at hand, by slot. */
  callee(slot: number): { readonly index: number; readonly analysis: FunctionAnalysis };
  /** Element, counted from env.table_base, of the callback at a slot. */
  tableElement(slot: number): number;
  /** Another program of the module; undefined: none that is tail-called. */
  tailEntry(program: string): TailEntry | undefined;
}

export interface TailEntry {
  /** Of its tail entry, counted from env.table_base. */
  readonly element: number;
  /** The function to go on in: with `counted`, (ctx, tail calls so far), else (ctx). */
  readonly index: number;
  readonly counted: boolean;
  /** What may stand in place of a jump to it. */
  readonly body: { readonly analysis: FunctionAnalysis; readonly scope: ModuleScope } | undefined;
}
