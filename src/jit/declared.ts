/** The functions of a module's programs, each with its index before any is written: programs go on in one another. */
import type { ResolvedProgram } from '../object/resolved.ts';
import type { FunctionAnalysis } from './analysis.ts';
import { internalParameters } from './function.ts';
import type { ModuleScope, TailEntry } from './scope.ts';
import type { FunctionType, ModuleBuilder } from './wasm/module.ts';
import { I32, I64 } from './wasm/opcodes.ts';

export const CALLBACK_TYPE: FunctionType = { parameters: [I64, I64, I64, I64, I64], results: [I64] };

export interface Analysed {
  readonly program: ResolvedProgram;
  readonly functions: ReadonlyMap<number, FunctionAnalysis>;
}

export interface Declared extends Analysed {
  readonly type: FunctionType;
  readonly tailEntry: number;
  /** The body, where it takes the tail calls so far as its last argument; undefined: the tail entry is the body. */
  readonly counted: number | undefined;
  /** The body, where the program may throw and the tail entry catches; undefined otherwise. */
  readonly guarded: number | undefined;
  readonly indices: ReadonlyMap<number, number>;
  readonly adapters: ReadonlyMap<number, number>;
  /** First of its elements: the entry, the tail entry, the adapters. */
  readonly element: number;
}

export function declarePrograms(module: ModuleBuilder, analysed: readonly Analysed[]): Declared[] {
  let element = 0;
  return analysed.map(({ program, functions }) => {
    const start = program.functions[0]!.start;
    const parameters = program.type === undefined ? 2 : 1;
    const type: FunctionType = { parameters: new Array<typeof I64>(parameters).fill(I64), results: [I64] };
    const tailEntry = module.declare(program.name, type);
    const indices = declareInternal(module, program, functions, start);
    const adapters = declareAdapters(module, program, functions);
    const counted = countsInRegister(program, functions, indices.has(start))
      ? module.declare(`${program.name}:counted`, { parameters: [...type.parameters, I32], results: [I64] })
      : undefined;
    const guarded = throws(functions) ? module.declare(`${program.name}:guarded`, type) : undefined;
    const declared = { program, functions, type, tailEntry, counted, guarded, indices, adapters, element };
    element += 2 + adapters.size;
    return declared;
  });
}

export function throws(functions: ReadonlyMap<number, FunctionAnalysis>): boolean {
  return [...functions.values()].some(({ mayThrow }) => mayThrow);
}

export function usesTailCalls(functions: ReadonlyMap<number, FunctionAnalysis>): boolean {
  return [...functions.values()].some(({ mayTailCall }) => mayTailCall);
}

export function tailEntryOf(
  { program, functions, counted, tailEntry, element }: Declared,
  scope: ModuleScope,
): TailEntry {
  // What catches an exception is the tail entry; functions that make tail calls count them in the worker block.
  const chains = !throws(functions) && (counted !== undefined || !usesTailCalls(functions));
  return {
    index: counted ?? tailEntry,
    element: element + 1,
    counted: counted !== undefined,
    body: chains ? { analysis: functions.get(program.functions[0]!.start)!, scope } : undefined,
  };
}

/** Only the entry makes tail calls, so nothing that it calls has to see or change their count. */
function countsInRegister(
  program: ResolvedProgram,
  functions: ReadonlyMap<number, FunctionAnalysis>,
  entryIsCalled: boolean,
): boolean {
  if (program.type === undefined || entryIsCalled || throws(functions)) return false;
  const [entry, ...others] = program.functions.flatMap(({ start }) => functions.get(start) ?? []);
  return entry!.mayTailCall && others.every(({ mayTailCall }) => !mayTailCall);
}

/** Functions that CALL, bpf_loop or a callback reaches, by slot: all but the entry, and that too if something calls it. */
function declareInternal(
  module: ModuleBuilder,
  program: ResolvedProgram,
  functions: ReadonlyMap<number, FunctionAnalysis>,
  entry: number,
): Map<number, number> {
  const reached = new Set<number>();
  for (const { calls, references } of functions.values())
    for (const slot of [...calls, ...references]) reached.add(slot);
  for (const { exceptionCallback, start } of program.functions) if (exceptionCallback === true) reached.add(start);
  const indices = new Map<number, number>();
  for (const slot of [...functions.keys()].sort((a, b) => a - b)) {
    if (slot === entry && !reached.has(slot)) continue;
    const analysis = functions.get(slot)!;
    const type: FunctionType = { parameters: internalParameters(analysis), results: [I64] };
    indices.set(slot, module.declare(`${program.name}.${analysis.spec.name}`, type));
  }
  return indices;
}

/** Functions whose address the program takes, by slot. */
function declareAdapters(
  module: ModuleBuilder,
  program: ResolvedProgram,
  functions: ReadonlyMap<number, FunctionAnalysis>,
): Map<number, number> {
  const referenced = new Set<number>();
  for (const { references } of functions.values()) for (const slot of references) referenced.add(slot);
  const adapters = new Map<number, number>();
  for (const slot of [...referenced].sort((a, b) => a - b))
    adapters.set(slot, module.declare(`${program.name}.${functions.get(slot)!.spec.name}:callback`, CALLBACK_TYPE));
  return adapters;
}
