/**
 * witness/: from a refusal to an input on which the program really does what was feared, found in the checked engine.
 *
 * This file: one run in the checked engine, with the verifier's states beside it.
 */
import type { MapSpec, ProgramSpec } from '../object/spec.ts';
import { ProgramFault } from '../runtime/fault.ts';
import type { RunInput } from '../runtime/handles.ts';
import { observeSteps } from '../runtime/interpreter-engine.ts';
import type { UserProgram } from '../runtime/program.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { ConcreteState } from '../verifier/recording/shadow.ts';

/** How a run ended. */
export type RunEnd =
  | { readonly kind: 'exit'; readonly r0: bigint }
  | { readonly kind: 'fault'; readonly fault: ProgramFault };

/** Called before each instruction with the state of the engine; the stack can be read during the call. */
export type Visit = (state: ConcreteState) => void;

/**
 * Runs once. What the hook refuses (an InputError) is thrown; a fault of the program is a result. Instructions after a tail call
 * are not visited.
 */
export function checkedRun(runtime: Runtime, program: UserProgram, input: RunInput, visit: Visit | undefined): RunEnd {
  let here = true;
  if (visit !== undefined)
    observeSteps(runtime, (position, registers) => {
      here &&= position.image.program.name === program.name;
      if (!here) return;
      const view = runtime.view();
      visit({
        slot: position.slot,
        registers: registers(),
        stackSlot: (top, index) => view.getBigUint64(Number(top) - 8 * (index + 1), true),
      });
    });
  try {
    const { r0, returnValue } = program.run(input);
    return { kind: 'exit', r0: r0 ?? BigInt(returnValue) };
  } catch (error) {
    if (error instanceof ProgramFault) return { kind: 'fault', fault: error };
    throw error;
  } finally {
    if (visit !== undefined) observeSteps(runtime, undefined);
  }
}

/** Names of maps in the order in which a verification counts them: that of their first reference. */
export function mapNames(
  program: ProgramSpec,
  maps: ReadonlyMap<string, MapSpec>,
): (index: number) => string | undefined {
  const names: string[] = [];
  for (const reference of program.references.values()) {
    if (reference.kind !== 'map' && reference.kind !== 'map-value' && reference.kind !== 'kconfig') continue;
    const name = reference.kind === 'kconfig' ? '.kconfig' : reference.map;
    if (maps.has(name) && !names.includes(name)) names.push(name);
  }
  return (index) => names[index];
}
