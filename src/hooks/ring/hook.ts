/** Programs that a ring runs, for the loader: those of type iouring, and loop_step of Linux 7.1. Both run on a ring alone, not by themselves. */
import { LOOP_OPS, LOOP_STEP } from '../../abi/later-structs.ts';
import { iouring } from '../../abi/programs/iouring.ts';
import { structOps } from '../../abi/programs/struct-ops.ts';
import { InputError, UnsupportedError } from '../../errors.ts';
import { methodOf } from '../../object/maps-struct-ops.ts';
import type { Hook } from '../../runtime/hook.ts';
import type { UserObject } from '../../runtime/load.ts';
import { StructOpsMap } from '../../runtime/maps/struct-ops.ts';
import type { UserProgram } from '../../runtime/program.ts';

function onRing(what: string): never {
  throw new UnsupportedError(
    `a test run of ${what}`,
    `${what} is run by the completions of a ring: attach it to one (Ring.create, \`sluice ring\`)`,
  );
}

export const iouringHook: Hook = { declaration: iouring, testRun: () => onRing('a program of type iouring') };

export const loopHook: Hook = {
  declaration: structOps,
  refuses(program, { maps, btf }) {
    const of = methodOf(program, maps, btf);
    if (of?.struct === LOOP_OPS) return undefined;
    return of === undefined
      ? 'no struct_ops map refers to it, so that it is no method of any struct'
      : `nothing here calls methods of struct ${of.struct}: only ${LOOP_OPS} has a place in user space`;
  },
  testRun: () => onRing(LOOP_STEP),
};

export interface LoopStep {
  /** The struct_ops map: what is registered while the ring runs the loop. */
  readonly ops: StructOpsMap;
  /** Its method: `executable.entry` takes the address of two u64, ring and parameters, and returns IOU_LOOP_CONTINUE, IOU_LOOP_STOP, or what is an error. */
  readonly step: UserProgram;
}

/** The loop of an object, of its struct_ops map `name`, or the only one. Throws InputError `SLUICE_RING_LOOP`. */
export function loopStepOf(object: UserObject, name?: string): LoopStep {
  const loops = Object.values(object.maps).flatMap((ops): LoopStep[] => {
    if (!(ops instanceof StructOpsMap) || (name !== undefined && ops.name !== name)) return [];
    return [...ops.programs.values()].flatMap((program) => {
      const step = object.programs[program];
      return step?.type === 'struct_ops' ? [{ ops, step }] : [];
    });
  });
  if (loops.length === 1) return loops[0]!;
  const which = name === undefined ? 'the object' : `map ${name}`;
  throw new InputError(
    'SLUICE_RING_LOOP',
    loops.length === 0
      ? `${which} has no loop: a variable of struct ${LOOP_OPS} in .struct_ops.link, with its ${LOOP_STEP}`
      : `${which} has several loops (${loops.map(({ ops }) => ops.name).join(', ')}): name one`,
  );
}
